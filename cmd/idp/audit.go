package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

func newAudit(p *program) *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "Look at who asked for what, and what became of it"}
	asGroup(cmd)
	cmd.AddCommand(newAuditList(p), newAuditVerify(p))
	return cmd
}

// shaPrefix is a commit, or as much of it as people write.
var shaPrefix = regexp.MustCompile(`^[0-9A-Fa-f]{4,40}$`)

// auditFlags are what "idp audit list" is asked to show, as it was written.
type auditFlags struct {
	store.AuditFilter
	since, until string
}

func newAuditList(p *program) *cobra.Command {
	var flags auditFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List what was asked for, allowed and refused",
		Long: `Lists the entries of the audit log, the newest first: who asked for what, for which
environment and commit, and the rule that allowed or refused it; and what idp did of
itself, such as taking away what expired. It reads the database, beside a running
"idp serve" or without one, and changes nothing.`,
		Example: `  idp audit list --repo acme/web --since 7d
  idp audit list --repo acme/web --pr 42
  idp audit list --refused -o json`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&flags.Repository, "repo", "", "only those of this repository, as OWNER/NAME")
	cmd.Flags().StringVar(&flags.Environment, "environment", "", "only those of this environment, as OWNER/NAME/ID")
	cmd.Flags().StringVar(&flags.Actor, "actor", "", "only what this login asked for; idp for what it did of itself")
	cmd.Flags().Int64Var(&flags.ActorID, "actor-id", 0, "only what the account of this GitHub id asked for, whatever its login was")
	cmd.Flags().IntVar(&flags.PR, "pr", 0, "only those of this pull request's preview, and what its events of the last 30 days asked for, deployments too; with --repo")
	cmd.Flags().StringVar(&flags.SHA, "sha", "", "only those of this commit, whole or its first digits")
	cmd.Flags().StringVar(&flags.Delivery, "delivery", "", "only what this webhook asked for, by its GUID")
	cmd.Flags().StringVar(&flags.Action, "action", "", `only actions that begin with this word, such as "deploy"`)
	cmd.Flags().BoolVar(&flags.Refused, "refused", false, "only what was refused")
	cmd.Flags().StringVar(&flags.since, "since", "", "only from then on: a duration back such as 7d, a date or a time")
	cmd.Flags().StringVar(&flags.until, "until", "", "only before then, written in the same way")
	cmd.Flags().IntVar(&flags.Limit, "limit", 50, "the most entries, 0 for all")
	output := addOutputFlag(cmd)
	config := addConfigFlags(cmd, databaseKey)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		filter, err := flags.filter(time.Now())
		if err != nil {
			return err
		}
		entries := []previews.Audit{}
		err = p.withStore(cmd.Context(), config, func(s *store.Store) error {
			found, err := s.AuditLog(cmd.Context(), filter)
			entries = append(entries, found...)
			return err
		})
		if err != nil {
			return err
		}
		lines := table{header: []string{"SEQ", "AT", "WHO", "ACTION", "ENVIRONMENT", "SHA", "ALLOWED", "RULE"}}
		for _, a := range entries {
			lines.rows = append(lines.rows, auditCells(a))
		}
		return output.print(p.stdout, p.styled(p.stdout), entries, lines)
	}
	return cmd
}

// withStore calls fn with the database that the configuration names, opened beside
// whoever serves from it.
func (p *program) withStore(ctx context.Context, config *configFlags, fn func(*store.Store) error) (err error) {
	cfg, err := p.loadConfig(config, forReading)
	if err != nil {
		return err
	}
	s, err := p.openExisting(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return fn(s)
}

func (f auditFlags) filter(now time.Time) (store.AuditFilter, error) {
	out := f.AuditFilter
	if owner, name, ok := strings.Cut(f.Repository, "/"); f.Repository != "" && (!ok || owner == "" || name == "" || strings.Contains(name, "/")) {
		return out, fault.Newf(fault.Usage, "--repo %s: expected OWNER/NAME", f.Repository)
	}
	if strings.Count(f.Environment, "/") < 2 && f.Environment != "" {
		return out, fault.Newf(fault.Usage, "--environment %s: expected OWNER/NAME/ID, such as acme/web/pr-7 or acme/web/staging", f.Environment)
	}
	switch {
	case f.PR < 0 || f.PR > 0 && f.Repository == "":
		return out, fault.Newf(fault.Usage, "--pr %d: expected the number of a pull request of --repo OWNER/NAME", f.PR)
	case f.ActorID < 0:
		return out, fault.Newf(fault.Usage, "--actor-id %d: expected the number of an account of GitHub", f.ActorID)
	case f.SHA != "" && !shaPrefix.MatchString(f.SHA):
		return out, fault.Newf(fault.Usage, "--sha %s: expected 4 to 40 hexadecimal digits", f.SHA)
	}
	if f.Limit < 0 {
		return out, fault.Newf(fault.Usage, "--limit %d: expected 0 or more", f.Limit)
	}
	var err error
	if out.Since, err = pointInTime("--since", f.since, now); err != nil {
		return out, err
	}
	out.Until, err = pointInTime("--until", f.until, now)
	return out, err
}

// pointInTime reads a duration back from now, a date (its midnight in UTC) or a time;
// the zero time for "".
func pointInTime(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if span, err := spec.ParseDuration(text); err == nil && span > 0 {
		return now.Add(-span), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fault.Newf(fault.Usage, "%s %s: expected a duration such as 24h or 7d, a date such as 2026-11-25, or a time such as 2026-11-25T14:00:00Z", flag, text)
}

func auditCells(a previews.Audit) []string {
	allowed := "yes"
	if !a.Allowed {
		allowed = "no"
	}
	return []string{
		fmt.Sprint(a.Seq), a.At.Format(time.DateTime), printable(a.Actor), printable(a.Action), cmp.Or(a.Environment, "–"),
		cmp.Or(shortened(a.SHA), "–"), allowed, printable(reasonAndRule(a)),
	}
}

// reasonAndRule says what came of something and, where that does not say it, by which
// rule.
func reasonAndRule(a previews.Audit) string {
	if a.Rule == "" || a.Rule == a.Reason {
		return a.Reason
	}
	return a.Reason + " (" + a.Rule + ")"
}

// printable keeps what people wrote on its line, and from steering a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}

func shortened(sha string) string {
	if len(sha) > 7 {
		return sha[:7]
	}
	return sha
}
