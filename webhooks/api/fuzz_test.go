package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops/secret"
	"github.com/idp-bot/idp/previews/store"
)

// FuzzOrder: whatever is sent, an order that is taken is as many commands as it has lines,
// and what is not is told so.
func FuzzOrder(f *testing.F) {
	for _, body := range []string{
		`{"command":"deploy staging"}`, `{"command":"/idp status\n\npin"}`, `{"command":"/IDP\tlock staging a\u0000b"}`, `{"command":"lock ` + "`" + `\nunlock` + "`" + `"}`,
		`{"command":"a|b\n---|---"}`, `{"command":"x\r\ry\u000bz"}`, `{"command":""}`, `{"command":null}`, `[]`, `{"command":"<!--"}`, `{"command":"a","command":"b"}`, "{\"command\":\"\xff\"}",
	} {
		f.Add([]byte(body), "key")
	}
	f.Fuzz(func(t *testing.T, body []byte, key string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, commands, strings.NewReader(string(body)))
		r.Header["Idempotency-Key"] = []string{key}
		text, taken, err := read(httptest.NewRecorder(), r)
		if err != nil {
			var out Refusal
			w := httptest.NewRecorder()
			refuse(w, http.StatusBadRequest, err)
			if text != "" || json.Unmarshal(w.Body.Bytes(), &out) != nil || out.Message == "" {
				t.Fatalf("%q is refused with %q", body, w.Body)
			}
			return
		}
		found, lines := bot.Parse(text), strings.Split(text, "\n")
		if len(found) != len(lines) || taken != key || key != "" && !keyPattern.MatchString(key) || len(body) > maxBody {
			t.Fatalf("%q is taken for %d commands in %d lines, with key %q", body, len(found), len(lines), taken)
		}
		for i, line := range lines {
			if words := strings.Fields(line); !strings.EqualFold(words[0], "/idp") || len(words) > 1 && !strings.EqualFold(words[1], found[i].Name) {
				t.Fatalf("%q is taken for %q, from %q", line, found[i], body)
			}
		}
	})
}

// FuzzPath: whatever path is asked for, the repository that GitHub is asked about has one
// owner's and one repository's name.
func FuzzPath(f *testing.F) {
	for _, path := range []string{
		commands, images, Root + "/repos/x/..%2F..%2Fapp%2Finstallations%2F1%3F/pulls/1/commands", Root + "/repos/acme/%2e%2e/images", Root + "/repos/a%00/web/images",
		Root + "/repos/acme/web/pulls/1/commands?x=/../..", "//repos/acme/web/images", Root + "/repos/./.github/images", Root + "/repos/acme/%252e%252e/images",
	} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		at, err := url.ParseRequestURI(path)
		if err != nil || at.Host != "" {
			return
		}
		asked := &noting{}
		handler, err := New(Options{Store: asked, GitHub: asked, Sources: &sources{}, ClientID: "Iv1.0", PublicURL: "https://idp.example.com"})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(`{"command":"status"}`))
		r.URL = at
		r.Header.Set("Authorization", "Bearer "+tokenOf("alice"))
		handler.ServeHTTP(httptest.NewRecorder(), r)
		for _, name := range asked.names {
			if escaped := url.PathEscape(name); escaped != name || name == "" || strings.Trim(name, ".") == "" {
				t.Fatalf("%q asks GitHub about %q", path, asked.names)
			}
		}
	})
}

// noting notes what GitHub is asked about; there is nothing.
type noting struct {
	*store.Store
	names []string
}

func (a *noting) Person(context.Context, secret.String) (bot.Actor, error) {
	return bot.Actor{ID: 1, Login: "alice"}, nil
}

func (a *noting) Repository(_ context.Context, owner, name string, _ secret.String) (bot.RepositoryRef, int64, error) {
	a.names = append(a.names, owner, name)
	return bot.RepositoryRef{}, 0, bot.ErrNotFound
}

func (a *noting) Workflow(context.Context, secret.String) (Workflow, error) {
	return workflows["push"], nil
}

func (a *noting) Built(_ context.Context, owner, name, _ string) (bot.RepositoryRef, int64, bot.Commit, error) {
	a.names = append(a.names, owner, name)
	return bot.RepositoryRef{}, 0, bot.Commit{}, bot.ErrNotFound
}
