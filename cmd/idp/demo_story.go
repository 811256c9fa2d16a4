package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/idp-bot/idp/bot/github/githubtest"
)

// exampleSpec is the deploy.yaml of the demo's repository.
const exampleSpec = `service:
  name: payments-api
  team: payments
  port: 8080
deploy:
  strategy: canary
  canary:
    - weight: 10
      pause: 5m
    - weight: 50
      pause: 10m
    - weight: 100
healthcheck:
  path: /health
  interval: 10s
  threshold: 3
rollback:
  auto: true
  on_error_rate: ">1%"
`

// story is one telling of the demo.
type story struct {
	w       *world
	out     io.Writer
	style   style
	started time.Time
	timeout time.Duration // of the whole
	repo    *githubtest.Repository
	pr      *githubtest.PullRequest
	shown   shown
	times   []chapterTime
}

// shown is what the reader has seen already, so that only news is printed.
type shown struct {
	commit, comment, check, deployment string
	files                              map[string]string // their contents' ids
	deliveries                         int
}

type chapterTime struct {
	title string
	took  time.Duration
}

// tell plays every chapter; the first thing that does not happen ends it.
func (s *story) tell(ctx context.Context) error {
	ctx, cancel := context.WithDeadline(ctx, s.started.Add(s.timeout))
	defer cancel()
	s.repo = s.w.github.AddRepository("acme/payments-api", githubtest.RepositoryOptions{Private: true})
	s.w.github.AddUser("alice")
	s.repo.Grant("alice", "write")
	s.repo.Commit("main", map[string]string{".idp/deploy.yaml": exampleSpec, "main.go": "package main\n"})
	fmt.Fprintf(s.out, "%s\n", s.style.dim(fmt.Sprintf("A stand-in for GitHub, a GitOps repository, an image registry and idp are up on 127.0.0.1 after %s.", short(time.Since(s.started)))))
	for i, chapter := range []struct {
		title string
		play  func(context.Context) error
	}{
		{"Alice opens a pull request. Its image is still being built.", s.opens},
		{"CI is done: it pushes the image, and its workflow ends.", s.builds},
		{"Alice pushes another commit, which CI builds.", s.pushes},
		{"Alice comments: /idp extend 24h", s.extends},
		{"Alice merges.", s.merges},
		{"Another pull request is left alone until its preview expires.", s.expires},
	} {
		fmt.Fprintf(s.out, "\n%s\n", s.style.bold(fmt.Sprintf("%d. %s", i+1, chapter.title)))
		began := time.Now()
		if err := chapter.play(ctx); err != nil {
			return err
		}
		s.times = append(s.times, chapterTime{chapter.title, time.Since(began)})
	}
	s.summary()
	return nil
}

func (s *story) summary() {
	fmt.Fprintf(s.out, "\n%s\n", s.style.bold("How long it took"))
	for _, t := range s.times {
		fmt.Fprintf(s.out, "%8s  %s\n", short(t.took), t.title)
	}
	fmt.Fprintf(s.out, "%8s  %s\n", short(time.Since(s.started)), "in all, from the program's start")
}

func openExample(r *githubtest.Repository, branch, title string) (*githubtest.PullRequest, error) {
	r.PushAs("alice", branch, title, map[string]string{branch + ".go": "package main\n"})
	return r.OpenPullRequest(githubtest.PullRequestOptions{Author: "alice", Title: title, Head: branch})
}

func (s *story) opens(ctx context.Context) (err error) {
	if s.pr, err = openExample(s.repo, "faster-refunds", "Faster refunds"); err != nil {
		return err
	}
	err = s.until(ctx, "the check waits for the image", func() bool {
		const waits = "Waiting for image"
		return strings.Contains(s.check().Title, waits) && strings.Contains(s.comment().Body, waits)
	})
	return s.show(ctx, err)
}

func (s *story) builds(ctx context.Context) error {
	if err := s.ci(ctx, "faster-refunds"); err != nil {
		return err
	}
	return s.show(ctx, s.deployed(ctx))
}

// ci pushes the image of a branch's head and ends the workflow that built it.
func (s *story) ci(ctx context.Context, branch string) error {
	if err := s.w.pushImage(ctx, s.repo.FullName(), s.repo.Branch(branch)); err != nil {
		return err
	}
	return s.repo.FinishWorkflow("alice", "build", branch, "success")
}

func (s *story) pushes(ctx context.Context) error {
	spec := strings.Replace(exampleSpec, "  port: 8080\n", "  port: 8080\n  env:\n    REFUND_WORKERS: \"4\"\n    PUBLIC_URL: https://{host}\n", 1)
	s.pr.Push("alice", map[string]string{".idp/deploy.yaml": spec})
	if err := s.ci(ctx, "faster-refunds"); err != nil {
		return err
	}
	return s.show(ctx, s.deployed(ctx))
}

// deployed waits until the head is committed and everything about it is said.
func (s *story) deployed(ctx context.Context) error {
	return s.until(ctx, "the head is committed, and the check, the comment and the deployment say so", func() bool {
		d := s.deployment()
		return s.check().Status == "completed" && strings.Contains(s.comment().Body, s.pr.HeadSHA()[:7]) && d.SHA == s.pr.HeadSHA() && len(d.Statuses) > 0
	})
}

func (s *story) extends(ctx context.Context) error {
	before, commit := s.comment().Body, s.shown.commit
	comment, err := s.pr.Comment("alice", "/idp extend 24h")
	if err != nil {
		return err
	}
	err = s.until(ctx, "the command gets its 🚀, and comment and commit the new expiry", func() bool {
		tip, err := s.w.gitops.Tip(ctx, branch)
		return err == nil && tip != commit && s.reaction(comment.ID, "rocket") && s.comment().Body != before
	})
	s.showDeliveries()
	if err == nil {
		fmt.Fprintln(s.out, "  Alice's comment got 👀 when it was seen and 🚀 when it was done.")
	}
	return s.show(ctx, err)
}

func (s *story) merges(ctx context.Context) error {
	if err := s.pr.Merge("alice"); err != nil {
		return err
	}
	return s.show(ctx, s.gone(ctx))
}

func (s *story) expires(ctx context.Context) (err error) {
	// Long enough to be deployed and warned of in time on a machine as slow as this.
	ttl := max(5*time.Second, 5*s.times[len(s.times)-1].took).Round(time.Second)
	spec := exampleSpec + fmt.Sprintf("preview:\n  ttl: %ds\n", int(ttl.Seconds()))
	s.repo.PushAs("alice", "short-lived", "Live for a few seconds", map[string]string{".idp/deploy.yaml": spec})
	if s.pr, err = s.repo.OpenPullRequest(githubtest.PullRequestOptions{Author: "alice", Title: "Short-lived", Head: "short-lived"}); err != nil {
		return err
	}
	s.shown.comment, s.shown.check, s.shown.deployment = "", "", ""
	if err := s.ci(ctx, "short-lived"); err != nil {
		return err
	}
	if err := s.deployed(ctx); err != nil {
		return err
	}
	err = s.until(ctx, "the pull request is warned", func() bool { return strings.Contains(s.comment().Body, "⏰") })
	if err := s.show(ctx, err); err != nil {
		return err
	}
	return s.show(ctx, s.gone(ctx))
}

// gone waits until nothing of the pull request's preview is left in Git and
// everything says so.
func (s *story) gone(ctx context.Context) error {
	folder := fmt.Sprintf("/pr-%d/", s.pr.Number())
	return s.until(ctx, "the folder is gone, the deployment inactive, and the comment says so", func() bool {
		files, err := s.files(ctx)
		return err == nil && !anyIn(files, folder) && s.deployment().State() == "inactive" && strings.Contains(s.comment().Body, "🧹")
	})
}

func anyIn(files map[string]string, folder string) bool {
	for path := range files {
		if strings.Contains(path, folder) {
			return true
		}
	}
	return false
}

// until looks every few milliseconds whether something has happened, and then
// whether the bot has nothing left to do, so that what is shown is its last word.
func (s *story) until(ctx context.Context, what string, happened func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout/2)
	defer cancel()
	began := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !happened() || !s.quiet(ctx) {
		select {
		case err := <-s.w.stopped:
			s.w.stopped <- err
			return fmt.Errorf("the bot stopped: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("waited %s in vain until %s", short(time.Since(began)), what)
		case <-tick.C:
		}
	}
	return nil
}

// quiet says that every webhook is delivered and all that it asked for is done
// and said.
func (s *story) quiet(ctx context.Context) bool {
	if err := s.w.github.WaitDeliveries(ctx); err != nil {
		return false
	}
	busy, err := s.w.busy(ctx)
	return err == nil && busy == ""
}
