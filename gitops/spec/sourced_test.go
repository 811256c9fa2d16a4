package spec

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// TestSourcesOfServices reads those that services have of their own, and lays a pull request's
// on them.
func TestSourcesOfServices(t *testing.T) {
	t.Parallel()
	const text = "services:\n- {name: api, source: {helm: {path: api/chart, values: {a: 1, b: 1}, overridable: [b]}}}\n- {name: web}\n- {name: cron, kind: worker, source: {manifests: {path: cron}}}\n"
	base := parsed(t, text)
	got := base.Sources()
	want := Sources{
		{Service: "api", Source: Source{Kind: Helm, Path: "api/chart", Values: []Value{{"a", "1"}, {"b", "1"}}, Overridable: []string{"b"}}},
		{Service: "cron", Source: Source{Kind: Manifests, Path: "cron"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v", got)
	}
	if plain := got.Plain(); len(plain) != 2 || !reflect.DeepEqual(plain[1], Source{Kind: Manifests, Path: "cron"}) {
		t.Errorf("without whose they are: %+v", plain)
	}
	from := SourcesFrom(got, parsed(t, strings.NewReplacer("a: 1, b: 1", "a: 2, b: 2", "name: web", "name: web, source: {manifests: {path: web}}").Replace(text)).Sources())
	if got := fmt.Sprintf("%v taken %v left %v", from.Sources[0].Values, from.Taken, from.Left); len(from.Sources) != 2 ||
		got != "[{a 1} {b 2}] taken [api.source.helm.values.b] left [api.source.helm.values.a (the base branch does not list it as overridable) web.source (the base branch's counts)]" {
		t.Errorf("laid on it: %s of %v", got, from.Sources)
	}
	if got[0].Values[1].Text != "1" {
		t.Error("the base branch's own was changed")
	}
}

// TestSourcesKept reads what was kept as one source, too.
func TestSourcesKept(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Sources{
		`{"Kind":"helm","Path":"chart","Values":[{"Key":"a","Text":"1"}]}`: {{Source: Source{Kind: Helm, Path: "chart", Values: []Value{{"a", "1"}}}}},
		`{"Kind":"","Path":""}`:                               nil,
		`[{"Service":"api","Kind":"manifests","Path":"api"}]`: {{Service: "api", Source: Source{Kind: Manifests, Path: "api"}}},
		`null`: nil,
	} {
		var got Sources
		if err := json.Unmarshal([]byte(text), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %+v: %v", text, got, err)
		}
	}
	kept, err := json.Marshal(Sources{{Service: "api", Source: Source{Kind: Manifests, Path: "api"}}})
	if err != nil || string(kept) != `[{"service":"api","kind":"manifests","path":"api"}]` {
		t.Errorf("kept as %s: %v", kept, err)
	}
}

// TestSourcesFrom holds what of a pull request's source counts: the values that the base
// branch lets it change.
func TestSourcesFrom(t *testing.T) {
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
			got := SourcesFrom(parsed(t, base).Sources(), parsed(t, c.head).Sources())
			var values, left []string
			for _, v := range got.Sources[0].Values {
				values = append(values, v.Key+"="+v.Text)
			}
			for _, u := range got.Left {
				left = append(left, u.String())
			}
			if text := fmt.Sprintf("%v taken %v left %v", values, got.Taken, left); text != c.want || len(got.Sources) != 1 || got.Sources[0].Path != "chart" {
				t.Errorf("got  %s of %s\nwant %s", text, got.Sources[0].Path, c.want)
			}
		})
	}
}
