// Package images asks registries whether an image exists and what its digest is.
//
// A Resolver guarantees that a digest it returns was stated by the image's own
// registry during the call: tags move, so nothing is cached. It reads at most the
// manifest, of an image that is no index the configuration where its platform is asked for, never a layer, with a time limit for the whole call and a limit on
// how many calls one registry gets at a time. References come from pull
// requests, so it never speaks plain HTTP but to loopback and to listed
// registries, never connects to a link-local address (where clouds keep their
// metadata), connects to public addresses alone for a registry that neither
// Options.Named nor the credentials name, and hands credentials to no other
// registry than their own. Addresses are looked at when they are dialled, after
// names were resolved, redirects' and token services' too.
//
// A Resolver is safe for concurrent use. It never waits for an image: when to ask
// again is NextCheck's to say and the caller's to do.
package images

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// What Resolve fails with; test with errors.Is.
var (
	// ErrNotFound is for an image that its registry does not have (yet).
	ErrNotFound = errors.New("image not found")
	// ErrUnauthorized is for a registry that does not let idp see the image. Some
	// registries, Docker Hub and ghcr.io among them, say so too of an image that
	// does not exist.
	ErrUnauthorized = errors.New("the registry does not let idp see the image")
	// ErrUnavailable is for a registry that cannot be reached or has a fault.
	ErrUnavailable = errors.New("the registry cannot be reached")
	// ErrInside is for a registry that only a repository names and that is not at a
	// public address, or redirects to one that is not.
	ErrInside = errors.New("the registry is not at a public address")
	// ErrInvalid is for what is no image reference, or is not allowed as one.
	ErrInvalid = errors.New("not an image reference that can be used")
)

const (
	defaultTimeout     = 10 * time.Second
	defaultPerRegistry = 4
	maxReference       = 1024 // bytes
)

// Options are a Resolver's; the zero value asks every registry anonymously.
type Options struct {
	// DockerConfigFile is a file in the format of ~/.docker/config.json with the
	// pull credentials of each registry, read again for each image; "" for none.
	DockerConfigFile string
	// PlainHTTP lists registries (host or host:port) that may be asked without
	// TLS. Loopback registries always may.
	PlainHTTP []string
	// Named, when set, returns the registries (host or host:port) that the platform
	// team names, which may be at any address; it is asked for each image. Those that
	// DockerConfigFile has credentials for may be as well.
	Named func(ctx context.Context) []string
	// PerRegistry is how many images one registry is asked for at a time; 0 means 4.
	PerRegistry int
	// Timeout bounds one Resolve, waiting for its turn included; 0 means 10 s.
	Timeout time.Duration
	// Transport is what requests go through; nil means one of the Resolver's own,
	// which honours the proxy variables of the environment.
	Transport http.RoundTripper
	// resolver is the system's where nil.
	resolver *net.Resolver
}

// Resolver finds the digests of images.
type Resolver struct {
	keychain  keychain
	plainHTTP plainHTTP
	// public reaches public addresses alone, anywhere those inside as well.
	public, anywhere http.RoundTripper
	named            func(context.Context) []string
	gates            *gates
	timeout          time.Duration
}

// New returns a Resolver.
func New(o Options) *Resolver {
	if o.PerRegistry <= 0 {
		o.PerRegistry = defaultPerRegistry
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	plain := newPlainHTTP(o.PlainHTTP)
	return &Resolver{
		keychain:  keychain{file: o.DockerConfigFile},
		plainHTTP: plain,
		public:    newTransport(o.Transport, plain, refuseInside, o.resolver),
		anywhere:  newTransport(o.Transport, plain, refuseLinkLocal, o.resolver),
		named:     o.Named,
		gates:     newGates(o.PerRegistry),
		timeout:   o.Timeout,
	}
}

// Resolve returns the digest ("sha256:" and 64 hexadecimal digits) of what ref
// names now: an image, or the index of a multi-arch one. A ref that has a digest
// is verified to exist. A ref without a registry is Docker Hub's, one without a
// tag ":latest". Errors are ErrNotFound, ErrUnauthorized, ErrUnavailable,
// ErrInvalid, or the context's.
func (r *Resolver) Resolve(ctx context.Context, ref string) (digest string, err error) {
	err = r.inTurn(ctx, ref, func(ctx context.Context, parsed name.Reference) error {
		found, err := r.ask(ctx, parsed)
		digest = found.String()
		return err
	})
	if err != nil {
		return "", err
	}
	return digest, nil
}

// inTurn asks the registry of ref when it is its turn, and explains what it fails with.
func (r *Resolver) inTurn(ctx context.Context, ref string, ask func(context.Context, name.Reference) error) error {
	parsed, err := r.parse(ref)
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	registry := parsed.Context().RegistryStr()
	leave, err := r.gates.enter(bounded, registry)
	if err == nil {
		defer leave()
		err = ask(bounded, parsed)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("resolve image %s: %w", ref, ctx.Err())
	}
	return fmt.Errorf("resolve image %s: %w", ref, explain(registry, err))
}

// Pinned returns ref's repository at digest, "registry/repository@sha256:…": the
// form to commit.
func Pinned(ref, digest string) (string, error) {
	parsed, err := parseReference(ref)
	if err == nil {
		var pinned name.Digest
		if pinned, err = name.NewDigest(parsed.Context().Name() + "@" + digest); err == nil {
			return pinned.Name(), nil
		}
	}
	return "", fmt.Errorf("pin image %.200q: %w: %s", ref, ErrInvalid, err.Error())
}

func (r *Resolver) parse(ref string) (name.Reference, error) {
	if len(ref) > maxReference {
		return nil, fmt.Errorf("resolve image %.80q…: %w: longer than %d bytes", ref, ErrInvalid, maxReference)
	}
	parsed, err := parseReference(ref)
	if err == nil && r.plainHTTP.allows(parsed.Context().RegistryStr()) {
		parsed, err = parseReference(ref, name.Insecure)
	}
	if err != nil {
		return nil, fmt.Errorf("resolve image %q: %w: %s", ref, ErrInvalid, err.Error())
	}
	return parsed, nil
}

// validRegistry is a host name or address and perhaps a port. The library takes
// whatever a URL may have there, quotes included.
var validRegistry = regexp.MustCompile(`^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)

func parseReference(ref string, opts ...name.Option) (name.Reference, error) {
	parsed, err := name.ParseReference(ref, append(opts, name.WeakValidation)...)
	if err != nil {
		return nil, err
	}
	if registry := parsed.Context().RegistryStr(); !validRegistry.MatchString(registry) {
		return nil, fmt.Errorf("registry %q is not a host name", registry)
	}
	return parsed, nil
}

// ask sends HEAD, and GET where HEAD leaves the answer open: registries need not
// state the digest on HEAD, may not allow it, and give reasons on GET only.
func (r *Resolver) ask(ctx context.Context, ref name.Reference) (v1.Hash, error) {
	puller, err := r.puller(ctx, ref)
	if err != nil {
		return v1.Hash{}, err
	}
	head, err := puller.Head(ctx, ref)
	if err == nil {
		return head.Digest, nil
	}
	var answer *transport.Error
	if ctx.Err() != nil || errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return v1.Hash{}, err
	}
	got, err := puller.Get(ctx, ref)
	if err != nil {
		return v1.Hash{}, err
	}
	return got.Digest, nil
}

// puller reads from a reference's registry.
func (r *Resolver) puller(ctx context.Context, ref name.Reference) (*remote.Puller, error) {
	return remote.NewPuller(
		remote.WithTransport(r.reaching(ctx, ref.Context().RegistryStr())),
		remote.WithAuthFromKeychain(r.keychain),
		remote.WithUserAgent("idp"),
		// One attempt: the caller asks again, at its own pace.
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}),
		remote.WithRetryPredicate(func(error) bool { return false }),
	)
}

// reaching is the transport for a registry by who names it.
func (r *Resolver) reaching(ctx context.Context, registry string) http.RoundTripper {
	named := r.keychain.registries()
	if r.named != nil {
		named = append(named, r.named(ctx)...)
	}
	if slices.ContainsFunc(named, func(n string) bool { return strings.EqualFold(n, registry) }) {
		return r.anywhere
	}
	return r.public
}

// RegistryOf returns the registry, as host or host:port, that a template of references such
// as "ghcr.io/{owner}/{repo}:{sha}" names, or the beginning of references such as
// "ghcr.io/acme/"; "" where it names none.
func RegistryOf(template string) string {
	host, _, more := strings.Cut(template, "/")
	if more && !strings.ContainsAny(host, ".:") && host != "localhost" || !more && !strings.Contains(host, ".") || !validRegistry.MatchString(host) {
		return ""
	}
	return host
}

// explain turns what go-containerregistry says into one of the package's errors.
func explain(registry string, err error) error {
	var answer *transport.Error
	switch {
	case errors.Is(err, errCredentials):
		return fmt.Errorf("%w: %w", ErrUnauthorized, err)
	case errors.Is(err, errInside):
		return fmt.Errorf("%w: %s: %w", ErrInside, registry, err)
	case errors.Is(err, errForbiddenAddress):
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	case !errors.As(err, &answer):
		return fmt.Errorf("%w: %s: %w", ErrUnavailable, registry, err)
	case answer.StatusCode == http.StatusNotFound, coded(answer, transport.ManifestUnknownErrorCode, transport.NameUnknownErrorCode):
		return ErrNotFound
	case answer.StatusCode == http.StatusUnauthorized, answer.StatusCode == http.StatusForbidden,
		coded(answer, transport.UnauthorizedErrorCode, transport.DeniedErrorCode):
		return fmt.Errorf("%w: %s answered %d; configure its pull credentials in the file that images.docker_config_file names",
			ErrUnauthorized, registry, answer.StatusCode)
	}
	return fmt.Errorf("%w: %s answered %d", ErrUnavailable, registry, answer.StatusCode)
}

func coded(answer *transport.Error, codes ...transport.ErrorCode) bool {
	for _, d := range answer.Errors {
		for _, code := range codes {
			if d.Code == code {
				return true
			}
		}
	}
	return false
}

const (
	firstCheck = 2 * time.Second
	lastCheck  = time.Minute
)

// NextCheck returns how long to wait before asking for a missing image again,
// after attempt checks found nothing: 2 s at first, doubling to one minute.
func NextCheck(attempt int) time.Duration {
	wait := firstCheck
	for range min(max(attempt-1, 0), 10) {
		wait *= 2
	}
	return min(wait, lastCheck)
}
