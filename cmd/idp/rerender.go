package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/manifests"
	"github.com/idp-bot/idp/gitops/repo"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// rerenderFlags are the flags of "idp rerender", as given.
type rerenderFlags struct {
	dryRun, summary bool
	repo, class     string
	atMost          int
}

func newRerender(p *program) *cobra.Command {
	var f rerenderFlags
	cmd := &cobra.Command{
		Use:   "rerender",
		Short: "Have environments written as this release and configuration render them",
		Long: `A new release of idp, another configuration or other declarations of the platform team change
nothing that is in Git: an environment is rendered when something is asked for it. This finds
those whose manifests this release would write otherwise, of the same commit and the same
images, and asks the running "idp serve" to write them.

With --dry-run it only shows what would change, and changes nothing. Without it, each is
noted in the audit log, and committed at the server's pace; those that people lock or that
wait for an approval are left alone, as are those whose folder others changed and those that
something is under way for. --at-most bounds how many change at once: run it again for more.

It reads Git and the database, beside the server, with the configuration of that.`,
		Example: `  idp rerender --dry-run --config idp.yaml
  idp rerender --config idp.yaml --repo acme/web
  idp rerender --config idp.yaml --class preview --at-most 20`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.dryRun, "dry-run", false, "show what would change, and change nothing")
	flags.BoolVar(&f.summary, "summary", false, "leave the diffs out")
	flags.StringVar(&f.repo, "repo", "", "only those of this repository, as OWNER/NAME")
	flags.StringVar(&f.class, "class", "", "only those of this class; previews are of class preview")
	flags.IntVar(&f.atMost, "at-most", 50, "how many are written anew in one go")
	output := addOutputFlag(cmd)
	config := addConfigFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := f.check(); err != nil {
			return err
		}
		cfg, err := p.loadConfig(config, forServing)
		if err != nil {
			return err
		}
		facts, err := p.rerender(cmd.Context(), cfg, f, p.operator(), time.Now)
		if err != nil {
			return err
		}
		if *output != formatTable {
			return output.print(p.stdout, false, facts, table{})
		}
		return p.printRerendered(facts)
	}
	return cmd
}

func (f rerenderFlags) check() error {
	switch {
	case f.repo != "" && !repository.MatchString(f.repo):
		return fault.Newf(fault.Usage, "--repo %q is not OWNER/NAME", f.repo)
	case f.class != "" && !dnsLabel.MatchString(f.class):
		return fault.Newf(fault.Usage, "--class %q is not the name of a class", f.class)
	case f.atMost < 1:
		return fault.Newf(fault.Usage, "--at-most %d: at least one", f.atMost)
	}
	return nil
}

// wants says whether an environment is among those that are asked for.
func (f rerenderFlags) wants(row previews.Environment) bool {
	class := previewClass
	if row.Declared() {
		class = row.Class
	}
	return (f.repo == "" || strings.EqualFold(f.repo, row.Owner+"/"+row.Repo)) && (f.class == "" || f.class == class)
}

// previewClass is the class that previews are of.
const previewClass = "preview"

// rerender finds what would be written otherwise and, but for a dry run, asks for it.
func (p *program) rerender(ctx context.Context, cfg *Config, f rerenderFlags, by string, now func() time.Time) (facts *rerenderFacts, err error) {
	if !f.dryRun && cfg.observes() {
		return nil, fault.New(fault.Conflict, "this configuration only observes, and writes nothing", "--dry-run shows what would change")
	}
	s, err := p.openExisting(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if !f.dryRun {
		if err := notPaused(ctx, s); err != nil {
			return nil, err
		}
	}
	m, err := newSurveyor(ctx, cfg, newLogger(cfg, p.stderr), now)
	if err != nil {
		return nil, err
	}
	defer func() { _ = m.close() }() // the system clears what stays
	if _, err := m.platformNow(ctx); err != nil {
		return nil, err
	}
	r := &rerendering{surveyor: m, store: s, flags: f, facts: &rerenderFacts{DryRun: f.dryRun, Changed: []rerenderedFact{}}, places: map[gitops.Lane]rerenderPlace{}}
	if err := r.all(ctx, by); err != nil {
		return nil, err
	}
	return r.facts, nil
}

// rerendering is one run of it.
type rerendering struct {
	*surveyor
	store  *store.Store
	flags  rerenderFlags
	facts  *rerenderFacts
	places map[gitops.Lane]rerenderPlace
}

// rerenderPlace is one GitOps repository and branch as it is now.
type rerenderPlace struct {
	in    *repo.Repo
	tip   string
	trees map[string]string
}

func (r *rerendering) all(ctx context.Context, by string) error {
	rows, err := r.store.Environments(ctx, store.Filter{})
	if err != nil {
		return err
	}
	slices.SortFunc(rows, func(a, b previews.Environment) int { return strings.Compare(a.Ref.String(), b.Ref.String()) })
	var listed []previews.Environment // those whose list has been compared
	for _, row := range rows {
		if !r.flags.wants(row) || row.Wanted != previews.Present {
			continue
		}
		if why, err := r.stays(ctx, row); err != nil {
			return err
		} else if why != "" {
			r.facts.leave(row, why)
			continue
		}
		changes, err := r.changes(ctx, row)
		if err != nil && ctx.Err() == nil {
			r.facts.leave(row, "it cannot be rendered: "+err.Error())
			continue
		}
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(listed, func(one previews.Environment) bool { return sameList(one, row) }) {
			listed = append(listed, row)
			list, err := r.list(ctx, row, rows)
			if err != nil {
				return err
			}
			changes = append(changes, list...)
		}
		if len(changes) == 0 {
			r.facts.Same++
			continue
		}
		if err := r.ask(ctx, row, changes, by); err != nil {
			return err
		}
	}
	return nil
}

// stays says why a row is left alone; "" where it is not.
func (r *rerendering) stays(ctx context.Context, row previews.Environment) (string, error) {
	if why := row.StaysRendered(); why != "" {
		return why, nil
	}
	place, err := r.place(ctx, row.Lane)
	if err != nil {
		return "", err
	}
	if place.trees[row.Ref.Dir()] != row.Tree {
		return "its folder in Git is not what idp wrote there (idp drift)", nil
	}
	return "", nil
}

func (r *rerendering) place(ctx context.Context, lane gitops.Lane) (place rerenderPlace, err error) {
	if place, ok := r.places[lane.Target()]; ok {
		return place, nil
	}
	if place.in, err = r.lanes.repo(ctx, lane); err != nil {
		return place, err
	}
	if place.tip, err = place.in.Tip(ctx); err != nil {
		return place, fmt.Errorf("read %s: %w", lane.Target(), err)
	}
	if place.tip != "" {
		if place.trees, err = place.in.FolderTrees(ctx, place.tip); err != nil {
			return place, err
		}
	}
	r.places[lane.Target()] = place
	return place, nil
}

// changes are those of an environment's manifests. idp's own record beside them counts
// generations, and is another each time.
func (r *rerendering) changes(ctx context.Context, row previews.Environment) ([]manifests.Difference, error) {
	row.Charts = nil // it would be rendered from those that there are then
	rendered, err := r.sourced().render(ctx, row)
	if err != nil {
		return nil, err
	}
	place, err := r.place(ctx, row.Lane)
	if err != nil {
		return nil, err
	}
	now, err := place.in.Files(ctx, place.tip, row.Ref.ManifestsDir())
	if err != nil {
		return nil, err
	}
	return manifests.Compare(now, below(rendered.Files, row.Ref.ManifestsDir())), nil
}

// sameList says whether two environments stand in one list.
func sameList(a, b previews.Environment) bool {
	return a.Ref.RepositoryID == b.Ref.RepositoryID && a.Declared() == b.Declared() && a.Lane.Target() == b.Lane.Target()
}

// list is what would change in the ApplicationSet that an environment stands in, which is
// written with it.
func (r *rerendering) list(ctx context.Context, of previews.Environment, rows []previews.Environment) ([]manifests.Difference, error) {
	place, err := r.place(ctx, of.Lane)
	if err != nil {
		return nil, err
	}
	var listed []previews.Environment
	for _, row := range rows {
		if sameList(row, of) && row.Wanted == previews.Present && row.Tree != "" {
			listed = append(listed, row)
		}
	}
	wanted, err := lister(r.declared.class, htmlURL(r.cfg.GitHubAPIURL))(previews.Listed{
		RepositoryID: of.Ref.RepositoryID, Repo: of.Ref.Repo, Declared: of.Declared(), Target: of.Lane.Target(),
	}, listed)
	if err != nil {
		return nil, err
	}
	now, err := place.in.Files(ctx, place.tip, gitops.ApplicationSetsDir)
	if err != nil {
		return nil, err
	}
	now = slices.DeleteFunc(now, func(file gitops.File) bool { return file.Path != wanted.Path })
	return manifests.Compare(now, []gitops.File{wanted}), nil
}

// ask notes what would change and, but for a dry run, has it written.
func (r *rerendering) ask(ctx context.Context, row previews.Environment, changes []manifests.Difference, by string) error {
	if !r.flags.dryRun {
		if r.facts.asked() >= r.flags.atMost {
			r.facts.More++
			return nil
		}
		asked, err := r.store.Rerender(ctx, row.RowID, row.Generation, by)
		if err != nil {
			return err
		}
		if !asked {
			r.facts.leave(row, "something was asked for it meanwhile")
			return nil
		}
	}
	r.facts.note(row, changes, !r.flags.summary)
	return nil
}
