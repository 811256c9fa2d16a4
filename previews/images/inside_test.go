package images

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"golang.org/x/net/dns/dnsmessage"
)

// names answers with one list of addresses after the other, whatever is asked for, and with
// the last from then on.
func names(t *testing.T, answers ...[]string) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	go func() {
		buffer, turn := make([]byte, 1500), 0
		for {
			n, from, err := server.ReadFrom(buffer)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buffer[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				for _, text := range answers[min(turn, len(answers)-1)] {
					m.Answers = append(m.Answers, dnsmessage.Resource{
						Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: &dnsmessage.AResource{A: netip.MustParseAddr(text).As4()},
					})
				}
				turn++
			}
			if out, err := m.Pack(); err == nil {
				_, _ = server.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

// counted is a registry inside that counts who comes.
func counted(t *testing.T) (host, port string, came *atomic.Int64) {
	t.Helper()
	came = new(atomic.Int64)
	host = serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			came.Add(1)
			next.ServeHTTP(w, req)
		})
	})
	_, port, _ = net.SplitHostPort(host)
	return host, port, came
}

// On a repository's word nothing is asked at an address that is not public, however it is
// written.
func TestInsideAddresses(t *testing.T) {
	t.Parallel()
	host, port, came := counted(t)
	refused := []string{
		host, "localhost:" + port, "127.1.2.3:" + port, "[::1]:" + port, "[::ffff:127.0.0.1]:" + port, "10.0.0.1", "10.255.255.254:5000", "172.16.0.1:5000", "172.31.255.254",
		"192.168.1.1:443", "100.64.0.1:6443", "100.127.255.254", "198.18.0.1", "[fc00::1]:443", "[fd12:3456::1]:443", "[fec0::1]:443", "[64:ff9b::a00:1]:443", "[2002:a00:1::1]:443", "[::ffff:10.0.0.1]:443",
	}
	r := New(Options{})
	for _, registry := range refused {
		wantError(t, r, registry+"/acme/web:v1", ErrInside)
	}
	for _, registry := range []string{"169.254.169.254", "[fe80::1]:443", "0.0.0.0:" + port, "[::]:" + port, "[fd00:ec2::254]:80", "224.0.0.1:443"} {
		wantError(t, r, registry+"/acme/web:v1", ErrInvalid)
		wantError(t, New(Options{Named: named(registry)}), registry+"/acme/web:v1", ErrInvalid) // not on anybody's word
	}
	if came.Load() != 0 {
		t.Errorf("%d requests were sent", came.Load())
	}
	figure.Tell(t, "%d registries inside that only a repository names: 0 dialled", len(refused))
}

// A name is what it is dialled at: it does not help that it was a public one before.
func TestNamesThatMove(t *testing.T) {
	t.Parallel()
	_, port, came := counted(t)
	for _, answers := range [][][]string{
		{{"127.0.0.1"}},
		{{"8.8.8.8"}, {"127.0.0.1"}},
		{{"8.8.8.8"}, {"10.0.0.1", "127.0.0.1", "192.168.0.1"}},
	} {
		resolver := names(t, answers...)
		host := "registry.example"
		if len(answers) > 1 { // who would look first and dial then is told of a public address
			if found, err := resolver.LookupNetIP(t.Context(), "ip4", host); err != nil || len(found) != 1 || found[0].String() != "8.8.8.8" {
				t.Fatalf("%v, %v", found, err)
			}
		}
		registry := host + ":" + port
		wantError(t, New(Options{resolver: resolver, PlainHTTP: []string{registry}}), registry+"/acme/web:v1", ErrInside)
	}
	if came.Load() != 0 {
		t.Errorf("%d requests were sent", came.Load())
	}
}

// A registry outside leads nobody inside: neither by a redirect nor by its token service.
func TestLedInside(t *testing.T) {
	t.Parallel()
	inside, port, came := counted(t)
	for name, answer := range map[string]http.HandlerFunc{
		"a redirect": func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, "http://"+inside+req.URL.Path, http.StatusTemporaryRedirect)
		},
		"a token service": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://auth.example:%s/token",service="x"`, port))
			w.WriteHeader(http.StatusUnauthorized)
		},
	} {
		outside := serve(t, func(http.Handler) http.Handler { return answer })
		r := New(Options{PlainHTTP: []string{"auth.example"}})
		r.public = newTransport(nil, r.plainHTTP, func(network, to string, conn syscall.RawConn) error {
			if to == outside || to == netip.MustParseAddrPort(outside).Addr().String()+":0" { // stands for one that is public
				return nil
			}
			return refuseInside(network, to, conn)
		}, names(t, []string{"127.0.0.1"}))
		if err := wantError(t, r, outside+"/acme/web:v1", ErrInside); err != nil && !strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if came.Load() != 0 {
		t.Errorf("%d requests were sent", came.Load())
	}
}

// The platform team's own registry may be anywhere: that of its configuration, or one that
// it gave credentials for. The port belongs to it.
func TestNamedRegistries(t *testing.T) {
	t.Parallel()
	host, port, _ := counted(t)
	digest := push(t, host+"/acme/web:v1")
	wantDigest(t, New(Options{Named: named("ghcr.io", host)}), host+"/acme/web:v1", digest)
	byName := "Registry.example:" + port
	wantDigest(t, New(Options{Named: named(strings.ToLower(byName)), PlainHTTP: []string{byName}, resolver: names(t, []string{"127.0.0.1"})}), byName+"/acme/web:v1", digest)
	wantError(t, New(Options{Named: named("127.0.0.1", "127.0.0.1:1", "localhost:"+port)}), host+"/acme/web:v1", ErrInside)
	for _, key := range []string{host, "http://" + host + "/v2/", host + "/acme/web"} {
		file := filepath.Join(secrettest.Dir(t), "config.json")
		if err := os.WriteFile(file, fmt.Appendf(nil, `{"auths":{%q:{"auth":"YTpi"}}}`, key), 0o600); err != nil {
			t.Fatal(err)
		}
		wantDigest(t, New(Options{DockerConfigFile: file}), host+"/acme/web:v1", digest)
		wantError(t, New(Options{DockerConfigFile: file}), "localhost:"+port+"/acme/web:v1", ErrInside)
	}
}

func TestRegistryOf(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]string{
		"ghcr.io/{owner}/{repo}:{sha}": "ghcr.io", "registry:5000/{repo}": "registry:5000", "127.0.0.1:5000/x": "127.0.0.1:5000", "localhost/x": "localhost", "ghcr.io": "ghcr.io",
		"registry.corp/": "registry.corp", "{owner}/{repo}:{sha}": "", "acme/web": "", "nginx": "", "{owner}.corp/{repo}": "", "": "",
	} {
		if got := RegistryOf(template); got != want {
			t.Errorf("%s: %q", template, got)
		}
	}
}
