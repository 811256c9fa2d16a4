package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/argocd"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/drift"
	"github.com/idp-bot/idp/previews/store"
)

// driftEvery is how often a server looks for drift.
const driftEvery = 30 * time.Minute

func newDrift(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drift",
		Short: "Tell where Git, the database and Argo CD differ",
		Long: `Compares what the GitOps repositories hold of idp's, what the database says and what Argo
CD shows, and names each difference with what becomes of it. It changes nothing, and may run
beside a server, which looks by itself every half hour: it writes again what is wanted and is
gone from Git, and shows the rest as the metric idp_drift. Nothing is ever removed for a
difference.

The kinds:
` + driftHelp() + `

Ends with exit status 3 when there is a difference.`,
		Example:           "  idp drift --config idp.yaml\n  idp drift --config idp.yaml -o json",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	output := addOutputFlag(cmd)
	config := addConfigFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := p.loadConfig(config, forServing)
		if err != nil {
			return err
		}
		found, err := p.findDrift(cmd.Context(), cfg, time.Now)
		if err != nil {
			return err
		}
		facts, lines := driftFactsOf(found)
		if err := output.print(p.stdout, p.styled(p.stdout), facts, lines); err != nil {
			return err
		}
		return drifted(facts)
	}
	return cmd
}

func driftHelp() string {
	text := ""
	for i, k := range drift.Kinds {
		if i > 0 {
			text += "\n"
		}
		text += fmt.Sprintf("  %-20s %s", k.Kind, k.Do)
		if k.Mended {
			text += " by itself"
		}
	}
	return text
}

// driftFacts is one difference as scripts see it; its names are a contract.
type driftFacts struct {
	Kind  string `json:"kind"`
	What  string `json:"what"`
	Where string `json:"where"`
	// Mended says that idp serve does what Do says by itself.
	Mended bool   `json:"mended"`
	Do     string `json:"do"`
}

func driftFactsOf(found []drift.Difference) ([]driftFacts, table) {
	facts, lines := make([]driftFacts, 0, len(found)), table{header: []string{"KIND", "WHAT", "WHERE", "MENDED", "WHAT IS DONE, OR TO DO"}}
	for _, d := range found {
		f := driftFacts{Kind: string(d.Kind), What: d.What, Where: d.Where}
		for _, k := range drift.Kinds {
			if k.Kind == d.Kind {
				f.Mended, f.Do = k.Mended, k.Do
			}
		}
		mended := "by hand"
		if f.Mended {
			mended = "by itself"
		}
		facts = append(facts, f)
		lines.rows = append(lines.rows, []string{f.Kind, f.What, f.Where, mended, f.Do})
	}
	return facts, lines
}

// drifted makes the exit status say that there is drift.
func drifted(facts []driftFacts) error {
	if len(facts) == 0 {
		return nil
	}
	return fault.New(fault.Invalid, plural(len(facts), "difference")+" between Git, the database and Argo CD", "")
}

// findDrift looks once, beside a server.
func (p *program) findDrift(ctx context.Context, cfg *Config, now func() time.Time) (found []drift.Difference, err error) {
	s, err := p.openExisting(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	m, err := newSurveyor(ctx, cfg, newLogger(cfg, p.stderr), now)
	if err != nil {
		return nil, err
	}
	defer func() { _ = m.close() }() // the system clears what stays
	declared, err := m.platformNow(ctx)
	if err != nil {
		return nil, err
	}
	return m.compareAll(ctx, s, declared)
}

// compareAll reads the rows, then everything else, and then the rows again: those that
// changed meanwhile are left out. With Argo CD away, the error says so beside the differences
// between the other two.
func (m *Main) compareAll(ctx context.Context, s *store.Store, declared platform.Platform) (found []drift.Difference, away error) {
	before, err := s.Environments(ctx, store.Filter{})
	if err != nil {
		return nil, err
	}
	state := drift.State{Moving: map[int64]bool{}, Applications: map[string][]string{}, Now: m.now()}
	for _, target := range targets(declared, m.declared.base) {
		place, err := m.placeAt(ctx, target)
		if err != nil {
			return nil, err
		}
		state.Places = append(state.Places, place)
	}
	for _, a := range m.argocds {
		names, err := a.client.Applications(ctx, readURLs(declared, m.declared.base))
		if err != nil {
			away = errors.Join(away, err)
			continue
		}
		state.Applications[a.name] = names
	}
	if state.Rows, err = s.Environments(ctx, store.Filter{}); err != nil {
		return nil, err
	}
	if state.Fields, err = m.changedFields(ctx, state.Rows); err != nil {
		return nil, err
	}
	versions := make(map[int64]int64, len(before))
	for _, row := range before {
		versions[row.RowID] = row.Version
	}
	for _, row := range state.Rows {
		state.Moving[row.RowID] = versions[row.RowID] != row.Version
	}
	return drift.Compare(state), away
}

// readURLs are the GitOps repositories as Argo CD calls them.
func readURLs(declared platform.Platform, own platform.Class) []string {
	out := []string{own.RepoURL}
	for _, class := range declared.Classes {
		if !slices.Contains(out, class.RepoURL) {
			out = append(out, class.RepoURL)
		}
	}
	return out
}

// placeAt reads what one GitOps repository holds.
func (m *Main) placeAt(ctx context.Context, target gitops.Lane) (drift.Place, error) {
	place := drift.Place{Target: target}
	in, err := m.lanes.repo(ctx, target)
	if err != nil {
		return place, err
	}
	tip, err := in.Tip(ctx)
	if err != nil || tip == "" {
		return place, err
	}
	trees, err := in.FolderTrees(ctx, tip)
	if err != nil {
		return place, err
	}
	for dir, tree := range trees {
		place.Folders = append(place.Folders, drift.Folder{Dir: dir, Tree: tree})
	}
	lists, err := in.Files(ctx, tip, gitops.ApplicationSetsDir)
	if err != nil {
		return place, err
	}
	for _, list := range lists {
		names, err := argocd.Elements(list)
		if err != nil {
			place.Unreadable = append(place.Unreadable, list.Path)
		}
		for _, name := range names {
			place.Elements = append(place.Elements, drift.Element{Name: name, List: list.Path})
		}
	}
	return place, nil
}

// watchDrift is what a server does about drift.
type watchDrift struct {
	*Main
	found *prometheus.GaugeVec
}

func newWatchDrift(m *Main) watchDrift {
	w := watchDrift{Main: m, found: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "idp_drift",
		Help: "Differences between Git, the database and Argo CD as they were last looked for, by kind; of several replicas, the one that looks has it.",
	}, []string{"kind"})}
	m.registry.MustRegister(w.found)
	return w
}

// look looks once, and has written again what is gone from Git.
func (w watchDrift) look(ctx context.Context) error {
	declared, err := w.declared.current(ctx)
	if err != nil {
		return err
	}
	found, err := w.compareAll(ctx, w.store, declared)
	if err != nil && found == nil {
		return fmt.Errorf("look for drift: %w", err)
	}
	away := err
	counts := map[drift.Kind]int{}
	for _, d := range found {
		counts[d.Kind]++
	}
	for _, k := range drift.Kinds {
		w.found.WithLabelValues(string(k.Kind)).Set(float64(counts[k.Kind]))
	}
	paused, err := w.paused(ctx)
	if err != nil || paused.Paused {
		return errors.Join(away, err)
	}
	return errors.Join(away, w.mend(ctx, found))
}

// mend has written again what is wanted and is not there.
func (w watchDrift) mend(ctx context.Context, found []drift.Difference) error {
	var failed []error
	for _, d := range drift.Mend(found) {
		act := func(e *previews.Environment) bool { return e.Commits(d.Generation, w.now()) }
		if d.Kind == drift.MissingFolder {
			act = func(e *previews.Environment) bool { return e.Rewrite(d.Generation, w.now()) }
		}
		mended := false
		_, err := w.store.Update(ctx, d.Row, func(e *previews.Environment) error {
			if mended = act(e); !mended {
				return previews.ErrUnchanged
			}
			return nil
		})
		if err != nil {
			failed = append(failed, err)
		}
		if mended {
			w.log.Warn("what was gone from the GitOps repository is written again", "env", d.What, "kind", d.Kind, "where", d.Where)
		}
	}
	w.wake.all()
	return errors.Join(failed...)
}
