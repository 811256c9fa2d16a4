package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/gitops/repo"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/images"
	"github.com/idp-bot/idp/previews/store"
	"github.com/idp-bot/idp/webhooks"
)

// Main is the bot: everything that "idp serve" runs. Tests and the demo start the
// same value on port 0.
//
// Open opens the database and prepares the rest without needing any peer; Run
// serves until its context ends, then drains; Close lets go of what Open opened.
type Main struct {
	cfg      *Config
	log      *slog.Logger
	now      func() time.Time
	registry *prometheus.Registry

	store   *store.Store
	github  *github.App
	writers writers
	gitops  *repo.Repo
	// platform is where the platform folder is read: gitops, or a repository of its own.
	platform *repo.Repo
	// declared is what the platform team declares there.
	declared *declarations
	policies *policies
	// argocds are the Argo CDs, the server's own first; none where it is not configured.
	argocds []*argoCD
	images  *images.Resolver

	// errors counts what failed, by kind.
	errors  *prometheus.CounterVec
	handler *bot.Handler
	reaper  *previews.Reaper
	sweeper *bot.Sweeper
	drift   watchDrift
	rooted  rooted
	// observers follow commits, one in each Argo CD.
	observers []*previews.Observer
	// renderer is that of charts, overlays and manifests, whose files sources reads: of GitHub,
	// by default.
	renderer startedRenderer
	sources  func(installationID int64) forest
	// lanes are the ways into Git beside the server's own.
	lanes *lanes
	// out is where audit_log - leads.
	out io.Writer
	// loops run in one replica at a time, each by a lease, as do commits, which write
	// the server's own branch, and observations, which have one together; own run in every
	// one. wake lets those run that act on rows.
	loops, own, observations []previews.Loop
	commits                  previews.Loop
	wake                     wakes

	edge            http.Handler
	public, metrics net.Listener
	peers           *peers
}

// wakes are the signals of the loops that act on rows.
type wakes struct{ images, commits, lanes, reports, replies, audit previews.Signal }

func newWakes() wakes {
	return wakes{previews.NewSignal(), previews.NewSignal(), previews.NewSignal(), previews.NewSignal(), previews.NewSignal(), previews.NewSignal()}
}

// all wakes every loop: a row changed, and any of them may have work.
func (w wakes) all() {
	for _, signal := range []previews.Signal{w.images, w.commits, w.lanes, w.reports, w.replies, w.audit} {
		signal.Wake()
	}
}

// NewMain returns a bot for a valid configuration.
func NewMain(cfg *Config, log *slog.Logger, now func() time.Time) *Main {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &Main{cfg: cfg, log: log, now: now, registry: registry, wake: newWakes(), out: os.Stdout}
}

// Open opens the store, prepares the peers' clients and listens. It fails only
// for what this machine lacks: an unreachable peer is told in /readyz and the log.
func (m *Main) Open(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close())
		}
	}()
	if m.store, err = store.Open(ctx, store.Options{URL: m.cfg.DatabaseURL.Reveal(), Now: m.now, Log: m.log, Registerer: m.registry, Elsewhere: m.wake.all}); err != nil {
		return err
	}
	if err := m.store.Observe(ctx, m.cfg.observes()); err != nil {
		return observed(err)
	}
	if err := m.openPeers(ctx); err != nil {
		return err
	}
	m.wire()
	if m.edge, err = m.newEdge(); err != nil {
		return err
	}
	return m.listen()
}

func (m *Main) openPeers(ctx context.Context) (err error) {
	if m.github, err = newGitHub(m.cfg, m.now, m.log, m.registry); err != nil {
		return err
	}
	if m.writers, err = newGitOpsWriters(m.cfg, m.github, m.now, m.log); err != nil {
		return err
	}
	if m.gitops, err = openGitOps(ctx, m.cfg, m.writers, m.now, m.log, m.registry); err != nil {
		return err
	}
	if err = m.openPlatform(ctx); err != nil {
		return err
	}
	if m.argocds, err = openArgoCDs(m.cfg, m.now, m.registry); err != nil {
		return err
	}
	if m.cfg.ImageCheck == "wait" {
		m.images = images.New(images.Options{DockerConfigFile: m.cfg.ImagesDockerConfigFile, Named: m.namedRegistries})
	}
	m.peers = newPeers(m)
	return nil
}

func (m *Main) listen() (err error) {
	if m.public, err = webhooks.Listen(m.cfg.Listen); err != nil {
		return fmt.Errorf("listen for webhooks: %w", err)
	}
	if m.cfg.TLSCertFile != "" {
		certificate, err := newCertificate(m.cfg.TLSCertFile, m.cfg.TLSKeyFile, m.log)
		if err != nil {
			return err
		}
		m.public = certificate.listener(m.public)
	}
	if m.metrics, err = net.Listen("tcp", m.cfg.MetricsListen); err != nil {
		return fmt.Errorf("listen for metrics: %w", err)
	}
	return nil
}

// Addr is where webhooks are served, MetricsAddr where metrics are; both are known
// once Open returned.
func (m *Main) Addr() string        { return m.public.Addr().String() }
func (m *Main) MetricsAddr() string { return m.metrics.Addr().String() }

// Close lets go of what Open opened. It is safe to call at any point, twice too.
func (m *Main) Close() error {
	var errs []error
	for _, listener := range []net.Listener{m.public, m.metrics} {
		if listener != nil {
			if err := listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	if m.lanes != nil {
		errs = append(errs, m.lanes.close())
		m.lanes = nil
	}
	if m.platform != nil && m.platform != m.gitops {
		errs = append(errs, m.platform.Close())
	}
	m.platform = nil
	if m.gitops != nil {
		errs = append(errs, m.gitops.Close())
		m.gitops = nil
	}
	if m.store != nil {
		errs = append(errs, m.store.Close())
		m.store = nil
	}
	return errors.Join(errs...)
}

// Run serves until ctx ends, then drains: it takes no new webhooks and lets what is
// being handled finish, within drain_timeout. Then the loops are stopped wherever
// they are: what they leave is in the database, and found again at the next start.
func (m *Main) Run(ctx context.Context) error {
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	if err := m.startJobs(work); err != nil {
		return err
	}
	var running sync.WaitGroup
	for _, loop := range append(m.own, m.peers.loop()) {
		running.Go(func() { loop.Run(work) })
	}
	for _, loop := range m.loops {
		running.Go(func() { m.loopByLease(work, loop) })
	}
	if m.cfg.observes() {
		m.log.Warn("idp only observes: it writes nothing to GitHub, the GitOps repository or Argo CD")
		running.Go(func() { m.loopByLease(work, m.commits) }) // it is held, and says so
	} else {
		running.Go(func() { m.writing(work, "gitops", m.gitops, m.commits) })
	}
	running.Go(func() {
		m.byLease(work, "observations", func(ctx context.Context, _ store.Lease) { m.following(ctx) })
	})
	servers := []*http.Server{webhooks.NewServer(m.edge), webhooks.NewServer(m.scrapes())}
	for _, server := range servers {
		// What a stranger's handshake fails of is no warning.
		server.ErrorLog = slog.NewLogLogger(m.log.Handler(), slog.LevelInfo)
	}
	failed := make(chan error, len(servers))
	for i, listener := range []net.Listener{m.public, m.metrics} {
		running.Go(func() {
			if err := servers[i].Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve %s: %w", listener.Addr(), err)
			}
		})
	}
	scheme := "http://"
	if m.cfg.TLSCertFile != "" {
		scheme = "https://"
	}
	m.log.Info("idp is serving", "webhooks", scheme+m.Addr()+"/webhooks/github", "metrics", "http://"+m.MetricsAddr()+"/metrics", "version", buildVersion())
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	err = errors.Join(err, m.drain(servers))
	stopWork()
	running.Wait()
	return err
}

// scrapes is what the metrics' listener serves.
func (m *Main) scrapes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}

// drain stops taking webhooks, then lets the jobs under way finish.
func (m *Main) drain(servers []*http.Server) error {
	m.log.Info("draining", "at_most", m.cfg.DrainTimeout)
	ctx, cancel := context.WithTimeout(context.Background(), m.cfg.DrainTimeout)
	defer cancel()
	var errs []error
	for _, server := range servers {
		errs = append(errs, server.Shutdown(ctx))
	}
	errs = append(errs, m.store.StopJobs(ctx))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	return nil
}

// newEdge makes the public HTTP surface.
func (m *Main) newEdge() (http.Handler, error) {
	var proxies []netip.Prefix
	for _, text := range m.cfg.TrustedProxies {
		proxy, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("trusted_proxies: %w", err)
		}
		proxies = append(proxies, proxy)
	}
	sources, err := webhooks.NewSources(proxies, m.now)
	if err != nil {
		return nil, err
	}
	hook, err := webhooks.New(webhooks.Options{
		Secrets: m.cfg.GitHubWebhookSecret, Inbox: m.store, Sources: sources, Now: m.now, Log: m.log, Registerer: m.registry,
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/webhooks/github", hook)
	if err := m.mountAPI(mux, sources); err != nil {
		return nil, err
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.Handle("GET /readyz", m.peers)
	return mux, nil
}

// gitDir is the folder of the GitOps clone.
func gitDir(cfg *Config) string { return filepath.Join(cfg.StateDir, "gitops") }
