package repo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/idp-bot/idp/gitops/repo/internal/gitexec"
)

const (
	trailerChange = "Idp-Change"
	trailerEpoch  = "Idp-Epoch"

	tipRef = "refs/idp/tip"
	// maxArrivals is how many commits are searched for trailers after a tip moved.
	maxArrivals = 5000
)

func (r *Repo) branchRef() string { return "refs/heads/" + r.opts.Branch }

// network runs a process that may reach the remote, with the credentials.
func (r *Repo) network(ctx context.Context, op string, c gitexec.Command) ([]byte, error) {
	env, secrets, err := r.credentialEnv(ctx)
	if err != nil {
		return nil, err
	}
	c.Network, c.Env = true, append(c.Env, env...)
	r.packs.RLock()
	defer r.packs.RUnlock()
	out, err := r.git.Run(ctx, c)
	if err != nil {
		return nil, gitFailure(op, err, secrets)
	}
	return out, nil
}

// local runs a process that only reads the clone.
func (r *Repo) local(ctx context.Context, c gitexec.Command) ([]byte, error) {
	r.packs.RLock()
	defer r.packs.RUnlock()
	return r.git.Run(ctx, c)
}

// lsRemote returns the branch's tip at the remote, "" when there is none.
func (r *Repo) lsRemote(ctx context.Context) (string, error) {
	return r.remoteRef(ctx, r.branchRef())
}

// remoteRef returns the commit of a ref at the remote, "" when there is no such ref.
func (r *Repo) remoteRef(ctx context.Context, wanted string) (string, error) {
	if sha, err := r.askRef(ctx, wanted); err == nil {
		return sha, nil
	}
	out, err := r.network(ctx, "read the GitOps repository", gitexec.Command{
		Args: []string{"ls-remote", "--quiet", "--", "origin", wanted},
	})
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(out)) {
		// The pattern matches the ends of names; only the whole name is meant.
		if sha, ref, _ := strings.Cut(strings.TrimSpace(line), "\t"); ref == wanted && isSHA(sha) {
			return sha, nil
		}
	}
	return "", nil
}

// refresh reads the tip and fetches it when it moved, and returns what arrived
// since the tip known before, newest first. The caller holds the writer's turn.
func (r *Repo) refresh(ctx context.Context) (moved bool, arrived []arrival, err error) {
	old := r.tip
	if sha, arrived, err := r.take(ctx); err == nil {
		if sha == old.sha {
			r.tip.known = true
			return false, nil, nil
		}
		r.tip = tipState{sha: sha, known: true}
		r.noticeTakeover(arrived)
		return true, arrived, nil
	}
	sha, err := r.readTip(ctx)
	if err != nil {
		return false, nil, err
	}
	if r.tip.known && old.sha == sha {
		return false, nil, nil
	}
	if err := r.follows(ctx, old.sha, sha); err != nil {
		return false, nil, err
	}
	if old.known && sha != "" {
		since := old.sha
		if !r.tip.known { // the clone was made anew and may not hold the old tip
			since = ""
		}
		if arrived, err = r.arrivals(ctx, since, sha); err != nil {
			return false, nil, err
		}
	}
	r.tip = tipState{sha: sha, known: true}
	r.noticeTakeover(arrived)
	return true, arrived, nil
}

// readTip brings the branch into the clone and returns its tip, "" when the
// remote has no such branch. One process is enough where the branch was there
// before, which matters to a writer that others are ahead of.
func (r *Repo) readTip(ctx context.Context) (string, error) {
	if r.tip.sha != "" {
		if sha, err := r.tryFetch(ctx); err == nil || errors.Is(err, ErrReplaced) || ctx.Err() != nil {
			return sha, err
		}
	}
	sha, err := r.lsRemote(ctx)
	if err == nil && sha == "" {
		err = r.follows(ctx, cmp.Or(r.tip.sha, r.fetched()), "")
	}
	if err != nil || sha == "" {
		return "", err
	}
	return r.fetch(ctx)
}

// follows is an error where a tip does not hold the one that was there before: somebody
// has replaced the branch, or removed it. What is only read is followed wherever it goes.
func (r *Repo) follows(ctx context.Context, before, tip string) error {
	if before == "" || r.opts.ReadOnly {
		return nil
	}
	if tip != "" {
		_, err := r.local(ctx, gitexec.Command{Args: []string{"merge-base", "--is-ancestor", before, tip}})
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
	return fmt.Errorf("%s of the GitOps repository: %w: commit %.7s was there", r.opts.Branch, ErrReplaced, before)
}

// fetched is the tip as it was last fetched, "" where it never was.
func (r *Repo) fetched() string {
	// The clone keeps its refs as files: nothing ever packs them.
	sha, err := os.ReadFile(filepath.Join(r.git.Dir, filepath.FromSlash(tipRef)))
	if err != nil || !isSHA(strings.TrimSpace(string(sha))) {
		return ""
	}
	return strings.TrimSpace(string(sha))
}

// fetch brings the branch's commits and trees, no blobs, into the clone and
// returns its tip. The remote has answered just before, so that a failure may be
// the clone's.
func (r *Repo) fetch(ctx context.Context) (string, error) {
	sha, err := r.tryFetch(ctx)
	if err == nil || errors.Is(err, ErrReplaced) {
		return sha, err
	}
	again, repairErr := r.repair(ctx, err)
	if repairErr != nil {
		return "", repairErr
	}
	if !again {
		return "", err
	}
	return r.tryFetch(ctx)
}

func (r *Repo) tryFetch(ctx context.Context) (string, error) {
	refs := r.branchRef() + ":" + tipRef
	if r.opts.ReadOnly {
		refs = "+" + refs
	}
	_, err := r.network(ctx, "fetch the GitOps repository", gitexec.Command{
		Args: []string{
			// Not quiet, which would hide why it is refused.
			"fetch", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
			"--no-auto-maintenance", "--filter=blob:none", "--", "origin", refs,
		},
		Timeout: 5 * r.opts.Timeout,
	})
	if err != nil {
		return "", err
	}
	sha := r.fetched()
	if sha == "" {
		return "", errors.New("read fetched tip: there is none")
	}
	return sha, nil
}

// arrival is a commit that came to the branch, with idp's trailers.
type arrival struct {
	sha     string
	changes []string
	epochs  []string
}

const arrivalFormat = "%H%x1f" +
	"%(trailers:key=" + trailerChange + ",valueonly,unfold,separator=%x1e)%x1f" +
	"%(trailers:key=" + trailerEpoch + ",valueonly,unfold,separator=%x1e)"

func (r *Repo) arrivals(ctx context.Context, since, tip string) ([]arrival, error) {
	args := []string{"log", "-z", "--no-color", "--no-show-signature", fmt.Sprintf("--max-count=%d", maxArrivals), "--format=tformat:" + arrivalFormat, tip}
	if since != "" {
		args = append(args, "^"+since)
	}
	out, err := r.local(ctx, gitexec.Command{Args: append(args, "--")})
	if err != nil {
		return nil, fmt.Errorf("read new commits of %s: %w", r.opts.Branch, err)
	}
	return parseArrivals(out), nil
}

func parseArrivals(out []byte) []arrival {
	var list []arrival
	for record := range strings.SplitSeq(string(out), "\x00") {
		fields := strings.Split(strings.TrimPrefix(record, "\n"), "\x1f")
		if len(fields) != 3 || !isSHA(fields[0]) {
			continue
		}
		list = append(list, arrival{sha: fields[0], changes: values(fields[1]), epochs: values(fields[2])})
	}
	return list
}

func values(field string) []string {
	var out []string
	for v := range strings.SplitSeq(field, "\x1e") {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, v)
		}
	}
	return out
}

// noticeTakeover looks at the newest epoch commit: one that is not this writer's
// own tells that another has taken over. A writer that never called Takeover
// takes no part in this.
func (r *Repo) noticeTakeover(arrived []arrival) {
	if r.epoch == "" {
		return
	}
	for _, a := range arrived {
		if len(a.epochs) == 0 {
			continue
		}
		if a.epochs[0] != r.epoch {
			r.usurper = a.epochs[0]
		}
		return
	}
}
