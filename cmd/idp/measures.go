package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

func newMeasures(p *program) *cobra.Command {
	since := "30d"
	cmd := &cobra.Command{
		Use:   "measures",
		Short: "Tell how often, how fast and how well is delivered",
		Long: `Adds up the releases that ended within a time: how many became healthy and how often
that is, how long people waited for it from asking and from the commit, how many
failed, and how long until it was well again. It reads the database, beside a running
"idp serve" or without one, and changes nothing.

Going back to an older revision counts as no deployment; what was superseded or
stopped by somebody before it ended counts as neither good nor bad.`,
		Example: `  idp measures
  idp measures --since 7d -o json`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&since, "since", since, "how far to look back, such as 24h or 30d")
	output := addOutputFlag(cmd)
	config := addConfigFlags(cmd, databaseKey)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		span, err := spec.ParseDuration(since)
		if err != nil || span <= 0 {
			return fault.Newf(fault.Usage, "--since %s: expected a duration such as 24h or 30d", since)
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
		ended, err := s.Finished(cmd.Context(), time.Now().Add(-span))
		if err != nil {
			return err
		}
		var tally previews.Tally
		for _, f := range ended {
			tally.Add(f)
		}
		facts := []measureFacts{}
		lines := table{header: []string{"ENVIRONMENT", "DEPLOYED", "PER DAY", "WAITED p50", "p90", "LEAD p50", "p90", "FAILED", "RATE", "RESTORED p50"}}
		for _, m := range tally.Measures() {
			f := measured(m, span)
			facts = append(facts, f)
			lines.rows = append(lines.rows, f.cells())
		}
		return output.print(p.stdout, p.styled(p.stdout), facts, lines)
	}
	return cmd
}

// measureFacts are the measures of one environment as scripts see them; the names are
// a contract. Times are seconds, missing where nothing was measured.
type measureFacts struct {
	Environment      string   `json:"environment"`
	Days             float64  `json:"days"`
	Deployments      int      `json:"deployments"`
	PerDay           float64  `json:"deploymentsPerDay"`
	ProvisioningP50  *float64 `json:"provisioningSecondsP50,omitempty"`
	ProvisioningP90  *float64 `json:"provisioningSecondsP90,omitempty"`
	LeadP50          *float64 `json:"leadSecondsP50,omitempty"`
	LeadP90          *float64 `json:"leadSecondsP90,omitempty"`
	Failures         int      `json:"failures"`
	ChangeFailure    float64  `json:"changeFailureRate"`
	RestoreP50       *float64 `json:"restoreSecondsP50,omitempty"`
	RolledBack       int      `json:"rolledBack"`
	Superseded       int      `json:"superseded"`
	StoppedByPersons int      `json:"stopped"`
}

func measured(m previews.Measures, span time.Duration) measureFacts {
	days := span.Hours() / 24
	return measureFacts{
		Environment: m.Environment, Days: days, Deployments: m.Healthy, PerDay: float64(m.Healthy) / days,
		ProvisioningP50: seconds(m.Provisioning, 0.5), ProvisioningP90: seconds(m.Provisioning, 0.9),
		LeadP50: seconds(m.Lead, 0.5), LeadP90: seconds(m.Lead, 0.9),
		Failures: m.Failed, ChangeFailure: m.FailureRate(), RestoreP50: seconds(m.Restore, 0.5),
		RolledBack: m.WentBack, Superseded: m.Superseded, StoppedByPersons: m.Stopped,
	}
}

func seconds(d previews.Durations, q float64) *float64 {
	if len(d) == 0 {
		return nil
	}
	s := d.Quantile(q).Seconds()
	return &s
}

func (f measureFacts) cells() []string {
	word := func(s *float64) string {
		if s == nil {
			return "–"
		}
		return shortSpan(time.Duration(*s * float64(time.Second)))
	}
	return []string{
		f.Environment, fmt.Sprint(f.Deployments), fmt.Sprintf("%.1f", f.PerDay), word(f.ProvisioningP50), word(f.ProvisioningP90),
		word(f.LeadP50), word(f.LeadP90), fmt.Sprint(f.Failures), fmt.Sprintf("%.0f%%", 100*f.ChangeFailure), word(f.RestoreP50),
	}
}
