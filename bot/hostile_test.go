package bot_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/render"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// updating says that the golden files are rewritten: the flag is that of package bot.
func updating() bool { return flag.Lookup("update").Value.String() == "true" }

// baseSpec is what stands on the base branch of the pull requests with hostile specs.
const baseSpec = `service:
  name: web
  env:
    SELF: https://{host}
`

const forkSHA = "e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1"

// TestHostileSpecs takes every spec of the corpus to what would be committed of it, and
// holds that to the base branch's but for how many copies run, what each is given, and
// plain environment variables. Before the approval, and where it is refused, nothing of
// the file is told.
func TestHostileSpecs(t *testing.T) {
	t.Parallel()
	const corpus = "../testdata/hostile/specs"
	files, err := filepath.Glob(corpus + "/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	counts := map[string]int{}
	want := rendered(t, row(t, baseSpec))
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for _, one := range archive.Files {
			verdict, lines := hostile(t, strings.TrimSuffix(filepath.Base(file), ".txtar")+"/"+one.Name, string(one.Data), want)
			counts[verdict]++
			fmt.Fprintf(&text, "%s\n%s", one.Name, lines)
		}
		golden := strings.TrimSuffix(file, ".txtar") + ".golden"
		if updating() {
			if err := os.WriteFile(golden, []byte(text.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		known, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(known), text.String()); diff != "" {
			t.Errorf("%s (-want +got; -update rewrites):\n%s", golden, diff)
		}
	}
	total := 0
	for _, n := range counts {
		total += n
	}
	if total < 200 {
		t.Errorf("%d hostile specs, want at least 200", total)
	}
	figure.Tell(t, "%d hostile specs of forks: %v", total, counts)
}

// hostile is what becomes of one spec, in a word and in lines.
func hostile(t *testing.T, name, raw string, want map[string]string) (verdict, lines string) {
	t.Helper()
	s := forkOf(raw)
	opened := bot.Decide(s, bot.Event{Kind: bot.EventPullRequest, Name: "pull_request", Action: "opened", Actor: s.PR.Author})
	silent(t, name, opened)
	if opened.Environment == nil || opened.Environment.Wanted == previews.Present {
		t.Fatalf("%s: not asked about: %q", name, opened.Reasons)
	}
	s.Environment = opened.Environment
	d := bot.Decide(s, bot.Event{Kind: bot.EventComment, Name: "issue_comment", Action: "created", Actor: bot.Actor{ID: 2, Login: "alice"}, Comment: &bot.Comment{ID: 1, Body: "/idp approve " + forkSHA}})
	if s.Spec.Found && s.Spec.Spec == nil {
		silent(t, name, d)
		if d.Environment != nil {
			t.Errorf("%s: approved: %q", name, d.Reasons)
		}
		why, _, _ := strings.Cut(s.Spec.Errors[0].Error(), ": expected") // which keys there are is no matter here
		return "refused by its errors", "  refused: " + why + "\n"
	}
	e := d.Environment
	if e == nil || e.Wanted != previews.Present || e.SHA != forkSHA {
		t.Fatalf("%s: %q", name, d.Reasons)
	}
	for _, key := range e.Fork.Taken {
		lines += "  taken: " + key + "\n"
	}
	for _, one := range e.Fork.Left {
		lines += "  not taken: " + one.String() + "\n"
	}
	files, err := renderedOf(e)
	if err != nil {
		return "refused when rendered", lines + "  refused: " + err.Error() + "\n"
	}
	same(t, name, files, want, e.Fork.Taken)
	if lines == "" {
		lines = "  nothing differs\n"
	}
	if len(e.Fork.Taken) == 0 {
		return "ignored", lines
	}
	return "taken within bounds", lines
}

func forkOf(raw string) bot.Snapshot {
	class := platform.Default()
	class.RepoURL, class.Zone, class.TTL, class.MaxTTL = "https://git.example.com/acme/gitops.git", "preview.example.com", 72*time.Hour, 7*24*time.Hour
	at := func(raw string) bot.SpecAt {
		parsed, errs := spec.Parse(spec.Path, []byte(raw))
		return bot.SpecAt{Found: true, Raw: []byte(raw), Spec: parsed, Errors: errs}
	}
	return bot.Snapshot{
		Now: time.Date(2026, 11, 21, 18, 0, 0, 0, time.UTC), AppID: 7, Permission: access.Write, Class: class,
		Spec: at(raw), Base: at(baseSpec), BaseSHA: strings.Repeat("0", 40),
		PR: bot.PullRequest{
			Repository: bot.RepositoryRef{ID: 1, Owner: "acme", Name: "web"}, Number: 42, Open: true, Fork: true,
			HeadSHA: forkSHA, HeadRef: "topic", BaseRef: "main", Author: bot.Actor{ID: 66, Login: "mallory"},
		},
	}
}

// row is the preview of a fork's pull request whose spec is harmless.
func row(t *testing.T, raw string) *previews.Environment {
	t.Helper()
	s := forkOf(raw)
	e := bot.Decide(s, bot.Event{Kind: bot.EventComment, Name: "issue_comment", Action: "created", Actor: bot.Actor{ID: 2, Login: "alice"}, Comment: &bot.Comment{ID: 1, Body: "/idp approve " + forkSHA}}).Environment
	if e == nil || e.Wanted != previews.Present {
		t.Fatal("the harmless one is not deployed")
	}
	return e
}

// silent holds that nobody is told what a fork's file says: each of the corpus says "evil"
// wherever it can, beside words that have to be what they are.
func silent(t *testing.T, name string, d bot.Decision) {
	t.Helper()
	var said []string
	for _, e := range d.Effects {
		said = append(said, e.Content)
	}
	for _, a := range d.Audit {
		said = append(said, a.Reason)
	}
	if e := d.Environment; e != nil {
		in := report.Input{Environment: *e, Now: e.CreatedAt}
		check := report.CheckOf(in)
		said = append(said, check.Title, check.Summary, check.Text, report.Comment(in), fmt.Sprint(check.Annotations))
	}
	if all := strings.Join(append(said, d.Reasons...), "\n"); strings.Contains(strings.ToLower(all), "evil") {
		t.Errorf("%s: it is told: %s", name, all)
	}
}

func rendered(t *testing.T, e *previews.Environment) map[string]string {
	t.Helper()
	files, err := renderedOf(e)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func renderedOf(e *previews.Environment) (map[string]string, error) {
	parsed, errs := spec.Parse(spec.Path, e.Spec)
	if err := errs.Err(); err != nil {
		return nil, err
	}
	in := render.Input{
		Ref: e.Ref, FullName: "acme/web", PR: e.PR, SHA: e.SHA, HeadRef: e.HeadRef, Author: e.Author, Generation: 1, Spec: parsed, SpecRaw: e.Spec,
		Class: forkOf("").Class, Images: map[string]string{}, ExpiresAt: e.ExpiresAt,
	}
	for _, service := range parsed.Services {
		reference, err := render.ImageReference(in, service)
		if err != nil {
			return nil, err
		}
		in.Images[service.Name] = reference + "@sha256:" + strings.Repeat("d", 64)
	}
	files, err := render.Environment(in)
	out := map[string]string{}
	for _, file := range files {
		out[file.Path] = string(file.Content)
	}
	return out, err
}

// same holds files to those of the base branch's spec, but for what may be taken.
func same(t *testing.T, name string, got, want map[string]string, taken []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d files, not %d", name, len(got), len(want))
	}
	for path, content := range want {
		switch {
		case path == (gitops.EnvironmentRef{Owner: "acme", Repo: "web", ID: "pr-42"}).RecordPath():
			// It holds the spec, which was looked at.
		case strings.HasSuffix(path, "deployment.yaml"):
			if diff := cmp.Diff(bounded(t, content), bounded(t, got[path])); diff != "" {
				t.Errorf("%s: %s:\n%s", name, path, diff)
			}
			if len(taken) == 0 && content != got[path] {
				t.Errorf("%s: %s differs, and nothing was taken", name, path)
			}
		case got[path] != content:
			t.Errorf("%s: %s:\n%s", name, path, cmp.Diff(content, got[path]))
		}
	}
}

// bounded is a Deployment without what a fork may change of it.
func bounded(t *testing.T, content string) appsv1.Deployment {
	t.Helper()
	var d appsv1.Deployment
	if err := yaml.UnmarshalStrict([]byte(content), &d); err != nil {
		t.Fatal(err)
	}
	if bytes.Count([]byte(content), []byte("\nkind:")) != 1 || len(d.Spec.Template.Spec.Containers) != 1 {
		t.Fatalf("more than one Deployment of one container: %s", content)
	}
	c := &d.Spec.Template.Spec.Containers[0]
	for _, v := range c.Env {
		if v.ValueFrom != nil || v.Name == "SELF" && !strings.HasSuffix(v.Value, ".preview.example.com") && v.Value != "evil.example.com" {
			t.Errorf("variable %+v", v)
		}
	}
	d.Spec.Replicas, c.Env = nil, nil
	c.Resources.Limits, c.Resources.Requests = nil, nil
	return d
}
