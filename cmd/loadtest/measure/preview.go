package measure

import (
	"context"
	"fmt"
	"time"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops"
)

const (
	// quiet is how long nobody asks GitHub for anything once idp has said all there is
	// to say; settling is how long that may take.
	quiet    = 500 * time.Millisecond
	settling = 3 * time.Minute
	// look is how often something is looked for that nothing tells of.
	look = 50 * time.Millisecond
)

// plain is a service that takes all defaults.
const plain = "service:\n  name: web\n"

// repository is one whose pull requests get previews.
type repository struct {
	*githubtest.Repository
	w       *world
	name    string
	changes int
}

func (w *world) newRepository(name, spec string) *repository {
	r := w.github.AddRepository(org+"/"+name, githubtest.RepositoryOptions{Private: true, Files: map[string]string{".idp/deploy.yaml": spec}})
	r.Grant(developer, "write")
	return &repository{Repository: r, w: w, name: name}
}

// change is a branch whose image is built, and then its pull request.
type change struct {
	repo               *repository
	branch, sha, image string
	pr                 *githubtest.PullRequest
	opened             time.Time
}

// prepare makes a branch, and its image as CI would: what is measured begins with the
// pull request.
func (r *repository) prepare(ctx context.Context) (*change, error) {
	r.changes++
	c := &change{repo: r, branch: fmt.Sprintf("change-%d", r.changes)}
	return c, c.commit(ctx)
}

// commit pushes a commit on top of the branch, and its image.
func (c *change) commit(ctx context.Context) (err error) {
	c.repo.changes++
	c.sha = c.repo.PushAs(developer, c.branch, "Change", map[string]string{fmt.Sprintf("change-%d.go", c.repo.changes): "package web\n"})
	c.image, err = c.repo.w.pushImage(ctx, c.sha)
	return err
}

// open opens the pull request: its webhook is on its way from here on.
func (c *change) open() (err error) {
	c.opened = time.Now()
	c.pr, err = c.repo.OpenPullRequest(githubtest.PullRequestOptions{Author: developer, Title: "Change", Head: c.branch})
	return err
}

func (c *change) ref() gitops.EnvironmentRef {
	return gitops.EnvironmentRef{RepositoryID: c.repo.ID(), Owner: org, Repo: c.repo.name, ID: gitops.PreviewID(c.pr.Number())}
}

// ready waits until the preview is healthy and its check says so, and returns how long
// each took from the webhook.
func (c *change) ready(ctx context.Context) (isHealthy, isSaid time.Duration, err error) {
	w := c.repo.w
	said, err := w.seen.await(ctx, concluded(c.sha, "idp / preview"))
	if err != nil {
		return 0, 0, fmt.Errorf("%w; the end of idp's log:\n%s", err, w.lastLines(20))
	}
	well, err := w.seen.await(ctx, healthy(c.ref().Name()))
	return well.Sub(c.opened), said.Sub(c.opened), err
}

// openAll opens pull requests at once, and returns how long each took.
func openAll(ctx context.Context, changes []*change) (wells, saids []time.Duration, err error) {
	for _, c := range changes {
		if err := c.open(); err != nil {
			return nil, nil, err
		}
	}
	for _, c := range changes {
		well, said, err := c.ready(ctx)
		if err != nil {
			return nil, nil, err
		}
		wells, saids = append(wells, well), append(saids, said)
	}
	return wells, saids, nil
}

// closeAll closes pull requests at once, and returns how long each took until nothing
// was left of it on the cluster.
func closeAll(ctx context.Context, changes []*change) (gone []time.Duration, err error) {
	closed := make([]time.Time, len(changes))
	for i, c := range changes {
		closed[i] = time.Now()
		c.pr.Close(developer)
	}
	for i, c := range changes {
		at, err := c.repo.w.seen.await(ctx, left(c.ref().Namespace()))
		if err != nil {
			return nil, err
		}
		gone = append(gone, at.Sub(closed[i]))
	}
	return gone, nil
}

// settle waits until idp has nothing more to say.
func (w *world) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, settling, fmt.Errorf("idp still asks GitHub after %s", settling))
	defer cancel()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for time.Since(time.Unix(0, w.heard.Load())) < quiet {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
