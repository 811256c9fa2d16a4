package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/mod/sumdb/dirhash"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// triedRepository is a stand-in GitHub with one repository and a pull request, and what idp
// try needs to look at it.
type triedRepository struct {
	*testing.T
	github *githubtest.Server
	repo   *githubtest.Repository
	pr     *githubtest.PullRequest
	token  string // the file
	env    []string
}

// trying opens a pull request that changes files.
func trying(t *testing.T, before, change map[string]string, opts githubtest.PullRequestOptions) *triedRepository {
	t.Helper()
	server := githubtest.New(githubtest.Options{Middleware: githubDescription(t)})
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	key, _, err := sharedKey()
	if err != nil {
		t.Fatal(err)
	}
	server.AddUser("alice")
	repo := server.AddRepository("acme/web", githubtest.RepositoryOptions{Files: before})
	head := repo
	if opts.HeadRepository == nil && opts.Author == "mallory" {
		server.AddUser("mallory")
		head = repo.Fork("mallory")
		opts.HeadRepository = head
	}
	head.Commit("feature", change)
	opts.Head, opts.Title = "feature", "Add a thing"
	pr, err := repo.OpenPullRequest(opts)
	if err != nil {
		t.Fatal(err)
	}
	tr := &triedRepository{T: t, github: server, repo: repo, pr: pr, token: secrettest.Given(filepath.Join(secrettest.Dir(t), "token"))}
	own := server.AddApp(registration(key)).Install("acme", githubtest.InstallOptions{}).Token()
	if err := os.WriteFile(tr.token, []byte(own+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tr.env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + secrettest.Dir(t), "IDP_PREVIEW_ACCESS=public", "IDP_PREVIEW_DOMAIN=preview.example.com"}
	server.ForgetRequests()
	return tr
}

// try runs "idp try acme/web#1" on the stand-in, and holds it to reading.
func (tr *triedRepository) try(args ...string) (status int, stdout, stderr string) {
	tr.Helper()
	var out, told strings.Builder
	args = append([]string{"try", "acme/web#1", "--github-url", tr.github.HTMLURL()}, args...)
	status = searchedRun(tr.Context(), tr, args, nil, &out, &told, tr.env)
	for _, request := range tr.github.Requests() {
		if request.Method != http.MethodGet {
			tr.Errorf("it sent %s %s", request.Method, request.Path)
		}
	}
	return status, out.String(), told.String()
}

// tells is the trial as a program reads it.
func (tr *triedRepository) tells(args ...string) (out tried) {
	tr.Helper()
	status, stdout, stderr := tr.try(append(args, "--token-file", tr.token, "-o", "json")...)
	if status != exitOK {
		tr.Fatalf("it ended with %d: %s", status, stderr)
	}
	if err := json.Unmarshal([]byte(stdout), &out); err != nil {
		tr.Fatal(err)
	}
	return out
}

func (t tried) file(suffix string) string {
	for _, file := range t.Files {
		if strings.HasSuffix(file.Path, suffix) {
			return file.Content
		}
	}
	return ""
}

const simpleSpec = "service: {name: web, team: payments, image: \"ghcr.io/acme/web:{sha}\"}\nhealthcheck: {path: /health}\n"

// ofTheMoment is what differs each time that something is tried.
var ofTheMoment = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`\b[0-9a-f]{40}\b`), "COMMIT"},
	{regexp.MustCompile("`[0-9a-f]{7}`|at [0-9a-f]{7}\\b|of [0-9a-f]{7}\\b"), "COMMIT"},
	{regexp.MustCompile(`http://127\.0\.0\.1:\d+`), "https://github.example.com"},
	{regexp.MustCompile(`(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d+ \w+ \d\d:\d\d UTC`), "DAY"},
	{regexp.MustCompile(`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "TIME"},
	{regexp.MustCompile(`(?:committed|Committed) [\d.]+m?s`), "Committed SOON"},
}

// TestTry: a pull request of a repository whose previews idp renders by itself, as people read it.
func TestTry(t *testing.T) {
	t.Parallel()
	tr := trying(t, map[string]string{".idp/deploy.yaml": simpleSpec}, map[string]string{"main.go": "package main\n"}, githubtest.PullRequestOptions{Author: "alice"})
	status, stdout, stderr := tr.try("--token-file", tr.token)
	if status != exitOK || stderr != "" {
		t.Fatalf("it ended with %d: %s", status, stderr)
	}
	for _, one := range ofTheMoment {
		stdout = one.pattern.ReplaceAllString(stdout, one.with)
	}
	golden(t, "try/own.txt", stdout)
	if left, err := filepath.Glob(filepath.Join(strings.TrimPrefix(tr.env[1], "TMPDIR="), "*")); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
}

// TestTryPlatformChart: a chart of the platform's is that of the checkout, whole however large.
func TestTryPlatformChart(t *testing.T) {
	t.Parallel()
	chart := map[string]string{"README.md": strings.Repeat("x", 2*maxSpecFile)}
	for name, content := range chartRepository {
		if own, ok := strings.CutPrefix(name, "chart/"); ok {
			chart[own] = content
		}
	}
	checkout := secrettest.Dir(t)
	write := func(name, content string) {
		t.Helper()
		file := filepath.Join(checkout, "platform", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	files := map[string][]byte{}
	for name, content := range chart {
		write("charts/web/"+name, content)
		files[name] = []byte(content)
	}
	digest, err := dirhash.Hash1(slices.Collect(maps.Keys(files)), func(name string) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(files[name])), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	write("charts.yaml", "charts: {web: {digest: \""+digest+"\"}}\n")
	spec := strings.Replace(chartRepository[".idp/deploy.yaml"], "path: chart", "chart: web", 1)
	tr := trying(t, map[string]string{".idp/deploy.yaml": spec}, map[string]string{"main.go": "package main\n"}, githubtest.PullRequestOptions{Author: "alice"})
	got := tr.tells("--platform", checkout)
	if !strings.Contains(got.file("configmap-settings.yaml"), "hello") || !strings.Contains(got.Check.Summary, "The chart is `"+digest+"`") {
		t.Errorf("the manifests are %+v, of %s", got.Files, got.Check.Summary)
	}
	if got := tr.tells(); got.file("configmap-settings.yaml") != "" || !strings.Contains(got.Check.Summary, "platform/charts.yaml of the GitOps repository has none") {
		t.Errorf("without a platform: %s", got.Check.Summary)
	}
}

// TestTrySource: a chart is rendered from the base branch, as the bot does, with what the pull
// request's own would be left out.
func TestTrySource(t *testing.T) {
	t.Parallel()
	tr := trying(t, chartRepository, map[string]string{"chart/templates/all.yaml": strings.ReplaceAll(chartRepository["chart/templates/all.yaml"], "hello", "goodbye")}, githubtest.PullRequestOptions{Author: "alice"})
	got := tr.tells()
	if !strings.Contains(got.file("configmap-settings.yaml"), "hello") || got.file("deployment-web.yaml") == "" {
		t.Errorf("the manifests are not the base branch's: %+v", got.Files)
	}
	if !strings.Contains(got.Check.Text+got.Check.Summary, "Rendered from the base") {
		t.Errorf("the check does not say so: %s", got.Check.Summary)
	}
}

// TestTrySourcesOfServices: each service is rendered from what the base branch names for it, and
// one without by idp; what the pull request brings instead is left out, and said.
func TestTrySourcesOfServices(t *testing.T) {
	t.Parallel()
	const spec = "services:\n- {name: api, image: \"ghcr.io/acme/api:{sha}\", source: {helm: {path: charts/api}}}\n- {name: web, image: \"ghcr.io/acme/web:{sha}\"}\n- {name: mail, kind: worker, image: \"ghcr.io/acme/mail:{sha}\", source: {manifests: {path: mail/deploy}}}\n"
	workload := func(name, says string) string {
		return strings.NewReplacer("name: web", "name: "+name, "acme/web", "acme/"+name, "app: web", "app: "+name, "settings", name+"-settings", "hello", says).Replace(chartRepository["chart/templates/all.yaml"])
	}
	tr := trying(t, map[string]string{
		".idp/deploy.yaml": spec, "charts/api/Chart.yaml": "apiVersion: v2\nname: api\nversion: 1.0.0\n", "charts/api/templates/all.yaml": workload("api", "hello"),
		"mail/deploy/all.yaml": workload("mail", "good day"),
	}, map[string]string{"charts/api/templates/all.yaml": workload("api", "goodbye")}, githubtest.PullRequestOptions{Author: "alice"})
	got := tr.tells()
	for suffix, says := range map[string]string{
		"configmap-api-settings.yaml": "hello", "configmap-mail-settings.yaml": "good day",
		"deployment-api.yaml": "ghcr.io/acme/api:", "deployment-mail.yaml": "ghcr.io/acme/mail:", "web-deployment.yaml": "ghcr.io/acme/web:",
	} {
		if !strings.Contains(got.file(suffix), says) {
			t.Errorf("%s does not say %q: %s", suffix, says, got.file(suffix))
		}
	}
	for _, says := range []string{"the Helm chart in `charts/api` for `api`", "the manifests in `mail/deploy` for `mail`", "Rendered by idp: `web`"} {
		if !strings.Contains(got.Check.Summary, says) {
			t.Errorf("the check does not say %q: %s", says, got.Check.Summary)
		}
	}
}

var chartRepository = map[string]string{
	".idp/deploy.yaml": "service: {name: web, image: \"ghcr.io/acme/web:{sha}\"}\npreview: {source: {helm: {path: chart}}}\n",
	"chart/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
	"chart/templates/all.yaml": `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: "ghcr.io/acme/web:latest", envFrom: [{configMapRef: {name: settings}}]}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {greeting: hello}
`,
}

// TestTrySays: what is decided otherwise is told as the bot tells it.
func TestTrySays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before string
		change map[string]string
		opts   githubtest.PullRequestOptions
		check  string
		reason string
	}{
		"a wrong spec":   {simpleSpec, map[string]string{".idp/deploy.yaml": "servce: {}\n"}, githubtest.PullRequestOptions{Author: "alice"}, "error", "deploy.yaml"},
		"a fork":         {simpleSpec, map[string]string{"a": "b"}, githubtest.PullRequestOptions{Author: "mallory"}, "approv", "fork"},
		"nothing for it": {"", map[string]string{"a": "b"}, githubtest.PullRequestOptions{Author: "alice"}, "", "no .idp/deploy.yaml"},
		"by command":     {simpleSpec + "preview: {trigger: command}\n", map[string]string{"a": "b"}, githubtest.PullRequestOptions{Author: "alice"}, "", "/idp preview"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := map[string]string{"README.md": "web\n"}
			if c.before != "" {
				before[".idp/deploy.yaml"] = c.before
			}
			got := trying(t, before, c.change, c.opts).tells()
			if len(got.Files) > 0 || !strings.Contains(strings.Join(got.Reasons, "\n"), c.reason) {
				t.Errorf("%d files, because %q", len(got.Files), got.Reasons)
			}
			if title := ""; got.Check != nil {
				title = got.Check.Title
				if !strings.Contains(title, c.check) {
					t.Errorf("the check says %q", title)
				}
			} else if c.check != "" {
				t.Error("there is no check")
			}
		})
	}
}

// TestTryPlatform: what a checkout declares counts, its policies too.
func TestTryPlatform(t *testing.T) {
	t.Parallel()
	tr := trying(t, map[string]string{".idp/deploy.yaml": simpleSpec}, map[string]string{"a": "b"}, githubtest.PullRequestOptions{Author: "alice"})
	checkout := secrettest.Dir(t)
	writeAll(t, checkout, map[string]string{
		"platform/environments.yaml":     "environments: {}\n",
		"platform/policies/nothing.rego": "package main\n\ndeny contains \"not today\" if input.kind == \"Request\"\n",
	})
	got := tr.tells("--platform", checkout)
	if len(got.Files) > 0 || got.Check == nil || !strings.Contains(got.Check.Title+got.Check.Summary, "not today") {
		t.Errorf("%+v", got.Check)
	}
}

// TestTryImages: with --images registries are asked, and an image that is not there is waited for.
func TestTryImages(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	image := strings.TrimPrefix(server.URL, "http://") + "/acme/web"
	tr := trying(t, map[string]string{".idp/deploy.yaml": "service: {name: web}\n"}, map[string]string{"a": "b"}, githubtest.PullRequestOptions{Author: "alice"})
	tr.env = append(tr.env, "IDP_PREVIEW_IMAGE="+image+":{sha}")
	if got := tr.tells("--images"); len(got.Files) > 0 || !strings.Contains(got.Comment, "Waiting for image") || !strings.Contains(strings.Join(got.Unknown, "\n"), "nothing is committed before the images are there") {
		t.Errorf("%s\n%q", got.Comment, got.Unknown)
	}
	digest, err := putImage(t.Context(), image+":"+tr.pr.HeadSHA())
	if err != nil {
		t.Fatal(err)
	}
	if got := tr.tells("--images"); !strings.Contains(got.file("deployment-web.yaml")+got.file("web-deployment.yaml"), image+"@"+digest) {
		t.Errorf("the image is not pinned: %+v", got.Files)
	}
}

// putImage puts an image into a registry.
func putImage(ctx context.Context, reference string) (digest string, err error) {
	ref, err := name.ParseReference(reference)
	if err != nil {
		return "", err
	}
	image, err := random.Image(64, 1)
	if err != nil {
		return "", err
	}
	hash, err := image.Digest()
	if err != nil {
		return "", err
	}
	return hash.String(), remote.Write(ref, image, remote.WithContext(ctx))
}

// TestTryClone: a clone gives what GitHub does, but for what only GitHub knows.
func TestTryClone(t *testing.T) {
	t.Parallel()
	dir := secrettest.Dir(t)
	git := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	git("init", "--quiet", "--initial-branch=main")
	writeAll(t, dir, chartRepository)
	git("add", ".")
	git("commit", "--quiet", "-m", "Begin")
	git("switch", "--quiet", "-c", "feature")
	writeAll(t, dir, map[string]string{"chart/templates/all.yaml": strings.ReplaceAll(chartRepository["chart/templates/all.yaml"], "hello", "goodbye")})
	git("commit", "--quiet", "-am", "Change")
	writeAll(t, dir, map[string]string{"uncommitted": "x"})
	tr := trying(t, map[string]string{"a": "a"}, map[string]string{"a": "b"}, githubtest.PullRequestOptions{Author: "alice"})
	out := filepath.Join(secrettest.Dir(t), "preview")
	status, stdout, stderr := tr.try("--dir", dir, "--files", out)
	if status != exitOK {
		t.Fatalf("it ended with %d: %s", status, stderr)
	}
	for _, says := range []string{"Rendered from the base", "what is not committed: it does not count", "HEAD counts", "configmap-settings.yaml"} {
		if !strings.Contains(stdout, says) {
			t.Errorf("it does not say %q in:\n%s", says, stdout)
		}
	}
	written, err := os.ReadFile(filepath.Join(out, "environments/acme/web/pr-1/manifests/configmap-settings.yaml"))
	if err != nil || !strings.Contains(string(written), "hello") {
		t.Errorf("%v, %s", err, written)
	}
	if asked := tr.github.Requests(); len(asked) > 0 {
		t.Errorf("GitHub was asked: %v", asked)
	}
}

// TestTryRefuses: each refusal says what to do.
func TestTryRefuses(t *testing.T) {
	t.Parallel()
	tr := trying(t, map[string]string{".idp/deploy.yaml": simpleSpec}, map[string]string{"a": "b"}, githubtest.PullRequestOptions{Author: "alice"})
	wrong, empty, taken := secrettest.Given(filepath.Join(secrettest.Dir(t), "wrong")), filepath.Join(secrettest.Dir(t), "empty"), secrettest.Dir(t)
	writeAll(t, "/", map[string]string{wrong: "ghp_wrong", empty: "\n"})
	for name, c := range map[string]struct {
		args   []string
		status int
		says   []string
	}{
		"no token":           {nil, exitUsage, []string{"there is no token", "GH_ENTERPRISE_TOKEN"}},
		"a token nobody has": {[]string{"--token-file", wrong}, exitDenied, []string{"does not know the token", "make another"}},
		"an empty token":     {[]string{"--token-file", empty}, exitUsage, []string{"holds no token"}},
		"no token file":      {[]string{"--token-file", "/nowhere"}, exitUsage, []string{"cannot read /nowhere"}},
		"not a clone":        {[]string{"--dir", taken}, exitInvalid, []string{"is no clone"}},
		"both":               {[]string{"--dir", taken, "--token-file", tr.token}, exitUsage, []string{"exclude each other"}},
		"a folder there":     {[]string{"--token-file", tr.token, "--files", taken}, exitUsage, []string{"it is there already"}},
		"no GitHub":          {[]string{"--token-file", tr.token, "--github-url", "github.com"}, exitUsage, []string{"--github-url github.com"}},
		"no platform":        {[]string{"--token-file", tr.token, "--platform", taken}, exitInvalid, []string{"cannot read the platform folder"}},
	} {
		t.Run(name, func(t *testing.T) {
			status, stdout, stderr := tr.try(c.args...)
			if status != c.status || stdout != "" {
				t.Errorf("it ended with %d, want %d: %s%s", status, c.status, stdout, stderr)
			}
			for _, says := range c.says {
				if !strings.Contains(stderr, says) {
					t.Errorf("it does not say %q: %s", says, stderr)
				}
			}
		})
	}
	for name, status := range map[string]int{"acme/web#2": exitFailure, "acme/web": exitUsage, "acme/web#0": exitUsage, "acme/none#1": exitFailure} {
		var out, told strings.Builder
		args := []string{"try", name, "--github-url", tr.github.HTMLURL(), "--token-file", tr.token}
		if got := searchedRun(t.Context(), t, args, nil, &out, &told, tr.env); got != status || !strings.Contains(told.String(), "hint: ") {
			t.Errorf("%s ended with %d, want %d: %s", name, got, status, told.String())
		}
	}
}

// TestTryToken: a variable's token goes to the GitHub that such variables are for.
func TestTryToken(t *testing.T) {
	t.Parallel()
	p := &program{env: map[string]string{"GITHUB_TOKEN": "public", "GH_ENTERPRISE_TOKEN": "inside"}}
	for api, want := range map[string]string{"https://api.github.com/": "public", "https://api.acme.ghe.com/": "public", "https://github.acme.dev/api/v3/": "inside", "https://api.github.com.evil.example/": "inside"} {
		if got, err := p.personalToken(api, "", "read %s with", ""); err != nil || got.Reveal() != want {
			t.Errorf("%s gets %q, %v", api, got.Reveal(), err)
		}
	}
}

// writeAll writes files below a folder.
func writeAll(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
