package policy

import (
	"context"
	"fmt"
	"path"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/spec"
)

// Rendered is an environment, or a part of one, as it is about to be committed.
type Rendered struct {
	Environment Environment
	Repository  Repository
	Revision    Revision
	// Files are all of its files, of which those in the folder Manifests are judged.
	Files     []gitops.File
	Manifests string
	// Spec and SpecRaw are as in Request.
	Spec    *spec.Spec
	SpecRaw []byte
	Now     time.Time
}

// Objects judges every object of an environment before it is committed.
func (s *Set) Objects(ctx context.Context, r Rendered) Verdict {
	if s.broken != nil {
		return Verdict{Broken: s.broken}
	}
	var documents []document
	for _, f := range r.Files {
		if path.Dir(f.Path) != r.Manifests {
			continue
		}
		var object map[string]any
		if err := yaml.Unmarshal(f.Content, &object); err != nil {
			return Verdict{Broken: fmt.Errorf("read %s: %w", f.Path, err)}
		}
		documents = append(documents, document{input: object, object: nameOf(object)})
	}
	about := s.about(r.Environment, r.Repository, r.Revision, r.Now)
	return s.evaluate(ctx, about, r.Now, documents, r.Spec, spec.Locate(spec.Path, r.SpecRaw))
}

// nameOf is "Kind/name".
func nameOf(object map[string]any) string {
	kind, _ := object["kind"].(string)
	metadata, _ := object["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)
	return kind + "/" + name
}
