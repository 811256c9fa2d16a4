package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/bot/github/register"
	"github.com/idp-bot/idp/gitops/fault"
)

// newSetup holds the commands that make what idp needs elsewhere.
func newSetup(p *program) *cobra.Command {
	cmd := &cobra.Command{Use: "setup", Short: "Make what idp needs elsewhere"}
	asGroup(cmd)
	cmd.AddCommand(newSetupGitHub(p))
	return cmd
}

// appSetup is what "idp setup github" is asked for.
type appSetup struct {
	github, organisation, name, webhook, dir, listen string
	writer                                           bool
	timeout                                          time.Duration
}

func newSetupGitHub(p *program) *cobra.Command {
	var s appSetup
	cmd := &cobra.Command{
		Use:   "github",
		Short: "Register the GitHub App, with exactly what idp needs",
		Long: `Registers the GitHub App with the permissions and events that idp needs, and no more, and
keeps its private key and its webhook secret in files that only you read. It serves a page
on this machine and prints its address: open it in a browser, press the button, and
confirm on GitHub, which brings the browser back here.

It prints what goes into the configuration to standard output. Nothing is overwritten, and
until GitHub has brought you back nothing is written.

With --writer it is instead an App that writes the GitOps repository and is for nothing else
(gitops_app_id): it may write contents and pull requests where it is installed, and has no webhook.
The App of idp itself then needs no write access to any code.

On another machine than the browser's, forward the port: ssh -L PORT:127.0.0.1:PORT HOST,
with the port of --listen.`,
		Example: `  idp setup github --org acme --webhook-url https://idp.acme.dev > idp.yaml
  idp setup github --github-url https://github.acme.dev --webhook-url https://idp.acme.dev
  idp setup github --org acme --writer >> idp.yaml`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.StringVar(&s.github, "github-url", "https://github.com", "root of GitHub's pages, of an Enterprise Server, too")
	flags.StringVar(&s.organisation, "org", "", "organisation that the App belongs to (default whoever is signed in)")
	flags.StringVar(&s.name, "name", "", "name of the App, unique on its GitHub; its page lets it be changed (default idp-ORG)")
	flags.StringVar(&s.webhook, "webhook-url", "", "where GitHub reaches idp; without a path "+hookPath+" is added")
	flags.BoolVar(&s.writer, "writer", false, "register an App that writes the GitOps repository")
	flags.StringVar(&s.dir, "dir", ".", "folder of the files with the key and the secret")
	flags.StringVar(&s.listen, "listen", "127.0.0.1:0", "address on this machine to serve the page at")
	flags.DurationVar(&s.timeout, "timeout", 15*time.Minute, "how long to wait for GitHub to bring the browser back")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return p.setUpGitHub(cmd.Context(), s) }
	return cmd
}

// appFiles are where the key and the secrets of an App go; the latter are "" of one that
// only writes.
type appFiles struct{ key, webhook, client string }

// files are known before the App is, so that what would be overwritten is told first.
func (s appSetup) files() (appFiles, error) {
	dir, err := filepath.Abs(s.dir)
	if s.writer {
		return appFiles{key: filepath.Join(dir, "gitops-writer.pem")}, err
	}
	return appFiles{key: filepath.Join(dir, "github-app.pem"), webhook: filepath.Join(dir, "webhook-secret"), client: filepath.Join(dir, "client-secret")}, err
}

// manifest puts together what GitHub is asked for; mistakes are those of the flags.
func (s appSetup) manifest() (site register.Site, m register.Manifest, err error) {
	if site, err = register.NewSite(s.github); err != nil {
		return site, m, fault.Newf(fault.Usage, "--github-url %s: %s", s.github, err)
	}
	name := cmp.Or(s.name, strings.TrimSuffix("idp-"+s.organisation, "-"))
	if s.writer {
		name = cmp.Or(s.name, name+"-writer")
	}
	if err := register.CheckName(name); err != nil {
		return site, m, fault.Newf(fault.Usage, "--name %s: %s", name, err)
	}
	if s.writer {
		if s.webhook != "" {
			return site, m, fault.New(fault.Usage, "--writer and --webhook-url exclude each other", "an App that only writes hears of nothing")
		}
		return site, register.Writer(name), nil
	}
	if s.webhook == "" {
		return site, m, fault.New(fault.Usage, "--webhook-url is not set", "say where GitHub reaches idp, such as --webhook-url https://idp.example.com")
	}
	if err := register.CheckWebhook(s.webhook); err != nil {
		return site, m, fault.Newf(fault.Usage, "--webhook-url %s: %s", s.webhook, err)
	}
	at, err := url.Parse(s.webhook)
	if err != nil {
		return site, m, err
	}
	if strings.Trim(at.Path, "/") == "" {
		at.Path = hookPath
	}
	return site, register.Bot(name, at.String()), nil
}

func (p *program) setUpGitHub(ctx context.Context, s appSetup) error {
	site, manifest, err := s.manifest()
	if err != nil {
		return err
	}
	files, err := s.files()
	if err != nil {
		return err
	}
	paths := []string{files.key}
	permissions := github.WriterPermissions()
	if !s.writer {
		paths, permissions = append(paths, files.webhook, files.client), github.Permissions()
	}
	if err := register.Free(paths...); err != nil {
		return err
	}
	listener, err := listenHere(s.listen)
	if err != nil {
		return err
	}
	var app register.App
	flow, err := register.New(register.Options{
		Site: site, Manifest: manifest, Organisation: s.organisation, Permissions: permissions,
		Address: listener.Addr().String(), Client: &http.Client{Timeout: time.Minute},
		Take: func(made register.App) error { app = made; return keepApp(made, site, files) },
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	fmt.Fprintf(p.stderr, "Open this in a browser on this machine, and go on there; Ctrl-C gives up:\n\n  %s\n\n", flow.URL())
	if err := serveFlow(ctx, listener, flow, s.timeout); err != nil {
		return err
	}
	return p.printApp(s, app, site, files)
}

// listenHere listens at an address that only this machine reaches.
func listenHere(address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return nil, fault.Newf(fault.Usage, "--listen %s: it is not an address of this machine alone, such as 127.0.0.1:8081", address)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fault.Wrap(err, fault.Conflict, "the page cannot be served at "+address+": "+reason(errors.Unwrap(err)), "leave --listen out, which takes any port that is free")
	}
	return listener, nil
}

// serveFlow serves the pages until the registration ends.
func serveFlow(ctx context.Context, listener net.Listener, flow *register.Flow, timeout time.Duration) error {
	server := &http.Server{Handler: flow, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // it ends with Shutdown
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	var outcome error
	select {
	case outcome = <-flow.Done():
	case <-ctx.Done():
		outcome = ctx.Err()
	case <-timer.C:
		outcome = fault.New(fault.Timeout, fmt.Sprintf("GitHub has not brought a browser back in %s; nothing was written", timeout), "run this again; --timeout gives more time")
	}
	// The browser still gets its last page.
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err := server.Shutdown(ending); err != nil {
		_ = server.Close() // there is nobody left to wait for
	}
	select {
	case late := <-flow.Done(): // GitHub had answered already when it was given up
		return late
	default:
		return outcome
	}
}

// keepApp writes the key and, where there are some, the secrets.
func keepApp(app register.App, site register.Site, at appFiles) error {
	files := []register.File{{Path: at.key, Content: app.Key}}
	if at.webhook != "" {
		if app.Secret.IsZero() {
			return fault.New(fault.Failure, fmt.Sprintf("GitHub registered %s without a webhook secret; nothing was written", app.Slug), "delete it in its settings, and run this again")
		}
		files = append(files, register.File{Path: at.webhook, Content: app.Secret}, register.File{Path: at.client, Content: app.ClientSecret})
	}
	if err := register.Keep(files...); err != nil {
		return fault.Wrap(err, fault.Failure, fmt.Sprintf("GitHub registered %s, and its key could not be written", app.Slug),
			"mend that, generate another key in the App's settings ("+cmp.Or(app.Page, site.Pages)+"), or delete the App there and run this again")
	}
	return nil
}

// printApp prints the configuration as data, and what is to be done for people.
func (p *program) printApp(s appSetup, app register.App, site register.Site, at appFiles) error {
	if s.writer {
		if _, err := fmt.Fprintf(p.stdout, "# %s\ngitops_app_id: %d\ngitops_private_key_file: %q\n", cmp.Or(app.Page, app.Slug), app.ID, at.key); err != nil {
			return wrapOutput(err)
		}
		fmt.Fprintf(p.stderr, "Registered %s, App %d. Its key is in %s.\n\nNext:\n  install it on the GitOps repository alone: %s\n"+
			"  put what was printed to standard output into the configuration, in the place of gitops_token_file; for the GitOps repository of a class instead add it to gitops_apps: URL=%d=%s\n"+
			"  idp doctor --config idp.yaml\n",
			app.Slug, app.ID, at.key, site.Install(app.Slug), app.ID, at.key)
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\ngithub_app_id: %d\ngithub_private_key_file: %q\ngithub_client_id: %q\ngithub_client_secret_file: %q\n", cmp.Or(app.Page, app.Slug), app.ID, at.key, app.ClientID, at.client)
	if site.API != "https://api.github.com/" {
		fmt.Fprintf(&b, "github_api_url: %q\n", site.API)
	}
	if _, err := p.stdout.Write([]byte(b.String())); err != nil {
		return wrapOutput(err)
	}
	fmt.Fprintf(p.stderr, "Registered %s, App %d. Its key is in %s, its webhook secret in %s, its client secret in %s.\n\nNext:\n"+
		"  put what was printed to standard output into the configuration\n  export IDP_GITHUB_WEBHOOK_SECRET=\"$(cat %s)\"\n"+
		"  install it on the repositories that shall have previews: %s\n"+
		"  say who gets to see previews, which get no address until then: access in platform/classes/preview.yaml, or preview_access: public for everybody\n"+
		"  tick \"Enable Device Flow\" in its settings, for people to sign in with idp login; or leave github_client_id out\n  idp doctor --config idp.yaml\n",
		app.Slug, app.ID, at.key, at.webhook, at.client, at.webhook, site.Install(app.Slug))
	return nil
}
