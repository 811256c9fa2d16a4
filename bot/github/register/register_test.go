package register

import (
	"encoding/json"
	"flag"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/gitops/secret"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// pageOf returns what a browser gets of the first page.
func pageOf(t *testing.T, o Options) *httptest.ResponseRecorder {
	t.Helper()
	o.Address = "127.0.0.1:8081"
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	got := httptest.NewRecorder()
	f.ServeHTTP(got, httptest.NewRequest(http.MethodGet, f.URL(), nil))
	return got
}

// The page holds what is asked for, escaped, runs nothing and fetches nothing.
func TestPage(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"bot.html":    {Manifest: Bot(`<b>"idp" & co</b>`, "https://idp.acme.dev/webhooks/github"), Organisation: "acme", Permissions: github.Permissions()},
		"writer.html": {Manifest: Writer("idp-writer"), Permissions: github.WriterPermissions()},
	} {
		o.Site = Site{Pages: "https://github.com", API: "https://api.github.com/"}
		page := pageOf(t, o)
		got := regexp.MustCompile(`state=[A-Za-z0-9_-]{43}`).ReplaceAllString(page.Body.String(), "state=STATE")
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
			t.Errorf("%s (-want +got; -update accepts it):\n%s", file, diff)
		}
		if strings.Contains(got, "<script") || strings.Contains(got, "<b>") || strings.Contains(got, "src=") {
			t.Errorf("%s is not harmless:\n%s", name, got)
		}
		policy := page.Header().Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || !strings.Contains(policy, "form-action https://github.com;") {
			t.Errorf("%s: %s", name, policy)
		}
		if page.Header().Get("Cache-Control") != "no-store" || page.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", name, page.Header())
		}
	}
}

// Each run has a page and a state of its own, and the page is only read.
func TestFlowIsItsOwn(t *testing.T) {
	t.Parallel()
	one, err := New(Options{Address: "127.0.0.1:8081"})
	if err != nil {
		t.Fatal(err)
	}
	other, err := New(Options{Address: "127.0.0.1:8081"})
	if err != nil {
		t.Fatal(err)
	}
	if one.page == other.page || one.state == other.state || one.page == "/"+one.state {
		t.Error("the page or the state can be guessed")
	}
	got := httptest.NewRecorder()
	one.ServeHTTP(got, httptest.NewRequest(http.MethodPost, one.URL(), nil))
	if got.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", got.Code)
	}
}

func TestSites(t *testing.T) {
	t.Parallel()
	for pages, want := range map[string]Site{
		"https://github.com":       {"https://github.com", "https://api.github.com/"},
		"https://GitHub.com/":      {"https://github.com", "https://api.github.com/"},
		"https://acme.ghe.com":     {"https://acme.ghe.com", "https://api.acme.ghe.com/"},
		"https://git.acme.dev:444": {"https://git.acme.dev:444", "https://git.acme.dev:444/api/v3/"},
	} {
		if got, err := NewSite(pages); err != nil || got != want {
			t.Errorf("%s: %+v, %v", pages, got, err)
		}
	}
	for _, bad := range []string{"", "github.com", "ftp://github.com", "https://u:p@github.com", "https://github.com/acme", "https://github.com?x"} {
		if got, err := NewSite(bad); err == nil {
			t.Errorf("%s: %+v", bad, got)
		}
	}
}

// A manifest holds what the one list has, and an App that only writes no webhook.
func TestManifests(t *testing.T) {
	t.Parallel()
	bot := Bot("idp", "https://idp.acme.dev/webhooks/github")
	want := map[string]string{}
	for _, p := range github.Permissions() {
		want[p.Name] = p.Access
	}
	if !maps.Equal(bot.Permissions, want) || len(bot.Events) != len(github.Subscriptions()) || bot.Public || !bot.Hook.Active {
		t.Errorf("%+v", bot)
	}
	text, err := json.Marshal(Writer("w"))
	if err != nil || strings.Contains(string(text), "hook_attributes") || !strings.Contains(string(text), `"default_events":[]`) {
		t.Errorf("%s, %v", text, err)
	}
}

// All files are written or none, and what is there stays.
func TestKeep(t *testing.T) {
	t.Parallel()
	dir := secrettest.Dir(t)
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	one, two := secret.New(secrettest.New("one")), secret.New(secrettest.New("two"))
	files := []File{{secrettest.Given(first), one}, {secrettest.Given(second), two}}
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), second); err != nil {
		t.Fatal(err)
	}
	if err := Free(first, second); err == nil || !strings.Contains(err.Error(), second+" is there already") {
		t.Errorf("free: %v", err)
	}
	if err := Keep(files...); err == nil {
		t.Error("a link was taken for nothing")
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 1 {
		t.Errorf("left is %v (%v)", left, err)
	}
	if err := os.Remove(second); err != nil {
		t.Fatal(err)
	}
	if err := Free(first, second); err != nil {
		t.Error(err)
	}
	if err := Keep(files...); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("written is %v (%v)", entries, err)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s has mode %v (%v)", entry.Name(), info.Mode(), err)
		}
	}
	if content, err := os.ReadFile(second); err != nil || string(content) != two.Reveal() {
		t.Errorf("second holds %q (%v)", content, err)
	}
}
