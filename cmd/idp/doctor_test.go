package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/argocd"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/policy"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// patient is an installation under examination.
type patient struct {
	*world
	t *testing.T
	// change is made to the examination before it runs.
	change func(*examination)
}

// newPatient is an installation in which all is well: its bot has run and has been told
// of something, and Argo CD has synced.
func newPatient(t *testing.T) *patient {
	t.Helper()
	w, err := newWorld(t.Context(), worldOptions{
		dir: worldDir(t), key: sharedKey, github: githubDescription(t), log: secrettest.Logger(t), argocd: true,
		env: map[string]string{"IDP_PREVIEW_ACCESS": "guarded"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
	if err := w.start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	edit := gittest.Edit{Message: "Begin", Put: []gitops.File{guardedPreviews, namedRegistries}}
	if _, err := w.gitops.Commit(t.Context(), "main", edit); err != nil {
		t.Fatal(err)
	}
	if err := w.argocd.Sync(t.Context(), "idp-root"); err != nil {
		t.Fatal(err)
	}
	if err := w.argocd.SetHealth("idp-root", "Healthy", ""); err != nil {
		t.Fatal(err)
	}
	p := &patient{world: w, t: t, change: func(*examination) {}}
	p.tell()
	return p
}

// guardedPreviews has previews behind what the platform team put there.
var guardedPreviews = gitops.File{Path: "platform/classes/preview.yaml", Content: []byte("access: {filters: [{group: traefik.io, kind: Middleware, name: preview-auth}]}\n")}

// namedRegistries has images come from one.
var namedRegistries = gitops.File{Path: "platform/policies/settings.yaml", Content: []byte("registries: [ghcr.io/acme]\n")}

// declare has the platform folder of the GitOps repository say something else of previews.
func (p *patient) declare(class string) {
	p.t.Helper()
	edit := gittest.Edit{Message: "Declare", Put: []gitops.File{{Path: guardedPreviews.Path, Content: []byte(class)}}}
	if _, err := p.gitops.Commit(p.t.Context(), "main", edit); err != nil {
		p.t.Fatal(err)
	}
}

// tell has GitHub send an event.
func (p *patient) tell() {
	p.t.Helper()
	p.github.AddRepository("acme/web-"+randomHex(4), githubtest.RepositoryOptions{})
	if err := p.github.WaitDeliveries(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

// examine runs "idp doctor", with the world outside of loopback played.
func (p *patient) examine(output format) (string, error) {
	out := newWatchedLog(p.t)
	shell := &program{stdout: out, stderr: out, env: p.env}
	x := newExamination(shell.readConfig(&configFlags{}, forServing))
	x.resolve = func(context.Context, string) ([]string, error) { return []string{"192.0.2.7"}, nil }
	x.certificate = func(context.Context, string, string) (*x509.Certificate, error) {
		return &x509.Certificate{NotAfter: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)}, nil
	}
	p.change(x)
	x.run(p.t.Context())
	err := shell.printExamination(output, x.findings)
	return p.settled(out.String()), err
}

// settled replaces what differs from run to run.
func (p *patient) settled(text string) string {
	text = strings.ReplaceAll(text, p.options.dir, "DIR")
	text = strings.ReplaceAll(text, strings.Replace(p.argocd.URL(), "127.0.0.1", "localhost", 1), "http://localhost:PORT")
	for _, r := range [][2]string{
		{`127\.0\.0\.1:\d+`, "127.0.0.1:PORT"}, {`App \d+`, "App ID"}, {`at [0-9a-f]{7}\b`, "at SHA"}, {`installations/\d+`, "installations/ID"},
		{`\d{4}-\d\d-\d\d \d\d:\d\d UTC`, "TIME"}, {`\(request [0-9A-F:]+\)`, "(request ID)"}, {`\b[\dhms]+ (ahead|behind)`, "TIME $1"},
		{`installation \d+ for repository \d+`, "installation ID for repository ID"},
		{`idp-try-[0-9a-f]+`, "idp-try-X"}, {`(read|dial) tcp [^ ]+(->[^ ]+)?: `, ""},
	} {
		text = regexp.MustCompile(r[0]).ReplaceAllString(text, r[1])
	}
	return text
}

func TestDoctorOfWhatIsWell(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	pushes := p.gitops.Pushes()
	got, err := p.examine(formatTable)
	if err != nil {
		t.Error(err)
	}
	golden(t, "doctor/healthy.txt", got)
	if n := p.gitops.Pushes() - pushes; n != 0 {
		t.Errorf("it pushed %d times", n)
	}
	text, err := p.examine(formatJSON)
	var report doctorReport
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		t.Fatal(err)
	}
	if err != nil || !report.Healthy || report.Counts[verdictOK] == 0 || len(report.Checks) == 0 {
		t.Errorf("in JSON (%v): %+v", err, report)
	}
}

// doctorPicture is the README's part on what the doctor says when all is well.
func doctorPicture(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "doctor", "healthy.txt"))
	if err != nil {
		t.Fatal(err)
	}
	return "```text\n" + string(text) + "```"
}

// platform gives the platform folder a repository of its own, which lets everybody in whom
// allow lets.
func (p *patient) platform(allow func(push bool) bool) {
	const name = "acme/platform"
	served, err := p.git.Create(p.t.Context(), name)
	if err == nil {
		_, err = served.Commit(p.t.Context(), "main", gittest.Edit{Message: "Begin", Put: []gitops.File{guardedPreviews, namedRegistries}})
	}
	path := filepath.Join(p.options.dir, "platform-token")
	if err == nil {
		err = os.WriteFile(path, []byte("any\n"), 0o600)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.git.RequireAuth(func(of, _, _ string, push bool) bool { return of != name || allow(push) })
	p.env["IDP_PLATFORM_URL"], p.env["IDP_PLATFORM_TOKEN_FILE"], p.env["IDP_GITOPS_TOKEN_FILE"] = served.URL, path, path
}

// beside has classes name an Argo CD, whose token the server has in a file.
func (p *patient) beside(address, token string) {
	path := filepath.Join(p.options.dir, "argocd-token")
	if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
		p.t.Fatal(err)
	}
	// The same one by another name: the server's own is not taken twice.
	p.env["IDP_ARGOCD_TOKEN_FILES"] = strings.Replace(address, "127.0.0.1", "localhost", 1) + "=" + path
}

// ailments are what can be wrong with an installation, by the name of the golden that
// says how it is told.
var ailments = map[string]func(*patient){
	"database-absent": func(p *patient) { p.env["IDP_DATABASE_URL"] = "sqlite://" + p.options.dir + "/other.db" },
	"database-damaged": func(p *patient) {
		path := filepath.Join(p.options.dir, "other.db")
		if err := os.WriteFile(path, []byte(strings.Repeat("no database\n", 1000)), 0o600); err != nil {
			p.t.Fatal(err)
		}
		p.env["IDP_DATABASE_URL"] = "sqlite://" + path
	},
	"configuration": func(p *patient) {
		p.env["IDP_GITHUB_APP_ID"], p.env["IDP_ARGOCD_TOKEN"], p.env["IDP_PREVIEW_TTL"] = "mine", "", "1 week"
	},
	"github-away":        func(p *patient) { p.env["IDP_GITHUB_API_URL"] = "http://127.0.0.1:1/" },
	"github-wrong-root":  func(p *patient) { p.env["IDP_GITHUB_API_URL"] = "http://" + p.registryAddr + "/" },
	"github-wrong-id":    func(p *patient) { p.env["IDP_GITHUB_APP_ID"] = "1" },
	"sign-in-off":        func(p *patient) { p.app.SetDeviceFlow(false) },
	"sign-in-elsewhere":  func(p *patient) { p.env["IDP_GITHUB_CLIENT_ID"] = "Iv1.of-another" },
	"github-installed":   func(p *patient) { p.installation.Uninstall() },
	"github-suspended":   func(p *patient) { p.installation.Suspend() },
	"github-permissions": func(p *patient) { p.reregister(without("checks", "members", "actions"), nil) },
	"github-excess":      func(p *patient) { p.reregister(map[string]string{"administration": "read", "issues": "write"}, nil) },
	"github-events": func(p *patient) {
		p.reregister(nil, []string{"push", "pull_request", "check_run", "check_suite", "repository"})
	},
	"webhook-none": func(p *patient) { p.app.SetWebhook("", "") },
	"webhook-bare": func(p *patient) {
		p.app.SetWebhook("http://hooks.example.com/github", "")
		p.app.SetWebhookConfig(true, true)
	},
	"deliveries-unsigned": func(p *patient) { p.app.SetWebhook("http://"+p.main.Addr()+"/webhooks/github", "another"); p.tell() },
	"deliveries-lost":     func(p *patient) { p.app.SetWebhook("http://127.0.0.1:1/webhooks/github", "x"); p.tell() },
	"clock": func(p *patient) {
		p.change = func(x *examination) { x.now = func() time.Time { return time.Now().Add(time.Hour) } }
	},
	"gitops-away": func(p *patient) { p.env["IDP_GITOPS_URL"] = "http://127.0.0.1:1/acme/gitops.git" },
	"gitops-token": func(p *patient) {
		path := filepath.Join(p.options.dir, "token")
		if err := os.WriteFile(path, []byte("expired\n"), 0o600); err != nil {
			p.t.Fatal(err)
		}
		p.env["IDP_GITOPS_TOKEN_FILE"] = path
	},
	"gitops-readonly": func(p *patient) {
		p.git.RequireAuth(func(string, string, string, bool) bool { return false })
		p.git.OpenReads()
	},
	"gitops-writer-key": func(p *patient) { p.writer(nil); p.env["IDP_GITOPS_APP_ID"] = "1" },
	"gitops-writer-poor": func(p *patient) {
		p.writer(map[string]string{"contents": "read", "pull_requests": "", "issues": "write"}, "gitops")
	},
	"gitops-writer-elsewhere": func(p *patient) { p.writer(nil, "another") },
	"gitops-of-class":         func(p *patient) { p.durable("https://github.example.com/acme/durable.git") },
	"gitops-of-class-away":    func(p *patient) { p.durable("http://127.0.0.1:1/acme/durable.git") },
	"platform-apart":          func(p *patient) { p.platform(func(push bool) bool { return !push }) },
	"platform-writable":       func(p *patient) { p.platform(func(bool) bool { return true }) },
	"platform-token":          func(p *patient) { p.platform(func(bool) bool { return false }) },
	"access-open":             func(p *patient) { p.declare("") },
	"access-of-others": func(p *patient) {
		p.declare("access: {annotations: {nginx.ingress.kubernetes.io/auth-url: https://auth.example.com}}\n")
	},
	"access-of-ingress": func(p *patient) { p.env["IDP_ROUTING"] = "Ingress"; p.env["IDP_ROUTING_NAMESPACE"] = "ingress" },
	"access-wrong":      func(p *patient) { p.declare("acces: public\n") },
	"charts":            func(p *patient) { p.charts("charts: {web: {digest: \""+webPin+"\"}}\n", nil) },
	"charts-wrong": func(p *patient) {
		p.charts("charts: {web: {digest: \""+webPin+"\"}, worker: {digest: \""+webPin+"\"}, api: {digest: \""+webPin+"\"}}\n", map[string]string{"platform/charts/api/link": "../web"})
	},
	"charts-changed": func(p *patient) {
		p.charts("charts: {web: {digest: \"h1:"+strings.Repeat("A", 43)+"=\"}}\n", nil)
	},
	"gitops-ruleset": func(p *patient) {
		r := p.github.Repository(gitopsRepository)
		r.AddRuleset(githubtest.Ruleset{Name: "reviewed", Branch: "main", Rules: []string{"deletion", "pull_request", "required_signatures"}, Bypass: "never"})
		r.AddRuleset(githubtest.Ruleset{Name: "checked", Branch: "main", Rules: []string{"required_status_checks"}, Bypass: "always"})
	},
	"gitops-protected": func(p *patient) { p.github.Repository(gitopsRepository).Protect("main") },
	"argocd-none":      func(p *patient) { delete(p.env, "IDP_ARGOCD_URL"); delete(p.env, "IDP_ARGOCD_TOKEN") },
	"argocd-away":      func(p *patient) { p.argocd.SetAway(true) },
	"argocd-old":       func(p *patient) { p.argocd.SetVersion("v2.9.3") },
	"argocd-token":     func(p *patient) { p.env["IDP_ARGOCD_TOKEN"] = "another" },
	"argocd-denied":    func(p *patient) { p.argocd.Deny() },
	"argocd-mighty": func(p *patient) {
		for _, right := range []string{"applications sync", "exec create", "logs get", "projects get"} {
			p.argocd.Grant(right)
		}
		p.env["IDP_PREVIEW_LOGS"] = "never"
	},
	"argocd-beside-token": func(p *patient) { p.beside(p.argocd.URL(), "another") },
	"argocd-beside-away":  func(p *patient) { p.beside("http://127.0.0.1:1", "any") },
	"argocd-no-root":      func(p *patient) { p.env["IDP_ARGOCD_ROOT"] = "other" },
	"argocd-failing": func(p *patient) {
		if err := p.argocd.Fail(p.t.Context(), "idp-root", "application repo https://github.com/acme/gitops.git is not permitted in project 'idp-root'"); err != nil {
			p.t.Fatal(err)
		}
	},
	"gateway-away": func(p *patient) { p.env["IDP_GATEWAY_ADDRESS"] = "127.0.0.1:1" },
	"dns": func(p *patient) {
		p.change = func(x *examination) {
			x.resolve = func(_ context.Context, host string) ([]string, error) {
				return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
			}
		}
	},
	"tls-mismatch": func(p *patient) {
		p.certificateError(x509.HostnameError{Host: "x", Certificate: &x509.Certificate{}})
	},
	"tls-unknown": func(p *patient) { p.certificateError(x509.UnknownAuthorityError{}) },
	"tls-refused": func(p *patient) {
		p.certificateError(&net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 443}, Err: os.ErrDeadlineExceeded})
	},
	"pull-secret": func(p *patient) { p.env["IDP_IMAGE_PULL_SECRET"] = "registry" },
}

func (p *patient) certificateError(err error) {
	p.change = func(x *examination) {
		x.certificate = func(context.Context, string, string) (*x509.Certificate, error) { return nil, err }
	}
}

// without is a change of permissions that takes some away.
func without(names ...string) map[string]string {
	change := map[string]string{}
	for _, name := range names {
		change[name] = ""
	}
	return change
}

// reregister has the configuration name another App, with other permissions or events.
func (p *patient) reregister(permissions map[string]string, events []string) {
	p.t.Helper()
	key, _, err := sharedKey()
	if err != nil {
		p.t.Fatal(err)
	}
	o := registration(key)
	o.Slug = "other"
	for name, access := range permissions {
		if o.Permissions[name] = access; access == "" {
			delete(o.Permissions, name)
		}
	}
	if events != nil {
		o.Events = events
	}
	p.app = p.github.AddApp(o)
	p.app.Install("acme", githubtest.InstallOptions{})
	p.app.SetWebhook("http://"+p.main.Addr()+"/webhooks/github", p.cfg.GitHubWebhookSecret[0].Reveal())
	p.env["IDP_GITHUB_APP_ID"] = jsonNumber(p.app.ID())
	p.tell()
}

func jsonNumber(n int64) string {
	text, _ := json.Marshal(n) // a number always encodes
	return string(text)
}

// TestDoctorOfWhatAils makes one thing wrong at a time. What is told beside what is right
// stands in failures.txt.
func TestDoctorOfWhatAils(t *testing.T) {
	t.Parallel()
	told := make([]string, len(ailments))
	names := make([]string, 0, len(ailments))
	for name := range ailments {
		names = append(names, name)
	}
	slices.Sort(names)
	t.Run("each", func(t *testing.T) {
		for i, name := range names {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := newPatient(t)
				ailments[name](p)
				got, err := p.examine(formatTable)
				fails := strings.Contains(got, "   failure   ")
				if (err != nil) != fails || fails && exitStatus(err) != exitFailure {
					t.Errorf("ended with %v, and printed:\n%s", err, got)
				}
				told[i] = "# " + name + "\n" + trouble(t, got) + "\n"
			})
		}
	})
	if slices.Contains(told, "") {
		return // -run left some of them out, or one has failed
	}
	golden(t, "doctor/failures.txt", strings.Join(told, "\n"))
}

// TestAccessOnPurpose: previews that are said to be for everybody are no trouble, whoever
// says it; where nobody does it is told that they get no address, and what mends it.
func TestAccessOnPurpose(t *testing.T) {
	t.Parallel()
	class := platform.Default()
	got := judgeAccess(class)
	if got.State != verdictWarning || !strings.HasPrefix(got.Seen, "previews get no address: ") || !strings.Contains(got.Fix, "access.filters of platform/classes/preview.yaml") || !strings.Contains(got.Fix, "preview_access: public") {
		t.Errorf("with nothing said: %+v", got)
	}
	class.Gate = &platform.Gate{Public: true}
	if got := judgeAccess(class); got.State != verdictOK || got.Seen != "previews are for everybody, as platform/classes/preview.yaml or preview_access says" {
		t.Errorf("public: %+v", got)
	}
	class.Gate = &platform.Gate{Filters: []platform.Filter{{Group: "traefik.io", Kind: "Middleware", Name: "auth"}}}
	if got := judgeAccess(class); got.State != verdictOK || got.Seen != "previews are behind what platform/classes/preview.yaml declares" {
		t.Errorf("guarded: %+v", got)
	}
}

// TestPoliciesJudged: what only the platform team can close is told while it is open, and
// policies that cannot be asked are a failure.
func TestPoliciesJudged(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]diagnosis{
		"": {checkPolicies, verdictWarning, "previews run images of any registry, and production is refused until somebody says which it may run", "list those that may be used as registries in platform/policies/settings.yaml", ""},
		"registries: [ghcr.io/acme, quay.io/acme]\n": {checkPolicies, verdictOK, "images come from ghcr.io/acme, quay.io/acme", "", ""},
	} {
		set := policy.Compile(t.Context(), []gitops.File{{Path: policy.SettingsPath, Content: []byte(settings)}})
		if got := judgePolicies(set); got != want {
			t.Errorf("%q: %+v, want %+v", settings, got, want)
		}
	}
	broken := policy.Compile(t.Context(), []gitops.File{{Path: policy.SettingsPath, Content: []byte("registrys: [x]\n")}})
	if got := judgePolicies(broken); got.State != verdictFailure || !strings.Contains(got.Seen, "platform/policies/settings.yaml:1:1") || got.Fix == "" {
		t.Errorf("broken: %+v", got)
	}
}

// trouble leaves out what is right, what is told of an installation that is well, too, and
// the columns' widths.
func trouble(t *testing.T, text string) string {
	t.Helper()
	well, err := os.ReadFile(filepath.Join("testdata", "doctor", "healthy.txt"))
	if err != nil {
		t.Fatal(err)
	}
	usual := rowsOf(string(well))
	return strings.Join(slices.DeleteFunc(rowsOf(text), func(row string) bool {
		return slices.Contains(usual, row) || strings.Contains(row, " | ok | ")
	}), "\n")
}

// rowsOf are the rows of a table, each with its further lines.
func rowsOf(text string) (rows []string) {
	for line := range strings.Lines(text) {
		cells := regexp.MustCompile(` {3,}`).Split(strings.TrimSpace(line), 3)
		if row := strings.Join(cells, " | "); len(cells) == 3 {
			rows = append(rows, row)
		} else {
			rows[len(rows)-1] += "\n  " + row
		}
	}
	return rows
}

// What is judged without asking anybody.
func TestDoctorJudges(t *testing.T) {
	t.Parallel()
	x := &examination{now: func() time.Time { return noon }}
	for name, c := range map[string]struct {
		got  diagnosis
		want verdict
		seen string
	}{
		"clock right":          {judgeClock(peerGitHub, 2*time.Second), verdictOK, "as GitHub has it"},
		"clock a bit behind":   {judgeClock(peerGitHub, -20*time.Second), verdictWarning, "20s behind GitHub"},
		"clock far behind":     {judgeClock(peerGitHub, -100*time.Second), verdictFailure, "takes no token"},
		"clock of Argo CD":     {judgeClock(peerArgoCD, time.Hour), verdictWarning, "ahead of Argo CD"},
		"lost, then arrived":   {judgeDeliveries([]github.Attempt{{GUID: "a", Code: 202}, {GUID: "a", Code: 503}}, ""), verdictOK, "1 of the last 1 arrived"},
		"lost before":          {judgeDeliveries([]github.Attempt{{GUID: "b", Code: 202}, {GUID: "a", Event: "push", Code: 503}}, ""), verdictWarning, "1 of the last 2 arrived; the push"},
		"nothing sent":         {judgeDeliveries(nil, ""), verdictWarning, "has sent nothing"},
		"root progressing":     {judgeRoot(argocd.Application{Name: "r", Sync: "Synced", Health: "Progressing"}), verdictWarning, "r is Synced and Progressing"},
		"root unreadable":      {judgeRoot(argocd.Application{Name: "r", Sync: "Unknown", Health: "Healthy", Error: "authentication required"}), verdictFailure, "authentication required"},
		"no branch to make":    {judgeRules(github.BranchRules{Absent: true, Rules: []github.Rule{{Type: "creation"}}}, "main", "")[0], verdictFailure, "nobody may make it"},
		"certificate to renew": {x.judgeCertificate("z", "z:443", &x509.Certificate{NotAfter: noon.Add(100 * time.Hour)}, nil), verdictWarning, "ends on 2026-11-27"},
		"certificate expired":  {x.judgeCertificate("z", "z:443", nil, x509.CertificateInvalidError{Reason: x509.Expired}), verdictFailure, "has expired"},
		"a rule of tomorrow":   {judgeRules(github.BranchRules{Rules: []github.Rule{{Type: "moon_phase"}}}, "main", "")[0], verdictWarning, "may refuse"},
	} {
		if c.got.State != c.want || !strings.Contains(c.got.Seen, c.seen) {
			t.Errorf("%s: %+v", name, c.got)
		}
	}
}

// TestDoctorOfUpdates: values of teams' files that are not there, and Applications that do not
// read them, are told before anybody deploys.
func TestDoctorOfUpdates(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	put := func(values string) {
		t.Helper()
		edit := gittest.Edit{Message: "Declare", Put: []gitops.File{
			{Path: platform.EnvironmentsPath, Content: []byte("environments: {staging: {update: [{id: 7, services: {web: {application: web-staging, fields: [{file: apps/web/values.yaml, field: image.tag}]}}}]}}\n")},
			{Path: "apps/web/values.yaml", Content: []byte(values)},
		}}
		if _, err := p.gitops.Commit(t.Context(), "main", edit); err != nil {
			t.Fatal(err)
		}
	}
	told := func(want string) {
		t.Helper()
		if got, _ := p.examine(formatTable); !strings.Contains(got, want) {
			t.Errorf("the doctor does not say %q:\n%s", want, got)
		}
	}
	put("image: {}\n")
	told(`apps/web/values.yaml:1:8: image has no key "tag"`)
	told("Application web-staging is not there, or the token may not see it")
	p.argocd.Add("web-staging", p.gitops.URL, "apps/api")
	put("image: {tag: v1}\n")
	told("Application web-staging does not read apps/web/values.yaml: it reads apps/api")
	p.argocd.Add("web-staging", p.gitops.URL, "apps/web")
	told("every value is there, and the Application of each of 1 service reads it")
}
