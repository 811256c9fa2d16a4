package repo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/idp-bot/idp/gitops/repo/internal/gitexec"
)

// Options say which branch of which repository a Repo writes.
type Options struct {
	// URL is http, https, ssh, file or scp-like (git@host:path), without a password.
	URL string
	// Branch is the branch's name without refs/heads/. It need not exist.
	Branch string
	// Dir is the state directory, this Repo's alone; made when absent. All it
	// holds can be fetched again.
	Dir string
	// Credentials returns what to log in with over http and https, asked before
	// each process that needs it; nil for none. An empty user name becomes
	// "x-access-token", which is GitHub's for an App's token.
	Credentials func(context.Context) (Credentials, error)
	// Author makes the commits; "idp <idp@localhost>" when empty.
	Author Signature
	// PushesPerMinute is the pace, with a burst of as many; 0 is no limit.
	PushesPerMinute int
	// Timeout bounds each git process; 0 means two minutes. Fetches have five
	// times as long.
	Timeout time.Duration
	// ReadOnly refuses every push, with ErrReadOnly, before it is begun.
	ReadOnly bool
	// Now is the clock of commits and of the pace; nil means time.Now.
	Now func() time.Time
	// Log may be nil.
	Log *slog.Logger
	// Registerer takes the metrics; nil keeps none. Several Repos may share one.
	Registerer prometheus.Registerer
}

// Repo writes one branch. See the package's documentation.
type Repo struct {
	opts    Options
	remote  remoteURL
	git     gitexec.Git
	askpass string
	asker   *http.Client
	// unanswered says that the remote's refs are to be asked for with git.
	unanswered atomic.Bool
	// unsendable says that commits are to be pushed with git.
	unsendable atomic.Bool
	// untakable says that commits are to be fetched with git.
	untakable atomic.Bool
	lock      *os.File
	limiter   *rate.Limiter
	metrics   *metrics

	// writing is held by whoever reads or writes the state below; a channel, so
	// that waiting for it can be given up.
	writing chan struct{}
	tip     tipState
	// contended says that others pushed when something was committed last, so that the tip is
	// read before a commit is made on it.
	contended bool
	epoch     string // what Takeover was last called with
	usurper   string // the epoch of a writer that took over after that

	// packs is held shared by processes that read the clone, whole while its
	// packs are merged or it is made anew.
	packs sync.RWMutex

	ancestry ancestry
}

// tipState is the tip as last read from the remote. An empty sha with known set
// is a branch that does not exist.
type tipState struct {
	sha   string
	known bool
}

// remoteURL is what there is to know of a URL beside itself; Host includes the
// port and is empty where git asks for no password.
type remoteURL struct{ Scheme, Host string }

// Open prepares the local clone and does not touch the network: it succeeds with
// the remote out of reach, and the first Commit, Tip or Ping then tells. Close
// releases the state directory.
func Open(ctx context.Context, opts Options) (*Repo, error) {
	remote, err := parseURL(opts.URL)
	if err != nil {
		return nil, err
	}
	if err := CheckBranch(opts.Branch); err != nil {
		return nil, err
	}
	opts, err = withDefaults(opts)
	if err != nil {
		return nil, err
	}
	r := &Repo{opts: opts, remote: remote, writing: make(chan struct{}, 1), limiter: newLimiter(opts.PushesPerMinute), asker: newAsker()}
	r.metrics = newMetrics(opts.Registerer)
	r.git = gitexec.Git{Dir: filepath.Join(opts.Dir, "clone.git"), Home: filepath.Join(opts.Dir, "home"), Timeout: opts.Timeout}
	if err := r.prepare(ctx); err != nil {
		if r.lock != nil {
			err = errors.Join(err, gitexec.Unlock(r.lock), r.lock.Close())
		}
		return nil, fmt.Errorf("open state directory %s: %w", opts.Dir, err)
	}
	return r, nil
}

func withDefaults(o Options) (Options, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil || o.Dir == "" {
		return o, fmt.Errorf("state directory %q: %w", o.Dir, ErrInvalid)
	}
	o.Dir = dir
	if o.Author.Name == "" {
		o.Author.Name = "idp"
	}
	if o.Author.Email == "" {
		o.Author.Email = "idp@localhost"
	}
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// Close releases the state directory. It waits for a Commit that is under way.
func (r *Repo) Close() error {
	r.writing <- struct{}{}
	defer func() { <-r.writing }()
	r.asker.CloseIdleConnections()
	return errors.Join(gitexec.Unlock(r.lock), r.lock.Close())
}

// acquire takes the writer's turn; release gives it back.
func (r *Repo) acquire(ctx context.Context) error {
	select {
	case r.writing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the writer of %s: %w", r.opts.Branch, ctx.Err())
	}
}

func (r *Repo) release() { <-r.writing }

// Ping reports whether the remote answers and accepts the credentials. It reads
// the list of refs and changes nothing.
func (r *Repo) Ping(ctx context.Context) error {
	_, err := r.lsRemote(ctx)
	return err
}

// Remote returns the branch's tip at the remote, "" where there is no such branch. It
// fetches nothing and does not wait for a push that is under way, as Tip does.
func (r *Repo) Remote(ctx context.Context) (string, error) { return r.lsRemote(ctx) }

// Tip reads the branch's tip from the remote and fetches it; "" means that the
// branch does not exist.
func (r *Repo) Tip(ctx context.Context) (string, error) {
	if err := r.acquire(ctx); err != nil {
		return "", err
	}
	defer r.release()
	if _, _, err := r.refresh(ctx); err != nil {
		return "", err
	}
	return r.tip.sha, nil
}

// CheckURL says whether a text can be the URL of a GitOps repository, as Options has it.
// The error wraps ErrInvalid.
func CheckURL(raw string) error {
	_, err := parseURL(raw)
	return err
}

// scpLike is git's "user@host:path".
var scpLike = regexp.MustCompile(`^[A-Za-z0-9._-]+@[A-Za-z0-9][A-Za-z0-9.-]*:[^:\-][^\x00-\x20]*$`)

func parseURL(raw string) (remoteURL, error) {
	if scpLike.MatchString(raw) && !strings.Contains(raw, "://") {
		return remoteURL{Scheme: "ssh"}, nil
	}
	u, err := url.Parse(raw)
	if err != nil {
		// url.Error would repeat the URL, and with it a password.
		return remoteURL{}, fmt.Errorf("URL of the GitOps repository: %w: it does not parse", ErrInvalid)
	}
	if _, has := u.User.Password(); has {
		return remoteURL{}, fmt.Errorf("URL of the GitOps repository: %w: it holds a password; give the token in a file", ErrInvalid)
	}
	switch u.Scheme {
	case "http", "https":
		if u.Host != "" {
			return remoteURL{Scheme: u.Scheme, Host: u.Host}, nil
		}
	case "ssh":
		if u.Host != "" && !strings.HasPrefix(u.Host, "-") {
			return remoteURL{Scheme: u.Scheme}, nil
		}
	case "file":
		if u.Host == "" && strings.HasPrefix(u.Path, "/") {
			return remoteURL{Scheme: u.Scheme}, nil
		}
	}
	return remoteURL{}, fmt.Errorf("URL of the GitOps repository: %w: expected http://, https://, ssh://, file:/// or user@host:path", ErrInvalid)
}

// CheckBranch says whether a text can name the branch of a GitOps repository. It
// follows git-check-ref-format(1), and is stricter: up to 200 letters, digits and
// "._/-+@=". The error wraps ErrInvalid.
func CheckBranch(branch string) error {
	bad := branch == "" || len(branch) > 200 || strings.HasPrefix(branch, "-") || strings.Contains(branch, "@{") || branch == "@" ||
		strings.Contains(branch, "..") || strings.HasSuffix(branch, ".")
	for _, component := range strings.Split(branch, "/") {
		bad = bad || component == "" || strings.HasPrefix(component, ".") || strings.HasSuffix(component, ".lock")
	}
	for _, c := range branch {
		bad = bad || !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._/-+@=", c))
	}
	if bad {
		return fmt.Errorf("branch %.80q: %w: not a branch name", branch, ErrInvalid)
	}
	return nil
}

// gitFailure turns a failed network process into one of the package's errors,
// with git's words scrubbed. The wordings are git's own under LC_ALL=C and
// OpenSSH's; where none matches, the remote counts as out of reach.
func gitFailure(op string, err error, secrets []string) error {
	var e *gitexec.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("%s: %w", op, err)
	}
	said := scrub(e.Stderr, secrets)
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", op, e)
	}
	for _, phrase := range []string{
		"Authentication failed", "could not read Username", "could not read Password", "Permission denied",
		"requested URL returned error: 401", "requested URL returned error: 403", "' not found", "Repository not found",
		"Host key verification failed",
	} {
		if strings.Contains(e.Stderr, phrase) {
			return fmt.Errorf("%s: %w: %s", op, ErrUnauthorized, said)
		}
	}
	if strings.Contains(e.Stderr, "(non-fast-forward)") {
		// What git says of a fetch that would have to go back.
		return fmt.Errorf("%s: %w", op, ErrReplaced)
	}
	if said == "" {
		said = e.Error()
	}
	if e.Err != nil { // timed out
		return fmt.Errorf("%s: %w: %w: %s", op, ErrUnavailable, e.Err, said)
	}
	return fmt.Errorf("%s: %w: %s", op, ErrUnavailable, said)
}
