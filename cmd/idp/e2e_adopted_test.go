//go:build e2e

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/adopt"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/render"
	"github.com/idp-bot/idp/gitops/source"
	"github.com/idp-bot/idp/gitops/source/hostiletest"
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
		in := adopting(i, parsed)
		got, err := renderer.Render(s.ctx, source.Request{Source: public.Source, Release: "shop", Namespace: in.Ref.Namespace(), Files: files})
		s.must(err)
		if _, err := s.adopts(in, got.Documents, kinds); err != nil {
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

// adopting is a preview, the nth, of what a source makes.
func adopting(n int, of *spec.Spec) render.Input {
	class := platform.Default()
	class.RepoURL, class.Gate = "https://git.example.com/gitops.git", &platform.Gate{Public: true}
	return render.Input{
		Ref: gitops.EnvironmentRef{RepositoryID: int64(9000 + n), Owner: "acme", Repo: "public", ID: gitops.PreviewID(n + 1)}, FullName: "acme/public",
		PR: n + 1, SHA: strings.Repeat("a", 40), HeadRef: "feature", Author: "alice", Generation: 1, Spec: of, Class: class,
	}
}

// dryRunHostile puts to the API server what is let through of sources that mean harm: it is
// of the environment alone, and it is said what became of the rest.
func dryRunHostile(s *scene) {
	binary, err := os.Executable()
	s.must(err)
	renderer, _, err := source.New(s.ctx, binary)
	s.must(err)
	parsed, errs := spec.Parse(spec.Path, []byte("preview: {source: {helm: {path: chart}}}\nservice: {name: web, port: 8080}\n"))
	s.must(errs.Err())
	sources, err := hostiletest.Sources("../../gitops/source/testdata/hostile")
	s.must(err)
	kinds, refused := map[string]int{}, 0
	for i, hostile := range sources {
		in := adopting(1000+i, parsed)
		got, err := renderer.Render(s.ctx, source.Request{Source: hostile.Source, Release: "shop", Namespace: in.Ref.Namespace(), Files: hostile.Files})
		told := got.Notes
		if err == nil {
			var more []string
			more, err = s.adopts(in, got.Documents, kinds)
			told = append(told, more...)
		}
		if err != nil {
			if fault.CodeOf(err) != fault.Invalid {
				s.Errorf("%s: the API server has to refuse what idp let through: %v", hostile.Name, err)
			}
			refused++
			told = append(told, err.Error())
		}
		if !strings.Contains(strings.Join(told, "\n"), hostile.Says) {
			s.Errorf("%s: it is not said that %q: %q", hostile.Name, hostile.Says, told)
		}
	}
	if len(sources) < 30 || refused == 0 || refused == len(sources) {
		s.Errorf("%d hostile sources, %d refused", len(sources), refused)
	}
	for kind := range kinds {
		if !slices.Contains(adopt.Committed(), kind) {
			s.Errorf("a %s came through", kind)
		}
	}
	s.Logf("%d hostile sources, %d refused as a whole, of the others: %v", len(sources), refused, kinds)
}

// adopts tries what an environment adopts of rendered documents, and returns what there is to
// say of the rest.
func (s *scene) adopts(in render.Input, documents []string, kinds map[string]int) (notes []string, err error) {
	s.Helper()
	raw := make([][]byte, len(documents))
	for i, d := range documents {
		raw[i] = []byte(d)
	}
	result, err := adopt.Objects(raw, adopt.Input{Environment: in.Ref.Name(), Namespace: in.Ref.Namespace(), Class: in.Class})
	if err != nil {
		return nil, err
	}
	for _, n := range result.Notes {
		notes = append(notes, n.String())
	}
	var adopted []gitops.File
	for _, o := range result.Objects {
		adopted = append(adopted, gitops.File{Path: render.AdoptedPath(o.Kind, o.Name), Content: o.Content})
	}
	in.Adopted = []render.Adopted{{Source: "the source", Files: adopted}}
	files, err := render.Environment(in)
	if err != nil {
		return notes, err
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
			return notes, fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
		if kind, at := object.GetKind(), object.GetNamespace(); kind != "Namespace" && at != in.Ref.Namespace() || kind == "Namespace" && object.GetName() != in.Ref.Namespace() {
			return notes, fmt.Errorf("%s %s is in namespace %s", kind, object.GetName(), at)
		}
	}
	return notes, nil
}
