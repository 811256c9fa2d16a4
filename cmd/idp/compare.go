package main

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/manifests"
	"github.com/idp-bot/idp/gitops/policy"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/images"
)

// comparing says what committing a row would change in the manifests that are in Git.
type comparing struct {
	images func(context.Context, previews.Environment) ([]previews.Image, error)
	render func(context.Context, previews.Environment) (previews.Rendered, error)
	// updates returns the files that committing the row would change values in, as they are
	// and as they would be; updated is false of one that is rendered.
	updates func(ctx context.Context, would previews.Environment) (now, then []gitops.File, updated bool, err error)
	files   func(ctx context.Context, env previews.Environment, commit, dir string) ([]gitops.File, error)
	// judge asks the policies about the files, where there are any.
	judge func(ctx context.Context, would previews.Environment, files []gitops.File) policy.Verdict
	// shows says whether what changes may be told where the row is reported; nil is yes.
	shows func(previews.Environment) bool
	// failed hears of what is told to people in fewer words.
	failed func(env previews.Environment, err error)
}

// compare looks the images up and renders as would happen with the row, and compares
// with the commit that was last made of it. Only manifests are compared: idp's own record
// beside them has the generation, the commit and the spec in it, and changes each time.
// The attempt on a pod that was rolled out again is among the manifests and is shown, for
// where it goes the pods are replaced.
func (c comparing) compare(ctx context.Context, would previews.Environment) report.Planned {
	var out report.Planned
	var err error
	if !would.Shared() {
		if would.Images, err = c.images(ctx, would); err != nil {
			return c.unknown(would, err)
		}
	}
	if now, then, missing, updated, err := c.updated(ctx, would); err != nil {
		return c.unknown(would, err)
	} else if updated {
		return report.Planned{Missing: missing, Changes: manifests.Compare(now, then), Hidden: c.shows != nil && !c.shows(would)}
	}
	rendered, missing, verdict, err := c.rendered(ctx, would)
	if err != nil {
		return c.unknown(would, err)
	}
	out.Missing, out.Verdict = missing, verdict
	var now []gitops.File
	if would.Live() {
		if now, err = c.files(ctx, would, would.AppliedCommit, would.Ref.ManifestsDir()); err != nil {
			return c.unknown(would, err)
		}
	}
	out.Changes = manifests.Compare(now, below(rendered, would.Ref.ManifestsDir()))
	out.Hidden = c.shows != nil && !c.shows(would)
	return out
}

// noDigest stands for the digest of an image that is not there yet, so that nothing but
// the digest differs from what will be committed.
var noDigest = "sha256:" + strings.Repeat("0", 64)

// rendered are the environment's files, with the images by their names that are not in
// their registry yet; policies are asked about the files as they will be, with digests.
func (c comparing) rendered(ctx context.Context, would previews.Environment) (files []gitops.File, missing []previews.Image, v policy.Verdict, err error) {
	names := map[string]string{}
	would.Images = slices.Clone(would.Images)
	for i, image := range would.Images {
		if image.Missing == "" {
			continue
		}
		missing = append(missing, image)
		if pinned, err := images.Pinned(image.Reference, noDigest); err == nil {
			would.Images[i].Digest, names[pinned] = noDigest, image.Reference
		}
	}
	rendered, err := c.render(ctx, would)
	if err != nil {
		return nil, missing, v, err
	}
	files = rendered.Files
	if c.judge != nil && !would.Known() {
		if v = c.judge(ctx, would, files); ctx.Err() != nil {
			return nil, missing, v, ctx.Err()
		}
	}
	for pinned, name := range names {
		for i := range files {
			files[i].Content = bytes.ReplaceAll(files[i].Content, []byte(pinned), []byte(name))
		}
	}
	return files, missing, v, nil
}

// updated are the files of a team that would change, where some would. Images that are not in
// their registry yet have dots for a digest.
func (c comparing) updated(ctx context.Context, would previews.Environment) (now, then []gitops.File, missing []previews.Image, updated bool, err error) {
	if c.updates == nil {
		return nil, nil, nil, false, nil
	}
	would.Images = slices.Clone(would.Images)
	for i, image := range would.Images {
		if image.Missing != "" {
			missing, would.Images[i].Digest = append(missing, image), noDigest
		}
	}
	if now, then, updated, err = c.updates(ctx, would); err != nil || !updated {
		return nil, nil, nil, false, err
	}
	for i := range then {
		then[i].Content = bytes.ReplaceAll(then[i].Content, []byte(noDigest), []byte("sha256:…"))
	}
	return now, then, missing, true, nil
}

// unknown words why it is not known what would change.
func (c comparing) unknown(would previews.Environment, err error) report.Planned {
	c.failed(would, err)
	if errors.Is(err, context.DeadlineExceeded) {
		return report.Planned{Unknown: "it took too long to find out; ask for fewer services, or again later"}
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		text := f.Message
		if f.Hint != "" {
			text += " (" + f.Hint + ")"
		}
		return report.Planned{Unknown: text}
	}
	return report.Planned{Unknown: "the manifests could not be compared; the platform team finds the reason in idp's log"}
}

// below are the files of a folder.
func below(files []gitops.File, dir string) []gitops.File {
	var out []gitops.File
	for _, f := range files {
		if strings.HasPrefix(f.Path, dir+"/") {
			out = append(out, f)
		}
	}
	return out
}
