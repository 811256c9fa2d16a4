package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops/fault"
)

// newDemo tells the story of a preview.
func newDemo(p *program) *cobra.Command {
	var verbose bool
	o := demoOptions{log: slog.DiscardHandler}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See a pull request get its preview and lose it again, on this machine",
		Long: `Runs the bot against a stand-in for GitHub, a GitOps repository behind git's own
smart-HTTP server and an image registry, all on loopback: no account, cluster or
configuration is needed, only git. It opens a pull request and shows what happens:
the commit in the GitOps repository, the comment, the check and the deployment,
from the first webhook until the preview is reaped.

With --serve it stays up after that, with the pull requests as pages to comment on.`,
		Example: "  idp demo\n  idp demo --serve",
		Args:    noArgs,
	}
	cmd.Flags().BoolVar(&o.serve, "serve", false, "stay up, with the stand-in's pages, until interrupted")
	cmd.Flags().StringVar(&o.address, "address", "127.0.0.1:0", "where the stand-in GitHub listens")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 30*time.Second, "how long the story may take before it has failed")
	cmd.Flags().BoolVar(&verbose, "verbose", false, "show the bot's log on standard error")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.timeout <= 0 {
			return misused(cmd, "--timeout must be longer than nothing")
		}
		if verbose {
			o.log = slog.NewTextHandler(p.stderr, nil)
		}
		return p.demo(cmd.Context(), o)
	}
	return cmd
}

type demoOptions struct {
	serve   bool
	address string
	// timeout is how long the story may take, from the program's start.
	timeout time.Duration
	log     slog.Handler
	// github wraps the stand-in's API, for validation.
	github func(http.Handler) http.Handler
}

func (p *program) demo(ctx context.Context, o demoOptions) (err error) {
	started := time.Now()
	dir, err := os.MkdirTemp(p.env["TMPDIR"], "idp-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	trouble := &lastTrouble{Handler: o.log}
	w, err := newWorld(ctx, worldOptions{dir: dir, log: slog.New(trouble), address: o.address, github: o.github, env: map[string]string{
		"IDP_REAP_SCHEDULE": "@every 1s",
		// The story pushes and writes more often in half a minute than GitHub
		// recommends for a whole one, and nobody at a page wants to wait.
		"IDP_GITOPS_PUSHES_PER_MINUTE": "0", "IDP_GITHUB_WRITES_PER_MINUTE": "0",
	}})
	if err != nil {
		return fault.Wrap(err, fault.Failure, "the demo's parts did not start", "it needs git, with its http-backend, and free ports on 127.0.0.1")
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.start(ctx); err != nil {
		return fault.Wrap(err, fault.Failure, "the bot did not start", "")
	}
	s := &story{w: w, out: p.stdout, style: p.styled(p.stdout), started: started, timeout: o.timeout}
	if err := s.tell(ctx); err != nil {
		return s.stuck(ctx, err, trouble.reason())
	}
	if !o.serve {
		fmt.Fprintf(p.stdout, "\nNothing of it is left. \"idp demo --serve\" stays up, with the pull requests as pages to comment on.\n")
		return nil
	}
	return p.keepServing(ctx, w, s.style)
}

// untold is a story that did not come to its end, and why.
type untold []string

func (u untold) Error() string     { return strings.Join(u, "; ") }
func (u untold) Details() []string { return u }

// stuck is the error about a chapter that did not happen, with what the bot said
// last; an interruption is that alone.
func (s *story) stuck(ctx context.Context, err error, reason string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	why := untold{err.Error()}
	if reason != "" {
		why = append(why, "the bot's last warning: "+reason)
	}
	return fault.Wrap(why, fault.Failure, fmt.Sprintf("chapter %d did not happen", len(s.times)+1), `"idp demo --verbose" shows the bot's log, --timeout gives it longer`)
}

// lastTrouble passes a log on and remembers the newest warning in it: the likeliest
// reason for a step of the story that does not happen.
type lastTrouble struct {
	slog.Handler
	mu   sync.Mutex
	last string
}

// Enabled lets warnings through even where the log itself is discarded.
func (l *lastTrouble) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn || l.Handler.Enabled(ctx, level)
}

// Handle remembers a warning and passes the record on.
func (l *lastTrouble) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		text := r.Message
		r.Attrs(func(a slog.Attr) bool {
			text += fmt.Sprintf(", %s: %v", a.Key, a.Value)
			return true
		})
		l.mu.Lock()
		l.last = text
		l.mu.Unlock()
	}
	if !l.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return l.Handler.Handle(ctx, r)
}

func (l *lastTrouble) reason() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == "" {
		return ""
	}
	return "; the bot says: " + l.last
}

// keepServing leaves the world up, with a CI that builds every commit's image,
// until ctx ends.
func (p *program) keepServing(ctx context.Context, w *world, style style) error {
	r := w.github.Repository("acme/payments-api")
	w.github.AddUser("mallory")
	r.Grant("mallory", "read")
	pr, err := openExample(r, "try-it", "Try it yourself")
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "\n%s %s\n", style.bold("Now you:"), pr.HTMLURL())
	fmt.Fprintf(p.stdout, "Comment on it: /idp extend 24h, /idp pin, /idp destroy; as alice, or as mallory, who may only read.\n"+
		"Push to it, close it, merge it, edit its .idp/deploy.yaml. CI builds its images.\n"+
		"The environments: idp env list --database-url %s\n"+
		"The GitOps repository: git clone %s\nMetrics: http://%s/metrics\nCtrl-C ends it.\n",
		w.cfg.DatabaseURL.Reveal(), w.gitops.Path, w.main.MetricsAddr())
	return buildImages(ctx, w, p.stderr)
}

// buildImages is the demo's CI: every second it pushes the image of each open
// pull request's head that has none yet.
func buildImages(ctx context.Context, w *world, progress io.Writer) error {
	built := map[string]bool{}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		r := w.github.Repository("acme/payments-api")
		for _, pr := range r.PullRequests() {
			sha := pr.HeadSHA()
			if built[sha] || pr.State() != "open" {
				continue
			}
			if err := w.pushImage(ctx, r.FullName(), sha); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				fmt.Fprintln(progress, err)
				continue
			}
			built[sha] = true
		}
	}
}
