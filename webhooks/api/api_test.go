package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/secret"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// github knows alice, who may write acme/web, bob, who may read it, and mallory.
type github struct {
	asked atomic.Int64
	err   error
}

// someToken is what a token of GitHub's has behind its kind.
var someToken = secrettest.New("token")

func tokenOf(login string) string { return "ghu_" + someToken + login }

func (g *github) Person(_ context.Context, token secret.String) (bot.Actor, error) {
	g.asked.Add(1)
	if g.err != nil {
		return bot.Actor{}, g.err
	}
	for id, login := range map[int64]string{1: "alice", 2: "bob", 3: "mallory", 4: "robot"} {
		if token.Reveal() == tokenOf(login) {
			return bot.Actor{ID: id, Login: login, Bot: login == "robot"}, nil
		}
	}
	return bot.Actor{}, fmt.Errorf("ask whose a token is: %w", bot.ErrNotFound)
}

func (g *github) Repository(_ context.Context, owner, name string, token secret.String) (bot.RepositoryRef, int64, error) {
	if owner+"/"+name != "acme/web" || token.Reveal() == tokenOf("mallory") {
		return bot.RepositoryRef{}, 0, bot.ErrNotFound
	}
	return bot.RepositoryRef{ID: 9, Owner: owner, Name: name, Private: true}, 7, nil
}

func (g *github) Workflow(_ context.Context, token secret.String) (Workflow, error) {
	run, known := workflows[token.Reveal()]
	switch {
	case token.Reveal() == "away":
		return run, errors.New("GitHub is away")
	case !known:
		return run, bot.ErrNotFound
	}
	return run, nil
}

func (g *github) Built(_ context.Context, owner, name, sha string) (bot.RepositoryRef, int64, bot.Commit, error) {
	commit := bot.Commit{SHA: sha, Parents: []string{mainSHA}}
	if sha == mergeSHA {
		commit.Parents = []string{mainSHA, headSHA}
	}
	return bot.RepositoryRef{ID: 9, Owner: owner, Name: name}, 7, commit, nil
}

// sources tells senders apart by a header, and lets each send ten tokens that are nobody's.
type sources struct {
	sent   map[netip.Addr]int
	closed bool
}

func (s *sources) Of(r *http.Request) netip.Addr {
	at, _ := netip.ParseAddr(r.Header.Get("From"))
	return at
}

func (s *sources) Exhausted(at netip.Addr) bool { return s.sent[at] >= 10 }

func (s *sources) NoteForged(at netip.Addr) {
	if s.sent == nil {
		s.sent = map[netip.Addr]int{}
	}
	s.sent[at]++
}

func (s *sources) Admits(int64) bool { return !s.closed }

func storeFilter() store.AuditFilter { return store.AuditFilter{} }

type fixture struct {
	*testing.T
	github  *github
	store   *store.Store
	sources *sources
	api     *Handler
	clock   time.Time
	note    string
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{T: t, github: &github{}, sources: &sources{}, clock: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	now := func() time.Time { return f.clock }
	var err error
	if f.store, err = store.Open(t.Context(), store.Options{URL: "sqlite://" + filepath.Join(secrettest.Dir(t), "idp.db"), Now: now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.store.Close() })
	o := Options{
		Store: f.store, GitHub: f.github, Sources: f.sources, ClientID: "Iv1.0", Pages: "https://github.com", PublicURL: "https://idp.example.com",
		Note: func(context.Context) string { return f.note }, Now: now,
	}
	if f.api, err = New(o); err != nil {
		t.Fatal(err)
	}
	return f
}

const commands = Root + "/repos/acme/web/pulls/12/commands"

// send sends a request and decodes the answer into out, where that is not nil.
func (f *fixture) send(method, path, token, body string, header map[string]string, out any) *httptest.ResponseRecorder {
	f.Helper()
	r := httptest.NewRequestWithContext(f.Context(), method, path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	f.api.ServeHTTP(w, r)
	secrettest.Text(f, "an answer", w.Body.Bytes())
	if out != nil {
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			f.Fatalf("%s %s answered %d %q", method, path, w.Code, w.Body)
		}
	}
	return w
}

func (f *fixture) deliveries() []store.Delivery {
	f.Helper()
	all, err := f.store.Deliveries(f.Context(), "", 1000)
	if err != nil {
		f.Fatal(err)
	}
	return all
}

// What is taken is on disk as an event of the person who asked, once for each key of theirs.
func TestTaken(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var first, second, other Outcome
	key := map[string]string{"Idempotency-Key": "deploy-1"}
	w := f.send("POST", commands, tokenOf("alice"), `{"command": "deploy staging\n/idp status\n"}`, key, &first)
	if w.Code != http.StatusAccepted || first.State != Pending || w.Header().Get("Location") != Root+"/commands/"+first.ID {
		t.Fatalf("answered %d %+v", w.Code, first)
	}
	f.send("POST", commands, tokenOf("alice"), `{"command": "deploy staging\n/idp status\n"}`, key, &second)
	f.send("POST", commands, tokenOf("bob"), `{"command": "status"}`, key, &other)
	var reused Refusal
	if w := f.send("POST", commands, tokenOf("alice"), `{"command": "destroy"}`, key, &reused); w.Code != http.StatusConflict || !strings.Contains(reused.Message, "used before") {
		t.Errorf("another command under the same key: %d %+v", w.Code, reused)
	}
	all := f.deliveries()
	if first.ID != second.ID || first.ID == other.ID || len(all) != 2 {
		t.Fatalf("%d deliveries of %s, %s and %s, want one for each person and key", len(all), first.ID, second.ID, other.ID)
	}
	var event bot.Event
	if err := json.Unmarshal(all[1].Payload, &event); err != nil {
		t.Fatal(err)
	}
	if event.Actor != (bot.Actor{ID: 1, Login: "alice"}) || event.Request.Text != "/idp deploy staging\n/idp status" ||
		event.Kind != bot.EventRequest || event.InstallationID != 7 || event.Repository.ID != 9 || event.PR != 12 || all[1].Event != bot.RequestEvent || all[1].PR != 12 {
		t.Errorf("stored %+v", event)
	}
}

// What is refused leaves nothing behind, says why, and tells nobody what they may not know.
func TestRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for name, c := range map[string]struct {
		method, path, token, body string
		header                    map[string]string
		status                    int
		message                   string
	}{
		"nobody":                 {"POST", commands, "", `{"command":"status"}`, nil, 401, "say who you are"},
		"a token of none":        {"POST", commands, tokenOf("eve"), `{"command":"status"}`, nil, 401, "not good for idp"},
		"a personal token":       {"POST", commands, "ghp_" + someToken, `{"command":"status"}`, nil, 401, "not good for idp"},
		"an App's token":         {"POST", commands, "ghs_" + someToken, `{"command":"status"}`, nil, 401, "not good for idp"},
		"a bot":                  {"POST", commands, tokenOf("robot"), `{"command":"status"}`, nil, 401, "not good for idp"},
		"another repository":     {"POST", Root + "/repos/acme/api/pulls/12/commands", tokenOf("alice"), `{"command":"status"}`, nil, 404, "no such repository"},
		"one that is not theirs": {"POST", commands, tokenOf("mallory"), `{"command":"status"}`, nil, 404, "no such repository"},
		"no number":              {"POST", Root + "/repos/acme/web/pulls/x/commands", tokenOf("alice"), `{"command":"status"}`, nil, 400, "is no number"},
		"number 0":               {"POST", Root + "/repos/acme/web/pulls/0/commands", tokenOf("alice"), `{"command":"status"}`, nil, 400, "is no number"},
		"no JSON":                {"POST", commands, tokenOf("alice"), `deploy staging`, nil, 400, "not the JSON"},
		"two values":             {"POST", commands, tokenOf("alice"), `{"command":"status"} {"command":"pin"}`, nil, 400, "not the JSON"},
		"an unknown field":       {"POST", commands, tokenOf("alice"), `{"command":"status","as":"bob"}`, nil, 400, "not the JSON"},
		"no command":             {"POST", commands, tokenOf("alice"), `{"command":" \n "}`, nil, 400, "command is empty"},
		"a command in code":      {"POST", commands, tokenOf("alice"), `{"command":"lock staging ` + "`" + `\nunlock staging` + "`" + `"}`, nil, 400, "no command"},
		"a large body":           {"POST", commands, tokenOf("alice"), `{"command":"` + strings.Repeat("x", maxBody) + `"}`, nil, 413, "larger than 16 KiB"},
		"a key of none":          {"POST", commands, tokenOf("alice"), `{"command":"status"}`, map[string]string{"Idempotency-Key": "a b"}, 400, "Idempotency-Key"},
		"a request of none":      {"GET", Root + "/commands/4d9dc5a0-0000-11ee-be56-0242ac120002", tokenOf("alice"), "", nil, 404, "no such request"},
		"an id of none":          {"GET", Root + "/commands/1", tokenOf("alice"), "", nil, 404, "no such request"},
		"a path of none":         {"GET", Root + "/environments", tokenOf("alice"), "", nil, 404, "nothing here"},
		"a path of the App's":    {"POST", Root + "/repos/x/..%2F..%2Fapp%2Finstallations%2F1%3F/pulls/1/commands", tokenOf("alice"), `{"command":"status"}`, nil, 404, "no such repository"},
		"a folder above":         {"POST", Root + "/repos/acme/%2E%2E/pulls/1/commands", tokenOf("alice"), `{"command":"status"}`, nil, 404, "no such repository"},
		"an owner with a slash":  {"POST", Root + "/repos/a%2Fb/web/pulls/1/commands", tokenOf("alice"), `{"command":"status"}`, nil, 404, "no such repository"},
		"number 10^10":           {"POST", Root + "/repos/acme/web/pulls/10000000000/commands", tokenOf("alice"), `{"command":"status"}`, nil, 400, "is no number"},
	} {
		t.Run(name, func(t *testing.T) {
			var told Refusal
			w := f.send(c.method, c.path, c.token, c.body, c.header, &told)
			if w.Code != c.status || !strings.Contains(told.Message, c.message) {
				t.Errorf("answered %d %+v, want %d %q", w.Code, told, c.status, c.message)
			}
			if w.Code == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "" {
				t.Error("a 401 without what it asks for")
			}
		})
	}
	if all := f.deliveries(); len(all) != 0 {
		t.Errorf("%d of what was refused are stored", len(all))
	}
}

// Whoever asked, and nobody else, is told what came of it.
func TestTold(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var given, out Outcome
	f.send("POST", commands, tokenOf("alice"), `{"command": "extend 24h"}`, nil, &given)
	at := Root + "/commands/" + given.ID
	if f.send("GET", at, tokenOf("alice"), "", nil, &out); out.State != Pending || len(out.Results) != 0 {
		t.Errorf("before anything came of it: %+v", out)
	}
	err := f.store.Apply(t.Context(), store.Outcome{
		Delivery: given.ID, Result: "decided", Effects: []store.Effect{{Kind: string(bot.EffectAnswer), Content: "text"}, {Kind: string(bot.EffectReply), Content: "a comment"}},
		Audit: []previews.Audit{
			{ActorID: 1, Actor: "alice", Action: "extend 24h", Environment: "acme/web/pr-12", SHA: "abc", Allowed: true, Reason: "extended"},
			{ActorID: 2, Actor: "bob", Action: "of somebody else's", Reason: "it is not hers to know"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	out = Outcome{}
	f.send("GET", at, tokenOf("alice"), "", nil, &out)
	if out.State != Done || len(out.Results) != 1 || out.Results[0] != (Result{"extend 24h", "acme/web/pr-12", "abc", true, "extended"}) || out.Answer != "text" || out.Problem != "" {
		t.Errorf("told %+v", out)
	}
	for _, who := range []string{"bob", "mallory"} {
		if w := f.send("GET", at, tokenOf(who), "", nil, nil); w.Code != http.StatusNotFound {
			t.Errorf("%s is told %d %s", who, w.Code, w.Body)
		}
	}
	f.note = "idp is paused"
	f.send("GET", at, tokenOf("alice"), "", nil, &out)
	if out.Note != "idp is paused" {
		t.Errorf("while idp is paused: %+v", out)
	}
	f.clock = f.clock.Add(4 * 24 * time.Hour)
	if _, err := f.store.Prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w := f.send("GET", at, tokenOf("alice"), "", nil, nil); w.Code != http.StatusNotFound {
		t.Errorf("after four days: %d %s", w.Code, w.Body)
	}
	webhook := store.Delivery{GUID: "4d9dc5a0-0000-11ee-be56-0242ac120002", Event: "issue_comment", Payload: []byte(`{"Actor":{"ID":1}}`)}
	if _, err := f.store.AddDelivery(t.Context(), webhook); err != nil {
		t.Fatal(err)
	}
	if w := f.send("GET", Root+"/commands/"+webhook.GUID, tokenOf("alice"), "", nil, nil); w.Code != http.StatusNotFound {
		t.Errorf("a webhook is told of: %d %s", w.Code, w.Body)
	}
}

// ask is what somebody with a token at an address gets.
func (f *fixture) ask(token, from string) int {
	f.Helper()
	return f.send("GET", Root+"/commands/x", token, "", map[string]string{"From": from}, nil).Code
}

// GitHub is asked about a token once a minute, and about those that are nobody's no more
// than it bears: strangers at one address keep nobody at another out, and nobody out who
// was known before.
func TestTokensAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for range 10 {
		if code := f.ask(tokenOf("alice"), "192.0.2.1"); code != http.StatusNotFound {
			t.Fatalf("alice gets %d", code)
		}
	}
	if n := f.github.asked.Load(); n != 1 {
		t.Errorf("GitHub was asked %d times about one token", n)
	}
	refused, strangers := 0, 2*keptStrays
	for i := range strangers {
		f.clock = f.clock.Add(time.Second)
		if f.ask(tokenOf(fmt.Sprint("eve", i)), "198.51.100.7") == http.StatusServiceUnavailable {
			refused++
		}
	}
	asked := f.github.asked.Load() - 1
	if asked != 10 || refused != strangers-10 {
		t.Errorf("GitHub was asked about %d of %d tokens, %d refused, want 10 and the rest", asked, strangers, refused)
	}
	for from, who := range map[string]string{"192.0.2.2": "bob", "198.51.100.7": "alice", "": "mallory"} {
		if code := f.ask(tokenOf(who), from); code != http.StatusNotFound {
			t.Errorf("%s at %q gets %d after that", who, from, code)
		}
	}
	for i := range strangers { // from behind a proxy, so that they are not told apart
		f.ask(tokenOf(fmt.Sprint("adam", i)), "")
	}
	together := f.github.asked.Load() - asked - 4
	if together > strayBurst {
		t.Errorf("GitHub was asked about %d tokens of senders who are not told apart, want %d at most", together, strayBurst)
	}
	figure.Tell(t, "%d tokens that are nobody's, a second apart, and %d at once from behind a proxy: GitHub asked about %d and %d, and everybody else got in", strangers, strangers, asked, together)
}

// What GitHub does not answer says nothing of anybody, and costs whoever asks as much.
func TestGitHubAway(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.github.err = errors.New("GitHub is away")
	for range 20 {
		if code := f.ask(tokenOf("alice"), "192.0.2.1"); code != http.StatusServiceUnavailable {
			t.Fatalf("alice gets %d", code)
		}
	}
	if n := f.github.asked.Load(); n != 10 {
		t.Errorf("GitHub was asked %d times, want as often as a stranger may", n)
	}
	f.github.err = nil
	if code := f.ask(tokenOf("alice"), "192.0.2.2"); code != http.StatusNotFound {
		t.Errorf("alice gets %d afterwards", code)
	}
	f.clock = f.clock.Add(2 * believed)
	f.github.err = errors.New("GitHub is away")
	if code := f.ask(tokenOf("alice"), "192.0.2.2"); code != http.StatusServiceUnavailable {
		t.Errorf("alice gets %d when she was not asked about for a while", code)
	}
}

// One person gives so many commands a minute, and an installation takes so many.
func TestPaces(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	codes := map[int]int{}
	for range 2 * orderBurst {
		codes[f.send("POST", commands, tokenOf("alice"), `{"command":"status"}`, nil, nil).Code]++
	}
	if codes[http.StatusAccepted] != orderBurst || codes[http.StatusTooManyRequests] != orderBurst || len(f.deliveries()) != orderBurst {
		t.Errorf("alice gets %v, and %d are stored", codes, len(f.deliveries()))
	}
	if code := f.send("POST", commands, tokenOf("bob"), `{"command":"status"}`, nil, nil).Code; code != http.StatusAccepted {
		t.Errorf("bob gets %d", code)
	}
	f.sources.closed = true
	if code := f.send("POST", commands, tokenOf("bob"), `{"command":"status"}`, nil, nil).Code; code != http.StatusTooManyRequests {
		t.Errorf("bob gets %d beyond the installation's limit", code)
	}
}

// The same request sent again is one, and is answered with what came of it.
func TestRequestReplayed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const times = 1000
	key := map[string]string{"Idempotency-Key": "one"}
	var out Outcome
	for i := range times {
		f.clock = f.clock.Add(time.Minute)
		out = Outcome{}
		if w := f.send("POST", commands, tokenOf("alice"), `{"command":"pin"}`, key, &out); w.Code != http.StatusAccepted {
			t.Fatalf("answered %d %s", w.Code, w.Body)
		}
		if i == 0 {
			if err := f.store.Apply(t.Context(), store.Outcome{Delivery: out.ID, Result: "decided", Audit: []previews.Audit{{ActorID: 1, Actor: "alice", Action: "pin", Allowed: true}}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(f.deliveries()) != 1 || out.State != Done || len(out.Results) != 1 {
		t.Errorf("%d deliveries, the last answered with %+v", len(f.deliveries()), out)
	}
	figure.Tell(t, "1 request sent %d times: %d stored", times, len(f.deliveries()))
}
