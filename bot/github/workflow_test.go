package github

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v4"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops/secret"
)

const audience = "https://idp.example.com"

// A workflow is what GitHub's signature says, to the idp that the token is meant for.
func TestWorkflow(t *testing.T) {
	t.Parallel()
	w := setup(t)
	verify := NewWorkflows(w.server.URL(), audience, w.clock.Now)
	w.web.Commit("topic", map[string]string{"a": "a"})
	pr, err := w.web.OpenPullRequest(githubtest.PullRequestOptions{Author: "ann", Title: "t", Head: "topic"})
	if err != nil {
		t.Fatal(err)
	}
	token := func(ref, audience string, pr *githubtest.PullRequest) string {
		t.Helper()
		text, err := w.web.WorkflowToken(ref, "ann", audience, pr)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	of := func(text string) (Workflow, error) { return verify.Workflow(t.Context(), secret.New(text)) }

	pushed, err := of(token("topic", audience, nil))
	if err != nil || pushed.RepositoryID != w.web.ID() || pushed.SHA != pr.HeadSHA() || pushed.OfPull() || pushed.Actor.Login != "ann" || pushed.Actor.ID <= 0 || !strings.HasPrefix(pushed.Run, "acme/web/.github/workflows/ci.yml@refs/heads/topic, run ") {
		t.Errorf("of a push: %+v, %v", pushed, err)
	}
	pulled, err := of(token("", audience, pr))
	if err != nil || !pulled.OfPull() || pulled.SHA == pr.HeadSHA() {
		t.Errorf("of a pull request: %+v, %v", pulled, err)
	}
	commit, err := w.client.Commit(t.Context(), w.ref(), pulled.SHA)
	if err != nil || len(commit.Parents) != 2 || commit.Parents[1] != pr.HeadSHA() {
		t.Errorf("the commit that would merge it: %+v, %v", commit, err)
	}
	good := token("topic", audience, nil)
	parts := strings.Split(good, ".")
	forged, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": w.server.HTMLURL() + "/_services/token", "aud": audience, "exp": w.clock.Now().Add(time.Hour).Unix()}).SignedString([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"for another idp":           token("topic", "https://other.example.com", nil),
		"for nobody":                token("topic", "", nil),
		"of nothing":                "x",
		"with another's signature":  parts[0] + "." + strings.Split(token("main", audience, nil), ".")[1] + "." + parts[2],
		"without a signature":       parts[0] + "." + parts[1] + ".",
		"signed otherwise":          forged,
		"an installation's":         "ghs_" + strings.Repeat("x", 36),
		"much too long and nothing": strings.Repeat("x.", 10000),
	} {
		if run, err := of(text); !errors.Is(err, bot.ErrNotFound) || run != (Workflow{}) {
			t.Errorf("%s: %+v, %v", name, run, err)
		}
	}
	w.clock.advance(6 * time.Minute)
	if run, err := of(good); !errors.Is(err, bot.ErrNotFound) {
		t.Errorf("that is over: %+v, %v", run, err)
	}
}

// Where GitHub cannot be asked for its keys nothing is said of a token, and whoever makes
// tokens up has it asked only so often.
func TestWorkflowKeys(t *testing.T) {
	t.Parallel()
	asked, answer := 0, http.StatusServiceUnavailable
	var keys *httptest.Server
	keys = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/openid-configuration") {
			_, _ = w.Write([]byte(`{"issuer":"` + keys.URL + `/_services/token","jwks_uri":"` + keys.URL + `/keys"}`))
			return
		}
		w.WriteHeader(answer)
	}))
	defer keys.Close()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	verify := NewWorkflows(keys.URL+"/api/v3/", audience, func() time.Time { return now })
	pair, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{"iss": keys.URL + "/_services/token", "aud": audience, "exp": now.Add(time.Hour).Unix()}).SignedString(pair.private)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if run, err := verify.Workflow(t.Context(), secret.New(token)); err == nil || errors.Is(err, bot.ErrNotFound) {
			t.Fatalf("%+v, %v", run, err)
		}
	}
	if asked != keysAtOnce {
		t.Errorf("GitHub was asked %d times for its keys, want %d", asked, keysAtOnce)
	}
}
