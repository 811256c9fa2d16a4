package github

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	gh "github.com/google/go-github/v60/github"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// userAgent is required by GitHub of every request.
const userAgent = "idp"

// Options say which App to be, and where.
type Options struct {
	// APIURL is the root of the REST API, used as it is; a trailing slash is added
	// if it is missing. "https://api.github.com/", or "https://HOST/api/v3/" on
	// GitHub Enterprise Server.
	APIURL string
	// AppID is the App's id, PrivateKey its key in PEM (PKCS #1 or #8); it is
	// parsed at once and not kept as text.
	AppID      int64
	PrivateKey []byte
	// Transport sends the requests; default a copy of http.DefaultTransport.
	Transport http.RoundTripper
	// WritesPerMinute is how many requests that write may leave in any one minute,
	// for each installation, with 6.25 times as many in any one hour. 0 is
	// GitHub's own limit for content, 80 (and 500); less than 0 is no limit.
	// Source: docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api.
	WritesPerMinute int
	// ReadOnly refuses every request that would write, with ErrReadOnly, and asks for
	// tokens that could not either.
	ReadOnly bool
	// Now is the clock of tokens, JWTs and limits; default time.Now.
	Now func() time.Time
	// Log is told about limits and retries; default none.
	Log *slog.Logger
	// Registerer takes the metrics; nil registers none.
	Registerer prometheus.Registerer
}

// App is one GitHub App. Make it with New.
type App struct {
	base   *url.URL
	id     int64
	clock  clock
	log    *slog.Logger
	signed http.RoundTripper // wire with the App's JWT
	wire   http.RoundTripper // meter, deadline, transport: what every request ends in
	// downloads is for archives, with bounds of their own.
	downloads http.RoundTripper
	cache     *cache
	tokens    *tokens
	budget    *budget // of the App's own requests, made with its JWT
	people    *budget // of those that ask whose a token is

	readOnly bool

	newBudget func(installationID int64) *budget

	mu      sync.Mutex
	clients map[int64]*Client
	git     map[string]scope // of git URLs, once looked up

	trees   *lru.Cache[treeKey, map[string][]byte]
	reading chan struct{} // one place each for those who read a tree
}

// clock is time as the package knows it, for tests to hold.
type clock struct {
	now func() time.Time
	// wait returns after d, or with ctx's error when that ends first.
	wait func(ctx context.Context, d time.Duration) error
}

func waitTimer(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// New returns the App that the options describe. It asks GitHub nothing.
func New(opts Options) (*App, error) {
	opts = opts.withDefaults()
	a, err := newApp(opts)
	if err != nil {
		return nil, err
	}
	if a.signed, err = newSigned(opts.AppID, opts.PrivateKey, a.clock.now, a.wire); err != nil {
		return nil, err
	}
	a.tokens = &tokens{mint: a.mint, now: a.clock.now, held: map[scope]token{}}
	return a, nil
}

// newApp is an App that cannot say who it is yet.
func newApp(opts Options) (*App, error) {
	base, err := apiRoot(opts.APIURL)
	if err != nil {
		return nil, err
	}
	a := &App{
		base: base, id: opts.AppID, log: opts.Log, readOnly: opts.ReadOnly,
		clock:   clock{now: opts.Now, wait: waitTimer},
		clients: map[int64]*Client{},
		git:     map[string]scope{},
	}
	meter, err := newMeter(base, a.clock.now, a.lowestBudget, opts.Registerer)
	if err != nil {
		return nil, err
	}
	a.newBudget = func(int64) *budget { return newBudget(opts.WritesPerMinute) }
	a.wire, a.downloads = meter.around(ofRequests(opts.Transport)), meter.around(ofDownloads(opts.Transport))
	a.reading = make(chan struct{}, treesRead)
	a.budget, a.people = newBudget(-1), newBudget(-1)
	a.cache = newCache(cacheBytes)
	if a.trees, err = lru.New[treeKey, map[string][]byte](keptTrees); err != nil {
		return nil, fmt.Errorf("keep trees: %w", err)
	}
	return a, nil
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Transport == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		// GitHub limits an App to 100 requests at once.
		transport.MaxIdleConnsPerHost, transport.MaxConnsPerHost = 32, 90
		o.Transport = transport
	}
	if o.WritesPerMinute == 0 {
		o.WritesPerMinute = githubWritesPerMinute
	}
	return o
}

func apiRoot(text string) (*url.URL, error) {
	if !strings.HasSuffix(text, "/") {
		text += "/"
	}
	base, err := url.Parse(text)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, errors.New("GitHub's API URL is not an absolute http or https URL")
	}
	if base.User != nil {
		return nil, errors.New("GitHub's API URL holds credentials")
	}
	return base, nil
}

// ID returns the App's id.
func (a *App) ID() int64 { return a.id }

// Ping asks GitHub whether it knows the App: that the URL, the id, the key and
// the clock are right.
func (a *App) Ping(ctx context.Context) error {
	app, _, err := a.rest().Apps.Get(ctx, "")
	if err != nil {
		return wrap(err, "ask GitHub for the App")
	}
	if app.GetID() != a.id {
		return fmt.Errorf("ask GitHub for the App: answered as App %d instead of %d", app.GetID(), a.id)
	}
	return nil
}

// FindInstallation returns the id of the installation that reaches a
// repository; bot.ErrNotFound when the App is not installed there, bot.ErrNoAccess when it
// is suspended there.
func (a *App) FindInstallation(ctx context.Context, owner, name string) (int64, error) {
	found, _, err := a.rest().Apps.FindRepositoryInstallation(ctx, url.PathEscape(owner), url.PathEscape(name))
	if err != nil {
		return 0, wrap(err, "find the installation on %s/%s", owner, name)
	}
	if found.SuspendedAt != nil {
		return 0, fmt.Errorf("the installation on %s/%s is suspended: %w", owner, name, ErrNoAccess)
	}
	return found.GetID(), nil
}

// Installations lists the ids of the App's installations, but for suspended ones.
func (a *App) Installations(ctx context.Context) ([]int64, error) {
	client, ids := a.rest(), []int64{}
	err := pages(func(page gh.ListOptions) (*gh.Response, error) {
		found, resp, err := client.Apps.ListInstallations(ctx, &page)
		for _, one := range found {
			if one.SuspendedAt == nil {
				ids = append(ids, one.GetID())
			}
		}
		return resp, err
	})
	if err != nil {
		return nil, wrap(err, "list the App's installations")
	}
	return ids, nil
}

// Installation returns the client of an installation. There is one for each id.
func (a *App) Installation(id int64) *Client {
	a.mu.Lock()
	defer a.mu.Unlock()
	client, ok := a.clients[id]
	if !ok {
		client = &Client{app: a, id: id, budget: a.newBudget(id)}
		a.clients[id] = client
	}
	return client
}

// rest returns a go-github client that is the App itself. go-github keeps its
// own, process-wide idea of rate limits in a client, by its own clock; a new
// client for each call leaves that to limit.go.
func (a *App) rest() *gh.Client {
	paced := limited{budget: a.budget, clock: a.clock, log: a.log, next: a.signed}
	// Making a token twice or asking twice for a redelivery does no harm.
	return a.client(retrying{clock: a.clock, log: a.log, repeatable: func(*http.Request) bool { return true }, next: paced})
}

func (a *App) client(chain http.RoundTripper) *gh.Client {
	client := gh.NewClient(&http.Client{Transport: redirecting{base: a.base, next: chain}, CheckRedirect: ownRedirects})
	client.BaseURL = a.base
	client.UserAgent = userAgent
	return client
}
