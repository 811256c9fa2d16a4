//go:build e2e

package main

import (
	"fmt"
	"os"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/adopt"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/render"
	"github.com/idp-bot/idp/gitops/source"
	"github.com/idp-bot/idp/gitops/source/publictest"
	"github.com/idp-bot/idp/gitops/spec"
)

// dryRunAdopted puts to the API server what is let through of charts and overlays that
// nobody here wrote, each in an environment of its own, and the pods that would come of it
// to the rules of their namespace.
func dryRunAdopted(s *scene) {
	binary, err := os.Executable()
	s.must(err)
	renderer, _, err := source.New(s.ctx, binary)
	s.must(err)
	parsed, errs := spec.Parse(spec.Path, []byte("preview: {source: {helm: {path: chart}}}\nservice: {name: web, port: 8080}\n"))
	s.must(errs.Err())
	kinds, tried := map[string]int{}, 0
	for i, public := range publictest.Sources() {
		if public.Refused != "" {
			continue
		}
		dir, err := public.Fetch(s.ctx)
		s.must(err)
		files, err := public.Files(dir)
		s.must(err)
		class := platform.Default()
		class.RepoURL, class.Gate = "https://git.example.com/gitops.git", &platform.Gate{Public: true}
		in := render.Input{
			Ref: gitops.EnvironmentRef{RepositoryID: int64(9000 + i), Owner: "acme", Repo: "public", ID: gitops.PreviewID(i + 1)}, FullName: "acme/public",
			PR: i + 1, SHA: strings.Repeat("a", 40), HeadRef: "feature", Author: "alice", Generation: 1, Spec: parsed, Class: class,
		}
		got, err := renderer.Render(s.ctx, source.Request{Source: public.Source, Release: "shop", Namespace: in.Ref.Namespace(), Files: files})
		s.must(err)
		if err := s.adopts(in, got.Documents, kinds); err != nil {
			s.Errorf("%s: %v", public.Name, err)
		}
		tried++
	}
	s.Logf("%d charts and overlays: %v", tried, kinds)
	for _, kind := range []string{"apps/v1/Deployment", "apps/v1/StatefulSet", "v1/Service", "v1/ConfigMap"} {
		if kinds[kind] == 0 {
			s.Errorf("nothing of it was a %s", kind)
		}
	}
}

// adopts tries what an environment adopts of rendered documents.
func (s *scene) adopts(in render.Input, documents []string, kinds map[string]int) error {
	s.Helper()
	raw := make([][]byte, len(documents))
	for i, d := range documents {
		raw[i] = []byte(d)
	}
	result, err := adopt.Objects(raw, adopt.Input{Environment: in.Ref.Name(), Namespace: in.Ref.Namespace(), Class: in.Class})
	if err != nil {
		return err
	}
	var adopted []gitops.File
	for _, o := range result.Objects {
		adopted = append(adopted, gitops.File{Path: render.AdoptedPath(o.Kind, o.Name), Content: o.Content})
	}
	in.Adopted = []render.Adopted{{Source: "the source", Files: adopted}}
	files, err := render.Environment(in)
	if err != nil {
		return err
	}
	defer func() {
		_ = s.objects(namespaces, "").Delete(s.ctx, in.Ref.Namespace(), metav1.DeleteOptions{}) // the next has another
	}()
	for _, object := range bounded(s, files) {
		kinds[object.GetAPIVersion()+"/"+object.GetKind()]++
		content, err := object.MarshalJSON()
		if err == nil {
			err = try(s, object, content)
		}
		if err == nil {
			err = tryPod(s, object)
		}
		if err != nil {
			return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}
