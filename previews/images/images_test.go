package images

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// serve starts a registry on loopback, behind wrap, and returns its host.
func serve(t *testing.T, wrap func(http.Handler) http.Handler) string {
	t.Helper()
	var h http.Handler = registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	if wrap != nil {
		h = wrap(h)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// named is the platform team's word for registries.
func named(registries ...string) func(context.Context) []string {
	return func(context.Context) []string { return registries }
}

func parse(t *testing.T, ref string) name.Reference {
	t.Helper()
	parsed, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// push puts a random image at ref and returns its digest.
func push(t *testing.T, ref string, opts ...remote.Option) string {
	t.Helper()
	image, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(parse(t, ref), image, opts...); err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

func wantError(t *testing.T, r *Resolver, ref string, want error) error {
	t.Helper()
	digest, err := r.Resolve(t.Context(), ref)
	if !errors.Is(err, want) || digest != "" {
		t.Errorf("%s: got %q, %v; want %v", ref, digest, err, want)
	}
	return err
}

func wantDigest(t *testing.T, r *Resolver, ref, want string) {
	t.Helper()
	if got, err := r.Resolve(t.Context(), ref); err != nil || got != want {
		t.Errorf("%s: got %q, %v; want %s", ref, got, err, want)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	host := serve(t, nil)
	r := New(Options{Named: named(host)})
	wantError(t, r, host+"/acme/web:a1b2c3d", ErrNotFound) // no such repository yet
	first := push(t, host+"/acme/web:a1b2c3d")
	wantDigest(t, r, host+"/acme/web:a1b2c3d", first) // the image that came late
	wantError(t, r, host+"/acme/web:other", ErrNotFound)
	second := push(t, host+"/acme/web:a1b2c3d")
	wantDigest(t, r, host+"/acme/web:a1b2c3d", second) // tags move
	wantDigest(t, r, host+"/acme/web@"+first, first)
	wantDigest(t, r, host+"/acme/web:ignored@"+first, first)
	wantError(t, r, host+"/acme/web@sha256:"+strings.Repeat("0", 64), ErrNotFound)

	index, err := random.Index(64, 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(parse(t, host+"/acme/web:multi"), index); err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	wantDigest(t, r, host+"/acme/web:multi", digest.String()) // the index's, not one of its images'
	if len(r.gates.open) != 0 {
		t.Errorf("%d registries are remembered", len(r.gates.open))
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	password := secrettest.New("s3cret")
	host := serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if user, pass, _ := req.BasicAuth(); user != "puller" || pass != password {
				w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
				http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}`, http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, req)
		})
	})
	ref := host + "/acme/web:v1"
	digest := push(t, ref, remote.WithAuth(&authn.Basic{Username: "puller", Password: password}))

	file := secrettest.Given(filepath.Join(secrettest.Dir(t), "config.json"))
	r := New(Options{DockerConfigFile: file, Named: named(host)})
	wantError(t, r, ref, ErrUnauthorized) // no file yet
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	login := func(key, password string) string {
		auth := base64.StdEncoding.EncodeToString([]byte("puller:" + password))
		return fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, key, auth)
	}
	for _, content := range []string{`{}`, `{"auths":`, login(host, password+"x"), login("elsewhere.example", password)} {
		write(content)
		if err := wantError(t, r, ref, ErrUnauthorized); strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the error holds the password: %v", err)
		}
	}
	for _, key := range []string{host, host + "/acme/web"} { // read again each time
		write(login(key, password))
		wantDigest(t, r, ref, digest)
	}
	write(`{}`)
	if err := wantError(t, r, ref, ErrUnauthorized); !strings.Contains(err.Error(), host) || !strings.Contains(err.Error(), "images.docker_config_file") {
		t.Errorf("the error does not say what to do: %v", err)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	var digest string
	backend := serve(t, nil)
	digest = push(t, backend+"/acme/web:v1")
	const missing = `{"errors":[{"code":"%s","message":"x"}]}`
	for name, c := range map[string]struct {
		manifest http.HandlerFunc
		want     error
	}{
		"redirect": {func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, "http://"+backend+req.URL.Path, http.StatusTemporaryRedirect)
		}, nil},
		"HEAD not allowed": {func(w http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodHead {
				w.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			http.Redirect(w, req, "http://"+backend+req.URL.Path, http.StatusTemporaryRedirect)
		}, nil},
		"no digest on HEAD": {func(w http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodHead {
				w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
				return
			}
			http.Redirect(w, req, "http://"+backend+req.URL.Path, http.StatusTemporaryRedirect)
		}, nil},
		"500":                  {status(http.StatusInternalServerError, "oops"), ErrUnavailable},
		"429":                  {status(http.StatusTooManyRequests, fmt.Sprintf(missing, "TOOMANYREQUESTS")), ErrUnavailable},
		"403":                  {status(http.StatusForbidden, fmt.Sprintf(missing, "DENIED")), ErrUnauthorized},
		"404 of a proxy":       {status(http.StatusNotFound, "<html>"), ErrNotFound},
		"400 NAME_UNKNOWN":     {status(http.StatusBadRequest, fmt.Sprintf(missing, "NAME_UNKNOWN")), ErrNotFound},
		"400 MANIFEST_UNKNOWN": {status(http.StatusBadRequest, fmt.Sprintf(missing, "MANIFEST_UNKNOWN")), ErrNotFound},
		"hangs up":             {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, ErrUnavailable},
		"redirect without TLS": {func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, "http://registry.example/x", http.StatusFound)
		}, ErrUnavailable},
		"redirect to metadata": {func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, "https://169.254.169.254/latest", http.StatusFound)
		}, ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := serve(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					if strings.Contains(req.URL.Path, "/manifests/") {
						c.manifest(w, req)
						return
					}
					next.ServeHTTP(w, req)
				})
			})
			if r := New(Options{Named: named(host)}); c.want == nil {
				wantDigest(t, r, host+"/acme/web:v1", digest)
			} else {
				wantError(t, r, host+"/acme/web:v1", c.want)
			}
		})
	}
}

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func TestUnreachableAndInvalid(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	host := strings.TrimPrefix(closed.URL, "http://")
	r := New(Options{Named: named(host)})
	wantError(t, r, host+"/acme/web:v1", ErrUnavailable)
	wantError(t, r, "169.254.169.254/latest/meta-data:v1", ErrInvalid)
	for _, ref := range []string{"", "UPPER/case", "a b", "x:y:z", "http://ghcr.io/a", "ghcr.io/a@sha256:12", "ghcr.io/a/b:" + strings.Repeat("v", 2000)} {
		wantError(t, r, ref, ErrInvalid)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Resolve(ctx, "127.0.0.1:1/acme/web:v1"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	p := newPlainHTTP([]string{"Registry.internal:5000", "10.0.0.9"})
	for host, want := range map[string]bool{
		"localhost": true, "localhost:5000": true, "127.0.0.1:5000": true, "127.9.9.9": true, "[::1]:5000": true,
		"registry.internal:5000": true, "registry.internal": false, "registry.internal:5001": false, "10.0.0.9:80": true,
		"10.0.0.8": false, "192.168.1.1:5000": false, "ghcr.io": false, "127.0.0.1.example": false, "localhost.example": false, "x.local": false,
	} {
		if got := p.allows(host); got != want {
			t.Errorf("%s: %v", host, got)
		}
	}
	asked := roundTripper(func(req *http.Request) (*http.Response, error) {
		if req.URL.Scheme == "http" {
			t.Errorf("%s was asked without TLS", req.URL)
		}
		return nil, errors.New("no answer")
	})
	// go-containerregistry alone would fall back to HTTP for private addresses.
	wantError(t, New(Options{Transport: asked, Named: named("10.0.0.8:5000")}), "10.0.0.8:5000/acme/web:v1", ErrUnavailable)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// TestForbiddenAddresses has what no registry may be at, whoever names it.
func TestForbiddenAddresses(t *testing.T) {
	t.Parallel()
	addresses := map[string]bool{
		"169.254.169.254:80": true, "[::ffff:169.254.169.254]:80": true, "[fe80::1%eth0]:443": true, "[fd00:ec2::254]:80": true,
		"0.0.0.0:80": true, "[::]:80": true, "224.0.0.1:80": true, "127.0.0.1:5000": false, "10.0.0.1:443": false, "[2001:db8::1]:443": false,
	}
	refused := 0
	for address, forbidden := range addresses {
		err := refuseLinkLocal("tcp", address, nil)
		if (err != nil) != forbidden {
			t.Errorf("%s: %v", address, err)
		}
		if err != nil {
			refused++
		}
	}
	figure.Tell(t, "%d addresses of registries: the %d that are link-local, unspecified or multicast not dialled", len(addresses), refused)
}

func TestConcurrencyPerRegistry(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	busy, most := 0, 0
	full, release := make(chan struct{}), make(chan struct{})
	host := serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodHead {
				mu.Lock()
				busy++
				if most = max(most, busy); busy == 2 {
					select {
					case <-full:
					default:
						close(full)
					}
				}
				mu.Unlock()
				<-release
				mu.Lock()
				busy--
				mu.Unlock()
			}
			next.ServeHTTP(w, req)
		})
	})
	other := serve(t, nil)
	r := New(Options{PerRegistry: 2, Named: named(host, other)})
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() { wantError(t, r, host+"/acme/web:v1", ErrNotFound) })
	}
	<-full
	wantError(t, r, other+"/acme/web:v1", ErrNotFound) // one registry does not hold up another
	impatient := *r
	impatient.timeout = 20 * time.Millisecond
	wantError(t, &impatient, host+"/acme/web:v1", ErrUnavailable)
	close(release)
	all.Wait()
	if most != 2 {
		t.Errorf("%d requests at a time", most)
	}
}

func TestNextCheck(t *testing.T) {
	t.Parallel()
	want := []time.Duration{2, 2, 4, 8, 16, 32, 60, 60}
	for attempt, seconds := range want {
		if got := NextCheck(attempt); got != seconds*time.Second {
			t.Errorf("attempt %d: %v", attempt, got)
		}
	}
	if got := NextCheck(1 << 40); got != time.Minute {
		t.Error(got)
	}
	if got := NextCheck(-1); got != 2*time.Second {
		t.Error(got)
	}
}

func TestPinned(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("a", 64)
	for ref, want := range map[string]string{
		"ghcr.io/acme/web:v1":           "ghcr.io/acme/web@" + digest,
		"ghcr.io/acme/web:v1@" + digest: "ghcr.io/acme/web@" + digest,
		"nginx":                         "index.docker.io/library/nginx@" + digest,
	} {
		if got, err := Pinned(ref, digest); err != nil || got != want {
			t.Errorf("%s: %s, %v", ref, got, err)
		}
	}
	for _, bad := range [][2]string{{"ghcr.io/acme/web:v1", "sha256:12"}, {"not a ref", digest}} {
		if _, err := Pinned(bad[0], bad[1]); !errors.Is(err, ErrInvalid) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func FuzzPinned(f *testing.F) {
	f.Add("ghcr.io/acme/web:v1")
	f.Add("a@sha256:b\n")
	f.Add(`000"00.0000000/000000`)
	f.Fuzz(func(t *testing.T, ref string) {
		pinned, err := Pinned(ref, "sha256:"+strings.Repeat("a", 64))
		if err == nil && strings.ContainsAny(pinned, " \t\r\n\"'\\") {
			t.Fatalf("%q gives %q", ref, pinned)
		}
	})
}
