package repo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/idp-bot/idp/gitops/repo/internal/gitexec"
)

// pushOutcome is how a push ended, as far as this side can tell.
type pushOutcome struct {
	// err is nil when the remote took the commit.
	err error
	// refused says that the remote answered and turned the ref down; else, with
	// err set, the push may have landed all the same.
	refused bool
	message string
}

// ErrReadOnly says that nothing was pushed; see Options.ReadOnly.
var ErrReadOnly = errors.New("idp only observes here, and writes nothing to the GitOps repository")

// push offers sha, a child of the tip, to the remote, which takes it only where its branch
// still is what was read.
func (r *Repo) push(ctx context.Context, sha string) pushOutcome {
	if r.opts.ReadOnly {
		return pushOutcome{err: ErrReadOnly}
	}
	within, cancel := context.WithTimeout(ctx, r.opts.Timeout)
	defer cancel()
	start := time.Now()
	out, err := r.send(within, sha)
	if err == nil {
		r.pushed(start, out)
		return out
	}
	if within.Err() != nil {
		out = pushOutcome{err: fmt.Errorf("push to the GitOps repository: %w: %w", ErrUnavailable, within.Err())}
		r.pushed(start, out)
		return out
	}
	return r.pushRef(ctx, sha, r.branchRef(), r.tip.sha)
}

// pushed measures a push.
func (r *Repo) pushed(start time.Time, out pushOutcome) {
	r.metrics.pushSeconds.Observe(time.Since(start).Seconds())
	r.metrics.pushes.WithLabelValues(out.label()).Inc()
}

// pushRef gives a ref of the remote the commit sha, "" to delete it, where the ref is
// what is expected, "" for one that there is not. sha is a child of that, or of what the
// branch has, so that --force-with-lease, git's name for compare-and-swap, never forces
// anything.
func (r *Repo) pushRef(ctx context.Context, sha, ref, expected string) pushOutcome {
	if r.opts.ReadOnly {
		return pushOutcome{err: ErrReadOnly}
	}
	env, secrets, err := r.credentialEnv(ctx)
	if err != nil {
		return pushOutcome{err: err}
	}
	r.packs.RLock()
	defer r.packs.RUnlock()
	start := time.Now()
	_, err = r.git.Run(ctx, gitexec.Command{
		Args: []string{
			"push", "--porcelain", "--no-progress", "--no-verify", "--no-recurse-submodules",
			"--force-with-lease=" + ref + ":" + expected,
			"--", "origin", sha + ":" + ref,
		},
		Env: env, Network: true,
	})
	out := readPush(err, secrets)
	r.pushed(start, out)
	return out
}

// readPush reads --porcelain's lines "<flag> TAB <from>:<to> TAB <summary>
// (<reason>)", the flag of a refused ref being "!"; see git-push(1).
func readPush(err error, secrets []string) pushOutcome {
	if err == nil {
		return pushOutcome{}
	}
	var e *gitexec.Error
	if errors.As(err, &e) && e.Err == nil {
		for line := range strings.Lines(e.Stdout) {
			flag, rest, _ := strings.Cut(line, "\t")
			if flag != "!" {
				continue
			}
			_, reason, _ := strings.Cut(rest, "\t")
			return pushOutcome{refused: true, err: err, message: scrub(reason+"\n"+remoteWords(e.Stderr), secrets)}
		}
	}
	return pushOutcome{err: gitFailure("push to the GitOps repository", err, secrets)}
}

// remoteWords leaves out what this side's git adds to what the remote said: people
// read it, and the address of the remote is not theirs to know.
func remoteWords(stderr string) string {
	var b strings.Builder
	for line := range strings.Lines(stderr) {
		if !strings.HasPrefix(line, "error: failed to push some refs") && !strings.HasPrefix(line, "hint: ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func (o pushOutcome) label() string {
	switch {
	case o.err == nil:
		return "ok"
	case o.refused:
		return "refused"
	case errors.Is(o.err, ErrUnauthorized):
		return "unauthorized"
	}
	return "unavailable"
}

// failure is the error to return for a push that is not tried again.
func (o pushOutcome) failure(branch string) error {
	if o.refused {
		return &RefusedError{Branch: branch, Message: o.message}
	}
	return fmt.Errorf("branch %s: %w", branch, o.err)
}
