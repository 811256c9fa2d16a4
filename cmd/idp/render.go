package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// renderFlags are the flags of "idp render", as given.
type renderFlags struct {
	repo, sha, mergeSHA, env, platform, now, out, branch, author, trust string
	repoID, generation                                                  int64
	pr                                                                  int
	images                                                              []string
}

func newRender(p *program) *cobra.Command {
	var f renderFlags
	cmd := &cobra.Command{
		Use:   "render [FILE|DIR] --repo OWNER/NAME (--pr N | --env NAME) --sha SHA",
		Short: "Print the files that a deploy.yaml becomes",
		Long: `Renders an environment as the bot would: exactly the files that it would commit, for
the deploy.yaml given, "-" for standard input, or the one in the repository at DIR.

Without --out they go to standard output as one stream of YAML documents, each under
a comment with its path. With --out they are written below that folder, the root of a
GitOps repository: the environment's folder is replaced, and the environments that are
there already stay in the list.

With --env it is a declared environment: a folder for what its services share, and one
for each service. --platform names the checkout that declares it, which may be that of
--out; without it the server's configuration is all there is to it. Of a preview it says
what the class gives by its base objects to code of the trust class that --trust names.

Where that environment changes values in files that are there already, what is printed
is a patch of the checkout that --platform names, and --out changes the files.

What a source makes is rendered from the chart, overlay or manifests in the repository's
folder as they are there, confined as with the bot, which takes the base branch's or, of a
declared environment, the default branch's. What is dropped or changed of them is said.

What a commit holds that the flags do not tell is assumed and said: the repository's id,
the generation, the time, and the images' digests, which the bot asks registries for.`,
		Example: `  idp render --repo acme/web --pr 42 --sha "$(git rev-parse HEAD)"
  idp render --repo acme/web --repo-id 1296269 --pr 42 --sha "$(git rev-parse HEAD)" --out ../gitops
  idp render --repo acme/web --env staging --platform ../gitops --sha "$(git rev-parse HEAD)" --image web=sha256:9f86d081…`,
		Args: atMostOneArg,
	}
	flags := cmd.Flags()
	flags.StringVar(&f.repo, "repo", "", "repository, as OWNER/NAME")
	flags.Int64Var(&f.repoID, "repo-id", 0, "repository's id at GitHub, which names hold a hash of (default 1)")
	flags.IntVar(&f.pr, "pr", 0, "number of the pull request to render the preview of")
	flags.StringVar(&f.env, "env", "", "name of the declared environment to render")
	flags.StringVar(&f.platform, "platform", "", platformUsage)
	flags.StringVar(&f.sha, "sha", "", "commit to deploy, in full")
	flags.StringVar(&f.mergeSHA, "merge-sha", "", "commit by which GitHub would merge the pull request, where images are named by {merge_sha}")
	flags.StringVar(&f.branch, "branch", "", "pull request's branch, for the record")
	flags.StringVar(&f.author, "author", "", "pull request's author, for the record")
	flags.StringVar(&f.trust, "trust", "", "how far the commit's code is trusted: "+trustNames()+` (default "member", with --env "default-branch")`)
	flags.StringVar(&f.now, "now", "", "time of the push, as 2006-01-02T15:04:05Z (default the present)")
	flags.Int64Var(&f.generation, "generation", 1, "how many times the environment was asked for, as in its environment.yaml")
	flags.StringArrayVar(&f.images, "image", nil, "image of a service, as SERVICE=IMAGE, or IMAGE of the only one: a reference, or just the digest for the one that would be used; may be repeated")
	flags.StringVar(&f.out, "out", "", "root of a GitOps repository to write to")
	config := addConfigFlags(cmd, renderKeys()...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := required(cmd, "repo", "sha"); err != nil {
			return err
		}
		if err := oneOf(cmd, "pr", "env"); err != nil {
			return err
		}
		cfg, err := p.loadConfig(config, forReading)
		if err != nil {
			return err
		}
		if f.platform == "" && f.trust != "" {
			return misused(cmd, "--trust goes with --platform")
		}
		tree, err := p.treeOf(cmd.Context(), cfg, f, args)
		if err != nil {
			return err
		}
		return p.render(f, tree)
	}
	return cmd
}

// treeOf is what the flags ask for, with its sources from the checkout that args name.
func (p *program) treeOf(ctx context.Context, cfg *Config, f renderFlags, args []string) (rendered, error) {
	row, parsed, err := p.renderRow(f, args, cfg.Class())
	if err != nil {
		return nil, err
	}
	tree, err := p.renderTree(cfg, f, row, parsed)
	if err != nil {
		return nil, err
	}
	switch t := tree.(type) {
	case renderTree:
		if row.Sourced() {
			t.render = p.ofCheckout(ctx, checkout(args), f.platform, t.class)
		}
		return t, nil
	case declaredTree:
		t.source = p.partOfCheckout(ctx, f, args, parsed)
		return t, nil
	}
	return tree, nil
}

// renderKeys are the configuration's keys and sections that rendering reads.
func renderKeys() []string {
	return []string{
		"github_api_url", "gitops_url", "gitops_read_url", "gitops_branch", "argocd_namespace", "argocd_project", "argocd_destination", "rollout_timeout",
		"preview_domain", "preview_host", "preview_ttl", "preview_max_ttl", "preview_image", "preview_access", "image_check", "Routing", "Quota",
	}
}

// renderRow returns the row that the bot would have for what the flags describe,
// without its images, and the spec.
func (p *program) renderRow(f renderFlags, args []string, class platform.Class) (previews.Environment, *spec.Spec, error) {
	now, err := f.check()
	if err != nil {
		return previews.Environment{}, nil, err
	}
	path, raw, err := p.readSpec(args)
	if err != nil {
		return previews.Environment{}, nil, err
	}
	parsed, errs := spec.Parse(path, raw)
	if len(errs) > 0 {
		return previews.Environment{}, nil, fault.Wrap(specErrors(errs), fault.Invalid, fmt.Sprintf("%s in %s", plural(errs.Count(), "mistake"), path), `"idp schema" prints what is allowed`)
	}
	owner, repo, _ := strings.Cut(f.repo, "/")
	row := previews.Environment{
		Ref:   gitops.EnvironmentRef{RepositoryID: f.repoID, Owner: strings.ToLower(owner), Repo: strings.ToLower(repo), ID: f.env},
		Owner: owner, Repo: repo, PR: f.pr, Author: f.author,
	}
	if row.Ref.RepositoryID == 0 {
		row.Ref.RepositoryID = 1
		p.note("--repo-id is not given: hashes in names are those of a repository with id 1")
	}
	if f.pr > 0 {
		row.Ref.ID = gitops.PreviewID(f.pr)
	}
	ttl := class.TTL
	if parsed.Preview.TTL > 0 {
		ttl = min(parsed.Preview.TTL, class.MaxTTL)
	}
	row.Want(previews.Revision{SHA: f.sha, Ref: f.branch, Spec: raw, TTL: ttl, Trust: f.trusted()}, now)
	row.Generation = f.generation
	p.sourceOf(f, args, &row, parsed)
	return row, parsed, nil
}

// trusted is how far the commit's code is trusted; unknown where no platform folder gives
// anything by it.
func (f renderFlags) trusted() platform.Trust {
	switch {
	case f.platform == "":
		return platform.TrustUnknown
	case f.trust != "":
		return platform.Trust(f.trust)
	case f.env != "":
		return platform.TrustDefaultBranch
	}
	return platform.TrustMember
}

func trustNames() string {
	var names []string
	for _, t := range platform.Trusts() {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}

var (
	fullSHA    = regexp.MustCompile(`^[0-9a-f]{40}$`)
	repository = regexp.MustCompile(`^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$`)
)

// check holds the flags against their forms and returns the time they name.
func (f renderFlags) check() (now time.Time, err error) {
	switch {
	case !repository.MatchString(f.repo):
		return now, fault.Newf(fault.Usage, "--repo %q is not OWNER/NAME", f.repo)
	case !fullSHA.MatchString(f.sha):
		return now, fault.Newf(fault.Usage, "--sha %q is not a full commit", f.sha).WithHint(`use the 40 hexadecimal digits that "git rev-parse HEAD" prints`)
	case f.mergeSHA != "" && !fullSHA.MatchString(f.mergeSHA):
		return now, fault.Newf(fault.Usage, "--merge-sha %q is not a full commit", f.mergeSHA).WithHint(`"gh pr view N --json potentialMergeCommit" prints it`)
	case f.mergeSHA != "" && f.env != "":
		return now, fault.New(fault.Usage, "--merge-sha goes with --pr", "in a declared environment {merge_sha} is the commit itself")
	case f.generation < 1:
		return now, fault.Newf(fault.Usage, "--generation %d is not a generation: they count from 1", f.generation)
	case f.trust != "" && !slices.Contains(platform.Trusts(), platform.Trust(f.trust)):
		return now, fault.Newf(fault.Usage, "--trust %q is none of %s", f.trust, trustNames())
	case f.repoID < 0:
		return now, fault.Newf(fault.Usage, "--repo-id %d is not a repository's id", f.repoID)
	case f.env == "" && f.pr <= 0:
		return now, fault.Newf(fault.Usage, "--pr %d is not a pull request's number", f.pr)
	case f.now == "":
		return time.Now(), nil
	}
	if now, err = time.Parse(time.RFC3339, f.now); err != nil {
		return now, fault.Newf(fault.Usage, "--now %q is not a time", f.now).WithHint("write it like 2026-11-22T15:04:05Z")
	}
	return now, nil
}

// declared refuses an --env that is most likely misspelt: one that the spec, which need
// not name it, has under nearly that name.
func (f renderFlags) declared(s *spec.Spec) error {
	if why := spec.CheckEnvironment(f.env); why != "" {
		return fault.Newf(fault.Usage, "environment name %q %s", f.env, why)
	}
	var names []string
	for _, service := range s.Services {
		names = slices.AppendSeq(names, maps.Keys(service.Environments))
	}
	slices.Sort(names)
	if near := nearest(f.env, names); near != "" && !slices.Contains(names, f.env) {
		return fault.Newf(fault.Invalid, "the spec says nothing of an environment %q", f.env).
			WithHint("did you mean %q? Name the checkout that declares %s with --platform otherwise", near, f.env)
	}
	return nil
}

// rendered is an environment, on its way into a GitOps repository.
type rendered interface {
	// alone returns what would be committed to an empty repository.
	alone() ([]gitops.File, error)
	// write puts what would be committed into a work tree, and returns it.
	write(dir string) ([]gitops.File, error)
}

// renderTree returns the preview or the declared environment that the flags name.
func (p *program) renderTree(cfg *Config, f renderFlags, row previews.Environment, parsed *spec.Spec) (rendered, error) {
	class := cfg.Class()
	if f.env == "" && f.platform != "" {
		all, err := loadPlatform(f.platform, class)
		if err != nil {
			return nil, err
		}
		if errs := all.CheckSpec(spec.Path, row.Spec); len(errs) > 0 {
			return nil, fault.Wrap(specErrors(errs), fault.Invalid, plural(errs.Count(), "mistake")+" in "+spec.Path, "")
		}
		class = all.OfPreviews(class)
	}
	if class.RepoURL == "" {
		class.RepoURL = exampleRepoURL
		p.note("gitops_url is not set: the ApplicationSet reads from %s", class.RepoURL)
	}
	var env platform.Environment
	var all platform.Platform
	var err error
	if f.env != "" {
		if env, all, err = p.declaration(f, class, parsed); err != nil {
			return nil, err
		}
		class = all.Classes[env.Class]
	}
	if row.Images, err = f.imagesOf(row, parsed, class); err != nil {
		return nil, err
	}
	if cfg.ImageCheck == "wait" && slices.ContainsFunc(row.Images, func(i previews.Image) bool { return i.Digest == "" }) {
		p.note("no registry is asked: images without --image stand as their templates name them, not by digest")
	}
	if _, _, updates := env.UpdateOf(row.Ref.RepositoryID, ""); updates {
		return p.updatedTree(f, row, env, all, parsed)
	}
	if f.env != "" {
		return p.declaredTree(cfg, row, env, all)
	}
	if class.Closed() && slices.ContainsFunc(parsed.Services, func(s spec.Service) bool { return s.Kind == spec.Web }) {
		p.note("the preview has no address: %s; %s", platform.WhyClosed, class.HowToOpen())
	}
	return renderTree{web: htmlURL(cfg.GitHubAPIURL), class: class, row: row}, nil
}

// render prints or writes the files.
func (p *program) render(f renderFlags, tree rendered) error {
	if updated, ok := tree.(updatedTree); ok && f.out == "" {
		patch, err := updated.diff()
		if err != nil {
			return err
		}
		_, err = p.stdout.Write(patch)
		return wrapOutput(err)
	}
	if f.out == "" {
		files, err := tree.alone()
		if err != nil {
			return err
		}
		_, err = p.stdout.Write(stream(files))
		return wrapOutput(err)
	}
	files, err := tree.write(f.out)
	if err != nil {
		return err
	}
	for _, file := range files {
		if _, err := fmt.Fprintln(p.stdout, file.Path); err != nil {
			return wrapOutput(err)
		}
	}
	return nil
}

// note tells of an assumption.
func (p *program) note(format string, args ...any) {
	_, _ = io.WriteString(p.stderr, p.styled(p.stderr).dim("note:")+" "+fmt.Sprintf(format, args...)+"\n")
}

// renderTree is one preview on its way into a GitOps repository.
type renderTree struct {
	class platform.Class
	row   previews.Environment
	web   string
	// render, when set, renders the row in the place of idp alone.
	render func(previews.Environment) ([]gitops.File, error)
}

func (t renderTree) alone() ([]gitops.File, error) { return t.files(nil) }

// files returns what would be committed, given the repository's other previews.
func (t renderTree) files(others []previews.Environment) ([]gitops.File, error) {
	render := t.render
	if render == nil {
		render = renderer(oneClass(t.class))
	}
	files, err := render(t.row)
	if err != nil {
		return nil, err
	}
	list, err := lister(oneClass(t.class), t.web)(previews.Listed{RepositoryID: t.row.Ref.RepositoryID, Repo: t.row.Ref.Repo}, append(others, t.row))
	if err != nil {
		return nil, err
	}
	return append([]gitops.File{list}, files...), nil
}

// stream is the files as YAML documents, each under its path.
func stream(files []gitops.File) []byte {
	var b bytes.Buffer
	for i, file := range files {
		if i > 0 {
			b.WriteString("---\n")
		}
		fmt.Fprintf(&b, "# %s\n%s", file.Path, file.Content)
	}
	return b.Bytes()
}

// specErrors are the mistakes of a spec, as an error of several lines.
type specErrors spec.Errors

func (e specErrors) Error() string { return e[0].Error() }

// Details returns one line per mistake.
func (e specErrors) Details() []string {
	out := make([]string, len(e))
	for i, one := range e {
		out[i] = one.Error()
	}
	return out
}
