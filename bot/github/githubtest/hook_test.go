package githubtest_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/idp-bot/idp/bot/github/githubtest"
)

const hookSchemas = "../../../testdata/github/webhooks.schema.json"

// everything does each thing that emits an event.
func everything(t *testing.T, w *world) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	token := w.token("")
	pr := w.open("feature")
	pr.Push("alice", map[string]string{"src/feature.go": "package feature // more\n"})
	pr.ForcePush("alice", map[string]string{"src/feature.go": "package feature // else\n"})
	pr.Label("alice", "preview")
	pr.Unlabel("alice", "preview")
	pr.ConvertToDraft("alice")
	pr.ReadyForReview("alice")
	pr.Edit("alice", "Another title", "With a body")
	must(pr.Retarget("alice", "main"))
	c, err := pr.Comment("alice", "/idp status")
	must(err)
	must(w.repo.EditComment("alice", c.ID, "edited"))
	must(w.repo.DeleteComment("alice", c.ID))
	_, err = w.repo.OpenIssue("bob", "A bug", "").Comment("bob", "any news?")
	must(err)
	var run struct{ ID int64 }
	w.do("POST", "/repos/acme/web/check-runs", token, `{"name":"idp / preview","head_sha":"`+pr.HeadSHA()+`","actions":[{"label":"l","description":"d","identifier":"retry"}]}`, 201).decode(&run)
	w.do("PATCH", "/repos/acme/web/check-runs/"+itoa(run.ID), token, `{"conclusion":"success"}`, 200)
	w.do("POST", "/repos/acme/web/issues/1/comments", token, `{"body":"by the App"}`, 201)
	must(w.repo.RerequestCheck("alice", run.ID))
	must(w.repo.RerequestSuite("alice", w.app, pr.HeadSHA()))
	must(w.repo.PressAction("alice", run.ID, "retry"))
	must(w.repo.FinishWorkflow("alice", "build", "feature", "success"))
	pr.Close("alice")
	pr.Reopen("alice")
	must(pr.Merge("alice"))
	w.repo.DeleteBranch("alice", "feature")
	fork := w.repo.Fork("mallory")
	fork.Commit("evil", map[string]string{"x": "y"})
	_, err = w.repo.OpenPullRequest(githubtest.PullRequestOptions{Author: "mallory", Title: "From a fork", Head: "evil", HeadRepository: fork, Draft: true, Labels: []string{"help"}})
	must(err)
	must(w.repo.Rename("alice", "site"))
	w.install.Suspend()
	w.install.Unsuspend()
	w.install.Select(w.repo, false)
	w.install.Select(w.repo, true)
	w.repo.Delete("alice")
	w.install.Uninstall()
}

func TestPayloadsFitGitHubsSchemas(t *testing.T) {
	t.Parallel()
	w := setup(t)
	got := w.receive(func() int { return 202 })
	everything(t, w)
	seen := map[string]int{}
	compiler := jsonschema.NewCompiler()
	// The library's own check of RFC 6570 refuses every expression in a path.
	compiler.RegisterFormat(&jsonschema.Format{Name: "uri-template", Validate: func(any) error { return nil }})
	for _, hook := range got() {
		event := hook.header.Get("X-GitHub-Event")
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(hook.body))
		if err != nil {
			t.Fatal(err)
		}
		action, _ := value.(map[string]any)["action"].(string)
		schema, err := compiler.Compile(hookSchemas + "#/definitions/" + event + "$" + cmp.Or(action, "event"))
		if err != nil {
			t.Fatal(err)
		}
		seen[event+" "+action]++
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s %s: %v", event, action, err)
		}
	}
	for _, want := range strings.Split(`pull_request opened,pull_request synchronize,pull_request labeled,pull_request unlabeled,pull_request edited,
pull_request converted_to_draft,pull_request ready_for_review,pull_request closed,pull_request reopened,issue_comment created,issue_comment edited,
issue_comment deleted,check_run created,check_run completed,check_run rerequested,check_run requested_action,check_suite requested,
check_suite rerequested,push ,workflow_run completed,repository renamed,repository deleted,installation suspend,installation unsuspend,
installation deleted,installation_repositories added,installation_repositories removed`, ",") {
		if want = strings.TrimLeft(want, "\n"); seen[want] == 0 {
			t.Errorf("nothing emitted %q", want)
		}
	}
}

func TestDeliveriesAreSigned(t *testing.T) {
	t.Parallel()
	w := setup(t)
	got := w.receive(func() int { return 202 })
	w.open("feature")
	hooks := got()
	if len(hooks) == 0 {
		t.Fatal("nothing arrived")
	}
	seen := map[string]bool{}
	for _, hook := range hooks {
		if hook.header.Get("X-Hub-Signature-256") != githubtest.Sign(secret, hook.body) {
			t.Error("bad signature")
		}
		if !strings.HasPrefix(hook.header.Get("User-Agent"), "GitHub-Hookshot/") || hook.header.Get("Content-Type") != "application/json" {
			t.Errorf("%v", hook.header)
		}
		if guid := hook.header.Get("X-GitHub-Delivery"); len(guid) != 36 || seen[guid] {
			t.Errorf("GUID %q", guid)
		} else {
			seen[guid] = true
		}
	}
}

// TestSignKnownAnswer is the example of GitHub's "Validating webhook deliveries".
func TestSignKnownAnswer(t *testing.T) {
	t.Parallel()
	const want = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	if got := githubtest.Sign("It's a Secret to Everybody", []byte("Hello, World!")); got != want {
		t.Error(got)
	}
}

func TestRedelivery(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var status atomic.Int64
	status.Store(503)
	got := w.receive(func() int { return int(status.Load()) })
	w.repo.Commit("main", map[string]string{"a": "b"})
	failed := len(got())
	status.Store(202)

	type item struct {
		ID         int64
		GUID       string
		Status     string
		StatusCode int `json:"status_code"`
		Redelivery bool
	}
	var all []item
	for url := "/app/hook/deliveries?per_page=1"; url != ""; {
		page := w.do("GET", url, w.jwt(nil), "", 200)
		var items []item
		page.decode(&items)
		all = append(all, items...)
		url = ""
		if m := nextLink.FindStringSubmatch(page.header.Get("Link")); m != nil {
			url = m[1]
		}
	}
	if len(all) != failed || all[0].StatusCode != 503 || all[0].Status == "OK" {
		t.Fatalf("%d of %d: %+v", len(all), failed, all)
	}
	for _, one := range all {
		w.do("POST", "/app/hook/deliveries/"+itoa(one.ID)+"/attempts", w.jwt(nil), "", 202)
	}
	hooks := got()
	if len(hooks) != 2*failed {
		t.Fatalf("%d deliveries, want each of %d twice", len(hooks), failed)
	}
	if hooks[0].header.Get("X-GitHub-Delivery") != hooks[2*failed-1].header.Get("X-GitHub-Delivery") {
		t.Error("a redelivery has another GUID")
	}
	var first []item
	w.do("GET", "/app/hook/deliveries?per_page=1", w.jwt(nil), "", 200).decode(&first)
	if !first[0].Redelivery || first[0].Status != "OK" {
		t.Errorf("%+v", first)
	}
	w.clock.advance(73 * time.Hour)
	w.do("POST", "/app/hook/deliveries/"+itoa(all[0].ID)+"/attempts", w.jwt(nil), "", 404)
}

func TestHeldDeliveries(t *testing.T) {
	t.Parallel()
	w := setup(t)
	got := w.receive(func() int { return 202 })
	w.server.HoldDeliveries()
	pr := w.open("feature")
	pr.Close("alice")
	index := map[string]int{}
	for i, held := range w.server.HeldDeliveries() {
		index[held.Event+" "+held.Action] = i
	}
	opened, closed := index["pull_request opened"], index["pull_request closed"]
	if len(got()) != 0 {
		t.Fatal("held deliveries went out")
	}
	w.server.Release(closed, opened, closed)
	var order []string
	for _, hook := range got() {
		var body struct{ Action string }
		if err := json.Unmarshal(hook.body, &body); err != nil {
			t.Fatal(err)
		}
		order = append(order, body.Action)
	}
	if strings.Join(order, " ") != "closed opened closed" {
		t.Errorf("%v", order)
	}
	if hooks := got(); hooks[0].header.Get("X-GitHub-Delivery") != hooks[2].header.Get("X-GitHub-Delivery") {
		t.Error("a duplicate has another GUID")
	}
	if n := len(w.app.Deliveries()); n != 3 {
		t.Errorf("%d deliveries listed, want 3: what was not released never happened", n)
	}
	pr.Reopen("alice")
	w.server.StopHolding()
	pr.Label("alice", "x")
	if n := len(got()); n != 5 {
		t.Errorf("%d arrived, want 5", n)
	}
}

func TestEventsFollowSubscriptionsAndReach(t *testing.T) {
	t.Parallel()
	w := setup(t)
	got := w.receive(func() int { return 202 })
	w.server.AddRepository("elsewhere/x", githubtest.RepositoryOptions{}).Commit("main", map[string]string{"a": "b"})
	w.install.Suspend()
	before := len(got())
	w.repo.Commit("main", map[string]string{"a": "b"})
	if after := len(got()); after != before {
		t.Errorf("%d events of what the App cannot see", after-before)
	}
}
