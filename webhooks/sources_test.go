package webhooks

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/idp-bot/idp/gitops/figure"
)

func TestSources(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("203.0.113.7/32")}
	s, err := NewSources(proxies, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		remote    string
		forwarded []string
		want      string // "" where nobody can be told apart
	}{
		"direct":                     {"198.51.100.4:99", nil, "198.51.100.4"},
		"direct, and lies":           {"198.51.100.4:99", []string{"192.0.2.1"}, "198.51.100.4"},
		"IPv4 in IPv6":               {"[::ffff:198.51.100.4]:99", nil, "198.51.100.4"},
		"a /64":                      {"[2001:db8:1:2:3:4:5:6]:99", nil, "2001:db8:1:2::"},
		"a proxy":                    {"10.1.2.3:99", []string{"198.51.100.4"}, "198.51.100.4"},
		"a proxy, whom it was told":  {"10.1.2.3:99", []string{"192.0.2.1, 198.51.100.4"}, "198.51.100.4"},
		"two proxies":                {"10.1.2.3:99", []string{"192.0.2.1, 198.51.100.4, 203.0.113.7"}, "198.51.100.4"},
		"two headers":                {"10.1.2.3:99", []string{"192.0.2.1", "198.51.100.4"}, "198.51.100.4"},
		"a proxy that says nothing":  {"10.1.2.3:99", nil, ""},
		"a proxy that says nonsense": {"10.1.2.3:99", []string{"unknown"}, ""},
		"proxies alone":              {"10.1.2.3:99", []string{"10.9.9.9"}, ""},
		"a proxy that nobody named":  {"192.168.1.1:99", []string{"198.51.100.4"}, ""},
		"the same host":              {"127.0.0.1:99", nil, ""},
		"the same link":              {"[fe80::1%eth0]:99", nil, ""},
		"no address":                 {"@", nil, ""},
		"a name":                     {"localhost:99", nil, ""},
	} {
		r := delivery("ping", someGUID, opened)
		r.RemoteAddr, r.Header["X-Forwarded-For"] = test.remote, test.forwarded
		got := s.Of(r)
		if got.IsValid() != (test.want != "") || got.IsValid() && got.String() != test.want {
			t.Errorf("%s: %v, want %q", name, got, test.want)
		}
	}
}

// unreadable fails the test that reads it.
type unreadable struct{ testing.TB }

func (u unreadable) Read([]byte) (int, error) {
	u.Error("the body is read")
	return 0, errors.New("read")
}

// flood sends count requests from an address, signed with a key, and counts the answers.
func flood(t *testing.T, h http.Handler, address, key string, installation int64, count int) map[int]int {
	t.Helper()
	codes := map[int]int{}
	for range count {
		body := fmt.Appendf(nil, `{"action":"opened","number":42,"installation":{"id":%d},"repository":{"id":9}}`, installation)
		r := delivery("pull_request", uuid.NewString(), body)
		r.RemoteAddr = address + ":4444"
		r.Header.Set("X-Hub-Signature-256", sign(key, body))
		codes[send(t, h, r).Code]++
	}
	return codes
}

// TestForgedFlood has one address forge without end: it is refused before its bodies
// are read, and what GitHub sends at the same time is all taken.
func TestForgedFlood(t *testing.T) {
	t.Parallel()
	const attacker, hooks, burst = "198.51.100.4", "192.30.252.40", 30_000
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	h, rows := setup(t, Options{Now: func() time.Time { return at }})
	if codes := flood(t, h, attacker, "no secret of ours, of 32 bytes ..", 1, 10_000); codes[401] != forgedBurst || codes[429] != 10_000-forgedBurst {
		t.Fatalf("forged: %v", codes)
	}
	r := delivery("pull_request", someGUID, opened)
	r.RemoteAddr, r.Body = attacker+":1", io.NopCloser(unreadable{t})
	if w := send(t, h, r); w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if codes := flood(t, h, hooks, newSecret, 1, burst); codes[202] != burst || len(rows.rows) != burst {
		t.Errorf("signed: %v, %d stored", codes, len(rows.rows))
	}
	figure.Tell(t, "10000 forged requests of one address: %d read, the others refused unread; 30000 signed ones of one installation meanwhile: all stored", forgedBurst)
}

// TestForgedThenSigned: with a wrong secret in the App's settings GitHub's own addresses are
// slowed down, and once it is mended for a second at most.
func TestForgedThenSigned(t *testing.T) {
	t.Parallel()
	const hooks, wrong = "192.30.252.40", "a secret that was mistyped somewhere"
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	h, _ := setup(t, Options{Now: func() time.Time { return at }})
	flood(t, h, hooks, wrong, 1, 500)
	if codes := flood(t, h, hooks, newSecret, 1, 1); codes[429] != 1 {
		t.Errorf("at once: %v", codes)
	}
	at = at.Add(time.Second)
	if codes := flood(t, h, hooks, newSecret, 1, 1000); codes[202] != 1000 {
		t.Errorf("a second later: %v", codes)
	}
	if codes := flood(t, h, hooks, wrong, 1, 1000); codes[401] != 1000 {
		t.Errorf("of an address that is known: %v", codes)
	}
	at = at.Add(signedFor)
	if codes := flood(t, h, hooks, wrong, 1, 1000); codes[401] != forgedBurst || codes[429] == 0 {
		t.Errorf("a day later: %v", codes)
	}
	if codes := flood(t, h, "10.0.0.1", wrong, 1, 1000); codes[401] != 1000 {
		t.Errorf("through a proxy: %v", codes)
	}
}

// TestInstallationFlood: one installation has its limit, far beyond a burst of GitHub's,
// and others have theirs.
func TestInstallationFlood(t *testing.T) {
	t.Parallel()
	const hooks, over = "192.30.252.40", 1000
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	h, rows := setup(t, Options{Now: func() time.Time { return at }})
	if codes := flood(t, h, hooks, newSecret, 1, installationBurst+over); codes[202] != installationBurst || codes[429] != over {
		t.Errorf("%v", codes)
	}
	if codes := flood(t, h, hooks, newSecret, 2, over); codes[202] != over {
		t.Errorf("of another: %v", codes)
	}
	at = at.Add(time.Second)
	if codes := flood(t, h, hooks, newSecret, 1, over); codes[202] != installationRate {
		t.Errorf("a second later: %v", codes)
	}
	if want := installationBurst + over + installationRate; len(rows.rows) != want {
		t.Errorf("%d stored, want %d", len(rows.rows), want)
	}
}
