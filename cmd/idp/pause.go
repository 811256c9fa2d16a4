package main

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// maxPauseReason is how long a reason may be, in characters: what a check's title holds.
const maxPauseReason = 120

func newPause(p *program) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "pause",
		Short: "Have idp change nothing until it is resumed",
		Long: `Has every running "idp serve" on this database, and those to come, change nothing until
"idp resume": nothing is committed or proposed to a GitOps repository, for previews and declared
environments alike, no preview expires, and no sweep looks for what was missed. Webhooks are still taken, decided and answered, and pull
requests say that they wait, and why. What is being pushed at this moment still lands.`,
		Example: `  idp pause --reason "the cluster is being upgraded"
  idp resume`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&reason, "reason", "", "what people read in their pull requests that wait")
	output := addOutputFlag(cmd)
	config := addConfigFlags(cmd, databaseKey)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if n := utf8.RuneCountInString(reason); n > maxPauseReason || strings.ContainsFunc(reason, unicode.IsControl) {
			return fault.Newf(fault.Usage, "--reason has %d characters: expected one line of %d at most", n, maxPauseReason)
		}
		ctx := cmd.Context()
		return p.withStore(ctx, config, func(s *store.Store) error {
			before, err := s.Paused(ctx)
			if err != nil {
				return err
			}
			now, err := s.Pause(ctx, p.operator(), reason)
			if err != nil {
				return err
			}
			if err := output.print(p.stdout, p.styled(p.stdout), pauseFactsOf(now), pauseLines(now)); err != nil || !before.Paused {
				return err
			}
			return p.tell("It was paused already, and that is left as it was.")
		})
	}
	return cmd
}

func newResume(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "resume",
		Short: "Let idp go on after a pause",
		Long: `Lets idp go on after "idp pause". What was asked for meanwhile is done within seconds, as it is
wanted by then: what was asked for and taken back leaves no trace. A preview whose time ran out
during the pause is warned of first.`,
		Example:           `  idp resume`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	output := addOutputFlag(cmd)
	config := addConfigFlags(cmd, databaseKey)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		return p.withStore(ctx, config, func(s *store.Store) error {
			was, err := s.Resume(ctx, p.operator())
			if err != nil {
				return err
			}
			if err := output.print(p.stdout, p.styled(p.stdout), pauseFacts{}, pauseLines(previews.Pause{})); err != nil {
				return err
			}
			if !was.Paused {
				return p.tell("It was not paused.")
			}
			return p.tell("It was paused since %s by %s.", was.At.Format(time.RFC3339), was.By)
		})
	}
	return cmd
}

// pauseFacts is a pause as scripts see it; its names are a contract.
type pauseFacts struct {
	Paused bool       `json:"paused"`
	Since  *time.Time `json:"since,omitempty"`
	By     string     `json:"by,omitempty"`
	Reason string     `json:"reason,omitempty"`
}

func pauseFactsOf(p previews.Pause) pauseFacts {
	if !p.Paused {
		return pauseFacts{}
	}
	return pauseFacts{Paused: true, Since: &p.At, By: p.By, Reason: p.Reason}
}

func pauseLines(p previews.Pause) table {
	row := []string{"no", "–", "–", "–"}
	if p.Paused {
		row = []string{"yes", p.At.Format(time.RFC3339), p.By, p.Reason}
	}
	return table{header: []string{"PAUSED", "SINCE", "BY", "REASON"}, rows: [][]string{row}}
}

// tellPaused warns that nothing is done at the moment.
func (p *program) tellPaused(ctx context.Context, s *store.Store) error {
	paused, err := s.Paused(ctx)
	if err != nil || !paused.Paused {
		return err
	}
	why := paused.Reason
	if why == "" {
		why = "no reason is given"
	}
	return p.tell("idp is paused since %s by %s: %s. Let it go on with idp resume.", paused.At.Format(time.RFC3339), paused.By, why)
}

// notPaused refuses what would change something while idp is paused.
func notPaused(ctx context.Context, s *store.Store) error {
	paused, err := s.Paused(ctx)
	if err != nil || !paused.Paused {
		return err
	}
	return fault.Newf(fault.Conflict, "idp is paused since %s by %s", paused.At.Format(time.RFC3339), paused.By).
		WithHint("let it go on with: idp resume")
}

// paused says whether anything may be committed: never by who only observes.
func (m *Main) paused(ctx context.Context) (previews.Pause, error) {
	if m.cfg.observes() {
		return previews.Pause{Paused: true, Observes: true}, nil
	}
	return m.store.Paused(ctx)
}

// observed says what to do about a database that is not for this mode.
func observed(err error) error {
	switch {
	case errors.Is(err, store.ErrObserved):
		return fault.New(fault.Conflict, err.Error(), "what was decided there was never done, and must not be done now: set database_url to another one")
	case errors.Is(err, store.ErrNotObserved):
		return fault.New(fault.Conflict, err.Error(), "set database_url to a new one for mode observe, and leave that one to who acts")
	default:
		return err
	}
}

// reap and sweep are what runs on a schedule, and is left out while idp is paused.
func (m *Main) reap(ctx context.Context) error {
	return m.unlessPaused(ctx, func(ctx context.Context) error { _, err := m.reaper.Sweep(ctx); return err })
}

func (m *Main) sweep(ctx context.Context) error { return m.unlessPaused(ctx, m.sweeper.Sweep) }

func (m *Main) unlessPaused(ctx context.Context, run func(context.Context) error) error {
	paused, err := m.store.Paused(ctx)
	if err != nil || paused.Paused {
		return err
	}
	return run(ctx)
}
