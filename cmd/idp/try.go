package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/bot/github/register"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/secret"
)

// tryFlags are the flags of "idp try", as given.
type tryFlags struct {
	github, tokenFile, dir, platform, files string
	images                                  bool
}

func newTry(p *program) *cobra.Command {
	var f tryFlags
	cmd := &cobra.Command{
		Use:   "try OWNER/REPO#N",
		Short: "Show what a pull request would get, and install nothing",
		Long: `Reads a pull request as the bot would and takes it all the way to the comment, the check and
the manifests that it would get, by the bot's own code, on a database and a GitOps repository
of the moment. GitHub is only read: what would write is not even sent, whatever the token may
do. It needs no App, no server and no cluster.

The token is that of --token-file, else of GITHUB_TOKEN or GH_TOKEN ("gh auth token" prints
one); for another GitHub than github.com, of GH_ENTERPRISE_TOKEN or GITHUB_ENTERPRISE_TOKEN.
It has to see the repository's code and pull requests. With --dir a clone is read instead:
the pull request's commit where refs/pull/N/head is fetched, else HEAD.

What cannot be known from here is said. The manifests go to standard output too, or with
--files below a folder, as they would stand in the GitOps repository.`,
		Example: `  GITHUB_TOKEN=$(gh auth token) idp try acme/web#12
  idp try acme/web#12 --dir . --config idp.yaml --platform ../gitops
  idp try acme/web#12 --github-url https://github.acme.dev --token-file token --images --files preview`,
		Args:              oneArg("the pull request, such as acme/web#12"),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.StringVar(&f.github, "github-url", "", "root of GitHub's pages, of an Enterprise Server, too (default https://github.com)")
	flags.StringVar(&f.tokenFile, "token-file", "", "file with a token that may read the repository")
	flags.StringVar(&f.dir, "dir", "", "clone of the repository to read, instead of GitHub")
	flags.StringVar(&f.platform, "platform", "", platformUsage)
	flags.BoolVar(&f.images, "images", false, "ask the images' registries for them, and wait for none")
	flags.StringVar(&f.files, "files", "", "new folder to write the manifests to")
	output := addOutputFlag(cmd)
	config := addConfigFlags(cmd, append(renderKeys(), "preview_comment", "preview_bots", "preview_logs", "preview_diffs", "images_docker_config_file")...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		l, err := p.soundConfig(config, forReading)
		if err != nil {
			return err
		}
		out, err := p.try(cmd.Context(), l, f, args[0], time.Now)
		if err != nil {
			return err
		}
		if f.files != "" {
			if err := out.write(f.files); err != nil {
				return err
			}
		}
		if *output != formatTable {
			return output.print(p.stdout, false, out, table{})
		}
		_, err = io.WriteString(p.stdout, out.text(p.styled(p.stdout), f.files))
		return wrapOutput(err)
	}
	return cmd
}

// subject is OWNER/REPO#N.
var pullRequestName = regexp.MustCompile(`^([A-Za-z0-9-]+)/([A-Za-z0-9._-]+)#([1-9][0-9]{0,8})$`)

// pulled reads the name of a pull request.
func pulled(name string) (repo bot.RepositoryRef, number int, err error) {
	parts := pullRequestName.FindStringSubmatch(name)
	if parts == nil {
		return repo, 0, fault.Newf(fault.Usage, "%q is not a pull request", name).WithHint("write it like acme/web#12, in quotes where your shell takes # for a comment")
	}
	number, err = strconv.Atoi(parts[3])
	return bot.RepositoryRef{Owner: parts[1], Name: parts[2]}, number, err
}

// try takes a pull request to what it would get.
func (p *program) try(ctx context.Context, l *loading, f tryFlags, name string, now func() time.Time) (*tried, error) {
	repo, number, err := pulled(name)
	if err != nil {
		return nil, err
	}
	if f.files != "" && exists(f.files) {
		return nil, fault.Newf(fault.Usage, "--files %s: it is there already; nothing was written", f.files).WithHint("name a folder that is not")
	}
	if f.dir != "" && f.tokenFile != "" {
		return nil, fault.New(fault.Usage, "--dir and --token-file exclude each other", "a clone is read without a token")
	}
	cfg := *l.config
	if f.github != "" {
		site, err := register.NewSite(f.github)
		if err != nil {
			return nil, fault.Newf(fault.Usage, "--github-url %s: %s", f.github, err)
		}
		cfg.GitHubAPIURL = site.API
	}
	dir, err := os.MkdirTemp("", "idp-try-")
	if err != nil {
		return nil, fault.Wrap(err, fault.Failure, "there is no place for the files of the moment: "+reason(err), "set TMPDIR to a folder that can be written to")
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left is in a folder for such
	t, err := p.newRehearsal(ctx, &cfg, f, dir, now)
	if err != nil {
		return nil, err
	}
	defer func() { _ = t.Close() }() // all that it holds goes with the folder
	t.configured(l)
	return t.run(ctx, repo, number)
}

// reading is what a rehearsal reads a repository by: GitHub, or a clone.
type reading interface {
	bot.Handling
	forest
}

// reader is that of the flags, and the App that stands for it.
func (p *program) reader(ctx context.Context, cfg *Config, f tryFlags, now func() time.Time) (reading, *github.App, error) {
	var own secret.String
	if f.dir == "" {
		var err error
		if own, err = p.personalToken(cfg.GitHubAPIURL, f.tokenFile, "read %s with", ", or a clone with --dir"); err != nil {
			return nil, nil, err
		}
	}
	app, err := github.AsPerson(github.Options{APIURL: cfg.GitHubAPIURL, Now: now}, own)
	if err != nil {
		return nil, nil, err
	}
	if f.dir == "" {
		return app.Installation(0), app, nil
	}
	clone, err := openClone(ctx, f.dir)
	return clone, app, err
}

// personalToken is the token of whoever tries; where there is none, use says what for, of
// GitHub's pages, and otherwise what else could be done. One of the environment goes to the GitHub that
// such variables are for, as with GitHub's own program, and to no other.
func (p *program) personalToken(api, file, use, otherwise string) (secret.String, error) {
	if file != "" {
		content, err := os.ReadFile(file)
		if err != nil {
			return secret.String{}, fault.Newf(fault.Usage, "cannot read %s: %s", file, reason(err))
		}
		if text := strings.TrimSpace(string(content)); text != "" && !strings.ContainsAny(text, " \t\r\n") {
			return secret.New(text), nil
		}
		return secret.String{}, fault.Newf(fault.Usage, "%s holds no token", file).WithHint("write the token into it, alone")
	}
	variables := []string{"GITHUB_TOKEN", "GH_TOKEN"}
	if u, err := url.Parse(api); err != nil || u.Hostname() != "api.github.com" && !strings.HasSuffix(u.Hostname(), ".ghe.com") {
		variables = []string{"GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"}
	}
	if text := cmp.Or(p.env[variables[0]], p.env[variables[1]]); text != "" {
		return secret.New(text), nil
	}
	return secret.String{}, fault.Newf(fault.Usage, "there is no token to "+use, htmlURL(api)).
		WithHint("set %s (gh auth token prints one), name a file with --token-file%s", variables[0], otherwise)
}

// unread says what to do about a pull request that cannot be read.
func unread(err error, what string, api string) error {
	refused, _ := errors.AsType[*github.APIError](err)
	switch {
	case errors.Is(err, bot.ErrNotFound):
		return fault.Wrap(err, fault.NotFound, fmt.Sprintf("%s has no pull request %s that this token sees", htmlURL(api), what),
			"check the name; a fine-grained token needs Contents and Pull requests: read, on that repository")
	case refused != nil && refused.Status == 401:
		return fault.Wrap(err, fault.Denied, htmlURL(api)+" does not know the token", "it may have expired: make another, or gh auth login")
	case errors.Is(err, bot.ErrNoAccess), refused != nil && refused.Status == 403:
		return fault.Wrap(err, fault.Denied, "the token may not read "+what, "a fine-grained token needs Contents and Pull requests: read, on that repository; with single sign-on it has to be authorised for the organisation")
	case fault.CodeOf(err) != fault.Failure:
		return err
	}
	return fault.Wrap(err, fault.Failure, fmt.Sprintf("%s cannot be read: %v", what, err), "try again; --github-url says which GitHub it is on")
}

// quiet is a log that nobody reads.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
