package githubtest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v4"

	"github.com/idp-bot/idp/bot/github/githubtest"
)

func TestAppJWT(t *testing.T) {
	t.Parallel()
	w := setup(t)
	now := w.clock.Now()
	claims := func(iss any, iat, exp time.Duration) jwt.MapClaims {
		return jwt.MapClaims{"iss": iss, "iat": now.Add(iat).Unix(), "exp": now.Add(exp).Unix()}
	}
	other, _, err := githubtest.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	forged, err := jwt.NewWithClaims(jwt.SigningMethodRS256, claims(w.app.ID(), 0, time.Minute)).SignedString(other)
	if err != nil {
		t.Fatal(err)
	}
	symmetric, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims(w.app.ID(), 0, time.Minute)).SignedString([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	unsigned, err := jwt.NewWithClaims(jwt.SigningMethodNone, claims(w.app.ID(), 0, time.Minute)).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	rows := []struct {
		name, auth, message string
		status              int
	}{
		{"good", w.jwt(nil), "", 200},
		{"iss as text", w.jwt(claims(itoa(w.app.ID()), 0, time.Minute)), "", 200},
		{"ten minutes", w.jwt(claims(w.app.ID(), 0, 10*time.Minute)), "", 200},
		{"too far", w.jwt(claims(w.app.ID(), 0, 11*time.Minute)), "too far in the future", 401},
		{"expired", w.jwt(claims(w.app.ID(), -time.Hour, -time.Second)), "future time at which the assertion expires", 401},
		{"no exp", w.jwt(jwt.MapClaims{"iss": w.app.ID(), "iat": now.Unix()}), "future time at which the assertion expires", 401},
		{"issued ahead", w.jwt(claims(w.app.ID(), time.Minute, 2*time.Minute)), "'Issued at' claim", 401},
		{"another App", w.jwt(claims(w.app.ID()+1, 0, time.Minute)), "could not be decoded", 401},
		{"no iss", w.jwt(jwt.MapClaims{"iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}), "Missing 'issuer' claim", 401},
		{"another key", "Bearer " + forged, "could not be decoded", 401},
		{"HS256", "Bearer " + symmetric, "could not be decoded", 401},
		{"none", "Bearer " + unsigned, "could not be decoded", 401},
		{"garbage", "Bearer a.b.c", "", 401},
		{"a token", w.token(""), "could not be decoded", 401},
		{"nothing", "", "could not be decoded", 401},
	}
	for _, row := range rows {
		got := w.do("GET", "/app", row.auth, "", 0)
		if got.status != row.status || !strings.Contains(string(got.body), row.message) {
			t.Errorf("%s: %d %s, want %d with %q", row.name, got.status, got.body, row.status, row.message)
		}
	}
}

func TestTokenExpires(t *testing.T) {
	t.Parallel()
	w := setup(t)
	token := w.token("")
	w.clock.advance(time.Hour - time.Second)
	w.do("GET", "/repos/acme/web", token, "", 200)
	w.clock.advance(time.Second)
	w.do("GET", "/repos/acme/web", token, "", 401)
}

func TestTokenScope(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.server.AddRepository("acme/api", githubtest.RepositoryOptions{Private: true})
	w.server.AddRepository("acme/docs", githubtest.RepositoryOptions{})
	w.server.AddRepository("other/secret", githubtest.RepositoryOptions{Private: true})
	sha := w.repo.Branch("main")
	check := `{"name":"c","head_sha":"` + sha + `"}`

	narrow := w.token(`{"repositories":["web"],"permissions":{"contents":"read"}}`)
	full := w.token("")
	rows := []struct {
		method, path, auth, body string
		status                   int
	}{
		{"GET", "/repos/acme/web/contents/README.md", narrow, "", 200},
		{"GET", "/repos/acme/web", narrow, "", 200},
		{"GET", "/repos/acme/web/pulls", narrow, "", 403},
		{"POST", "/repos/acme/web/check-runs", narrow, check, 403},
		{"GET", "/repos/acme/api", narrow, "", 404},
		{"GET", "/repos/acme/api", full, "", 200},
		{"POST", "/repos/acme/web/check-runs", full, check, 201},
		{"GET", "/repos/other/secret", full, "", 404},
		{"GET", "/repos/acme/docs/contents/x", "", "", 404},
		{"GET", "/repos/acme/docs", "", "", 200},
		{"POST", "/repos/acme/docs/check-runs", "", check, 401},
		{"POST", "/repos/acme/docs/check-runs", narrow, check, 403},
	}
	for _, row := range rows {
		if got := w.do(row.method, row.path, row.auth, row.body, 0); got.status != row.status {
			t.Errorf("%s %s: %d, want %d: %s", row.method, row.path, got.status, row.status, got.body)
		}
	}
	for _, beyond := range []string{`{"repositories":["secret"]}`, `{"repository_ids":[1]}`, `{"permissions":{"administration":"write"}}`, `{"permissions":{"contents":"write"}}`} {
		w.do("POST", "/app/installations/"+itoa(w.install.ID())+"/access_tokens", w.jwt(nil), beyond, 422)
	}
}

func TestTokenDiesWithInstallation(t *testing.T) {
	t.Parallel()
	w := setup(t)
	token := w.token("")
	w.install.Suspend()
	w.do("GET", "/repos/acme/web", token, "", 403)
	w.install.Unsuspend()
	w.do("GET", "/repos/acme/web", token, "", 200)
	w.install.Select(w.repo, false)
	w.do("GET", "/repos/acme/web", token, "", 404)
	w.install.Uninstall()
	w.do("GET", "/repos/acme/web", token, "", 401)
	w.do("GET", "/repos/acme/web/installation", w.jwt(nil), "", 404)
}

func TestTokenAllows(t *testing.T) {
	t.Parallel()
	w := setup(t)
	value := strings.TrimPrefix(w.token(`{"permissions":{"contents":"read"}}`), "token ")
	for _, row := range []struct {
		repo, permission, level string
		want                    bool
	}{
		{"acme/web", "contents", "read", true},
		{"acme/web", "contents", "write", false},
		{"acme/web", "checks", "read", false},
		{"acme/none", "contents", "read", false},
	} {
		if got := w.server.TokenAllows(value, row.repo, row.permission, row.level); got != row.want {
			t.Errorf("%s %s %s: %v", row.repo, row.permission, row.level, got)
		}
	}
	w.clock.advance(time.Hour)
	if w.server.TokenAllows(value, "acme/web", "contents", "read") {
		t.Error("an expired token still reads")
	}
}
