package roots

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/gitops/spec"
)

func TestOf(t *testing.T) {
	t.Parallel()
	overlay := func(at string) spec.Source { return spec.Source{Kind: spec.Kustomize, Path: at} }
	for name, c := range map[string]struct {
		from  spec.Source
		files map[string]string
		want  []string
	}{
		"base and overlays at the root": {overlay("overlays/x"), map[string]string{
			"overlays/x/kustomization.yaml": "resources: [../../base, own.yaml]\ncomponents: [../../components/a]",
			"base/kustomization.yml":        "resources: [web.yaml, ../zone]",
			"zone/Kustomization":            "bases: [../base]", // and round again
			"components/a/kustomization.yaml": "kind: Component\npatches: [{path: patch.yaml}, {patch: '- {op: remove}'}]\n" +
				"patchesStrategicMerge: [merge.yaml, \"kind: A\\nmetadata: {name: a}\\n\"]\npatchesJson6902: [{path: six.yaml}]\nreplacements: [{path: r.yaml}]",
		}, []string{
			"base/kustomization.yml", "base/web.yaml", "components/a/kustomization.yaml", "components/a/merge.yaml", "components/a/patch.yaml", "components/a/r.yaml",
			"components/a/six.yaml", "overlays/x/kustomization.yaml", "overlays/x/own.yaml", "zone/Kustomization",
		}},
		"generators and the like": {overlay("a/b"), map[string]string{
			"a/b/kustomization.yaml": "configMapGenerator: [{files: [key=../c.txt, d.txt], envs: [e.env], env: f.env}]\nsecretGenerator: [{files: [g]}]\n" +
				"crds: [h.json]\nconfigurations: [i.yaml]\nopenapi: {path: j.json}\ntransformers: [k.yaml]",
			"a/b/k.yaml": "kind: PatchTransformer\npath: l.yaml\n---\npaths: [m.yaml]\n---\nreplacements: [{path: n.yaml}]",
		}, []string{
			"a/b/d.txt", "a/b/e.env", "a/b/f.env", "a/b/g", "a/b/h.json", "a/b/i.yaml", "a/b/j.json", "a/b/k.yaml", "a/b/key=../c.txt", "a/b/kustomization.yaml",
			"a/b/l.yaml", "a/b/m.yaml", "a/b/n.yaml", "a/c.txt",
		}},
		"an overlay that is the root": {overlay(""), map[string]string{"kustomization.yaml": "resources: [a.yaml, sub]", "sub/kustomization.yaml": "resources: [../b.yaml]"},
			[]string{"a.yaml", "b.yaml", "kustomization.yaml", "sub/kustomization.yaml"}},
		"outside and elsewhere": {overlay("a"), map[string]string{"a/kustomization.yaml": "resources: [../.., ../../x, .., 7, {a: b}, 'https://example.com/x']\nopenapi: 7"},
			[]string{"a/https:/example.com/x", "a/kustomization.yaml"}},
		"none there":           {overlay("a"), nil, nil},
		"broken":               {overlay("a"), map[string]string{"a/kustomization.yaml": "resources: {"}, nil},
		"manifests":            {spec.Source{Kind: spec.Manifests, Path: "deploy"}, nil, []string{"deploy"}},
		"a chart":              {spec.Source{Kind: spec.Helm, Path: "chart", ValuesFiles: []string{"values/a.yaml"}}, map[string]string{"chart/Chart.yaml": "name: x"}, []string{"chart", "values/a.yaml"}},
		"the platform's chart": {spec.Source{Kind: spec.Helm, Chart: "web", ValuesFiles: []string{"values/a.yaml"}}, map[string]string{"Chart.yaml": "name: x"}, []string{"values/a.yaml"}},
		"broken chart":         {spec.Source{Kind: spec.Helm, Path: "chart"}, map[string]string{"chart/Chart.yaml": "{"}, []string{"chart"}},
		"charts beside it": {spec.Source{Kind: spec.Helm, Path: "charts/web"}, map[string]string{
			"charts/web/Chart.yaml":    "dependencies: [{name: common, repository: 'file://../common'}, {name: pg, repository: 'https://example.com'}, {name: out, repository: 'file://../../../out'}, {name: abs, repository: 'file:///etc'}]",
			"charts/common/Chart.yaml": "dependencies: [{name: base, repository: 'file://../../libs/base'}, {name: web, repository: 'file://../web'}]",
		}, []string{"charts/common", "charts/web", "libs/base"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Of(c.from, func(name string) ([]byte, bool) {
				content, ok := c.files[name]
				return []byte(content), ok
			})
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestHold(t *testing.T) {
	t.Parallel()
	roots := []string{"base", "overlays/x/kustomization.yaml"}
	for file, want := range map[string]bool{"base": true, "base/a/b": true, "bases/a": false, "overlays/x/kustomization.yaml": true, "overlays/x/other.yaml": false} {
		if Hold(roots, file) != want {
			t.Errorf("%s: %v", file, !want)
		}
	}
	if !Hold([]string{""}, "any") || Hold(nil, "any") {
		t.Error("the root holds everything, and nothing holds nothing")
	}
}
