package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/holdings"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/images"
	"github.com/idp-bot/idp/previews/store"
)

func newRebuild(p *program) *cobra.Command {
	var o rebuildOptions
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "Rebuild a database that was lost, from Git and GitHub",
		Long: `Fills an empty database with the environments that the GitOps repository holds, each as it
was when idp committed it last, so that the next "idp serve" has nothing to commit. GitHub is
asked where their repositories are; the first sweep then settles what happened meanwhile, and
comments and checks are found again instead of written a second time.

Stop "idp serve" first. Where a SQLite file is damaged, move it, its -wal and its -shm away.
A database that has environments is refused; with --merge they stay as they are, and those that
are missing are added. With --dry-run it only tells what it would do.

A folder whose record cannot be trusted is named with the place of what is wrong, and left
alone. idp is then left paused, for it would take such an environment off its list: mend the
record, run it again with --merge, and let idp go on with "idp resume". The exit status is 3.

What Git does not hold is lost: ` + strings.Join(bot.Lost, ";\n") + `.`,
		Example: `  idp rebuild --config idp.yaml --dry-run
  idp rebuild --config idp.yaml
  idp rebuild --config idp.yaml --merge -o json`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "tell what would be restored, and write nothing")
	cmd.Flags().BoolVar(&o.merge, "merge", false, "add what is missing to a database that has environments")
	output := addOutputFlag(cmd)
	config := addConfigFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := p.loadConfig(config, forServing)
		if err != nil {
			return err
		}
		o.by, o.log, o.now = p.operator(), newLogger(cfg, p.stderr), time.Now
		facts, err := rebuild(cmd.Context(), cfg, o)
		if err != nil {
			return notRebuilt(err)
		}
		if err := output.print(p.stdout, p.styled(p.stdout), facts, facts.table()); err != nil {
			return err
		}
		if err := p.tellRebuilt(facts); err != nil {
			return err
		}
		return facts.err()
	}
	return cmd
}

// rebuildOptions are how "idp rebuild" is called.
type rebuildOptions struct {
	dryRun, merge bool
	by            string
	log           *slog.Logger
	now           func() time.Time
}

// The words for what becomes of a folder.
const (
	wouldRestore = "restore"
	restored     = "restored"
	known        = "known"
	leftAlone    = "left alone"
)

// rebuildFacts is what a rebuild did, as scripts see it; its names are a contract.
type rebuildFacts struct {
	DryRun       bool          `json:"dryRun"`
	Restored     int           `json:"restored"`
	Known        int           `json:"known"`
	LeftAlone    int           `json:"leftAlone"`
	Paused       bool          `json:"paused"`
	Environments []folderFacts `json:"environments"`
	Lost         []string      `json:"lost"`
	rows         []store.Restored
}

// folderFacts is one folder. Name is missing where its record does not tell.
type folderFacts struct {
	Folder     string     `json:"folder"`
	Name       string     `json:"name,omitempty"`
	Repository string     `json:"repository,omitempty"`
	Action     string     `json:"action"`
	SHA        string     `json:"sha,omitempty"`
	Generation int64      `json:"generation,omitempty"`
	Expires    *time.Time `json:"expires,omitempty"`
	Pinned     bool       `json:"pinned,omitempty"`
	File       string     `json:"file,omitempty"`
	Line       int        `json:"line,omitempty"`
	Note       string     `json:"note,omitempty"`
}

// rebuild does the whole of it.
func rebuild(ctx context.Context, cfg *Config, o rebuildOptions) (facts rebuildFacts, err error) {
	s, err := openToRebuild(ctx, cfg, o)
	if err != nil {
		return facts, err
	}
	if s != nil {
		defer func() { err = errors.Join(err, s.Close()) }()
	}
	have, err := knownEnvironments(ctx, s, o)
	if err != nil {
		return facts, err
	}
	facts, err = found(ctx, cfg, o, have)
	if err != nil || o.dryRun {
		return facts, err
	}
	if err := s.Observe(ctx, cfg.observes()); err != nil {
		return facts, observed(err)
	}
	if facts.LeftAlone > 0 {
		// Before the rows are there: a server may be waiting for them.
		if _, err := s.Pause(ctx, o.by, "rebuilding its database left "+plural(facts.LeftAlone, "folder")+" alone"); err != nil {
			return facts, err
		}
		facts.Paused = true
	}
	added, err := s.Restore(ctx, facts.rows, o.by, o.merge)
	facts.Restored = len(added)
	return facts, err
}

// openToRebuild opens the database, and makes it; nil where there is none and a dry run
// is to make none.
func openToRebuild(ctx context.Context, cfg *Config, o rebuildOptions) (*store.Store, error) {
	s, err := store.Open(ctx, store.Options{URL: cfg.DatabaseURL.Reveal(), Existing: o.dryRun, Now: o.now, Log: o.log})
	if o.dryRun && errors.Is(err, store.ErrAbsent) {
		return nil, nil
	}
	return s, err
}

// knownEnvironments are the environments that the database has, by key.
func knownEnvironments(ctx context.Context, s *store.Store, o rebuildOptions) (map[string]previews.Environment, error) {
	have := map[string]previews.Environment{}
	if s == nil {
		return have, nil
	}
	rows, err := s.Environments(ctx, store.Filter{})
	if err != nil {
		return nil, err
	}
	if len(rows) > 0 && !o.merge {
		return nil, fmt.Errorf("%w: it has %s", store.ErrNotEmpty, plural(len(rows), "environment"))
	}
	for _, row := range rows {
		have[rowKey(row.Ref)] = row
	}
	return have, nil
}

func rowKey(ref gitops.EnvironmentRef) string {
	return fmt.Sprintf("%d/%s", ref.RepositoryID, ref.Key())
}

// found makes rows of what the GitOps repositories hold.
func found(ctx context.Context, cfg *Config, o rebuildOptions, have map[string]previews.Environment) (rebuildFacts, error) {
	facts := rebuildFacts{DryRun: o.dryRun, Environments: []folderFacts{}, Lost: bot.Lost}
	m, err := newSurveyor(ctx, cfg, o.log, o.now)
	if err != nil {
		return facts, err
	}
	defer func() { _ = m.close() }() // the system clears what stays
	reach, err := bot.ReachOf(ctx, m.github, func(id int64) bot.Lister { return m.github.Installation(id) })
	if err != nil {
		return facts, err
	}
	declared, err := m.platformNow(ctx)
	if err != nil {
		return facts, err
	}
	all, err := m.survey(ctx, declared)
	if err != nil {
		return facts, err
	}
	restorer := &bot.Restorer{
		Class: cfg.Class(), Platform: declared, Reach: reach, Reference: imageReference(m.declared.class), Pinned: images.Pinned,
		Watched: cfg.ArgoCDURL != "" && !cfg.observes(), Now: o.now().UTC(),
	}
	for _, in := range all {
		for _, h := range in.holdings {
			facts.add(restorer, h, in.target, have)
		}
	}
	return facts, nil
}

// add decides what becomes of one folder.
func (f *rebuildFacts) add(r *bot.Restorer, h holdings.Holding, target gitops.Lane, have map[string]previews.Environment) {
	one := folderFacts{Folder: h.Dir, Action: leftAlone}
	defer func() { f.Environments = append(f.Environments, one) }()
	if h.Problem != nil {
		one.File, one.Line, one.Note = h.Problem.File, h.Problem.Line, h.Problem.Message
		f.LeftAlone++
		return
	}
	record := h.Record
	one.Name, one.Repository, one.SHA, one.Generation = record.Ref().Key(), record.FullName, record.SHA, record.Generation
	row, note, err := r.Restore(h, target)
	if err != nil {
		one.File, one.Note = record.Ref().RecordPath(), err.Error()
		f.LeftAlone++
		return
	}
	one.Repository, one.Expires, one.Pinned, one.Note = row.Environment.Owner+"/"+row.Environment.Repo, record.ExpiresAt, row.Environment.Pinned, note
	mine, there := have[rowKey(record.Ref())]
	switch {
	case there && !mine.Adopt(row.Environment):
		one.Action = known
		f.Known++
		return
	case f.DryRun:
		one.Action = wouldRestore
		f.Restored++
	default:
		one.Action = restored
	}
	f.rows = append(f.rows, row)
}

func (f *rebuildFacts) table() table {
	lines := table{header: []string{"FOLDER", "REPOSITORY", "ACTION", "SHA", "EXPIRES", "NOTE"}}
	for _, one := range f.Environments {
		expires, note := "–", one.Note
		if one.Expires != nil {
			expires = one.Expires.Format(time.RFC3339)
		}
		if one.Pinned {
			expires = "pinned"
		}
		if one.File != "" {
			note = (&holdings.Problem{File: one.File, Line: one.Line, Message: one.Note}).Error()
		}
		folder := strings.TrimPrefix(one.Folder, gitops.EnvironmentsDir+"/")
		lines.rows = append(lines.rows, []string{folder, cmp.Or(one.Repository, "–"), one.Action, cmp.Or(one.SHA[:min(7, len(one.SHA))], "–"), expires, note})
	}
	return lines
}

// tellRebuilt says what a person has to know beside the table.
func (p *program) tellRebuilt(f rebuildFacts) error {
	if f.DryRun {
		return p.tell("%s would be restored, %d known, %d left alone; nothing was written.", plural(f.Restored, "environment"), f.Known, f.LeftAlone)
	}
	return p.tell("%s restored, %d known, %d left alone. What Git does not hold is lost:\n- %s\nStart idp serve: its first sweep settles what happened meanwhile.",
		plural(f.Restored, "environment"), f.Known, f.LeftAlone, strings.Join(f.Lost, ";\n- "))
}

// err is what makes the exit status say that something was left alone.
func (f *rebuildFacts) err() error {
	if f.LeftAlone == 0 {
		return nil
	}
	out := fault.Newf(fault.Invalid, "%s left alone", plural(f.LeftAlone, "folder"))
	if f.Paused {
		return out.WithHint("idp is paused, for it would take them off their lists: mend the records, run idp rebuild --merge, then idp resume")
	}
	return out.WithHint("mend the records: idp would take them off their lists")
}

// notRebuilt says what to do about what kept a database from being rebuilt.
func notRebuilt(err error) error {
	switch {
	case errors.Is(err, store.ErrNotEmpty):
		return fault.New(fault.Conflict, err.Error()+"; nothing was written", "idp rebuild --merge adds what is missing and leaves the rest as it is")
	case errors.Is(err, store.ErrNameTaken):
		return fault.New(fault.Conflict, err.Error()+"; nothing was written", "one of the two has to go from the GitOps repository, or from the database")
	}
	return err
}
