package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/user"
	"time"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

func newReap(p *program) *cobra.Command {
	var dryRun, confirm bool
	cmd := &cobra.Command{
		Use:   "reap",
		Short: "Take away previews that have expired, now",
		Long: `Runs the reaper once, beside a running "idp serve": it warns of previews that expire soon
and removes those that have expired and were warned of. The running server commits the
removals. Declared environments never expire: "idp env remove" takes one away.

With --dry-run it only tells what it would do, and why. With --confirm it lets the
removals go on that the breaker holds back, after a look at why it did.`,
		Example: `  idp reap --dry-run
  idp reap --confirm`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "tell what would be done, and do nothing")
	cmd.Flags().BoolVar(&confirm, "confirm", false, "let inferred removals go on that the breaker holds back")
	output := addOutputFlag(cmd)
	config := addConfigFlags(cmd, databaseKey, "preview_warn_before")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if dryRun && confirm {
			return fault.New(fault.Usage, "--dry-run and --confirm exclude each other", "look with --dry-run first")
		}
		cfg, err := p.loadConfig(config, forReading)
		if err != nil {
			return err
		}
		s, err := p.openExisting(cmd.Context(), cfg)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		if confirm {
			return p.confirmReap(cmd.Context(), s, *output)
		}
		if err := p.tellBreaker(cmd.Context(), s); err != nil {
			return err
		}
		reaper := previews.NewReaper(previews.ReaperOptions{Store: s, Class: cfg.Class(), Now: time.Now, Log: slog.New(slog.DiscardHandler)})
		if dryRun {
			return errors.Join(p.tellPaused(cmd.Context(), s), p.dryReap(cmd.Context(), reaper, *output))
		}
		if err := notPaused(cmd.Context(), s); err != nil {
			return err
		}
		return p.reap(cmd.Context(), reaper, *output)
	}
	return cmd
}

// reapingFacts is one thing that the reaper would do; its names are a contract.
type reapingFacts struct {
	Name       string     `json:"name"`
	Repository string     `json:"repository"`
	Action     string     `json:"action"`
	Reason     string     `json:"reason"`
	Expires    *time.Time `json:"expires"`
}

func (p *program) dryReap(ctx context.Context, reaper *previews.Reaper, output format) error {
	due, err := reaper.DryRun(ctx)
	if err != nil {
		return err
	}
	facts := make([]reapingFacts, 0, len(due))
	lines := table{header: []string{"NAME", "REPOSITORY", "ACTION", "REASON"}}
	for _, d := range due {
		e := d.Environment
		f := reapingFacts{Name: e.Ref.ID, Repository: e.Owner + "/" + e.Repo, Action: string(d.Action), Reason: d.Reason, Expires: &e.ExpiresAt}
		facts = append(facts, f)
		lines.rows = append(lines.rows, []string{f.Name, f.Repository, f.Action, f.Reason})
	}
	return output.print(p.stdout, p.styled(p.stdout), facts, lines)
}

// reapedFacts is what a sweep did; its names are a contract.
type reapedFacts struct {
	Removed   int `json:"removed"`
	Warned    int `json:"warned"`
	Postponed int `json:"postponed"`
}

func (p *program) reap(ctx context.Context, reaper *previews.Reaper, output format) error {
	done, err := reaper.Sweep(ctx)
	if err != nil {
		return err
	}
	err = output.print(p.stdout, p.styled(p.stdout), reapedFacts{Removed: done.Removed, Warned: done.Warned, Postponed: done.Postponed}, table{
		header: []string{"REMOVED", "WARNED", "POSTPONED"},
		rows:   [][]string{{fmt.Sprint(done.Removed), fmt.Sprint(done.Warned), fmt.Sprint(done.Postponed)}},
	})
	if err != nil || done == (previews.Reaped{}) {
		return err
	}
	return p.tell("The running idp serve commits and reports this within seconds.")
}

// tellBreaker warns that removals are held back.
func (p *program) tellBreaker(ctx context.Context, s *store.Store) error {
	b, err := s.Breaker(ctx)
	if err != nil || !b.Latched {
		return err
	}
	return p.tell("Removals that a sweep inferred are held back since %s: %s. Let them go on with idp reap --confirm.", b.At.Format(time.RFC3339), b.Reason)
}

// confirmedFacts is what --confirm found and let go on; its names are a contract.
type confirmedFacts struct {
	// Confirmed is false where nothing was held back.
	Confirmed bool       `json:"confirmed"`
	Since     *time.Time `json:"since,omitempty"`
	Reason    string     `json:"reason,omitempty"`
}

func (p *program) confirmReap(ctx context.Context, s *store.Store, output format) error {
	b, err := s.Breaker(ctx)
	if err != nil {
		return err
	}
	lines := table{header: []string{"CONFIRMED", "HELD SINCE", "REASON"}, rows: [][]string{{"no", "–", "nothing is held back"}}}
	if !b.Latched {
		return output.print(p.stdout, p.styled(p.stdout), confirmedFacts{}, lines)
	}
	if err := s.ConfirmBreaker(ctx, p.operator()); err != nil {
		return err
	}
	lines.rows = [][]string{{"yes", b.At.Format(time.RFC3339), b.Reason}}
	return output.print(p.stdout, p.styled(p.stdout), confirmedFacts{Confirmed: true, Since: &b.At, Reason: b.Reason}, lines)
}

// operator is who runs the program, for the record.
func (p *program) operator() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return p.env["USER"]
}

// tell writes one line for a person to standard error.
func (p *program) tell(message string, args ...any) error {
	if _, err := fmt.Fprintf(p.stderr, message+"\n", args...); err != nil {
		return fmt.Errorf("write to standard error: %w", err)
	}
	return nil
}
