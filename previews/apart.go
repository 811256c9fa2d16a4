package previews

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/manifests"
	"github.com/idp-bot/idp/gitops/repo"
)

// The services of a declared environment share a namespace, and each has an Application of its
// own that syncs what was rendered for it. What idp renders of two services never has one name;
// what a chart renders may have any, and two Applications would take such an object from each
// other for ever. So it is looked at before a commit: at what the batch writes, and at what Git
// has of the services that it leaves alone.

// apart gives up the rows of a batch that would write an object which another service of their
// environment has, and leaves them out.
func (c *Committer) apart(ctx context.Context, b *batch) error {
	taken := map[string]map[string]Environment{} // by environment and object
	for _, change := range slices.Clone(b.commit.Changes) {
		row := b.rows[change.Key]
		if !partOfSeveral(row) || b.updates(row) {
			continue
		}
		of := row.Ref.Shared().String()
		if taken[of] == nil {
			others, err := c.objectsBeside(ctx, b, row)
			if err != nil {
				return err
			}
			taken[of] = others
		}
		if p := rendersTwice(row, change.Files, taken[of]); p != nil {
			b.leaveOut(change.Key)
			if err := c.failRow(ctx, row, *p); err != nil {
				return err
			}
		}
	}
	return nil
}

// partOfSeveral says that a row is one of the parts of its environment that have objects of
// services.
func partOfSeveral(row Environment) bool {
	return row.Declared() && !row.Shared() && row.Wanted == Present
}

// objectsBeside are the objects that Git has of the services of a row's environment which a
// batch leaves alone, with the rows that they are of. Where idp renders all there is none that
// matters, and Git is not read.
func (c *Committer) objectsBeside(ctx context.Context, b *batch, row Environment) (map[string]Environment, error) {
	committed, err := c.Store.CommittedIn(ctx, row.Ref.RepositoryID)
	if err != nil {
		return nil, fmt.Errorf("read committed environments of repository %d: %w", row.Ref.RepositoryID, err)
	}
	var beside []Environment
	sourced, writes := false, b.ids()
	for _, one := range b.rows {
		sourced = sourced || one.Ref.Shared() == row.Ref.Shared() && one.Sourced()
	}
	for _, one := range committed {
		if one.Ref.Shared() == row.Ref.Shared() && partOfSeveral(one) && one.Update == nil && !slices.Contains(writes, one.RowID) {
			beside, sourced = append(beside, one), sourced || one.Sourced()
		}
	}
	out := map[string]Environment{}
	if !sourced {
		return out, nil
	}
	for _, one := range beside {
		files, err := c.Git.Files(ctx, one.AppliedCommit, one.Ref.ManifestsDir())
		if err != nil {
			return nil, fmt.Errorf("read what Git has of %s: %w", one.Ref, err)
		}
		for _, f := range files {
			out[manifests.ObjectOf(f)] = one
		}
	}
	return out, nil
}

// rendersTwice takes down what a row renders, and says which of it another has already; nil
// for nothing.
func rendersTwice(row Environment, files []gitops.File, taken map[string]Environment) *Problem {
	own := map[string]bool{}
	for _, f := range files {
		if !strings.HasPrefix(f.Path, row.Ref.ManifestsDir()+"/") {
			continue
		}
		object := manifests.ObjectOf(f)
		if other, twice := taken[object]; twice {
			return &Problem{
				Kind:    ProblemSpec,
				Message: fmt.Sprintf("%s is rendered twice in %s: by %s and by %s", object, row.Ref.ID, rendererOf(other), rendererOf(row)),
				Hint:    "Give one of them another name.",
			}
		}
		own[object] = true
	}
	for object := range own {
		taken[object] = row
	}
	return nil
}

// rendererOf names what renders a part of a declared environment.
func rendererOf(row Environment) string {
	if !row.Sourced() {
		return "idp for service " + row.Ref.Service
	}
	var kinds []string
	for _, from := range row.Source.From {
		kinds = append(kinds, string(from.Kind))
	}
	if row.Together() {
		return fmt.Sprintf("the %s source of all services", strings.Join(kinds, ", "))
	}
	return fmt.Sprintf("the %s source of service %s", strings.Join(kinds, ", "), row.Ref.Service)
}

// leaveOut takes a row out of a batch.
func (b *batch) leaveOut(key string) {
	delete(b.rendered, b.rows[key].RowID)
	delete(b.rows, key)
	b.commit.Changes = slices.DeleteFunc(b.commit.Changes, func(change repo.Change) bool { return change.Key == key })
}
