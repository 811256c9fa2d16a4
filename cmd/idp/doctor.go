package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/gitops/argocd"
	"github.com/idp-bot/idp/gitops/cluster"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/previews/store"
)

// verdict is what came of one check.
type verdict string

const (
	verdictOK      verdict = "ok"
	verdictWarning verdict = "warning"
	verdictFailure verdict = "failure"
	// verdictSkipped is a check that was not made: it cannot be from here, or something
	// that it needs is not right.
	verdictSkipped verdict = "skipped"
)

// diagnosis is what one check saw; its JSON names are a contract.
type diagnosis struct {
	Check string  `json:"check"`
	State verdict `json:"state"`
	Seen  string  `json:"seen"`
	// Fix says what to do about a failure or a warning.
	Fix string `json:"fix,omitempty"`
	// Look is the command that shows what was not checked.
	Look string `json:"look,omitempty"`
}

func newDoctor(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check an installation, and say what to do about what is wrong",
		Long: `Checks the installation that the configuration describes: the configuration itself, the
database, the GitHub App with each of its permissions, its installations and its webhook,
the clock, the GitOps repository, Argo CD, and of the cluster what shows from here. Each
check says what it saw and, where that is wrong, what to do. What cannot be known from
here is never said to be right: it is skipped, with the command that shows it.

With --kubeconfig it reads the previews' cluster, too: the gateway and whether it takes routes
of previews, the pull secret, the AppProjects of all classes in use and what they let in, the
network and the kinds.

It changes nothing: it pushes nothing, and makes no database. It may run beside a server.

Ends with exit status 1 when something is wrong.`,
		Example:           "  idp doctor --config idp.yaml\n  idp doctor --config idp.yaml --kubeconfig ~/.kube/config --context previews\n  idp doctor --config idp.yaml -o json",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	var kubeconfig, kubeContext string
	cmd.Flags().StringVar(&kubeconfig, "kubeconfig", "", "kubeconfig of the previews' cluster, to look at it, too; it is only read")
	cmd.Flags().StringVar(&kubeContext, "context", "", "context of the kubeconfig (default its current one)")
	output := addOutputFlag(cmd)
	config := addConfigFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if kubeContext != "" && kubeconfig == "" {
			return misused(cmd, "--context goes with --kubeconfig")
		}
		x := newExamination(p.readConfig(config, forServing))
		if kubeconfig != "" {
			var err error
			if x.kube, err = cluster.Open(kubeconfig, kubeContext); err != nil {
				return fault.Wrap(err, fault.Usage, err.Error(), "kubectl config get-contexts lists its contexts")
			}
		}
		x.run(cmd.Context())
		if err := cmd.Context().Err(); err != nil {
			return err // what was cut short says nothing
		}
		return p.printExamination(*output, x.findings)
	}
	return cmd
}

// examination is one run of every check.
type examination struct {
	loading *loading
	cfg     *Config
	now     func() time.Time
	// resolve looks a host up, and certificate asks an address for the one it has for a
	// host; tests put their own in place.
	resolve     func(ctx context.Context, host string) ([]string, error)
	certificate func(ctx context.Context, address, host string) (*x509.Certificate, error)

	// known says that GitHub knows the App, and apps are those that write GitOps repositories.
	known bool
	apps  writers
	// declared is what the platform team declares, and client Argo CD's, once they are read
	// and answer.
	declared platform.Platform
	client   *argocd.Client
	clocks   clocks
	findings []diagnosis
	// kube reads the previews' cluster; nil where nobody gave a way there.
	kube *cluster.Reader
}

func newExamination(l *loading) *examination {
	return &examination{loading: l, cfg: l.config, now: time.Now, resolve: net.DefaultResolver.LookupHost, certificate: certificateOf}
}

// run makes the checks in the order in which one needs what the one before is about.
func (x *examination) run(ctx context.Context) {
	x.clocks.now = x.now
	x.configuration()
	app := x.newApp()
	for _, check := range []func(context.Context){
		x.database,
		func(ctx context.Context) { x.github(ctx, app) },
		x.signIn,
		x.writerApps,
		x.gitops,
		func(ctx context.Context) { x.platformFolder(ctx, app) },
		func(ctx context.Context) { x.previewAccess(ctx, app) },
		func(ctx context.Context) { x.platformCharts(ctx, app) },
		x.gitopsOfClasses,
		x.argocd,
		x.argocdsBeside,
		x.updates,
		x.cluster,
	} {
		bounded, cancel := context.WithTimeout(ctx, checkTimeout)
		check(bounded)
		cancel()
	}
	x.clock()
}

// checkTimeout bounds the checks of one peer.
const checkTimeout = time.Minute

func (x *examination) add(f diagnosis) { x.findings = append(x.findings, f) }

func (x *examination) ok(check, seen string, args ...any) {
	x.add(diagnosis{Check: check, State: verdictOK, Seen: fmt.Sprintf(seen, args...)})
}

func (x *examination) warn(check, seen, fix string) {
	x.add(diagnosis{Check: check, State: verdictWarning, Seen: seen, Fix: fix})
}

func (x *examination) fail(check, seen, fix string) {
	x.add(diagnosis{Check: check, State: verdictFailure, Seen: seen, Fix: fix})
}

func (x *examination) skip(check, why, look string) {
	x.add(diagnosis{Check: check, State: verdictSkipped, Seen: "not checked: " + why, Look: look})
}

// lacks says whether one of the keys is wrong, so that nothing can be checked with it, and
// notes that of the checks.
func (x *examination) lacks(keys []string, checks ...string) bool {
	wrong := slices.IndexFunc(x.loading.problems, func(p problem) bool { return slices.Contains(keys, p.Key) })
	if wrong < 0 {
		return false
	}
	for _, check := range checks {
		x.skip(check, x.loading.problems[wrong].Key+" has to be right first", "")
	}
	return true
}

func (x *examination) configuration() {
	const check = "configuration"
	for _, p := range x.loading.problems {
		where, _ := strings.CutSuffix(p.String(), ": "+p.fix)
		x.fail(check, where, p.fix)
	}
	for _, w := range x.loading.warnings {
		x.warn(check, w, "")
	}
	if len(x.loading.problems)+len(x.loading.warnings) == 0 {
		x.ok(check, "every key is right")
	}
}

// newApp is nil where the configuration describes none.
func (x *examination) newApp() *github.App {
	if x.lacks([]string{"github_api_url", "github_app_id", "github_private_key_file"}) {
		return nil
	}
	app, err := githubApp(x.cfg, github.Options{Now: x.now, Transport: x.clocks.around(peerGitHub, ownTransport())})
	if err != nil {
		x.fail("configuration", err.Error(), "check github_api_url and github_private_key_file")
		return nil
	}
	x.apps.own = app
	if x.lacks(writerKeys) {
		return app
	}
	if x.apps, err = newWriters(x.cfg, app, github.Options{Now: x.now, Transport: x.clocks.around(peerGitHub, ownTransport())}); err != nil {
		x.fail("configuration", err.Error(), "check gitops_private_key_file and gitops_apps")
	}
	return app
}

// database opens what is there, and makes nothing.
func (x *examination) database(ctx context.Context) {
	const check = "database"
	if x.lacks([]string{databaseKey}, check) {
		return
	}
	s, err := store.Open(ctx, store.Options{URL: x.cfg.DatabaseURL.Reveal(), Existing: true})
	if errors.Is(err, store.ErrAbsent) {
		x.warn(check, err.Error(), "idp serve makes it, or brings it up to date, when it starts")
		return
	}
	if err == nil {
		err = errors.Join(s.Ping(ctx), s.Close())
	}
	switch {
	case errors.Is(err, store.ErrNewer):
		x.fail(check, err.Error(), "run the idp that wrote it, or a newer one")
	case errors.Is(err, store.ErrCorrupt):
		x.fail(check, err.Error(), "stop idp, and put back the file from its last backup")
	case err != nil:
		x.fail(check, err.Error(), "check database_url, and that this user may write there")
	default:
		x.ok(check, "it can be written to, and its schema is this version's")
	}
}

// report is what "idp doctor" prints; its JSON names are a contract.
type doctorReport struct {
	Healthy bool            `json:"healthy"`
	Counts  map[verdict]int `json:"counts"`
	Checks  []diagnosis     `json:"checks"`
}

// printExamination prints what was found, and returns it as the exit status.
func (p *program) printExamination(output format, findings []diagnosis) error {
	report := doctorReport{Counts: map[verdict]int{verdictOK: 0, verdictWarning: 0, verdictFailure: 0, verdictSkipped: 0}, Checks: findings}
	lines := table{header: []string{"CHECK", "STATE", "SEEN"}}
	for _, f := range findings {
		report.Counts[f.State]++
		lines.rows = append(lines.rows, []string{f.Check, string(f.State), oneLine(f.Seen)})
		if f.Fix != "" {
			lines.rows = append(lines.rows, []string{"", "", "  fix: " + f.Fix})
		}
		if f.Look != "" {
			lines.rows = append(lines.rows, []string{"", "", "  look: " + f.Look})
		}
	}
	failed := report.Counts[verdictFailure]
	report.Healthy = failed == 0
	if err := output.print(p.stdout, p.styled(p.stdout), report, lines); err != nil {
		return err
	}
	if failed > 0 {
		return fault.New(fault.Failure, plural(failed, "check")+" failed", "each says how to mend it; run this again afterwards")
	}
	return nil
}

// oneLine keeps what others wrote from breaking the table.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
