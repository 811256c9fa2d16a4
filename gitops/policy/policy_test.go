package policy

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/spec"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const specText = `service:
  name: web
  port: 8080
  replicas: 3
preview:
  ttl: 7d
`

// compiled returns the set of some sources by name, which may not be broken.
func compiled(t testing.TB, sources ...string) *Set {
	t.Helper()
	s := Compile(t.Context(), files(sources...))
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return s
}

// files are the platform's, from names and contents in turn.
func files(sources ...string) []gitops.File {
	var out []gitops.File
	for i := 0; i < len(sources); i += 2 {
		out = append(out, gitops.File{Path: Dir + "/" + sources[i], Content: []byte(sources[i+1])})
	}
	return out
}

func request(t testing.TB, text string) Request {
	t.Helper()
	parsed, errs := spec.Parse(spec.Path, []byte(text))
	if err := errs.Err(); err != nil {
		t.Fatal(err)
	}
	return Request{
		Action: "preview", Actor: Actor{ID: 7, Login: "alice", Permission: "write"},
		PullRequest: PullRequest{Number: 42, Author: Actor{ID: 7, Login: "alice"}, Labels: []string{"big"}, Base: "main", Head: "topic"},
		Environment: Environment{Name: "pr-42", Class: "preview", Preview: true, TTL: 7 * 24 * time.Hour},
		Repository:  Repository{ID: 1, Owner: "acme", Name: "web", Private: true},
		Revision:    Revision{SHA: strings.Repeat("a", 40)},
		Services:    []string{"web"}, Spec: parsed, SpecRaw: []byte(text), Now: noon,
	}
}

// said are the texts of findings.
func said(findings []Finding) string {
	var lines []string
	for _, f := range findings {
		line := f.String()
		if f.At != nil {
			line += " @" + strings.TrimSuffix(f.At.Error(), ": "+f.At.Message)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// Conftest's conventions: which rules are asked, what they may return, and what they are
// called.
func TestConventions(t *testing.T) {
	t.Parallel()
	s := compiled(t, "rules.rego", `package main

# METADATA
# title: few replicas
deny contains {"msg": "too many", "metadata": {"path": "service.replicas"}} if {
	input.kind == "Request"
	some s in input.spec.services
	s.replicas > 2
}

deny contains "second definition, no title" if input.kind == "Request"

deny_branch contains msg if {
	input.pull_request.head == "topic"
	msg := sprintf("branch %s by %s", [input.pull_request.head, input.actor.login])
}

violation contains {"msg": "violated", "path": "service.team"} if input.kind == "Request"

warn contains "careful" if input.kind == "Request"

warn_late contains sprintf("at %d", [time.now_ns()]) if input.kind == "Request"

warn_complete := "one text" if input.kind == "Request"

denyAll contains "not asked" if true

denied contains "not asked either" if true

deny_function(x) := "never" if x
`, "other.rego", `# METADATA
# title: of the package
package team.web

deny contains "from another package" if input.repository.full_name == "acme/web"
`)
	v := s.Request(request(t, specText))
	if v.Broken != nil {
		t.Fatal(v.Broken)
	}
	wantDenied := strings.Join([]string{
		"few replicas: too many @.idp/deploy.yaml:4:13",
		"main.deny: second definition, no title",
		"main.deny_branch: branch topic by alice",
		"main.violation: violated @.idp/deploy.yaml:1:1",
		"of the package: from another package",
	}, "\n")
	if got := said(v.Denied); got != wantDenied {
		t.Errorf("denied:\n%s\nwant:\n%s", got, wantDenied)
	}
	wantWarned := "main.warn: careful\nmain.warn_complete: one text\nmain.warn_late: at 1795435200000000000"
	if got := said(v.Warned); got != wantWarned {
		t.Errorf("warned:\n%s\nwant:\n%s", got, wantWarned)
	}
}

// rendered are objects as they are about to be committed.
func rendered(t testing.TB, e Environment, objects ...string) Rendered {
	t.Helper()
	r := request(t, specText)
	if e.Name == "" {
		e = Environment{Name: "pr-42", Class: "preview", Preview: true, CPU: "1", Memory: "512Mi"}
	}
	out := Rendered{
		Environment: e, Repository: r.Repository, Revision: r.Revision, Spec: r.Spec, SpecRaw: r.SpecRaw, Now: noon,
		Manifests: "environments/acme/web/pr-42/manifests",
	}
	for _, object := range objects {
		out.Files = append(out.Files, gitops.File{Path: out.Manifests + "/x.yaml", Content: []byte(object)})
	}
	// What is no manifest is not judged.
	out.Files = append(out.Files, gitops.File{Path: "environments/acme/web/pr-42/environment.yaml", Content: []byte("kind: Deployment\nspec: 3\n")})
	return out
}

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app.kubernetes.io/name: web}}
spec:
  template:
    spec:
      containers:
      - {name: web, image: ghcr.io/acme/web:latest, ports: [{containerPort: 8080}]}
`

// The starter set lets what it need not know of pass, and each of its settings bites.
func TestStarterSettings(t *testing.T) {
	t.Parallel()
	production := Environment{Name: "production", Class: "durable", CPU: "1", Memory: "512Mi"}
	for name, test := range map[string]struct {
		settings string
		env      Environment
		object   string
		want     string
	}{
		"a preview passes": {object: deployment},
		"a registry": {settings: "registries: [ghcr.io/acme/, quay.io/acme]", object: strings.Replace(deployment, "ghcr.io/acme", "ghcr.io/acme-evil", 1),
			want: "allowed registries: image ghcr.io/acme-evil/web:latest is not from ghcr.io/acme/ or quay.io/acme (Deployment/web) @.idp/deploy.yaml:1:1"},
		"the registry": {settings: "registries: [ghcr.io/acme/]", object: deployment},
		"production": {env: production, object: deployment,
			want: "no mutable tags in production: image ghcr.io/acme/web:latest may become another one while it runs in production (class durable): name it by digest, or let its registry or CI tell idp the digest (Deployment/web) @.idp/deploy.yaml:1:1\n" +
				"probes outside previews: container web has no readiness probe, which it needs in production (class durable) (Deployment/web) @.idp/deploy.yaml:1:1"},
		"production by another name": {settings: "production: [live]\nrules: {probes: \"off\"}", env: production, object: deployment},
		"a protected environment": {settings: "production: []\ncommit_tags: true\nrules: {probes: \"off\"}", env: Environment{Name: "x", Class: "x", Protected: true, CPU: "1", Memory: "1Gi"},
			object: strings.Replace(deployment, ":latest", ":"+strings.Repeat("a", 40), 1)},
		"no limit":    {env: Environment{Name: "pr-42", Class: "preview", Preview: true, CPU: "1"}, object: deployment, want: "resource limits present and bounded: container web has no limit of memory (Deployment/web) @.idp/deploy.yaml:1:1"},
		"a low limit": {settings: "max_cpu: 500m", object: deployment, want: "resource limits present and bounded: container web may use 1 of CPU, and the most allowed is 500m (Deployment/web) @.idp/deploy.yaml:1:1"},
		"privileged": {object: strings.Replace(deployment, "ports:", "securityContext: {privileged: true}, ports:", 1),
			want: "no privileges and no access to the host: container web sets privileged, which is never allowed (Deployment/web) @.idp/deploy.yaml:1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := compiled(t, "settings.yaml", test.settings)
			v := s.Objects(t.Context(), rendered(t, test.env, test.object))
			if got := said(v.Denied); v.Broken != nil || got != strings.ReplaceAll(test.want, ":1:1", ":1:1") {
				t.Errorf("%v\n%s\nwant:\n%s", v.Broken, got, test.want)
			}
		})
	}
}

// What is wrong with policies and settings breaks the set and says where.
func TestBroken(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ file, content, want string }{
		"syntax":           {"a.rego", "package main\n\ndeny contains msg {\n\tmsg := 1\n}\n", "platform/policies/a.rego:3:1: `if` keyword is required before rule body"},
		"unknown function": {"a.rego", "package main\n\ndeny contains \"x\" if nope(1)\n", "platform/policies/a.rego:3:22: undefined function nope"},
		"unsafe":           {"a.rego", "package main\n\ndeny contains x if true\n", "platform/policies/a.rego:3:15: var x is unsafe in rule deny"},
		"empty":            {"a.rego", "", "platform/policies/a.rego:1:1: "},
		"network":          {"a.rego", "package main\n\ndeny contains \"x\" if http.send({\"method\": \"get\", \"url\": \"http://169.254.169.254\"})\n", "undefined function http.send"},
		"environment":      {"a.rego", "package main\n\ndeny contains opa.runtime().env.HOME if true\n", "undefined function opa.runtime"},
		"chance":           {"a.rego", "package main\n\ndeny contains \"x\" if rand.intn(\"a\", 2) == 1\n", "undefined function rand.intn"},
		// Fault: one call of it is no step, and took for ever over ten nodes.
		"all paths":           {"a.rego", "package main\n\ndeny contains \"x\" if graph.reachable_paths({}, [\"a\"]) == set()\n", "undefined function graph.reachable_paths"},
		"a reserved name":     {"a.rego", "package starter.registries\n\nallowed(_) := true\n", "platform/policies/a.rego:1:1: package starter is idp's own"},
		"unknown setting":     {"settings.yaml", "registrys: [ghcr.io]\n", `platform/policies/settings.yaml:1:1: unknown key "registrys" in the document: did you mean "registries"?`},
		"unknown policy":      {"settings.yaml", "rules:\n  registrys: warn\n", `platform/policies/settings.yaml:2:3: the starter set has no policy "registrys"`},
		"unknown level":       {"settings.yaml", "rules:\n  probes: maybe\n", `platform/policies/settings.yaml:2:11: "maybe" is none of deny, warn and off`},
		"a fixed policy":      {"settings.yaml", "rules:\n  privileged: warn\n", "platform/policies/settings.yaml:2:15: policy privileged always denies"},
		"no quantity":         {"settings.yaml", "max_cpu: lots\n", `platform/policies/settings.yaml:1:10: max_cpu: "lots" is not a Kubernetes quantity`},
		"idle for nothing":    {"settings.yaml", "max_previews: {author: 2, idle_after: 1m}\n", "platform/policies/settings.yaml:1:39: max_previews.idle_after is 1m: expected at least 10m"},
		"a word for a switch": {"settings.yaml", "max_previews: {author: 2, take_oldest: sure}\n", "platform/policies/settings.yaml:1:40: "},
		"the wrong ending":    {"settings.yml", "registries: []\n", "platform/policies/settings.yml:1:1: a file of this name is not read"},
		"too large":           {"a.rego", "package main\n# " + strings.Repeat("x", maxSource), "is too large"},
		"no text":             {"a.rego", "package main\n\ndeny contains {\"message\": \"x\"} if true\n", "platform/policies/a.rego:3:1: its result has no text msg"},
		"a number":            {"a.rego", "package main\n\ndeny contains 3 if true\n", "platform/policies/a.rego:3:1: its result is "},
		"an error":            {"a.rego", "package main\n\ndeny contains \"x\" if {\n\tto_number(input.action) == 1\n}\n", "platform/policies/a.rego:4:2: to_number"},
		"a conflict":          {"a.rego", "package main\n\ndeny := {\"x\"} if true\n\ndeny := {\"y\"} if true\n\nwarn contains \"z\" if count(deny) > 0\n", "platform/policies/a.rego:5:1: rule data.main.deny produced conflicting values"},
		"a division by nil":   {"a.rego", "package main\n\ndeny contains \"x\" if 1 / count(input.pull_request.labels - {1}) == 0\n", "platform/policies/a.rego:3:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Compile(t.Context(), files(test.file, test.content))
			v := s.Request(request(t, specText))
			if v.Broken == nil || !strings.Contains(v.Broken.Error(), test.want) || v.Allowed() {
				t.Errorf("broken: %v\nwant: %s", v.Broken, test.want)
			}
			if s.Err() != nil && !strings.Contains(s.Err().Error(), test.want) {
				t.Errorf("compiled: %v", s.Err())
			}
			if s.Err() != nil {
				if o := s.Objects(t.Context(), rendered(t, Environment{}, deployment)); o.Broken == nil {
					t.Error("objects pass")
				}
			}
		})
	}
}

// A policy that would take all there is ends, breaks its verdict, and says which limit it
// was; the next evaluation is not harmed.
func TestBounds(t *testing.T) {
	t.Parallel()
	const greedy = "package main\n\ndeny contains \"x\" if count([1 | some a in numbers.range(1, 10000); some b in numbers.range(1, 10000); a == b; a < 0]) > 0\n"
	const hungry = "package main\n\ndeny contains \"x\" if count([concat(\",\", [s, sprintf(\"%d\", [a])]) | s := concat(\"\", [\"0123456789\" | some _ in numbers.range(1, 1000)]); some a in numbers.range(1, 100000)]) < 0\n"
	for name, test := range map[string]struct {
		source string
		limits limits
		want   string
	}{
		"steps": {greedy, limits{timeout: time.Hour, steps: 100_000, heap: 1 << 40}, "it takes more than 100000 steps"},
		"time":  {greedy, limits{timeout: time.Millisecond, steps: 1 << 40, heap: 1 << 40}, "it takes longer than 1ms"},
		"heap":  {hungry, limits{timeout: time.Hour, steps: 1 << 40, heap: 64 << 20}, "it takes more than 64 MiB of memory"},
	} {
		t.Run(name, func(t *testing.T) {
			s := compiled(t, "a.rego", test.source)
			s.limits = test.limits
			if v := s.Request(request(t, specText)); v.Broken == nil || !strings.Contains(v.Broken.Error(), test.want) {
				t.Errorf("broken: %v", v.Broken)
			}
		})
	}
	s := compiled(t)
	r := request(t, specText)
	r.PullRequest.Head = strings.Repeat("x", MaxInput)
	if v := s.Request(r); v.Broken == nil || !strings.Contains(v.Broken.Error(), "the request is too large for policies") {
		t.Errorf("broken: %v", v.Broken)
	}
	if v := s.Request(request(t, specText)); !v.Allowed() {
		t.Errorf("afterwards: %+v", v)
	}
}

// A Set that could not be read refuses.
func TestUnread(t *testing.T) {
	t.Parallel()
	s := Broken(errors.New("the GitOps repository cannot be read"))
	if s.Request(request(t, specText)).Allowed() || s.Objects(t.Context(), rendered(t, Environment{}, deployment)).Allowed() || s.Err() == nil {
		t.Error("it lets something pass")
	}
}

// The same question has the same answer, asked by many at once.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	s := compiled(t, "a.rego", "package main\n\ndeny contains sprintf(\"%s of %s\", [data.idp.environment.name, input.pull_request.head]) if input.kind == \"Request\"\n")
	var all sync.WaitGroup
	for i := range 32 {
		r := request(t, specText)
		r.Environment.Name, r.PullRequest.Head = fmt.Sprint("pr-", i), fmt.Sprint("topic-", i)
		all.Go(func() {
			v := s.Request(r)
			if want := fmt.Sprintf("main.deny: pr-%d of topic-%d", i, i); said(v.Denied) != want {
				t.Errorf("%s\nwant %s (%v)", said(v.Denied), want, v.Broken)
			}
		})
	}
	all.Wait()
}

// What policies may call is named here, so that a new version of OPA adds nothing unseen.
func TestFunctions(t *testing.T) {
	t.Parallel()
	var names []string
	for _, b := range capabilities().Builtins {
		names = append(names, b.Name)
	}
	slices.Sort(names)
	got := strings.Join(names, "\n") + "\n"
	if *update {
		if err := os.WriteFile("testdata/functions.txt", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/functions.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the functions are others: look at each, then go test -run Functions -update\n%s", cmp.Diff(string(want), got))
	}
}

// FuzzInput puts whatever a pull request may say into the request, and whatever YAML
// there is into the objects: policies answer, and never panic.
func FuzzInput(f *testing.F) {
	for _, seed := range []string{specText, deployment, "a: &a [*a]", "kind: Request\nenvironment: null", "spec: {template: {spec: {containers: [1, null, {image: 3}]}}}", "{}", "\x00", `{"a": 1e999}`} {
		f.Add(seed, "topic", "web")
	}
	f.Add(specText, "'; drop", strings.Repeat("#{}", 99))
	s := Compile(context.Background(), nil)
	f.Fuzz(func(t *testing.T, text, branch, name string) {
		r := request(t, specText)
		r.PullRequest.Head, r.Repository.Name, r.PullRequest.Labels = branch, name, []string{text}
		if parsed, errs := spec.Parse(spec.Path, []byte(text)); len(errs) == 0 {
			r.Spec, r.SpecRaw = parsed, []byte(text)
		}
		if v := s.Request(r); v.Broken != nil {
			t.Errorf("request: %v", v.Broken)
		}
		v := s.Objects(t.Context(), rendered(t, Environment{}, text))
		for _, found := range append(v.Denied, v.Warned...) {
			if len(found.Message) > maxMessage+len("…") || strings.Contains(found.Message, "\n") {
				t.Errorf("message %q", found.Message)
			}
		}
	})
}

// BenchmarkRequest and BenchmarkObjects are what asking costs: per request, and per
// environment of eleven objects.
func BenchmarkRequest(b *testing.B) {
	s, r := compiled(b), request(b, specText)
	for b.Loop() {
		if v := s.Request(r); !v.Allowed() {
			b.Fatal(v)
		}
	}
}

func BenchmarkObjects(b *testing.B) {
	s := compiled(b)
	objects := []string{deployment}
	for range 10 {
		objects = append(objects, "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n")
	}
	r := rendered(b, Environment{}, objects...)
	for b.Loop() {
		if v := s.Objects(b.Context(), r); !v.Allowed() {
			b.Fatal(v)
		}
	}
}

// BenchmarkCompile is what a change of the policies costs, once.
func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		compiled(b)
	}
}
