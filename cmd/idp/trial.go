package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/manifests"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/render"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// noCommit stands for the commit of files that are only on disk.
const noCommit = "0000000000000000000000000000000000000000"

// trial is a preview of a spec that is rendered once, from the files in a checkout, as the
// bot would once they are on the base branch.
type trial struct {
	dir    string // the repository's folder
	charts string // the checkout with the platform's charts, "" for none
	class  platform.Class
	// owner and repo are the repository's, which the images' names are made of.
	owner, repo string
}

// outcome is what came of a trial.
type outcome struct {
	// Objects are what the preview is made of, as "Kind name"; none where Failed says why not.
	Objects []string
	// Notes are what a source renders to that the preview has otherwise, or not at all.
	Notes []string
	// Unsure is what only the server knows, or could not be tried here.
	Unsure []string
	// Failed says why nothing can be rendered from the source, nil where it can.
	Failed *fault.Error
}

// run renders the preview. What is wrong with a source is part of the outcome; an error is
// about the rest.
func (t trial) run(ctx context.Context, raw []byte) (outcome, error) {
	row, in, err := t.input(raw)
	if err != nil {
		return outcome{}, err
	}
	var out outcome
	if row.Source != nil {
		if out, in.Adopted = t.source(ctx, row, in); in.Adopted == nil {
			return out, nil
		}
	}
	files, err := render.Environment(in)
	if err != nil {
		return out, err
	}
	for _, added := range manifests.Compare(nil, below(files, row.Ref.ManifestsDir())) {
		out.Objects = append(out.Objects, added.Object)
	}
	return out, nil
}

// source renders the objects of the source alone; none where it cannot be.
func (t trial) source(ctx context.Context, row previews.Environment, in render.Input) (outcome, []render.Adopted) {
	var out outcome
	s := sourcedIn(t.dir, t.charts, t.class)
	s.elsewhere = func(service, image string) bool {
		i := slices.IndexFunc(in.Spec.Services, func(of spec.Service) bool { return of.Name == service })
		if i < 0 || in.Spec.Services[i].Image != "" {
			return false
		}
		out.Unsure = append(out.Unsure, fmt.Sprintf("service %s names no image, and no container has %s, which it has where the server's preview_image is not set: write the one that is named there as image of %s", service, image, service))
		return true
	}
	if names := chartNames(row.Source.From...); len(names) > 0 && t.charts == "" {
		out.Unsure = append(out.Unsure, "the source is not rendered, for the platform's charts are not known: --platform names the checkout that has them")
		return out, nil
	}
	got, err := s.withCharts(ctx, row, in)
	_, later := errors.AsType[*previews.LaterError](err)
	switch f, known := errors.AsType[*fault.Error](err); {
	case err == nil:
		out.Notes = got.notes
		return out, slices.Concat([]render.Adopted{}, got.from)
	case known && !later:
		out.Failed = f
	default:
		out.Unsure = append(out.Unsure, "the source could not be rendered here, and may be right: "+err.Error())
	}
	return out, nil
}

// withCharts are the objects of a source, the platform's charts that it names among them.
func (s sourced) withCharts(ctx context.Context, row previews.Environment, in render.Input) (adopted, error) {
	charts, err := s.chartsOf(ctx, row)
	if err != nil {
		return adopted{}, err
	}
	return s.adopted(ctx, row, in, charts)
}

// input is what the preview would be rendered from.
func (t trial) input(raw []byte) (row previews.Environment, in render.Input, err error) {
	parsed, errs := spec.Parse(spec.Path, raw)
	if err := errs.Err(); err != nil {
		return row, in, err
	}
	if row, err = t.row(raw, parsed); err == nil {
		in, err = renderInput(row, oneClass(t.class))
	}
	return row, in, err
}

// row is the preview's, of a pull request that changes nothing.
func (t trial) row(raw []byte, parsed *spec.Spec) (previews.Environment, error) {
	owner, repo := cmp.Or(t.owner, "owner"), cmp.Or(t.repo, "repo")
	row := previews.Environment{
		Ref:   gitops.EnvironmentRef{RepositoryID: 1, Owner: strings.ToLower(owner), Repo: strings.ToLower(repo), ID: gitops.PreviewID(1)},
		Owner: owner, Repo: repo, PR: 1,
	}
	row.Want(previews.Revision{SHA: noCommit, Spec: raw, TTL: time.Hour}, time.Now())
	if from := parsed.Sources(); len(from) > 0 {
		row.Source = &previews.Source{Base: noCommit, Branch: "the checkout", From: from}
	}
	reference := imageReference(oneClass(t.class))
	for _, svc := range parsed.Services {
		image, err := reference(row, svc, previews.Build{SHA: noCommit, Merge: noCommit})
		if err != nil {
			return row, err
		}
		row.Images = append(row.Images, previews.Image{Service: svc.Name, Reference: image})
	}
	return row, nil
}
