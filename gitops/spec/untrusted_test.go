package spec

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
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

// drawSpec is a valid spec of up to three services, with rules for its previews.
func drawSpec(t *rapid.T, who string) *Spec {
	var b strings.Builder
	b.WriteString("services:\n")
	for _, name := range []string{"web", "api", "jobs"} {
		if name != "web" && !rapid.Bool().Draw(t, who+" has "+name) {
			continue
		}
		kind := rapid.SampledFrom([]string{"web", "worker"}).Draw(t, "kind")
		fmt.Fprintf(&b, "- name: %s\n  kind: %s\n  replicas: %d\n  image: ghcr.io/%s/%s:{sha}\n", name, kind, rapid.IntRange(1, 9).Draw(t, "replicas"), who, name)
		fmt.Fprintf(&b, "  command: [%q]\n  resources: {limits: {memory: %dMi}}\n  env:\n    FIXED: x\n", rapid.StringMatching(`[a-z]{1,4}`).Draw(t, "command"), rapid.IntRange(64, 512).Draw(t, "memory"))
		for _, v := range []string{"A", "B", "C"} {
			if rapid.Bool().Draw(t, "has "+v) {
				fmt.Fprintf(&b, "    %s: %q\n", v, rapid.SampledFrom([]string{"1", "2", "{host}", "$(FIXED)"}).Draw(t, v))
			}
		}
	}
	fmt.Fprintf(&b, "preview: {drafts: %v, enabled: %v, ttl: %dd}\n", rapid.Bool().Draw(t, "drafts"), rapid.Bool().Draw(t, "enabled"), rapid.IntRange(1, 9).Draw(t, "ttl"))
	s, errs := Parse(Path, []byte(b.String()))
	if len(errs) > 0 {
		t.Fatalf("%s: %v", b.String(), errs)
	}
	return s
}

// Authority only narrows: of what an untrusted head says, only copies, amounts and plain
// values of services that the base branch has reach the spec, whatever both say.
func TestUntrustedOnlyNarrows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base, head := drawSpec(t, "acme"), drawSpec(t, "mallory")
		raw := Marshal(base)
		got := Bound(raw, base, head)
		if len(got.Spec.Services) != len(base.Services) {
			t.Fatalf("%d services of %d", len(got.Spec.Services), len(base.Services))
		}
		bare := *got.Spec
		bare.Services = slices.Clone(bare.Services)
		for i := range bare.Services {
			own, s := base.Services[i], &bare.Services[i]
			for _, v := range s.Env {
				if slices.Contains(own.Env, v) || !strings.ContainsAny(v.Value, "{$") {
					continue
				}
				t.Errorf("%s takes %s: %q of the head", s.Name, v.Name, v.Value)
			}
			for _, v := range own.Env {
				if !slices.ContainsFunc(s.Env, func(o EnvVar) bool { return o.Name == v.Name }) {
					t.Errorf("%s lost %s", s.Name, v.Name)
				}
			}
			s.Replicas, s.Resources, s.Env = own.Replicas, own.Resources, own.Env
		}
		if !equalSpecs(&bare, base) {
			t.Errorf("beside copies, amounts and variables the head decides:\n%s\nthe base branch:\n%s", Marshal(&bare), raw)
		}
	})
}
