package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
)

// unapplied are notes on what a spec says of its services that has no part in their previews,
// since preview.source makes those: a sentence each service.
func unapplied(s *spec.Spec) []string {
	if s == nil || s.Preview.Source == nil {
		return nil
	}
	var notes []string
	for _, svc := range s.Services {
		var keys []string
		for _, key := range []struct {
			name  string
			given bool
		}{
			{"env", len(svc.Env) > 0}, {"command", len(svc.Command) > 0}, {"args", len(svc.Args) > 0}, {"resources", svc.Resources != spec.Resources{}},
			{"volumes", len(svc.Volumes) > 0}, {"migrate", svc.Migrate != nil}, {"healthcheck", svc.Healthcheck != nil}, {"schedule", svc.Schedule != ""},
		} {
			if key.given {
				keys = append(keys, key.name)
			}
		}
		if len(keys) > 0 {
			notes = append(notes, fmt.Sprintf("what is said of service %s in %s holds in long-lived environments alone: its previews are as the %s source has them", svc.Name, strings.Join(keys, ", "), s.Preview.Source.Kind))
		}
	}
	return notes
}

// source renders the source of a valid spec from the files in the repository's folder, ""
// where that is not known, and notes what came of it. charts is the checkout with the
// platform's charts, "" for none.
func (v *validation) source(ctx context.Context, dir, charts string, class platform.Class, raw []byte) error {
	if dir == "" {
		v.Notes = append(v.Notes, "preview.source is not rendered, for its files are not known: name the repository's folder")
		return nil
	}
	t := trial{dir: dir, charts: charts, class: class}
	t.owner, t.repo = originOf(ctx, dir)
	row, in, err := t.input(raw)
	if err != nil {
		return err
	}
	got, _ := t.source(ctx, row, in)
	v.Notes, v.Changed = append(v.Notes, got.Unsure...), got.Notes
	if got.Failed == nil {
		return nil
	}
	mistake := spec.Locate(v.Path, raw).At("preview.source")
	mistake.Kind, mistake.Message = spec.KindConflict, oneLine(strings.TrimSuffix(got.Failed.Message+": "+got.Failed.Hint, ": "))
	v.Valid, v.Errors = false, append(v.Errors, mistake)
	return nil
}
