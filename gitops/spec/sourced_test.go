package spec

import (
	"fmt"
	"strings"
	"testing"
)

// TestSourceFrom holds what of a pull request's source counts: the values that the base
// branch lets it change.
func TestSourceFrom(t *testing.T) {
	t.Parallel()
	const base = "service: {name: web}\npreview: {source: {helm: {path: chart, values: {greeting: hello, size: 1}, overridable: [greeting, extra]}}}\n"
	for name, c := range map[string]struct{ head, want string }{
		"the same":           {base, "[greeting=hello size=1] taken [] left []"},
		"none":               {"service: {name: web}\n", "[greeting=hello size=1] taken [] left []"},
		"an overridable one": {strings.Replace(base, "greeting: hello", "greeting: hi", 1), "[greeting=hi size=1] taken [preview.source.helm.values.greeting] left []"},
		"a new one":          {strings.Replace(base, "size: 1", "size: 1, extra: x", 1), "[extra=x greeting=hello size=1] taken [preview.source.helm.values.extra] left []"},
		"one that is not":    {strings.Replace(base, "size: 1", "size: 2", 1), "[greeting=hello size=1] taken [] left [preview.source.helm.values.size (the base branch does not list it as overridable)]"},
		"a template":         {strings.Replace(base, "greeting: hello", `greeting: "{{ .Release }}"`, 1), "[greeting=hello size=1] taken [] left [preview.source.helm.values.greeting (it holds a template)]"},
		"one taken away":     {strings.Replace(base, "greeting: hello, ", "", 1), "[greeting=hello size=1] taken [] left [preview.source.helm.values.greeting (the base branch's is kept)]"},
		"more that it may":   {strings.Replace(base, "[greeting,", "[size, greeting,", 1), "[greeting=hello size=1] taken [] left [preview.source.helm.overridable (the base branch's counts)]"},
		"another chart":      {strings.Replace(base, "path: chart", "path: evil", 1), "[greeting=hello size=1] taken [] left [preview.source.helm.path (the base branch's counts)]"},
		"another kind":       {"service: {name: web}\npreview: {source: {manifests: {path: evil}}}\n", "[greeting=hello size=1] taken [] left [preview.source.manifests (the base branch's counts)]"},
		"a file beside it":   {strings.Replace(base, "path: chart", "path: chart, valuesFiles: [v.yaml]", 1), "[greeting=hello size=1] taken [] left [preview.source.helm.valuesFiles (the base branch's counts)]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := SourceFrom(*parsed(t, base).Preview.Source, parsed(t, c.head).Preview.Source)
			var values, left []string
			for _, v := range got.Source.Values {
				values = append(values, v.Key+"="+v.Text)
			}
			for _, u := range got.Left {
				left = append(left, u.String())
			}
			if text := fmt.Sprintf("%v taken %v left %v", values, got.Taken, left); text != c.want || got.Source.Path != "chart" {
				t.Errorf("got  %s of %s\nwant %s", text, got.Source.Path, c.want)
			}
		})
	}
}
