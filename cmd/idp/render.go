package main

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/render"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// renderFlags are the flags of "idp render", as given.
type renderFlags struct {
	repo, sha, env, now, out, branch, author string
	repoID, generation                       int64
	pr                                       int
	images                                   []string
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
GitOps repository: the environment's folder is replaced, and the previews that are
there already stay in the list.

What a commit holds that the flags do not tell is assumed and said: the repository's id,
the generation, the time, and the images' digests, which the bot asks registries for.`,
		Example: `  idp render --repo acme/web --pr 42 --sha "$(git rev-parse HEAD)"
  idp render --repo acme/web --repo-id 1296269 --pr 42 --sha "$(git rev-parse HEAD)" --out ../gitops
  idp render --repo acme/web --env staging --sha "$(git rev-parse HEAD)" --image web=sha256:9f86d081…`,
		Args: atMostOneArg,
	}
	flags := cmd.Flags()
	flags.StringVar(&f.repo, "repo", "", "repository, as OWNER/NAME")
	flags.Int64Var(&f.repoID, "repo-id", 0, "repository's id at GitHub, which names hold a hash of (default 1)")
	flags.IntVar(&f.pr, "pr", 0, "number of the pull request to render the preview of")
	flags.StringVar(&f.env, "env", "", "name of the declared environment to render")
	flags.StringVar(&f.sha, "sha", "", "commit to deploy, in full")
	flags.StringVar(&f.branch, "branch", "", "pull request's branch, for the record")
	flags.StringVar(&f.author, "author", "", "pull request's author, for the record")
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
		row, err := p.renderRow(f, args, cfg.Class())
		if err != nil {
			return err
		}
		return p.render(cfg, f, row)
	}
	return cmd
}

// renderKeys are the configuration's keys and sections that rendering reads.
func renderKeys() []string {
	return []string{
		"github_api_url", "gitops_url", "gitops_read_url", "gitops_branch", "argocd_namespace", "argocd_project", "argocd_destination",
		"preview_domain", "preview_host", "preview_ttl", "preview_max_ttl", "preview_image", "image_check", "Routing", "Quota",
	}
}

// renderRow returns the row that the bot would have for what the flags describe,
// in its first generation.
func (p *program) renderRow(f renderFlags, args []string, class platform.Class) (previews.Environment, error) {
	now, err := f.check()
	if err != nil {
		return previews.Environment{}, err
	}
	path, raw, err := p.readSpec(args)
	if err != nil {
		return previews.Environment{}, err
	}
	parsed, errs := spec.Parse(path, raw)
	if len(errs) > 0 {
		return previews.Environment{}, fault.Wrap(specErrors(errs), fault.Invalid, fmt.Sprintf("%s in %s", plural(errs.Count(), "mistake"), path), `"idp schema" prints what is allowed`)
	}
	if err := f.declared(parsed); err != nil {
		return previews.Environment{}, err
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
	row.Want(previews.Revision{SHA: f.sha, Ref: f.branch, Spec: raw, TTL: ttl}, now)
	row.Generation = f.generation
	if row.Images, err = f.imagesOf(row, parsed, class); err != nil {
		return previews.Environment{}, err
	}
	return row, nil
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
	case f.generation < 1:
		return now, fault.Newf(fault.Usage, "--generation %d is not a generation: they count from 1", f.generation)
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

// declared refuses an --env that no service of the spec declares.
func (f renderFlags) declared(s *spec.Spec) error {
	if f.env == "" {
		return nil
	}
	var names []string
	for _, service := range s.Services {
		for name := range service.Environments {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if slices.Contains(names, f.env) {
		return nil
	}
	err := fault.Newf(fault.Invalid, "the spec declares no environment %q", f.env)
	if near := nearest(f.env, names); near != "" {
		return err.WithHint("did you mean %q?", near)
	}
	if len(names) == 0 {
		return err.WithHint(`add it below "environments"`)
	}
	return err.WithHint("it declares %s", strings.Join(names, ", "))
}

// render renders the row and prints or writes the files.
func (p *program) render(cfg *Config, f renderFlags, row previews.Environment) error {
	class := cfg.Class()
	if class.RepoURL == "" {
		class.RepoURL = exampleRepoURL
		p.note("gitops_url is not set: the ApplicationSet reads from %s", class.RepoURL)
	}
	if cfg.ImageCheck == "wait" && slices.ContainsFunc(row.Images, func(i previews.Image) bool { return i.Digest == "" }) {
		p.note("no registry is asked: images without --image stand as their templates name them, not by digest")
	}
	tree := renderTree{web: htmlURL(cfg.GitHubAPIURL), class: class, row: row}
	if f.env != "" {
		tree.environment = f.env
		p.note("the Application of %s is not among the files: only previews are listed", f.env)
	}
	if f.out == "" {
		files, err := tree.files(nil)
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

// renderTree is one environment on its way into a GitOps repository.
type renderTree struct {
	class platform.Class
	row   previews.Environment
	web   string
	// environment is the name of a declared environment, "" for a preview.
	environment string
}

// files returns what would be committed, given the repository's other previews.
func (t renderTree) files(others []previews.Environment) ([]gitops.File, error) {
	if t.environment != "" {
		row := t.row
		row.ExpiresAt = time.Time{}
		in, err := renderInput(row, oneClass(t.class))
		if err != nil {
			return nil, err
		}
		in.Environment = t.environment
		return render.Environment(in)
	}
	files, err := renderer(oneClass(t.class))(t.row)
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
