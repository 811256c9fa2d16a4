package githubtest_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot/github/githubtest"
)

// TestEveryRoute reads and writes each route once; what it answers is held to
// GitHub's description by setup, and so are these requests.
func TestEveryRoute(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.receive(func() int { return 202 })
	pr := w.open("feature")
	comment, err := pr.Comment("alice", "hello")
	if err != nil {
		t.Fatal(err)
	}
	w.repo.Commit("release", map[string]string{"release.txt": "1"})
	w.repo.Commit("main", map[string]string{"main.txt": "1"})
	app, token := w.jwt(nil), w.token("")
	repo, sha := "/repos/acme/web", pr.HeadSHA()
	var run, deployment, heart struct{ ID int64 }
	w.do("POST", repo+"/check-runs", token, fmt.Sprintf(`{"name":"idp / preview","head_sha":%q,"status":"in_progress","details_url":"https://example.com/x",
		"output":{"title":"t","summary":"s","annotations":[{"path":"a","start_line":1,"end_line":1,"annotation_level":"failure","message":"m"}]}}`, sha), 201).decode(&run)
	w.do("POST", repo+"/deployments", token, `{"ref":"`+sha+`","environment":"preview","transient_environment":true,"auto_merge":false,"required_contexts":[],"payload":{"a":1},"description":"d"}`, 201).decode(&deployment)
	w.do("POST", repo+"/issues/comments/"+itoa(comment.ID)+"/reactions", token, `{"content":"heart"}`, 201).decode(&heart)
	if err := w.server.WaitDeliveries(t.Context()); err != nil {
		t.Fatal(err)
	}
	deliveries := w.app.Deliveries()
	var suites struct {
		Suites []struct{ ID int64 } `json:"check_suites"`
	}
	w.do("GET", repo+"/commits/"+sha+"/check-suites", token, "", 200).decode(&suites)

	if err := w.repo.SetStatus(sha, "legacy", "success"); err != nil {
		t.Fatal(err)
	}

	w.repo.Protect("release")
	w.repo.AddRuleset(githubtest.Ruleset{Name: "reviewed", Branch: "main", Rules: []string{"pull_request", "deletion"}, Bypass: "never"})
	var rules []struct {
		ID int64 `json:"ruleset_id"`
	}
	w.do("GET", repo+"/rules/branches/main", token, "", 200).decode(&rules)

	for _, err := range []error{
		w.repo.RanWorkflow("alice", "build", 6*time.Minute), w.repo.FinishWorkflow("alice", "build", "feature", "failure"),
		w.repo.StartWorkflow("alice", "test", "feature", true), w.repo.StartWorkflow("alice", "test", "feature", false),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}

	w.server.AddTeam("acme/web", "alice")
	digest := "sha256:" + strings.Repeat("5", 64)
	statement := `{"predicateType":"https://slsa.dev/provenance/v1","subject":[{"digest":{"sha256":"` + digest[7:] + `"}}]}`
	if err := w.repo.Attest([]byte(`{"dsseEnvelope":{"payload":"` + base64.StdEncoding.EncodeToString([]byte(statement)) + `"}}`)); err != nil {
		t.Fatal(err)
	}

	client, check := "Basic "+base64.StdEncoding.EncodeToString([]byte(w.app.ClientID()+":"+w.app.ClientSecret())), "/applications/"+w.app.ClientID()+"/token"
	rows := []struct {
		method, path, auth, body string
		status                   int
	}{
		{"GET", "/app", app, "", 200},
		{"GET", "/app/installations", app, "", 200},
		{"GET", "/app/installations/" + itoa(w.install.ID()), app, "", 200},
		{"POST", "/app-manifests/" + w.manifest() + "/conversions", "", "", 201},
		{"POST", "/app-manifests/unknown/conversions", "", "", 404},
		{"POST", check, client, `{"access_token":"` + w.app.UserToken("alice") + `"}`, 200},
		{"POST", check, client, `{"access_token":"ghu_0"}`, 404},
		{"POST", check, app, `{"access_token":"ghu_0"}`, 404},
		{"GET", "/app/hook/config", app, "", 200},
		{"GET", "/app/hook/deliveries?per_page=2", app, "", 200},
		{"GET", "/app/hook/deliveries/" + itoa(deliveries[0].ID), app, "", 200},
		{"POST", "/app/hook/deliveries/" + itoa(deliveries[0].ID) + "/attempts", app, "", 202},
		{"GET", "/orgs/acme/installation", app, "", 200},
		{"GET", repo + "/actions/runs?head_sha=" + sha + "&exclude_pull_requests=true&per_page=100", token, "", 200},
		{"GET", repo + "/actions/runs", token, "", 200},
		{"GET", repo + "/actions/workflows/" + itoa(w.repo.ID()) + "/runs?status=success&per_page=10", token, "", 200},
		{"GET", repo + "/actions/workflows/1/runs", token, "", 404},
		{"GET", repo + "/activity?ref=refs/heads/feature&per_page=1&activity_type=branch_creation", token, "", 200},
		{"GET", repo + "/activity", token, "", 200},
		{"GET", "/orgs/acme/teams/web/memberships/alice", token, "", 200},
		{"GET", "/orgs/acme/teams/web/memberships/bob", token, "", 404},
		{"GET", "/orgs/acme/teams/api/memberships/alice", token, "", 404},
		{"GET", "/orgs/other/teams/web/memberships/alice", token, "", 404},
		{"GET", "/orgs/acme/teams/web/memberships/alice", "", "", 401},
		{"GET", "/users/alice/installation", app, "", 404},
		{"GET", repo + "/installation", app, "", 200},
		{"GET", "/installation/repositories", token, "", 200},
		{"GET", "/rate_limit", token, "", 200},
		{"GET", "/users/alice", token, "", 200},
		{"GET", repo, token, "", 200},
		{"GET", "/repositories/" + itoa(w.repo.ID()), token, "", 200},
		{"GET", repo + "/attestations/" + digest, token, "", 200},
		{"GET", repo + "/attestations/" + digest + "?predicate_type=provenance&per_page=1", token, "", 200},
		{"GET", repo + "/attestations/sha256:0", token, "", 404},
		{"GET", repo + "/branches", token, "", 200},
		{"GET", repo + "/branches/feature", token, "", 200},
		{"GET", repo + "/collaborators/alice/permission", token, "", 200},
		{"GET", repo + "/commits", token, "", 200},
		{"GET", repo + "/commits?sha=" + sha + "&per_page=100", token, "", 200},
		{"GET", repo + "/commits?sha=" + sha + "&path=src&per_page=3", token, "", 200},
		{"GET", repo + "/commits/" + sha + "/pulls?per_page=100", token, "", 200},
		{"GET", repo + "/commits/feature", token, "", 200},
		{"GET", repo + "/commits/heads/feature/check-runs", token, "", 200},
		{"GET", repo + "/commits/" + sha + "/status", token, "", 200},
		{"GET", repo + "/compare/main...heads/feature", token, "", 200},
		{"GET", repo + "/contents/.idp/deploy.yaml?ref=" + sha, token, "", 200},
		{"GET", repo + "/contents/src", token, "", 200},
		{"GET", repo + "/rules/branches/main", token, "", 200},
		{"GET", repo + "/rulesets/" + itoa(rules[0].ID), token, "", 200},
		{"GET", repo + "/rulesets/1", token, "", 404},
		{"GET", repo + "/tarball/" + sha, token, "", 302},
		{"GET", repo + "/git/ref/heads/feature", token, "", 200},
		{"GET", repo + "/pulls?state=all&head=acme:feature", token, "", 200},
		{"GET", repo + "/pulls/1", token, "", 200},
		{"POST", repo + "/pulls", token, `{"title":"Back","head":"main","base":"release","body":"b","draft":true}`, 201},
		{"POST", repo + "/pulls", token, `{"title":"Back","head":"main","base":"release"}`, 422},
		{"PATCH", repo + "/pulls/2", token, `{"title":"Forth","state":"closed"}`, 200},
		{"GET", repo + "/pulls/1/files", token, "", 200},
		{"GET", repo + "/pulls/1/commits", token, "", 200},
		{"GET", repo + "/issues/1/comments", token, "", 200},
		{"POST", repo + "/issues/1/comments", token, `{"body":"b"}`, 201},
		{"GET", repo + "/issues/comments/" + itoa(comment.ID), token, "", 200},
		{"PATCH", repo + "/issues/comments/" + itoa(comment.ID), token, `{"body":"c"}`, 200},
		{"POST", repo + "/issues/comments/" + itoa(comment.ID) + "/reactions", token, `{"content":"eyes"}`, 201},
		{"POST", repo + "/issues/comments/" + itoa(comment.ID) + "/reactions", token, `{"content":"eyes"}`, 200},
		{"GET", repo + "/issues/comments/" + itoa(comment.ID) + "/reactions", token, "", 200},
		{"DELETE", repo + "/issues/comments/" + itoa(comment.ID) + "/reactions/" + itoa(heart.ID), token, "", 204},
		{"POST", repo + "/issues/1/reactions", token, `{"content":"rocket"}`, 201},
		{"GET", repo + "/issues/1/reactions", token, "", 200},
		{"DELETE", repo + "/issues/comments/" + itoa(comment.ID), token, "", 204},
		{"GET", repo + "/check-runs/" + itoa(run.ID), token, "", 200},
		{"GET", repo + "/check-runs/" + itoa(run.ID) + "/annotations", token, "", 200},
		{"PATCH", repo + "/check-runs/" + itoa(run.ID), token, `{"status":"completed","conclusion":"success"}`, 200},
		{"GET", repo + "/commits/" + sha + "/check-runs?check_name=idp+%2F+preview&filter=latest", token, "", 200},
		{"GET", repo + "/check-suites/" + itoa(suites.Suites[0].ID), token, "", 200},
		{"GET", repo + "/check-suites/" + itoa(suites.Suites[0].ID) + "/check-runs", token, "", 200},
		{"GET", repo + "/deployments?environment=preview", token, "", 200},
		{"GET", repo + "/deployments/" + itoa(deployment.ID), token, "", 200},
		{"POST", repo + "/deployments/" + itoa(deployment.ID) + "/statuses", token, `{"state":"success","environment_url":"https://x.example.com","auto_inactive":false,"description":"d"}`, 201},
		{"GET", repo + "/deployments/" + itoa(deployment.ID) + "/statuses", token, "", 200},
		{"DELETE", repo + "/deployments/" + itoa(deployment.ID), token, "", 204},
		{"DELETE", "/installation/token", token, "", 204},
		{"GET", repo, token, "", 401},
		{"GET", repo, "", "", 404},
	}
	for _, row := range rows {
		w.do(row.method, row.path, row.auth, row.body, row.status)
	}
	if violations := w.validator.Violations(); len(violations) > 0 {
		t.Errorf("%d violations:\n%s", len(violations), strings.Join(violations, "\n"))
	}
	asked := map[string]bool{}
	for _, r := range w.server.Requests() {
		if r.Route == "" {
			t.Errorf("%s %s has no route", r.Method, r.Path)
		}
		asked[r.Method+" "+r.Route] = true
	}
	for _, route := range githubtest.Routes() {
		if !asked[route] {
			t.Errorf("%s was never asked, so nothing holds it to the description", route)
		}
	}
}

// manifest has somebody confirm an App, and returns the code that the browser is sent back with.
func (w *world) manifest() string {
	w.t.Helper()
	form := url.Values{"manifest": {`{"name":"My App","url":"https://example.com","redirect_url":"http://127.0.0.1:1/back","default_permissions":{"metadata":"read"},"default_events":[]}`}}
	resp, err := noRedirects.PostForm(w.server.HTMLURL()+"/organizations/acme/settings/apps/new?state=s", form)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	back, err := resp.Location()
	if err != nil || back.Query().Get("state") != "s" {
		w.t.Fatalf("sent to %v (%v)", back, err)
	}
	return back.Query().Get("code")
}

// TestRoutesAreDistinct guards the table against a row that can never answer.
func TestRoutesAreDistinct(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, name := range githubtest.Routes() {
		if seen[name] {
			t.Errorf("%s is there twice", name)
		}
		seen[name] = true
	}
}
