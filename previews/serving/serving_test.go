package serving

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/idp-bot/idp/gitops/figure"
)

const host = "web-pr-1-5d56493275.preview.example.com"

// gateway answers as handler does, and counts its visitors.
func gateway(t *testing.T, handler http.HandlerFunc) (server *httptest.Server, visits *atomic.Int32) {
	t.Helper()
	visits = &atomic.Int32{}
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		visits.Add(1)
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	return server, visits
}

func address(s *httptest.Server) string { return s.Listener.Addr().String() }

func TestGet(t *testing.T) {
	t.Parallel()
	server, _ := gateway(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Host != host {
			t.Errorf("asked for %s", r.Host)
		}
		switch r.URL.RequestURI() {
		case "/health?full=1":
		case "/slow":
			w.WriteHeader(http.StatusOK)
			_, _ = w.Write(make([]byte, 8<<20)) // more than is read
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	c := New(address(server), false, nil)
	for path, want := range map[string]int{"/health?full=1": 200, "/slow": 200, "/": 503} {
		if status, err := c.Get(t.Context(), host, path); err != nil || status != want {
			t.Errorf("%s: %d, %v", path, status, err)
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.StartTLS()
	t.Cleanup(server.Close)
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate()) // for example.com and *.example.com
	trusting := New(address(server), true, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12})
	if status, err := trusting.Get(t.Context(), "web.example.com", "/"); err != nil || status != http.StatusOK {
		t.Errorf("%d, %v", status, err)
	}
	for _, one := range []struct {
		client *Client
		host   string
	}{{trusting, "web.example.org"}, {New(address(server), true, nil), "web.example.com"}} {
		if status, err := one.client.Get(t.Context(), one.host, "/"); err == nil || Describe(err) != "the gateway has no valid certificate for it" {
			t.Errorf("%s: %d, %v", one.host, status, err)
		}
	}
}

// Threat: a host, path or redirect makes idp connect to something of an attacker's
// choice, such as a cloud's metadata service or the API server.
func TestDialsNothingElse(t *testing.T) {
	t.Parallel()
	private, reached := gateway(t, func(http.ResponseWriter, *http.Request) {})
	_, port, err := net.SplitHostPort(address(private))
	if err != nil {
		t.Fatal(err)
	}
	var hostile atomic.Value
	hostile.Store("")
	server, visits := gateway(t, func(w http.ResponseWriter, _ *http.Request) {
		if to := hostile.Load().(string); to != "" {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
		}
	})
	c := New(address(server), false, nil)
	dials := 0
	transport := c.http.Transport.(*http.Transport)
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, to string) (net.Conn, error) {
		conn, err := dial(ctx, network, to)
		if dials++; err == nil && conn.RemoteAddr().String() != address(server) {
			t.Errorf("connected to %s", conn.RemoteAddr())
		}
		return conn, err
	}
	// Names that resolve to something private are asked for at the gateway alone.
	for _, name := range []string{"localhost", "metadata.google.internal", "kubernetes.default.svc", "127.0.0.1.nip.io", host} {
		if _, err := c.Get(t.Context(), name, "/"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	asked := visits.Load()
	hosts := []string{
		"", "127.0.0.1", "169.254.169.254", "[::1]", "::1", "::ffff:169.254.169.254", "[::ffff:a9fe:a9fe]", "[fd00:ec2::254]",
		"localhost:" + port, "127.0.0.1:" + port, "a@127.0.0.1", "127.0.0.1/", "127.0.0.1#", "127.0.0.1?", "a.example.com\r\nHost: b", "A.example.com",
		"0x7f000001/", "a..b", strings.Repeat("a", 300), "a b", "%31%32%37.0.0.1",
	}
	for _, name := range hosts {
		if status, err := c.Get(t.Context(), name, "/"); err == nil {
			t.Errorf("%q was asked, and answered %d", name, status)
		}
	}
	if visits.Load() != asked {
		t.Error("something was sent for what is no host")
	}
	paths := []string{
		"//127.0.0.1:" + port + "/", "/\\127.0.0.1:" + port, "/@127.0.0.1:" + port + "/", "/#@127.0.0.1", "/\r\nHost: 127.0.0.1",
		"/..//127.0.0.1:" + port, "/?u=http://127.0.0.1:" + port,
	}
	for _, path := range paths {
		_, _ = c.Get(t.Context(), host, path)
	}
	for _, path := range []string{"", "health", "http://127.0.0.1:" + port + "/", "@127.0.0.1"} {
		if _, err := c.Get(t.Context(), host, path); err == nil {
			t.Errorf("%q is taken for a path", path)
		}
	}
	redirects := []string{
		"http://127.0.0.1:" + port + "/", "//127.0.0.1:" + port + "/", "http://[::ffff:127.0.0.1]:" + port + "/", "http://localhost:" + port + "/",
		"http://2130706433:" + port + "/", "/elsewhere", "file:///etc/passwd", "gopher://127.0.0.1:" + port + "/",
	}
	for _, to := range redirects {
		hostile.Store(to)
		if status, err := c.Get(t.Context(), host, "/"); err != nil || status != http.StatusFound {
			t.Errorf("a redirect to %s: %d, %v", to, status, err)
		}
	}
	if reached.Load() != 0 || dials == 0 {
		t.Errorf("%d connections reached what they must not, of %d", reached.Load(), dials)
	}
	figure.Tell(t, "%d hosts, %d paths and %d redirects to inside addresses: %d dials, all of the gateway; %d reached what they name", len(hosts), len(paths), len(redirects), dials, reached.Load())
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	server, _ := gateway(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	_, err := New(address(server), false, nil).Get(t.Context(), host, "/")
	if got := Describe(err); err == nil || got != "the gateway gives no answer" {
		t.Errorf("%q for %v", got, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	_, err = New(address(server), false, nil).Get(ctx, host, "/")
	if got := Describe(err); got != fmt.Sprintf("no answer within %s", Timeout) {
		t.Errorf("%q for %v", got, err)
	}
}
