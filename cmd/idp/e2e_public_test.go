//go:build e2e

package main

import (
	"os"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/adopt"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/render"
	"github.com/idp-bot/idp/gitops/source"
	"github.com/idp-bot/idp/gitops/source/publictest"
	"github.com/idp-bot/idp/gitops/spec"
)

// publicCharts puts to the API server what is let through of charts and overlays that
// nobody here wrote, each as a preview, and the pods that would come of it to the rules of
// the preview's namespace.
func publicCharts(s *scene) {
	binary, err := os.Executable()
	s.must(err)
	children, _, err := source.New(s.ctx, binary)
	s.must(err)
	kinds := map[string]int{}
	tried := 0
	for i, public := range publictest.Sources() {
		if public.Refused != "" {
			continue
		}
		tried++
		tryAll(s, public.Name, publicPreview(s, children, public, i+1), kinds)
	}
	for _, kind := range adopt.Kinds() {
		if kinds[kind] == 0 {
			s.Logf("none of them has a %s that is let through", kind)
		}
	}
	s.Logf("%d charts and overlays: %v", tried, kinds)
}

// publicPreview renders a chart or an overlay as the preview of a pull request.
func publicPreview(s *scene, children *source.Renderer, public publictest.Source, pr int) []gitops.File {
	dir, err := public.Fetch(s.ctx)
	s.must(err)
	files, err := public.Files(dir)
	s.must(err)
	declared, errs := spec.Parse(spec.Path, []byte(`service: {name: web, image: "registry.example.com/acme/public:{sha}"}`))
	s.must(errs.Err())
	in := render.Input{
		Ref: gitops.EnvironmentRef{RepositoryID: 404, Owner: "acme", Repo: "public", ID: gitops.PreviewID(pr)}, FullName: "acme/public", PR: pr, SHA: "0123456789abcdef0123456789abcdef01234567",
		HeadRef: "public", Author: "octocat", Generation: 1, Spec: declared, Class: platform.Default(),
	}
	got, err := children.Render(s.ctx, source.Request{Source: public.Source, Release: "public", Namespace: in.Ref.Namespace(), Files: files})
	s.must(err)
	documents := make([][]byte, len(got.Documents))
	for i, d := range got.Documents {
		documents[i] = []byte(d)
	}
	adopted, err := adopt.Objects(documents, adopt.Input{Environment: in.Ref.Name(), Namespace: in.Ref.Namespace(), Class: in.Class})
	s.must(err)
	in.Adopted = &[]gitops.File{}
	for _, o := range adopted.Objects {
		*in.Adopted = append(*in.Adopted, gitops.File{Path: render.AdoptedPath(o.Kind, o.Name), Content: o.Content})
	}
	rendered, err := render.Environment(in)
	s.must(err)
	s.Logf("%s: %d documents, %d objects let through, %d notes", public.Name, len(documents), len(adopted.Objects), len(adopted.Notes))
	return rendered
}
