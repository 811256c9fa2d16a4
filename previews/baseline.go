package previews

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"

	"github.com/idp-bot/idp/gitops/spec"
)

// Baseline is where a pull request's commit parts from the default branch, and what it does
// not change.
type Baseline struct {
	// SHA is the pull request's commit, and Spec the hash of the spec that says what each
	// service is made of.
	SHA  string `json:"sha"`
	Spec string `json:"spec"`
	// Branch is the default branch, and Commits are those of it from where the two part, the
	// newest first; none where nothing is unchanged.
	Branch  string   `json:"branch"`
	Commits []string `json:"commits,omitempty"`
	// Unchanged are the services of which nothing is changed.
	Unchanged []string `json:"unchanged,omitempty"`
	// Touched are, by a service of which those have no image, the commits of the branch in
	// which it last changed.
	Touched map[string][]string `json:"touched,omitempty"`
}

// Divergence is in what a commit differs from the default branch.
type Divergence struct {
	// Branch is the default branch, and Base the commit of it that the two part at.
	Branch, Base string
	// Files are the paths that were changed since, with the former paths of what was renamed.
	Files []string
	// Partial says that there may be others.
	Partial bool
}

// maxLineage is how many commits of the default branch may be asked for an image.
const maxLineage = 20

// readBaseline has a preview's env know what its revision does not change, once for each
// revision and spec: what a service is made of is the spec's to say.
func (w *ImageWatcher) readBaseline(ctx context.Context, env *Environment, wanted []sought) error {
	if w.Upstream == nil || w.Resolver == nil || env.Declared() || !slices.ContainsFunc(wanted, sought.movable) {
		return nil
	}
	sum := sha256.Sum256(env.Spec)
	known := Baseline{SHA: env.SHA, Spec: hex.EncodeToString(sum[:8])}
	if b := env.Baseline; b != nil && b.SHA == known.SHA && b.Spec == known.Spec {
		return nil
	}
	env.Baseline = nil
	differs, err := w.Upstream.Divergence(ctx, *env)
	if err == nil {
		known.Branch = differs.Branch
		for _, one := range wanted {
			if one.movable() && !differs.Partial && !one.Touched(differs.Files) {
				known.Unchanged = append(known.Unchanged, one.Name)
			}
		}
		if len(known.Unchanged) > 0 {
			known.Commits, err = w.Upstream.Lineage(ctx, *env, differs.Base, maxLineage)
		}
	}
	if err != nil {
		w.Log.Warn("it is not known what a pull request changes", "env", env.Ref.String(), "error", err)
		return err
	}
	env.Baseline = &known
	return nil
}

// readTouched has a preview's env know where a service last changed whose image none of the
// newest commits has: CI may build what changed alone. It says whether there is more to look
// for than there was.
func (w *ImageWatcher) readTouched(ctx context.Context, env *Environment, of sought) bool {
	b := env.Baseline
	if len(w.unchanged(*env, of)) < maxLineage || b.Touched[of.Name] != nil {
		return false
	}
	touched, err := w.Upstream.Touches(ctx, *env, b.Branch, b.Commits[0], of.Folders())
	if err != nil {
		w.Log.Warn("it is not known where a service last changed", "env", env.Ref.String(), "service", of.Name, "error", err)
		return false
	}
	touched = slices.DeleteFunc(touched, func(sha string) bool { return slices.Contains(b.Commits, sha) })
	known := *b
	known.Touched = maps.Clone(b.Touched)
	if known.Touched == nil {
		known.Touched = map[string][]string{}
	}
	known.Touched[of.Name] = append([]string{}, touched...)
	env.Baseline = &known
	return len(touched) > 0
}

// movable says that a service's image may be one of the default branch's: the file tells what
// it is made of, and another commit's image has another name.
func (s sought) movable() bool { return s.Parted() && spec.OfCommit(s.template) }

// unchanged are the commits of the default branch whose image may be a service's, none where
// the pull request changes it.
func (w *ImageWatcher) unchanged(env Environment, of sought) []string {
	b := env.Baseline
	if b == nil || w.Resolver == nil || b.SHA != env.SHA || !of.movable() || !slices.Contains(b.Unchanged, of.Name) {
		return nil
	}
	return slices.Concat(b.Commits, b.Touched[of.Name])
}
