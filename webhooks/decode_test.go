package webhooks

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/secret"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews/store"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Every example goes signed through the edge into a real store, and from there
// through its decoder.
func TestEveryExample(t *testing.T) {
	t.Parallel()
	rows, err := store.Open(t.Context(), store.Options{URL: "sqlite://" + filepath.Join(secrettest.Dir(t), "idp.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	h, err := New(Options{Secrets: []secret.String{secret.New(newSecret)}, Inbox: rows})
	if err != nil {
		t.Fatal(err)
	}
	all := examples(t)
	events := make([]bot.Event, len(all))
	var group errgroup.Group
	group.SetLimit(64) // as many as there are, for the store to commit them together
	for i, one := range all {
		group.Go(func() (err error) {
			guid := uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, i)).String()
			if w := send(t, h, delivery(one.event, guid, one.payload)); w.Code != http.StatusAccepted {
				return fmt.Errorf("%s %s: answered %d %q", one.source, one.event, w.Code, w.Body)
			}
			kept, err := rows.Delivery(t.Context(), guid)
			if err != nil || !bytes.Equal(kept.Payload, one.payload) {
				return fmt.Errorf("%s %s: stored %d bytes of %d: %w", one.source, one.event, len(kept.Payload), len(one.payload), err)
			}
			events[i], err = Decode(kept.Event, kept.GUID, kept.Payload)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	decoded := map[string]int{}
	for _, event := range events {
		decoded[describe(event)]++
	}
	var text strings.Builder
	for _, line := range slices.Sorted(maps.Keys(decoded)) {
		fmt.Fprintf(&text, "%3d  %s\n", decoded[line], line)
	}
	golden(t, "testdata/examples.golden", text.String())
	t.Logf("%d examples: none refused, none broke anything", len(all))
}

// describe is an event in one line, without what differs for no reason.
func describe(e bot.Event) string {
	name := e.Name
	if e.Action != "" {
		name += "." + e.Action
	}
	if e.Kind == bot.EventIgnored {
		return name + " is ignored"
	}
	if e.Kind == bot.EventInstallation {
		return fmt.Sprintf("%s is %s with %d repositories by %s", name, e.Kind, len(e.Repositories), e.Actor.Login)
	}
	text := fmt.Sprintf("%s is %s of %s/%s", name, e.Kind, e.Repository.Owner, e.Repository.Name)
	if e.PR != 0 {
		text += fmt.Sprintf("#%d", e.PR)
	}
	if e.HeadSHA != "" {
		text += fmt.Sprintf(" at %.7s", e.HeadSHA)
	}
	if e.Comment != nil {
		text += fmt.Sprintf(", comment %d", e.Comment.ID)
	}
	if e.Button != nil {
		text += fmt.Sprintf(", %s of check %d of %s", e.Button.Identifier, e.Button.Check, e.CheckOf)
	}
	return text + " by " + e.Actor.Login
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (run with -update to accept):\n%s", file, got)
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	const repo = `"repository":{"id":9,"name":"web","private":true,"owner":{"login":"acme"}},"installation":{"id":7},"sender":{"id":1,"login":"ann","type":"User"}`
	for name, test := range map[string]struct {
		event, payload string
		want           string
	}{
		"push":                    {"pull_request", `{"action":"synchronize","number":3,"pull_request":{"number":3},` + repo + `}`, "pull_request.synchronize is pull_request of acme/web#3 by ann"},
		"nothing changes":         {"pull_request", `{"action":"assigned","number":3,"pull_request":{"number":3},` + repo + `}`, "pull_request.assigned is ignored"},
		"comment":                 {"issue_comment", `{"action":"created","issue":{"number":3,"pull_request":{}},"comment":{"id":5,"body":"/idp help","user":{"id":2,"login":"bob"}},` + repo + `}`, "issue_comment.created is comment of acme/web#3, comment 5 by bob"},
		"comment on an issue":     {"issue_comment", `{"action":"created","issue":{"number":3},"comment":{"id":5,"body":"/idp help","user":{"login":"bob"}},` + repo + `}`, "issue_comment.created is ignored"},
		"edited comment":          {"issue_comment", `{"action":"edited","issue":{"number":3,"pull_request":{}},"comment":{"id":5,"user":{"login":"bob"}},` + repo + `}`, "issue_comment.edited is ignored"},
		"re-run":                  {"check_run", `{"action":"rerequested","check_run":{"name":"idp / preview","head_sha":"abcdef0123","pull_requests":[{"number":3}]},` + repo + `}`, "check_run.rerequested is rerequest of acme/web#3 at abcdef0 by ann"},
		"re-run of a fork's":      {"check_run", `{"action":"rerequested","check_run":{"name":"idp / preview","head_sha":"abcdef0123","pull_requests":[]},` + repo + `}`, "check_run.rerequested is rerequest of acme/web at abcdef0 by ann"},
		"re-run of two":           {"check_suite", `{"action":"rerequested","check_suite":{"head_sha":"abcdef0123","pull_requests":[{"number":3},{"number":4}]},` + repo + `}`, "check_suite.rerequested is rerequest of acme/web at abcdef0 by ann"},
		"a button":                {"check_run", `{"action":"requested_action","requested_action":{"identifier":"approve"},"check_run":{"id":8,"name":"idp / preview","head_sha":"abcdef0123","external_id":"idp-web-pr-3@2","pull_requests":[]},` + repo + `}`, "check_run.requested_action is button of acme/web at abcdef0, approve of check 8 of idp-web-pr-3 by ann"},
		"no button":               {"check_run", `{"action":"requested_action","check_run":{"id":8,"head_sha":"abcdef0123"},` + repo + `}`, "check_run.requested_action is ignored"},
		"a build":                 {"check_run", `{"action":"completed","check_run":{"name":"build","head_sha":"abcdef0123"},` + repo + `}`, "check_run.completed is build of acme/web at abcdef0 by ann"},
		"our own check":           {"check_run", `{"action":"completed","check_run":{"name":"idp / preview","head_sha":"abcdef0123"},` + repo + `}`, "check_run.completed is ignored"},
		"a workflow":              {"workflow_run", `{"action":"completed","workflow_run":{"name":"CI","head_sha":"abcdef0123"},` + repo + `}`, "workflow_run.completed is build of acme/web at abcdef0 by ann"},
		"rename":                  {"repository", `{"action":"renamed",` + repo + `}`, "repository.renamed is repository of acme/web by ann"},
		"unknown":                 {"some_new_event", `{"action":{},"number":[]}`, "some_new_event is ignored"},
		"odd types where ignored": {"label", `{"action":"created","comment":7}`, "label.created is ignored"},
	} {
		event, err := Decode(test.event, someGUID, []byte(test.payload))
		if err != nil || describe(event) != test.want || event.Delivery != someGUID {
			t.Errorf("%s: %q, %v, want %q", name, describe(event), err, test.want)
		}
	}
	for name, test := range map[string][2]string{
		"no repository":   {"pull_request", `{"action":"opened","number":3}`},
		"no number":       {"pull_request", `{"action":"opened",` + repo + `}`},
		"no commit":       {"workflow_run", `{"action":"completed","workflow_run":{},` + repo + `}`},
		"no check":        {"check_run", `{"action":"requested_action","requested_action":{"identifier":"approve"},"check_run":{"head_sha":"abcdef0123"},` + repo + `}`},
		"no author":       {"issue_comment", `{"action":"created","issue":{"number":3,"pull_request":{}},"comment":{"id":5},` + repo + `}`},
		"odd type":        {"workflow_run", `{"action":"completed","workflow_run":{"head_sha":7},` + repo + `}`},
		"not JSON":        {"pull_request", `{`},
		"not the sweep's": {bot.SweepEvent, `{"Kind":"pull_request","Delivery":"other","Swept":true}`},
	} {
		if event, err := Decode(test[0], someGUID, []byte(test[1])); err == nil {
			t.Errorf("%s: decoded as %q", name, describe(event))
		}
	}
}

// The actor of a comment is its author, and who wrote it through which App is
// kept, for idp never to answer a bot.
func TestCommentsActor(t *testing.T) {
	t.Parallel()
	const body = `{"action":"created","issue":{"number":3,"pull_request":{}},"repository":{"id":9,"name":"web","owner":{"login":"acme"}},"sender":{"login":"ann"},
		"comment":{"id":5,"body":"hi","user":{"id":2,"login":"idp[bot]","type":"Bot"},"performed_via_github_app":{"id":77}}}`
	event, err := Decode("issue_comment", someGUID, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if want := (bot.Actor{ID: 2, Login: "idp[bot]", Bot: true}); event.Actor != want || event.Comment.ViaApp != 77 {
		t.Errorf("actor %+v, via %d", event.Actor, event.Comment.ViaApp)
	}
}

// TestTitlesAreNotRead sends each of the hostile names wherever a pull request's delivery
// has text of its author: what is read of it is what it would be without.
func TestTitlesAreNotRead(t *testing.T) {
	t.Parallel()
	const corpus = "../testdata/hostile/names/names.txt"
	raw, err := os.ReadFile(corpus)
	if err != nil {
		t.Fatal(err)
	}
	read := func(text string) bot.Event {
		t.Helper()
		payload, err := json.Marshal(map[string]any{
			"action": "opened", "number": 3, "label": map[string]any{"name": text, "description": text},
			"pull_request": map[string]any{
				"number": 3, "title": text, "body": text, "head": map[string]any{"ref": text, "label": text}, "base": map[string]any{"ref": text},
				"labels": []any{map[string]any{"name": text}}, "milestone": map[string]any{"title": text},
			},
			"repository":   map[string]any{"id": 9, "name": "web", "owner": map[string]any{"login": "acme"}, "description": text},
			"installation": map[string]any{"id": 7}, "sender": map[string]any{"id": 1, "login": "ann"},
		})
		if err != nil {
			t.Fatal(err)
		}
		event, err := Decode("pull_request", someGUID, payload)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		return event
	}
	want, count := read("Make it faster"), 0
	for line := range strings.Lines(string(raw)) {
		name, err := strconv.Unquote(strings.TrimSuffix(line, "\n"))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if got := read(name); !reflect.DeepEqual(got, want) {
			t.Errorf("%q is read as %+v", name, got)
		}
		count++
	}
	if count < 100 {
		t.Fatalf("%d names in %s, want at least 100", count, corpus)
	}
	figure.Tell(t, "%d titles, branches and labels: none is read of a delivery", count)
}

// TestOnlyNewCommentsAreRead sends a command in every event that carries a comment, under
// every action that GitHub knows and some that it does not: it is a command where somebody
// wrote it just now, and nowhere else.
func TestOnlyNewCommentsAreRead(t *testing.T) {
	t.Parallel()
	sent, read := 0, 0
	for _, name := range []string{"issue_comment", "commit_comment", "pull_request_review", "pull_request_review_comment", "pull_request_review_thread", "discussion_comment", "issues"} {
		for _, action := range []string{"created", "edited", "deleted", "pinned", "unpinned", "minimized", "unminimized", "hidden", "submitted", "dismissed", "resolved", "unresolved", "opened", "Created", "created ", ""} {
			payload, err := json.Marshal(map[string]any{
				"action": action, "issue": map[string]any{"number": 3, "pull_request": map[string]any{}}, "pull_request": map[string]any{"number": 3},
				"comment":    map[string]any{"id": 5, "body": "/idp destroy", "user": map[string]any{"id": 2, "login": "bob"}},
				"review":     map[string]any{"id": 6, "body": "/idp destroy", "user": map[string]any{"id": 2, "login": "bob"}},
				"changes":    map[string]any{"body": map[string]any{"from": "/idp destroy"}},
				"repository": map[string]any{"id": 9, "name": "web", "owner": map[string]any{"login": "acme"}}, "installation": map[string]any{"id": 7},
				"sender": map[string]any{"id": 1, "login": "ann", "type": "User"},
			})
			if err != nil {
				t.Fatal(err)
			}
			event, err := Decode(name, someGUID, payload)
			if err != nil {
				t.Fatalf("%s.%s: %v", name, action, err)
			}
			command := name == "issue_comment" && action == "created"
			if (event.Kind == bot.EventComment) != command || !command && event.Kind != bot.EventIgnored {
				t.Errorf("%s.%s is %s", name, action, describe(event))
			}
			if sent++; event.Kind == bot.EventComment {
				read++
			}
		}
	}
	figure.Tell(t, "%d events that carry a comment, new, edited, hidden or deleted: %d read as a command", sent, read)
}

func TestDecodeSwept(t *testing.T) {
	t.Parallel()
	want := bot.Event{Kind: bot.EventPullRequest, Name: bot.SweepEvent, Delivery: "sweep-9-3-1", PR: 3, Swept: true, Repository: bot.RepositoryRef{ID: 9, Owner: "acme", Name: "web"}}
	payload, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(bot.SweepEvent, want.Delivery, payload)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, name := range []string{bot.SweepEvent, bot.RerequestEvent} {
		if !strings.HasPrefix(name, ownEvents) {
			t.Errorf("%s would be let in from outside", name)
		}
	}
}

// FuzzDecode feeds every decoder with what the examples grow into.
func FuzzDecode(f *testing.F) {
	events := slices.Sorted(maps.Keys(meaning))
	for _, one := range examples(f) {
		if at, ok := slices.BinarySearch(events, one.event); ok && len(one.payload) < 24<<10 {
			f.Add(at, one.payload)
		}
	}
	f.Fuzz(func(t *testing.T, at int, payload []byte) {
		name := events[uint(at)%uint(len(events))]
		event, err := Decode(name, someGUID, payload)
		if err != nil {
			return
		}
		if event.Kind != bot.EventIgnored && complete(event) != nil || event.PR < 0 || event.Name != name {
			t.Errorf("decoded %+v", event)
		}
	})
}

// The App subscribes to every event that is decoded, but for those that arrive unasked.
func TestSubscriptionsAreDecoded(t *testing.T) {
	t.Parallel()
	want := []string{"installation", "installation_repositories", "ping"}
	for _, s := range github.Subscriptions() {
		want = append(want, s.Name)
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(meaning)); !slices.Equal(got, want) {
		t.Errorf("decoded are %v, and told is of %v", got, want)
	}
}

// Every event that may mean something has a decoder, and none that has one means nothing.
func TestMeaningHasDecoders(t *testing.T) {
	t.Parallel()
	for event, actions := range meaning {
		if decoders[event] == nil != (len(actions) == 0) {
			t.Errorf("%s: %d actions, and a decoder: %t", event, len(actions), decoders[event] != nil)
		}
	}
	for event := range decoders {
		if len(meaning[event]) == 0 {
			t.Errorf("%s has a decoder that is never asked", event)
		}
	}
}
