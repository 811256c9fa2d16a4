package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

func newEnv(p *program) *cobra.Command {
	cmd := &cobra.Command{Use: "env", Short: "Look at environments, and take one away"}
	asGroup(cmd)
	cmd.AddCommand(newEnvList(p), newEnvRemove(p))
	return cmd
}

// envFilter is what "idp env list" is asked to show.
type envFilter struct {
	repo, state string
	all         bool
}

func newEnvList(p *program) *cobra.Command {
	var filter envFilter
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List environments",
		Long: `Lists the environments that there are, previews and declared ones, with their state, the
commit that is wanted and when they expire. It reads the database, beside a running "idp
serve" or without one, and changes nothing. Environments that are gone are left out unless
asked for. Of one whose repository idp hears nothing more of, the note says why and since
when: "idp env remove" takes it away.`,
		Example: `  idp env list --repo acme/web
  idp env list --state failed -o json`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&filter.repo, "repo", "", "only those of this repository, as OWNER/NAME")
	cmd.Flags().StringVar(&filter.state, "state", "", "only those in this state: "+strings.Join(stateNames(), ", "))
	cmd.Flags().BoolVar(&filter.all, "all", false, "those that are gone too")
	// The flag was just defined: the only error there is cannot be.
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(stateNames(), cobra.ShellCompDirectiveNoFileComp))
	output := addOutputFlag(cmd)
	config := addConfigFlags(cmd, databaseKey)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := filter.check(); err != nil {
			return err
		}
		rows, err := p.listEnvironments(cmd.Context(), config, filter)
		if err != nil {
			return err
		}
		facts, lines := listed(rows, filter, time.Now())
		return output.print(p.stdout, p.styled(p.stdout), facts, lines)
	}
	return cmd
}

// databaseKey is the configuration's key that says where the database is.
const databaseKey = "database_url"

func stateNames() []string {
	names := make([]string, len(previews.States))
	for i, state := range previews.States {
		names[i] = string(state)
	}
	return names
}

func (f envFilter) check() error {
	if f.state != "" && !slices.Contains(stateNames(), f.state) {
		err := fault.Newf(fault.Usage, "unknown state %q: expected %s", f.state, strings.Join(stateNames(), ", "))
		if near := nearest(f.state, stateNames()); near != "" {
			return err.WithHint("did you mean %q?", near)
		}
		return err
	}
	if owner, name, ok := strings.Cut(f.repo, "/"); f.repo != "" && (!ok || owner == "" || name == "") {
		return fault.Newf(fault.Usage, "--repo %s: expected OWNER/NAME", f.repo)
	}
	return nil
}

func (f envFilter) matches(e previews.Environment) bool {
	if f.repo != "" && !strings.EqualFold(f.repo, e.Owner+"/"+e.Repo) {
		return false
	}
	if e.Shared() {
		return f.all // it follows the services, and they tell
	}
	return f.all || f.state != "" || e.State() != previews.StateGone
}

// openExisting opens the database that a server made, beside that server.
func (p *program) openExisting(ctx context.Context, cfg *Config) (*store.Store, error) {
	s, err := store.Open(ctx, store.Options{
		URL: cfg.DatabaseURL.Reveal(), Existing: true,
		Log: slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if errors.Is(err, store.ErrAbsent) {
		return nil, fault.New(fault.NotFound, err.Error(), "set --database-url to the one of idp serve, and run this where its file is")
	}
	return s, err
}

func (p *program) listEnvironments(ctx context.Context, config *configFlags, filter envFilter) (list []previews.Environment, err error) {
	cfg, err := p.loadConfig(config, forReading)
	if err != nil {
		return nil, err
	}
	s, err := p.openExisting(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := p.tellPaused(ctx, s); err != nil {
		return nil, err
	}
	return s.Environments(ctx, store.Filter{State: previews.State(filter.state)})
}

// listed are the environments that a filter lets through, sorted by repository.
func listed(rows []previews.Environment, filter envFilter, now time.Time) ([]environmentFacts, table) {
	rows = slices.DeleteFunc(rows, func(e previews.Environment) bool { return !filter.matches(e) })
	slices.SortFunc(rows, func(a, b previews.Environment) int {
		return cmp.Or(cmp.Compare(a.Owner, b.Owner), cmp.Compare(a.Repo, b.Repo), cmp.Compare(previewOf(a), previewOf(b)), cmp.Compare(a.Ref.Key(), b.Ref.Key()))
	})
	facts := make([]environmentFacts, 0, len(rows))
	lines := table{header: []string{"NAME", "REPOSITORY", "STATE", "SHA", "EXPIRES", "OWNER", "NOTE"}}
	for _, row := range rows {
		f := factsOf(row, now)
		facts = append(facts, f)
		lines.rows = append(lines.rows, f.cells(now))
	}
	return facts, lines
}

// environmentFacts is one environment as scripts see it; its names are a contract.
type environmentFacts struct {
	Name       string `json:"name"`
	Repository string `json:"repository"`
	PR         int    `json:"pr,omitempty"`
	State      string `json:"state"`
	SHA        string `json:"sha"`
	Namespace  string `json:"namespace"`
	// Expires is missing for what is pinned or gone.
	Expires *time.Time `json:"expires,omitempty"`
	Pinned  bool       `json:"pinned,omitempty"`
	Owner   string     `json:"owner,omitempty"`
	Note    string     `json:"note,omitempty"`
	// Lost says why nothing more is heard of its repository, and since when; it is missing
	// while idp reaches it.
	Lost *previews.Lost `json:"lost,omitempty"`
}

func factsOf(e previews.Environment, now time.Time) environmentFacts {
	f := environmentFacts{
		Name: e.Ref.Key(), Repository: e.Owner + "/" + e.Repo, PR: e.PR, State: string(e.State()),
		SHA: cmp.Or(e.SHA, e.HeadSHA), Namespace: e.NamespaceName(), Pinned: e.Pinned, Owner: e.Team, Note: note(e, now), Lost: e.Lost,
	}
	if !e.ExpiresAt.IsZero() {
		expires := e.ExpiresAt
		f.Expires = &expires
	}
	return f
}

// note says in a few words why an environment is as it is, and what became of its repository.
func note(e previews.Environment, now time.Time) string {
	if e.Lost == nil || e.Wanted == previews.Absent {
		return stateNote(e, now)
	}
	return joined(fmt.Sprintf("%s %s ago", e.Lost, shortSpan(now.Sub(e.Lost.At))), stateNote(e, now))
}

func stateNote(e previews.Environment, now time.Time) string {
	switch {
	case e.Problem != nil:
		return strings.SplitN(e.Problem.Message, "\n", 2)[0]
	case e.Leaving() && e.Observed.Message != "":
		return "blocked: " + e.Observed.Message
	case e.Declared() && e.Generation == 0:
		return deployedNote(e)
	case e.Wanted == previews.Absent && e.Removal.By != "":
		return fmt.Sprintf("%s by %s", e.Removal.Reason, e.Removal.By)
	case e.Wanted == previews.Absent:
		return string(e.Removal.Reason)
	case e.State() == previews.StateWaiting && e.Declared():
		return joined("image missing "+shortSpan(now.Sub(e.WantedAt)), deployedNote(e))
	case e.Declared():
		return deployedNote(e)
	case e.State() == previews.StateWaiting:
		return "image missing " + shortSpan(now.Sub(e.WantedAt))
	default:
		return ""
	}
}

// deployedNote says what there is to know of a part of a declared environment beside
// its state: how far its rollout is, why it is older than it was, who locked it, and
// how many wait.
func deployedNote(e previews.Environment) string {
	var notes []string
	if p := e.Proposed(); p != nil {
		notes = append(notes, "to be merged: "+p.URL)
	}
	if o := e.Observed; o != nil && o.Progress != nil && o.Progress.Canary && e.State() == previews.StateSyncing {
		notes = append(notes, fmt.Sprintf("%d%%, step %d of %d", o.Progress.Weight, o.Progress.Step, o.Progress.Steps))
	}
	d := e.Deployed
	if d.Fallback != nil {
		notes = append(notes, "back: "+strings.SplitN(d.Fallback.Reason, "\n", 2)[0])
	}
	if d.Lock != nil {
		notes = append(notes, "locked by "+d.Lock.By)
	}
	if n := len(d.Queue); n > 0 {
		notes = append(notes, fmt.Sprintf("%d waiting", n))
	}
	return joined(notes...)
}

func joined(notes ...string) string {
	return strings.Join(slices.DeleteFunc(notes, func(note string) bool { return note == "" }), "; ")
}

// previewOf sorts previews by their pull request, behind declared environments.
func previewOf(e previews.Environment) int {
	if e.Declared() {
		return 0
	}
	return e.PR
}

func (f environmentFacts) cells(now time.Time) []string {
	expires := "–"
	switch {
	case f.Pinned:
		expires = "pinned"
	case f.Expires != nil && f.Expires.After(now):
		expires = "in " + shortSpan(f.Expires.Sub(now))
	case f.Expires != nil:
		expires = "now"
	}
	return []string{f.Name, f.Repository, f.State, cmp.Or(shortened(f.SHA), "–"), expires, cmp.Or(f.Owner, "–"), f.Note}
}

// shortSpan writes a duration in its largest unit alone, rounded down: "2d", "5h".
func shortSpan(d time.Duration) string {
	switch {
	case d >= 24*time.Hour:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	default:
		return fmt.Sprintf("%ds", max(d, 0)/time.Second)
	}
}
