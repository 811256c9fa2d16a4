package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/inplace"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/render"
	"github.com/idp-bot/idp/gitops/repo"
	"github.com/idp-bot/idp/previews"
)

// updateOf returns what a deployment of a part of a declared environment changes in files
// that are there already; nil where it is rendered. What the platform folder says now counts,
// whatever it said when the deployment was asked for: it alone lets idp into a team's files.
func updateOf(declared platform.Platform, env previews.Environment) (*platform.Update, error) {
	named, _ := declared.Environment(env.Ref.ID)
	u, listed, updates := named.UpdateOf(env.Ref.RepositoryID, env.Ref.Service)
	switch {
	case !updates && env.Update == nil:
		return nil, nil
	case !updates:
		return nil, notListed(env, fmt.Sprintf("does not let %s/%s change files for %s any more", env.Owner, env.Repo, env.Ref.ID))
	case env.Update == nil && env.Live():
		return nil, notListed(env, fmt.Sprintf("lets %s/%s change files for %s, and idp has rendered it there until now", env.Owner, env.Repo, env.Ref.ID))
	case env.Shared():
		return &platform.Update{}, nil
	case !listed:
		return nil, notListed(env, "names no file of service "+env.Ref.Service+" for "+env.Ref.ID)
	}
	return &u, nil
}

func notListed(env previews.Environment, what string) error {
	return fault.Newf(fault.Denied, "the platform team %s, in update of %s", what, platform.EnvironmentsPath).
		WithHint("The platform team has to say otherwise there.")
}

// written fills in the values that a deployment writes.
func written(env previews.Environment, u platform.Update) (*previews.Update, error) {
	out := &previews.Update{Application: u.Application}
	for _, f := range u.Fields {
		for _, image := range env.Images {
			if image.Service != env.Ref.Service {
				continue
			}
			value, err := f.Value(image.Reference, image.Digest, env.SHA)
			if err != nil {
				return nil, fault.New(fault.Invalid, err.Error(), "The platform team can have another part of the image written there, with set in "+platform.EnvironmentsPath+".")
			}
			out.Fields = append(out.Fields, inplace.Write{Field: f, Value: value})
		}
	}
	if len(out.Fields) != len(u.Fields) {
		return nil, fmt.Errorf("%s has no image of its service", env.Ref)
	}
	return out, nil
}

// updated is what an environment is rendered to whose deployments change values: its record.
func updated(env previews.Environment, in render.Input, u platform.Update) (previews.Rendered, error) {
	writes, err := written(env, u)
	if err != nil {
		return previews.Rendered{}, err
	}
	in.Update = &render.RecordedUpdate{Application: writes.Application, Fields: writes.Fields}
	files, err := render.Environment(in)
	return previews.Rendered{Files: files, Update: writes}, err
}

// updates are the files that a deployment would change values in, at the tip.
func (m *Main) updates(ctx context.Context, would previews.Environment) (now, then []gitops.File, updated bool, err error) {
	declared, err := m.declared.latest()
	if err != nil || !would.Declared() {
		return nil, nil, false, err
	}
	u, err := updateOf(declared, would)
	if err != nil || u == nil {
		return nil, nil, false, err
	}
	writes, err := written(would, *u)
	if err != nil {
		return nil, nil, false, err
	}
	in, err := m.lanes.repo(ctx, would.Lane)
	if err != nil {
		return nil, nil, false, err
	}
	tip, err := in.Tip(ctx)
	if err != nil {
		return nil, nil, false, err
	}
	now, then, err = editedFiles(writes, func(file string) ([]byte, error) {
		if tip == "" {
			return nil, repo.ErrNoFile
		}
		return in.Text(ctx, tip, file)
	})
	return now, then, true, err
}

// editedFiles returns the files that values are written to, as they are and as they would be.
func editedFiles(u *previews.Update, read func(file string) ([]byte, error)) (now, then []gitops.File, err error) {
	for _, file := range u.Files() {
		content, err := read(file)
		if errors.Is(err, repo.ErrNoFile) || errors.Is(err, fs.ErrNotExist) {
			return nil, nil, fault.Newf(fault.Invalid, "there is no file %s", file).WithHint("idp makes none: write it once by hand, or mend update in %s", platform.EnvironmentsPath)
		}
		if err != nil {
			return nil, nil, err
		}
		now = append(now, gitops.File{Path: file, Content: content})
		for _, w := range u.Fields {
			if w.File != file {
				continue
			}
			if content, err = inplace.Edit(content, w); err != nil {
				return nil, nil, editFault(err)
			}
		}
		then = append(then, gitops.File{Path: file, Content: content})
	}
	return now, then, nil
}

// editFault is why a value cannot be replaced, for people.
func editFault(err error) error {
	wrong, ok := errors.AsType[*inplace.Error](err)
	if !ok {
		return err
	}
	return fault.New(fault.Invalid, wrong.Error(), wrong.Hint)
}

// changedFields are, by row, the values in files of teams that are not what idp wrote there.
func (m *Main) changedFields(ctx context.Context, rows []previews.Environment) (map[int64][]string, error) {
	out := map[int64][]string{}
	for _, row := range rows {
		if row.Update == nil || !row.Live() {
			continue
		}
		in, err := m.lanes.repo(ctx, row.Lane)
		if err != nil {
			return nil, err
		}
		tip, err := in.Tip(ctx)
		if err != nil || tip == "" {
			return nil, err
		}
		for _, w := range row.Update.Fields {
			content, err := in.Text(ctx, tip, w.File)
			if err != nil && !errors.Is(err, repo.ErrNoFile) {
				return nil, err
			}
			if now, wrong := inplace.Read(content, w.Field); err != nil || wrong != nil {
				out[row.RowID] = append(out[row.RowID], w.Field.String()+", which cannot be read")
			} else if now != w.Value {
				out[row.RowID] = append(out[row.RowID], fmt.Sprintf("%s, which is %.80q", w.Field, now))
			}
		}
	}
	return out, nil
}
