package spec

import (
	"fmt"
	"strings"
	"testing"
)

func parsed(t *testing.T, raw string) *Spec {
	t.Helper()
	s, errs := Parse(Path, []byte(raw))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return s
}

func TestBound(t *testing.T) {
	t.Parallel()
	const base = "services:\n- {name: web, replicas: 2, env: {A: base, B: \"{host}\"}}\n- {name: job, kind: cron, schedule: \"* * * * *\"}\n"
	// Each value that fits by itself and does not together with the base branch's.
	large := "services:\n- name: web\n  env:\n    A: \"" + strings.Repeat("x", 40<<10) + "\"\n"
	for name, c := range map[string]struct{ base, head, want string }{
		"nothing differs": {base, base, "taken [] left []"},
		"no head":         {base, "", "taken [] left []"},
		"copies":          {base, strings.Replace(base, "replicas: 2", "replicas: 3", 1), "taken [web.replicas] left []"},
		"one service":     {"service: {name: web}\n", "service: {name: web, replicas: 3, command: [x]}\n", "taken [replicas] left [command]"},
		"of another kind": {base, strings.Replace(base, "kind: cron, schedule: \"* * * * *\"", "kind: worker, replicas: 9", 1), "taken [] left [job.kind]"},
		"rules":           {"service: {name: web}\n", "service: {name: web}\npreview: {ttl: 7d, drafts: false}\n", "taken [] left [preview.drafts preview.ttl]"},
		"too large": {
			strings.Replace(large, "A:", "B:", 1), large,
			"taken [] left [env.B (the base branch's is kept) env.A (together with the base branch's they are too large)]",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trusted := parsed(t, c.base)
			before := string(Marshal(trusted))
			var head *Spec
			if c.head != "" {
				head = parsed(t, c.head)
			}
			got := Bound([]byte(c.base), trusted, head)
			var left []string
			for _, one := range got.Left {
				left = append(left, one.String())
			}
			if text := fmt.Sprintf("taken %v left [%s]", got.Taken, strings.Join(left, " ")); text != c.want {
				t.Errorf("%s, want %s", text, c.want)
			}
			if !equalSpecs(parsed(t, string(got.Raw)), got.Spec) {
				t.Errorf("the text is of another spec: %s", got.Raw)
			}
			if len(got.Taken) == 0 && string(got.Raw) != c.base {
				t.Errorf("nothing was taken, and the text is %s", got.Raw)
			}
			if after := string(Marshal(trusted)); after != before {
				t.Errorf("the trusted spec was changed to %s", after)
			}
		})
	}
}
