package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/robfig/cron/v3"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/argocd"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/policy"
	"github.com/idp-bot/idp/gitops/render"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/images"
	"github.com/idp-bot/idp/previews/store"
	"github.com/idp-bot/idp/webhooks"
)

func newGitHub(cfg *Config, now func() time.Time, log *slog.Logger, registry prometheus.Registerer) (*github.App, error) {
	pace := cfg.GitHubWritesPerMinute
	if pace == 0 {
		pace = -1 // no limit
	}
	return githubApp(cfg, github.Options{WritesPerMinute: pace, ReadOnly: cfg.observes(), Now: now, Log: log, Registerer: registry})
}

// newGitOpsWriters are the Apps that write GitOps repositories, as fast and as far as idp's
// own; what they ask of GitHub is not measured.
func newGitOpsWriters(cfg *Config, own *github.App, now func() time.Time, log *slog.Logger) (writers, error) {
	pace := cfg.GitHubWritesPerMinute
	if pace == 0 {
		pace = -1 // no limit
	}
	return newWriters(cfg, own, github.Options{WritesPerMinute: pace, ReadOnly: cfg.observes(), Now: now, Log: log})
}

// githubApp is the App of the configuration.
func githubApp(cfg *Config, o github.Options) (*github.App, error) {
	return appOf(cfg, cfg.GitHubAppID, cfg.GitHubPrivateKeyFile, o)
}

// wire makes the parts that act on rows.
func (m *Main) wire() {
	m.errors = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "idp_errors_total",
		Help: "What failed, by kind: one delivery, report, reply, image lookup, refresh or environment's commit, a run on schedule (reap, sweep, drift, prune), or a loop's whole step (the plural).",
	}, []string{"kind"})
	m.registry.MustRegister(m.errors)
	class := m.cfg.Class()
	appID := m.cfg.GitHubAppID
	m.declared = &declarations{base: class, api: m.cfg.GitHubAPIURL, argocds: m.cfg.argoCDsBeside(), repo: m.platform, now: m.now}
	m.policies = &policies{repo: m.platform, log: m.log}
	m.sources = func(id int64) forest { return m.github.Installation(id) }
	m.handler = &bot.Handler{
		Store: m.store, GitHub: func(id int64) bot.Handling { return m.github.Installation(id) },
		Class: class, Platform: m.declared.current, Recent: m.declared.recent, Guard: m.policies.guard, AppID: appID, Decided: m.wake.all, Now: m.now, Log: m.log,
	}
	m.sweeper = &bot.Sweeper{
		Store: m.store, GitHub: func(id int64) bot.Lister { return m.github.Installation(id) }, App: m.github, Lost: countLost(m.registry), Now: m.now, Log: m.log,
	}
	m.reaper = previews.NewReaper(previews.ReaperOptions{Store: m.store, Class: class, Removed: m.wake.all, Now: m.now, Log: m.log, Registerer: m.registry})
	watcher := &previews.ImageWatcher{
		Store: m.store, Template: imageTemplate(m.declared.class), Reference: imageReference(m.declared.class), Absent: absent, NextCheck: images.NextCheck, Timeout: m.cfg.ImageTimeout,
		Describe: m.describeImageError, Changed: m.wake.all, Now: m.now, Log: m.log,
	}
	watcher.Reported = m.reportedImage
	watcher.Upstream = bot.Upstream{GitHub: func(id int64) bot.Building { return m.github.Installation(id) }}
	if m.images != nil {
		watcher.Resolver, watcher.Lacking = m.images, m.lacking
	}
	m.handler.Compare, m.handler.Roots = m.comparing(watcher).compare, m.rootsOf
	m.prove(watcher)
	latency := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "idp_end_to_end_seconds", Help: "Time from a webhook's arrival until what it asked for was pushed, waiting for images included.",
		Buckets: prometheus.ExponentialBuckets(0.05, 2, 16),
	})
	m.registry.MustRegister(latency)
	committer := &previews.Committer{
		Store: m.store, Git: m.gitops, Batch: previews.DefaultBatch, Render: m.sourced().render, Policies: m.judging, Prove: watcher.Prove, List: lister(m.declared.class, htmlURL(m.cfg.GitHubAPIURL)),
		Paused: m.mayCommit, Latency: latency, Pushed: m.pushed, Failed: m.failed("commit"), Now: m.now, Log: m.log,
	}
	reporter := &bot.Reporter{
		Store: m.store, GitHub: func(id int64) bot.Publisher { return m.github.Installation(id) },
		Class: class, ClassOf: m.declared.reporting, NotesOf: m.declared.notes, Web: htmlURL(m.cfg.GitHubAPIURL),
		AppID: appID, Failed: m.failed("report"), Now: m.now, Log: m.log,
	}
	speaker := &bot.Speaker{Store: m.store, GitHub: func(id int64) bot.Replier { return m.github.Installation(id) }, Quiet: m.cfg.observes(), Failed: m.failed("reply"), Now: m.now, Log: m.log}
	m.lanes = newLanes(m, *committer)
	m.loops = []previews.Loop{watcher.Loop(m.wake.images), speaker.Loop(m.wake.replies)}
	if !m.cfg.observes() {
		m.loops = append(m.loops, reporter.Loop(m.wake.reports))
		m.own = []previews.Loop{m.lanes.loop()}
	}
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "idp_ready_seconds",
		Help:    "How long each link of the way to a revision that is ready took: image, committed, synced, healthy, serves where that is asked, and total.",
		Buckets: prometheus.ExponentialBuckets(0.25, 2, 14),
	}, []string{"link"})
	m.registry.MustRegister(took)
	committer.Watched = len(m.argocds) > 0 && !m.cfg.observes()
	m.lanes.committer.Watched = committer.Watched
	m.follow(took)
	m.drift = newWatchDrift(m)
	m.commits = committer.Loop(m.wake.commits)
	if m.cfg.AuditLog != "" {
		m.loops = append(m.loops, auditCopier{store: m.store, sink: m.cfg.AuditLog, out: m.out}.loop(m))
	}
	m.countFailures()
}

// comparing is what /idp diff asks.
func (m *Main) comparing(watcher *previews.ImageWatcher) comparing {
	return comparing{
		images: watcher.Images, render: m.sourced().render, updates: m.updates, files: m.filesOf,
		judge: func(ctx context.Context, would previews.Environment, files []gitops.File) policy.Verdict {
			return m.judging(ctx)(ctx, would, files)
		},
		shows: func(env previews.Environment) bool { return m.declared.reporting(env).ShowsDiffs(env.Private) },
		failed: func(env previews.Environment, err error) {
			m.log.Warn("what would change is not known", "env", env.Ref.String(), "error", err)
		},
	}
}

// countFailures has each loop count its steps that fail.
func (m *Main) countFailures() {
	for _, loops := range [][]previews.Loop{m.loops, m.own, m.observations} {
		for i := range loops {
			loops[i].Failed = m.failed(loops[i].Name)
		}
	}
	m.commits.Failed = m.failed(m.commits.Name)
}

// failed returns what counts the failures of a kind. Kinds are few and fixed.
func (m *Main) failed(kind string) func() { return m.errors.WithLabelValues(kind).Inc }

// startJobs starts the queue: deliveries, and what runs on a schedule.
func (m *Main) startJobs(ctx context.Context) error {
	consumer := webhooks.NewConsumer(m.store, m.handler.Handle)
	reap, err := cron.ParseStandard(m.cfg.ReapSchedule)
	if err != nil {
		return fmt.Errorf("reap_schedule: %w", err)
	}
	sweep, err := cron.ParseStandard(m.cfg.SweepSchedule)
	if err != nil {
		return fmt.Errorf("sweep_schedule: %w", err)
	}
	return m.store.StartJobs(ctx, store.Jobs{
		Handle: consumer.Handle,
		Failed: func(kind string) { m.failed(kind)() },
		Periodic: []store.Periodic{
			{Name: "reap", Schedule: reap, Run: m.onlyOne("reap", m.reap)},
			{Name: "sweep", Schedule: sweep, Run: m.onlyOne("sweep", m.sweep)},
			{Name: "drift", Schedule: cron.Every(driftEvery), Run: m.onlyOne("drift", m.drift.look)},
		},
	})
}

// pushed has Argo CD look at what a commit changed, and lets the rest act on the rows.
func (m *Main) pushed(changed []previews.Environment) {
	m.wake.all()
	m.refresh(changed)
}

// filesOf returns the files of a folder in a commit of the repository that an
// environment is in.
func (m *Main) filesOf(ctx context.Context, env previews.Environment, commit, dir string) ([]gitops.File, error) {
	in, err := m.lanes.repo(ctx, env.Lane)
	if err != nil {
		return nil, err
	}
	return in.Files(ctx, commit, dir)
}

// rootOf is the Application that syncs the lists of an environment's class.
func (m *Main) rootOf(env previews.Environment) string {
	if class, err := m.declared.class(env); err == nil && class.Root != "" {
		return class.Root
	}
	return m.cfg.ArgoCDRoot
}

// classes returns the class that an environment belongs to.
type classes func(previews.Environment) (platform.Class, error)

// oneClass is the classes of somebody who knows one.
func oneClass(class platform.Class) classes {
	return func(previews.Environment) (platform.Class, error) { return class, nil }
}

// renderInput is what an environment's files are rendered from.
func renderInput(env previews.Environment, classOf classes) (render.Input, error) {
	class, err := classOf(env)
	if err != nil {
		return render.Input{}, err
	}
	parsed, errs := spec.Parse(spec.Path, env.Spec)
	if err := errs.Err(); err != nil {
		return render.Input{}, err
	}
	in := render.Input{
		Ref: env.Ref, FullName: env.Owner + "/" + env.Repo, PR: env.PR, SHA: env.SHA, HeadRef: env.HeadRef, Author: env.Author, AskedBy: env.AskedBy,
		Generation: env.Generation, Spec: parsed, SpecRaw: env.Spec, Class: class, Images: map[string]string{}, ExpiresAt: env.ExpiresAt,
	}
	if len(class.Objects) > 0 {
		in.Trust = env.Trust
	}
	if env.Declared() {
		in.Environment, in.Namespace, in.PR, in.Attempt = env.Ref.ID, env.Namespace, 0, env.Deployed.Current.Attempt
		in.RolloutTimeout = env.RolloutTimeout
		in.Source = recordOf(env.Source)
	}
	for _, image := range env.Images {
		reference := image.Reference
		if image.Digest != "" {
			pinned, err := images.Pinned(image.Reference, image.Digest)
			if err != nil {
				return render.Input{}, err
			}
			reference = pinned
		}
		in.Images[image.Service] = reference
		if of := image.Of(); of != "" && image.Digest != "" {
			if in.ImagesOf == nil {
				in.ImagesOf = map[string]string{}
			}
			in.ImagesOf[image.Service] = of
		}
	}
	return in, nil
}

// recordOf is where objects come from, for the record; nil for idp.
func recordOf(from *previews.Source) *render.RecordedSource {
	if from == nil {
		return nil
	}
	return &render.RecordedSource{Commit: from.Base, Branch: from.Branch, From: from.From, Taken: from.Taken, Left: from.Left, Pins: digests(from.Pins)}
}

func renderer(classOf classes) func(previews.Environment) ([]gitops.File, error) {
	return func(env previews.Environment) ([]gitops.File, error) {
		in, err := renderInput(env, classOf)
		if err != nil {
			return nil, err
		}
		return render.Environment(in)
	}
}

// imageTemplate returns the template of a service's image.
func imageTemplate(classOf classes) func(previews.Environment, spec.Service) (string, error) {
	return func(env previews.Environment, service spec.Service) (string, error) {
		class, err := classOf(env)
		return render.ImageTemplate(class, service), err
	}
}

// imageReference returns what a service's image is called that comes from a build; of a
// pull request's merge that is not known what people are told.
func imageReference(classOf classes) func(previews.Environment, spec.Service, previews.Build) (string, error) {
	return func(env previews.Environment, service spec.Service, build previews.Build) (string, error) {
		in, err := renderInput(env, classOf)
		if err != nil {
			return "", err
		}
		if in.SHA, in.MergeSHA = build.SHA, build.Merge; build.Merge == "" {
			return render.ImageName(in, service), nil
		}
		return render.ImageReference(in, service)
	}
}

func lister(classOf classes, page string) func(previews.Listed, []previews.Environment) (gitops.File, error) {
	return func(of previews.Listed, rows []previews.Environment) (gitops.File, error) {
		if of.Declared {
			return listDeployed(of, rows, classOf, page)
		}
		class, err := classOf(previews.Environment{})
		if err != nil {
			return gitops.File{}, err
		}
		elements := make([]argocd.Element, 0, len(rows))
		for _, row := range rows {
			elements = append(elements, argocd.Element{Ref: row.Ref, URL: fmt.Sprintf("%s/%s/%s/pull/%d", page, row.Owner, row.Repo, row.PR)})
		}
		return argocd.ApplicationSet(of.RepositoryID, of.Repo, class, elements)
	}
}

func listDeployed(of previews.Listed, rows []previews.Environment, classOf classes, page string) (gitops.File, error) {
	elements := make([]argocd.DeployedElement, 0, len(rows))
	for _, row := range rows {
		class, err := classOf(row)
		if err != nil {
			return gitops.File{}, err
		}
		elements = append(elements, argocd.DeployedElement{
			Ref: row.Ref, Class: class, Namespace: row.Namespace, URL: fmt.Sprintf("%s/%s/%s", page, row.Owner, row.Repo),
		})
	}
	return argocd.DeployedApplicationSet(of.RepositoryID, of.Repo, elements)
}

// namedRegistries are the registries that the platform team names, so that they may be
// inside the network: in the server's configuration, in classes and in policies.
func (m *Main) namedRegistries(ctx context.Context) []string {
	templates := append(m.policies.latest(ctx).Registries(), m.cfg.PreviewImage)
	if declared, err := m.declared.latest(); err == nil {
		for _, class := range declared.Classes {
			templates = append(templates, class.ImageTemplate)
		}
	}
	var out []string
	for _, template := range templates {
		if registry := images.RegistryOf(template); registry != "" {
			out = append(out, registry)
		}
	}
	return out
}

// describeImageError says in a few words why an image cannot be had. One that is not
// there yet is no failure.
func (m *Main) describeImageError(err error) string {
	if !errors.Is(err, images.ErrNotFound) {
		m.failed("image")()
	}
	switch {
	case errors.Is(err, images.ErrNotFound):
		return "not in the registry"
	case errors.Is(err, images.ErrUnauthorized):
		return "the registry does not let idp see it; the platform team has to give idp credentials for it"
	case errors.Is(err, images.ErrInside):
		return "its registry is not at a public address, and only the repository names it; the platform team has to name it too, in the image of a class, the registries of its policies or the pull credentials of idp"
	case errors.Is(err, images.ErrInvalid):
		return "not an image reference that can be used"
	default:
		return "the registry cannot be reached"
	}
}

// lacking returns which platforms of its class's nodes an image that was found is not there for.
func (m *Main) lacking(ctx context.Context, env previews.Environment, image previews.Image) ([]string, error) {
	class, err := m.declared.class(env)
	if err != nil || len(class.NodePlatforms) == 0 {
		return nil, err
	}
	pinned, err := images.Pinned(image.Reference, image.Digest)
	if err != nil {
		return nil, err
	}
	return m.images.Lacking(ctx, pinned, class.NodePlatforms)
}

// absent tells a registry's answer that it has no such image, or shows none, from one that
// says nothing of it.
func absent(err error) bool {
	return errors.Is(err, images.ErrNotFound) || errors.Is(err, images.ErrUnauthorized)
}

// reportedImage is the digest that a workflow reported for a service of an environment.
func (m *Main) reportedImage(ctx context.Context, env previews.Environment, service, reference string) (digest, pinned string, err error) {
	digest, err = m.store.ReportedImage(ctx, env.Ref.RepositoryID, env.SHA, service)
	if err != nil || digest == "" {
		return "", "", err
	}
	pinned, err = images.Pinned(reference, digest)
	return digest, pinned, err
}

// htmlURL returns the root of GitHub's pages, without a slash at its end, for the
// root of its API: https://github.com for https://api.github.com/, https://HOST
// for https://HOST/api/v3/.
func htmlURL(apiURL string) string {
	root := strings.TrimSuffix(strings.TrimSuffix(strings.TrimRight(apiURL, "/"), "/api/v3"), "/api")
	return strings.Replace(root, "://api.", "://", 1)
}
