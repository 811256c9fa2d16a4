package githubtest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// page reads a page of the server.
func (w *world) page(path string, headers ...string) answer {
	w.t.Helper()
	return w.do("GET", w.server.HTMLURL()+path, "", "", 0, headers...)
}

// press posts a form of the pull request's page.
func (w *world) press(form url.Values, headers ...string) answer {
	w.t.Helper()
	headers = append(headers, "Content-Type", "application/x-www-form-urlencoded")
	return w.do("POST", w.server.HTMLURL()+"/acme/web/pull/1", "", form.Encode(), 0, headers...)
}

func TestPullPageShowsEverything(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pr := w.open("feature")
	token := w.token("")
	if _, err := pr.Comment("alice", "### Hello\n\n- [x] done\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n<details><summary>More</summary>\n\nhidden\n</details>"); err != nil {
		t.Fatal(err)
	}
	w.do("POST", "/repos/acme/web/check-runs", token, `{"name":"idp / preview","head_sha":"`+pr.HeadSHA()+`","conclusion":"success","output":{"title":"Ready · web","summary":"**fine**"},
		"actions":[{"label":"Destroy","description":"d","identifier":"destroy"}]}`, 201)
	var d struct{ ID int64 }
	w.do("POST", "/repos/acme/web/deployments", token, `{"ref":"feature","environment":"preview","auto_merge":false,"required_contexts":[],"transient_environment":true}`, 201).decode(&d)
	statuses := "/repos/acme/web/deployments/" + itoa(d.ID) + "/statuses"
	w.do("POST", statuses, token, `{"state":"success","environment_url":"https://web.preview.example.com"}`, 201)

	got := w.page("/acme/web/pull/1")
	for _, want := range []string{
		"Add feature", "<table>", `type="checkbox"`, "<details>", "<summary>More</summary>", "idp / preview", "Ready · web", "<strong>fine</strong>",
		`href="https://web.preview.example.com"`, "View deployment", "press:destroy", "All checks have passed", "src/feature.go", pr.HeadSHA()[:7],
	} {
		if !strings.Contains(string(got.body), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if again := w.page("/acme/web/pull/1", "If-None-Match", got.header.Get("ETag")); again.status != http.StatusNotModified {
		t.Errorf("unchanged page: %d", again.status)
	}
	w.do("POST", statuses, token, `{"state":"inactive"}`, 201)
	if after := w.page("/acme/web/pull/1"); strings.Contains(string(after.body), "View deployment") {
		t.Error("an inactive deployment still links")
	}
	run := pr.CheckRuns()[0]
	for path, want := range map[string]string{
		"/": "acme/web", "/acme/web": "Add feature", "/acme/web/pulls": "#1", fmt.Sprintf("/acme/web/runs/%d", run.ID): "<strong>fine</strong>",
		"/acme/web/pull/1?edit=.idp/deploy.yaml": "service:", "/avatars/7": "<svg", "/_assets/style.css": "prefers-color-scheme", "/_assets/refresh.js": "ETag",
	} {
		if got := w.page(path); got.status != 200 || !strings.Contains(string(got.body), want) {
			t.Errorf("%s: %d without %q", path, got.status, want)
		}
	}
	for _, path := range []string{"/acme/web/pull/9", "/acme/none", "/acme/web/runs/1", "/avatars/x", "/favicon.ico"} {
		if got := w.page(path); got.status != 404 {
			t.Errorf("%s: %d", path, got.status)
		}
	}
}

func TestPageForms(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pr := w.open("feature")
	head := pr.HeadSHA()
	steps := []struct {
		form url.Values
		want func() bool
	}{
		{url.Values{"do": {"comment"}, "user": {"alice"}, "body": {"/idp\r\nstatus"}}, func() bool { return pr.Comments()[0].Body == "/idp\nstatus" }},
		{url.Values{"do": {"push"}, "user": {"alice"}}, func() bool { return pr.HeadSHA() != head }},
		{url.Values{"do": {"edit"}, "path": {"README.md"}, "content": {"x\r\n"}}, func() bool { return strings.Contains(string(w.page("/acme/web/pull/1?edit=README.md").body), ">x\n<") }},
		{url.Values{"do": {"label"}, "label": {"preview"}}, func() bool { return strings.Contains(string(w.page("/acme/web/pull/1").body), ">preview</span>") }},
		{url.Values{"do": {"unlabel"}, "label": {"preview"}}, func() bool { return !strings.Contains(string(w.page("/acme/web/pull/1").body), ">preview</span>") }},
		{url.Values{"do": {"draft"}}, func() bool { return strings.Contains(string(w.page("/acme/web/pull/1").body), ">Draft<") }},
		{url.Values{"do": {"ready"}}, func() bool { return strings.Contains(string(w.page("/acme/web/pull/1").body), ">Open<") }},
		{url.Values{"do": {"close"}}, func() bool { return pr.State() == "closed" }},
		{url.Values{"do": {"reopen"}}, func() bool { return pr.State() == "open" }},
		{url.Values{"do": {"merge"}}, func() bool { return pr.State() == "merged" }},
	}
	for _, step := range steps {
		if got := w.press(step.form); got.status != http.StatusSeeOther || strings.Contains(got.header.Get("Location"), "problem") || !step.want() {
			t.Errorf("%v: %d %s", step.form, got.status, got.header.Get("Location"))
		}
	}
	for _, bad := range []url.Values{{"do": {"comment"}}, {"do": {"label"}}, {"do": {"dance"}}, {"do": {"merge"}}, {"do": {"rerun"}, "run": {"1"}}} {
		if got := w.press(bad); !strings.Contains(got.header.Get("Location"), "problem=") {
			t.Errorf("%v: %d %s", bad, got.status, got.header.Get("Location"))
		}
	}
	if got := w.press(url.Values{"do": {"close"}}, "Sec-Fetch-Site", "cross-site"); got.status != http.StatusForbidden {
		t.Errorf("a form of another site: %d", got.status)
	}
}

func TestPagesRenderNoForeignCode(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pr := w.open("feature")
	token := w.token("")
	attacks := []string{
		`<script>alert(1)</script>`, `<img src=x onerror=alert(1)>`, `[x](javascript:alert(1))`, `<a href="javascript:alert(1)">x</a>`,
		`<iframe src="https://x"></iframe>`, `<svg onload=alert(1)>`, `<form action=/><input type=password></form>`, `<style>*{}</style>`,
		`<details ontoggle=alert(1) open>`, `</textarea><script>alert(1)</script>`, `<base href="//x">`, `<meta http-equiv=refresh content=0>`,
	}
	for _, attack := range attacks {
		if _, err := pr.Comment("mallory", attack); err != nil {
			t.Fatal(err)
		}
		body := map[string]any{"name": attack, "head_sha": pr.HeadSHA(), "output": map[string]any{"title": attack, "summary": attack, "text": attack}}
		w.do("POST", "/repos/acme/web/check-runs", token, asJSON(t, body), 201)
		pr.Label("mallory", attack)
		pr.Push("mallory", map[string]string{"src/x": attack + "\n"})
	}
	page := w.page("/acme/web/pull/1?edit=src/x&problem=" + url.QueryEscape(attacks[0]))
	lower := strings.ToLower(string(page.body))
	for _, bad := range []string{"<script>", "<img src=x", "href=\"javascript", "<iframe", "<svg", "type=\"password\"", "<style>", "<details ontoggle", "<base", "<meta http-equiv"} {
		if strings.Contains(lower, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	if policy := page.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; style-src 'self'; script-src 'self';") || strings.Contains(policy, "unsafe") {
		t.Error(policy)
	}
}

// FuzzOutsideBytes sends any path, credential and body: the server answers each
// with JSON and never with 500.
func FuzzOutsideBytes(f *testing.F) {
	f.Add("GET", "/repos/acme/web", "token x", "")
	f.Add("POST", "/app/installations/1/access_tokens", "Bearer a.b.c", `{"repositories":[null]}`)
	f.Add("GET", "/app/hook/deliveries?cursor=v1_", "Bearer a.b.c", "")
	f.Add("GET", "/repos/acme/web/contents/%2e%2e%2f", "", "null")
	f.Add("POST", "/repos/acme/web/check-runs", "auth", `{"output":{"annotations":[{}]}}`)
	w := setup(f)
	w.open("feature")
	app, token := w.jwt(nil), w.token("")
	client := &http.Client{CheckRedirect: noRedirects.CheckRedirect, Timeout: 5 * time.Second}
	f.Fuzz(func(t *testing.T, method, path, auth, body string) {
		for _, credential := range []string{auth, app, token} {
			request, err := http.NewRequest(method, strings.TrimSuffix(w.server.URL(), "/")+path, strings.NewReader(body))
			if err != nil {
				return
			}
			request.Header.Set("Authorization", credential)
			response, err := client.Do(request)
			if err != nil {
				if strings.Contains(err.Error(), "Timeout") {
					t.Errorf("%s %s: %v", method, path, err)
				}
				return // net/http refused to send it
			}
			text, err := io.ReadAll(response.Body)
			response.Body.Close()
			if response.StatusCode >= 500 || err != nil {
				t.Errorf("%s %s: %d %v %s", method, path, response.StatusCode, err, text)
			}
		}
	})
}
