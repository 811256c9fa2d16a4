package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/secret"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// github knows alice, who may write acme/web, bob, who may read it, and mallory.
type github struct {
	asked atomic.Int64
	err   error
}

func tokenOf(login string) string { return "ghu_" + strings.Repeat("x", 36) + login }

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

func (g *github) Repository(_ context.Context, owner, name, login string) (bot.RepositoryRef, int64, access.Permission, error) {
	if owner+"/"+name != "acme/web" {
		return bot.RepositoryRef{}, 0, access.None, bot.ErrNotFound
	}
	return bot.RepositoryRef{ID: 9, Owner: owner, Name: name, Private: true}, 7, map[string]access.Permission{"alice": access.Write, "bob": access.Read}[login], nil
}

type fixture struct {
	*testing.T
	github *github
	store  *store.Store
	api    *Handler
	clock  time.Time
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{T: t, github: &github{}, clock: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	now := func() time.Time { return f.clock }
	var err error
	if f.store, err = store.Open(t.Context(), store.Options{URL: "sqlite://" + filepath.Join(t.TempDir(), "idp.db"), Now: now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.store.Close() })
	if f.api, err = New(Options{Store: f.store, GitHub: f.github, ClientID: "Iv1.0", Pages: "https://github.com", Now: now}); err != nil {
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
		"a personal token":       {"POST", commands, "ghp_" + strings.Repeat("x", 36), `{"command":"status"}`, nil, 401, "not good for idp"},
		"an App's token":         {"POST", commands, "ghs_" + strings.Repeat("x", 36), `{"command":"status"}`, nil, 401, "not good for idp"},
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
		"a large body":           {"POST", commands, tokenOf("alice"), `{"command":"` + strings.Repeat("x", maxBody) + `"}`, nil, 413, "not the JSON"},
		"a key of none":          {"POST", commands, tokenOf("alice"), `{"command":"status"}`, map[string]string{"Idempotency-Key": "a b"}, 400, "Idempotency-Key"},
		"a request of none":      {"GET", Root + "/commands/4d9dc5a0-0000-11ee-be56-0242ac120002", tokenOf("alice"), "", nil, 404, "no such request"},
		"an id of none":          {"GET", Root + "/commands/1", tokenOf("alice"), "", nil, 404, "no such request"},
		"a path of none":         {"GET", Root + "/environments", tokenOf("alice"), "", nil, 404, "nothing here"},
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
	webhook := store.Delivery{GUID: "4d9dc5a0-0000-11ee-be56-0242ac120002", Event: "issue_comment", Payload: []byte(`{"Actor":{"ID":1}}`)}
	if _, err := f.store.AddDelivery(t.Context(), webhook); err != nil {
		t.Fatal(err)
	}
	if w := f.send("GET", Root+"/commands/"+webhook.GUID, tokenOf("alice"), "", nil, nil); w.Code != http.StatusNotFound {
		t.Errorf("a webhook is told of: %d %s", w.Code, w.Body)
	}
}

// GitHub is asked about a token once a minute, and about those that are nobody's no more
// than it bears; whoever was known before is still.
func TestTokensAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ask := func(token string) int { return f.send("GET", Root+"/commands/x", token, "", nil, nil).Code }
	for range 10 {
		if code := ask(tokenOf("alice")); code != http.StatusNotFound {
			t.Fatalf("alice gets %d", code)
		}
	}
	if n := f.github.asked.Load(); n != 1 {
		t.Errorf("GitHub was asked %d times about one token", n)
	}
	refused := 0
	for i := range 1000 {
		if ask(tokenOf(fmt.Sprint("eve", i))) == http.StatusServiceUnavailable {
			refused++
		}
	}
	asked := f.github.asked.Load() - 1
	if asked != strayBurst || refused != 1000-strayBurst {
		t.Errorf("GitHub was asked about %d of 1000 tokens, %d refused, want %d and the rest", asked, refused, strayBurst)
	}
	figure.Tell(t, "1000 tokens that are nobody's: GitHub asked about %d, the others refused unasked", asked)
	f.clock = f.clock.Add(believed)
	f.github.err = errors.New("GitHub is away")
	if code := ask(tokenOf("alice")); code != http.StatusServiceUnavailable {
		t.Errorf("alice gets %d while GitHub is away and she is not known", code)
	}
	f.github.err = nil
	if code := ask(tokenOf("alice")); code != http.StatusNotFound {
		t.Errorf("alice, known before, gets %d", code)
	}
	slowed := 0
	for range 2 * personBurst {
		if ask(tokenOf("alice")) == http.StatusTooManyRequests {
			slowed++
		}
	}
	if slowed == 0 {
		t.Error("nobody is ever slowed down")
	}
}
