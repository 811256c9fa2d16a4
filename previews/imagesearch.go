package previews

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops/spec"
)

// Build is what an image was built from.
type Build struct {
	// SHA is the commit that it is of, and Merge what github.sha was in the workflow that
	// built it: of a pull request the commit by which GitHub would merge it, else SHA.
	SHA, Merge string
}

// Images returns one image per service that the environment is made of, as they are
// now. The error is about the environment itself; what a registry answered stands in
// each image's Missing.
func (w *ImageWatcher) Images(ctx context.Context, env Environment) ([]Image, error) {
	return w.find(ctx, &env)
}

// find is Images, and has env know what GitHub said meanwhile.
func (w *ImageWatcher) find(ctx context.Context, env *Environment) ([]Image, error) {
	parsed, errs := spec.Parse(spec.Path, env.Spec)
	if err := errs.Err(); err != nil {
		return nil, err
	}
	wanted := make([]sought, 0, len(parsed.Services))
	for _, service := range parsed.Services {
		if !env.Has(service.Name) {
			continue // it has a row of its own
		}
		template, err := w.Template(*env, service)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, sought{Service: service, template: template})
	}
	unread := unread{merge: w.readMerge(ctx, env, wanted), baseline: w.readBaseline(ctx, env, wanted)}
	images := make([]Image, 0, len(wanted))
	for _, one := range wanted {
		image, err := w.image(ctx, *env, one, unread)
		if err == nil && image.Missing != "" && w.readTouched(ctx, env, one) {
			image, err = w.image(ctx, *env, one, unread)
		}
		if err != nil {
			return nil, err
		}
		images = append(images, image)
	}
	return images, nil
}

// sought is a service whose image is looked for, and its template.
type sought struct {
	spec.Service
	template string
}

// unread is what GitHub could not be asked.
type unread struct{ merge, baseline error }

// image finds one image: by the digest that was reported for the revision, else by the
// names that it may have, the first that there is.
func (w *ImageWatcher) image(ctx context.Context, env Environment, of sought, unread unread) (Image, error) {
	named, err := w.candidates(env, of)
	if err != nil {
		return Image{}, err
	}
	image, known, err := w.reported(ctx, env, of, Build{SHA: env.SHA, Merge: env.SHA})
	if known || err != nil {
		return image, err
	}
	if unread.baseline != nil && of.Parted() && env.Baseline == nil {
		image.Missing = "idp cannot tell just now whether the pull request changes it"
		return image, nil
	}
	var missing []Image
	for _, candidate := range named {
		found, absent, err := w.look(ctx, env, of, candidate)
		if err != nil || !absent {
			return found, err
		}
		missing = append(missing, found)
	}
	return w.missing(env, of, missing, unread.merge)
}

// candidates are the names that an image may have, with what each would be built from, in
// the order that they are asked for:
//
//   - of a service that the pull request does not change, those of the default branch's
//     commits from where the two part, the newest first;
//   - its own: by the revision or, where the template is of the pull request's merge, by each
//     merge that GitHub is known to have tried, the first first. What CI built was the merge
//     as it was at the push; when the base branch moves on, GitHub tries another, and all of
//     them have the revision in them.
//
// An approval of a fork's commit holds to the name that it first found.
func (w *ImageWatcher) candidates(env Environment, of sought) ([]Image, error) {
	var out []Image
	add := func(build Build, image Image) error {
		var err error
		image.Service = of.Name
		if image.Reference, err = w.Reference(env, of.Service, build); err == nil {
			out = append(out, image)
		}
		return err
	}
	for _, commit := range w.unchanged(env, of) {
		if err := add(Build{SHA: commit, Merge: commit}, Image{Commit: commit, Branch: env.Baseline.Branch}); err != nil {
			return nil, err
		}
	}
	if !env.byMerge(of.template) {
		if err := add(Build{SHA: env.SHA, Merge: env.SHA}, Image{}); err != nil {
			return nil, err
		}
	}
	for _, merge := range env.merges(of.template) {
		if err := add(Build{SHA: env.SHA, Merge: merge}, Image{Commit: merge}); err != nil {
			return nil, err
		}
	}
	return env.held(out), nil
}

// held are the candidates that an approval of the revision holds to, all where it holds to
// none of them.
func (e *Environment) held(candidates []Image) []Image {
	if e.Fork == nil || !e.Cleared(e.SHA) {
		return candidates
	}
	for _, one := range candidates {
		if e.Fork.Approved.Digests[one.Reference] != "" {
			return []Image{one}
		}
	}
	return candidates
}

// look asks for one candidate. absent says that it is not there and another may be; else it
// was found, or it is not known whether it is there, which Missing then says.
func (w *ImageWatcher) look(ctx context.Context, env Environment, of sought, candidate Image) (found Image, absent bool, err error) {
	if candidate.Commit != "" {
		build := env
		build.SHA = candidate.Commit
		reported, known, err := w.reported(ctx, build, of, Build{SHA: candidate.Commit, Merge: candidate.Commit})
		if reported.Commit, reported.Branch = candidate.Commit, candidate.Branch; known || err != nil {
			return reported, false, err
		}
	}
	if w.Resolver == nil {
		return candidate, false, nil
	}
	if candidate.Digest, err = w.Resolver.Resolve(ctx, candidate.Reference); err != nil {
		candidate.Digest, candidate.Missing = "", w.Describe(err)
		return candidate, w.Absent(err), nil
	}
	return candidate, false, nil
}

// reported finds the image whose digest was reported for the environment's revision. known
// says that one was, or that nobody can tell.
func (w *ImageWatcher) reported(ctx context.Context, env Environment, of sought, build Build) (image Image, known bool, err error) {
	image.Service = of.Name
	if image.Reference, err = w.Reference(env, of.Service, build); err != nil || w.Reported == nil {
		return image, false, err
	}
	digest, pinned, err := w.Reported(ctx, env, of.Name, image.Reference)
	switch {
	case err != nil:
		w.Log.Warn("it is not known what was reported of an image", "env", env.Ref.String(), "error", err)
		image.Missing = "idp cannot tell just now whether its digest was reported"
		return image, true, nil
	case digest == "":
		return image, false, nil
	}
	image.Digest, image.Reported = digest, true
	if w.Resolver == nil {
		return image, true, nil
	}
	if image.Digest, err = w.Resolver.Resolve(ctx, pinned); err != nil {
		image.Digest, image.Missing = "", w.Describe(err)
	}
	return image, true, nil
}

// missing is the image that none of the candidates is, under its own first name, with why.
func (w *ImageWatcher) missing(env Environment, of sought, candidates []Image, unreadMerge error) (image Image, err error) {
	own := slices.DeleteFunc(slices.Clone(candidates), func(i Image) bool { return i.Branch != "" })
	if len(own) > 0 {
		image = own[0]
	} else {
		image.Service, image.Missing = of.Name, env.unmerged(unreadMerge)
		if image.Reference, err = w.Reference(env, of.Service, Build{SHA: env.SHA}); err != nil {
			return Image{}, err
		}
	}
	image.Commit = "" // it is none of a commit yet
	if more := len(own) - 1; more > 0 {
		image.Missing += fmt.Sprintf(", under this name or those of %d later merges", more)
	}
	if env.Declared() && spec.OfMerge(of.template) {
		image.Missing += ": {merge_sha} is the commit itself in " + env.Ref.ID
	}
	if older := len(candidates) - len(own); older > 0 {
		image.Missing += fmt.Sprintf("; it is unchanged here, and the registry has none of %s's last %d commits either", env.Baseline.Branch, len(env.Baseline.Commits))
		if touched := older - len(env.Baseline.Commits); touched > 0 {
			image.Missing += fmt.Sprintf(", nor of the %d before those in which it last changed", touched)
		}
	}
	return image, nil
}

// unfit marks the images as missing that the cluster's nodes cannot run, once all are there: a
// workflow may still push the index that has the others.
func (w *ImageWatcher) unfit(ctx context.Context, env Environment, images []Image) {
	if w.Lacking == nil || w.Resolver == nil || firstMissing(images) != nil {
		return
	}
	for i := range images {
		switch lacking, err := w.Lacking(ctx, env, images[i]); {
		case err != nil:
			images[i].Missing = "in the registry, but idp cannot tell just now what it runs on: " + w.Describe(err)
		case len(lacking) > 0:
			images[i].Missing = "in the registry, but not for " + strings.Join(lacking, ", ") + ", which nodes of the cluster are"
		}
	}
}
