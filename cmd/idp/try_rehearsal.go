package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/secret"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/images"
	"github.com/idp-bot/idp/previews/store"
)

// rehearsal is the bot for one pull request: all of it that decides, renders, commits and words
// what is said, on a database and a GitOps repository in a folder that goes again. What
// writes to GitHub is not started.
type rehearsal struct {
	*Main
	reader  reading
	flags   tryFlags
	unknown []string
	reasons []string
}

func (t *rehearsal) unsure(format string, args ...any) {
	t.unknown = append(t.unknown, fmt.Sprintf(format, args...))
}

func (p *program) newRehearsal(ctx context.Context, cfg *Config, f tryFlags, dir string, now func() time.Time) (t *rehearsal, err error) {
	reader, app, err := p.reader(ctx, cfg, f, now)
	if err != nil {
		return nil, err
	}
	repository := filepath.Join(dir, "gitops.git")
	var declared platform.Platform
	if f.platform != "" {
		if declared, err = loadPlatform(f.platform, cfg.Class()); err != nil {
			return nil, err
		}
	}
	if err := seed(ctx, f.platform, dir, repository, cfg.GitOpsBranch); err != nil {
		return nil, err
	}
	if cfg.GitOpsReadURL == "" {
		cfg.GitOpsReadURL = exampleRepoURL
	}
	cfg.GitOpsURL, cfg.PlatformURL, cfg.GitOpsTokenFile = "file://"+repository, "", ""
	cfg.DatabaseURL, cfg.StateDir = secret.New(sqliteScheme+filepath.Join(dir, "idp.db")), filepath.Join(dir, "state")
	cfg.GitOpsPushesPerMinute, cfg.ArgoCDURL, cfg.ArgoCDTokenFiles, cfg.AuditLog = 0, "", nil, ""
	t = &rehearsal{Main: NewMain(cfg, quiet(), now), reader: reader, flags: f}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
		}
	}()
	t.github = app
	if t.store, err = store.Open(ctx, store.Options{URL: cfg.DatabaseURL.Reveal(), Now: now, Log: t.log, Registerer: t.registry}); err != nil {
		return nil, err
	}
	if t.gitops, err = openGitOps(ctx, cfg, app, now, t.log, t.registry); err != nil {
		return nil, err
	}
	t.platform = t.gitops
	if f.images && cfg.ImageCheck == "wait" {
		t.images = images.New(images.Options{DockerConfigFile: cfg.ImagesDockerConfigFile, Named: t.namedRegistries})
	}
	t.wire()
	for _, class := range declared.Classes { // a preview asks none of them, so that no token is needed
		t.declared.argocds = append(t.declared.argocds, class.ArgoCDURL)
	}
	t.handler.GitHub = func(int64) bot.Handling { return reader }
	t.handler.Told = func(d bot.Decision) { t.reasons = d.Reasons }
	t.sources = func(int64) forest { return reader }
	return t, nil
}

// configured says what nobody has said.
func (t *rehearsal) configured(l *loading) {
	if l.config.GitOpsURL == "" && l.config.GitOpsReadURL == "" {
		t.unsure("which GitOps repository it is for: gitops_url is not set, and %s stands for it", exampleRepoURL)
	}
	if !l.given("preview_domain") {
		t.unsure("where previews are: preview_domain is not set, so that hosts end in %s", l.config.PreviewDomain)
	}
	if t.flags.platform == "" {
		t.unsure("what the platform team declares, such as classes, teams, charts and policies: --platform names a checkout; the configuration's class and the policies that are on by default count here")
	}
	switch {
	case t.images == nil && l.config.ImageCheck == "wait":
		t.unsure("whether the images are there, and their digests: no registry is asked, --images does; images stand as their templates name them")
	case t.images != nil:
		t.unsure("what workflows reported of images: they are found by their tags alone")
	}
	t.unsure("what an idp that runs knows already: this is as for one that never saw the pull request, nobody having asked for anything or approved it")
	t.unsure("who may give commands: GitHub is asked that when somebody gives one")
	t.unsure("whether Argo CD brings it to health: it ends with the commit, whose id is of a repository of the moment")
}

// seed makes the GitOps repository, with the platform folder of a checkout in it.
func seed(ctx context.Context, checkout, dir, repository, branch string) error {
	tree := filepath.Join(dir, "seed")
	if err := os.Mkdir(tree, 0o700); err != nil {
		return fmt.Errorf("make the GitOps repository: %w", err)
	}
	git := func(args ...string) error {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Env = append(slices.DeleteFunc(os.Environ(), gitVariable), "HOME="+dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fault.Wrap(fmt.Errorf("git %s: %w: %s", args[0], err, out), fault.Failure, "the GitOps repository of the moment cannot be made", "is git installed?")
		}
		return nil
	}
	if err := git("init", "--quiet", "--bare", "--initial-branch", branch, repository); err != nil || checkout == "" {
		return err
	}
	if err := copyPlatform(checkout, tree); err != nil {
		return err
	}
	in := []string{"--git-dir=" + repository, "--work-tree=" + tree, "-c", "core.bare=false", "-c", "user.name=idp", "-c", "user.email=idp@localhost"}
	if err := git(append(in, "add", "--all", "--force")...); err != nil {
		return err
	}
	return git(append(in, "commit", "--quiet", "--allow-empty", "--message", "The platform folder")...)
}

// copyPlatform copies the plain files of a checkout's platform folder; links are not followed.
func copyPlatform(checkout, tree string) error {
	root, err := os.OpenRoot(checkout)
	if err != nil {
		return noPlatform(checkout, err)
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), platform.Dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := readLimited(root, name, maxCharts)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(tree, name)), 0o700); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(tree, name), content, 0o600)
	})
	if err != nil {
		return noPlatform(checkout, err)
	}
	return nil
}

// run takes the pull request as far as the bot itself does.
func (t *rehearsal) run(ctx context.Context, repo bot.RepositoryRef, number int) (*tried, error) {
	name := fmt.Sprintf("%s/%s#%d", repo.Owner, repo.Name, number)
	pr, err := t.reader.PullRequest(ctx, repo, number)
	if err != nil {
		return nil, unread(err, name, t.cfg.GitHubAPIURL)
	}
	event := bot.Event{
		Kind: bot.EventPullRequest, Name: "pull_request", Action: "opened", Delivery: "try", Repository: pr.Repository, PR: number,
		HeadSHA: pr.HeadSHA, Actor: pr.Author, ReceivedAt: t.now(),
	}
	if _, err := t.store.AddDelivery(ctx, store.Delivery{GUID: event.Delivery, Event: event.Name, Action: event.Action, RepositoryID: pr.Repository.ID, PR: number, ReceivedAt: t.now(), Payload: []byte("{}")}); err != nil {
		return nil, err
	}
	err = t.handler.Handle(ctx, event)
	if early, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err); ok && !errors.Is(err, bot.ErrNoAccess) {
		t.unsure("who pushed the commit: %v", early)
		event.ReceivedAt = event.ReceivedAt.Add(-time.Hour) // the bot waits, and then does without
		err = t.handler.Handle(ctx, event)
	}
	if err != nil {
		return nil, unread(err, name, t.cfg.GitHubAPIURL)
	}
	if clone, ok := t.reader.(*clone); ok {
		t.unknown = append(clone.unsaid(), t.unknown...)
	}
	out := &tried{Subject: name, SHA: pr.HeadSHA, Unknown: t.unknown, Reasons: t.reasons}
	row, err := t.store.Environment(ctx, pr.Repository.ID, gitops.PreviewID(number))
	if errors.Is(err, previews.ErrNotFound) {
		return out, nil // it gets nothing
	}
	if err != nil {
		return nil, err
	}
	return out, t.follow(ctx, out, row)
}

// follow has the images looked up and the manifests committed, and words what came of it.
func (t *rehearsal) follow(ctx context.Context, out *tried, row previews.Environment) (err error) {
	for _, loop := range t.loops {
		if loop.Name == "images" {
			if _, err := loop.Step(ctx); err != nil {
				return err
			}
		}
	}
	if _, err := t.commits.Step(ctx); err != nil {
		return unread(err, out.Subject, t.cfg.GitHubAPIURL)
	}
	if row, err = t.store.Environment(ctx, row.Ref.RepositoryID, row.Ref.ID); err != nil {
		return err
	}
	if row.AppliedCommit != "" {
		if out.Files, err = t.manifests(ctx, row); err != nil {
			return err
		}
	} else if row.Wanted == previews.Present && row.Problem == nil {
		out.Unknown = append(out.Unknown, "the manifests: nothing is committed before the images are there")
	}
	in := report.Input{Environment: row, Class: t.declared.reporting(row), Notes: t.declared.notes(row), Web: htmlURL(t.cfg.GitHubAPIURL), Now: t.now()}
	if report.CommentWanted(in, false) {
		out.Comment = report.Comment(in)
	}
	check := report.CheckOf(in)
	out.Check = &triedCheck{replayedCheck{
		Name: check.Name, SHA: check.HeadSHA, Status: check.Status, Conclusion: check.Conclusion,
		Title: check.Title, Summary: check.Summary, Annotations: check.Annotations,
	}, check.Text}
	return nil
}

// manifests are what stands of the preview in the GitOps repository.
func (t *rehearsal) manifests(ctx context.Context, row previews.Environment) ([]triedFile, error) {
	var out []triedFile
	for _, dir := range []string{gitops.ApplicationSetsDir, row.Ref.Dir()} {
		files, err := t.gitops.Files(ctx, row.AppliedCommit, dir)
		if err != nil {
			return nil, fmt.Errorf("read what was committed: %w", err)
		}
		for _, file := range files {
			out = append(out, triedFile{Path: file.Path, Content: string(file.Content)})
		}
	}
	return out, nil
}
