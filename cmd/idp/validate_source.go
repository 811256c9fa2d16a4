package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
)

// unapplied are notes on what a spec says of its services that has no part in what a source
// makes of them: a sentence each service.
func unapplied(s *spec.Spec) []string {
	if s == nil {
		return nil
	}
	var notes []string
	for _, svc := range s.Services {
		whole := s.Preview.Source
		switch {
		case svc.Source != nil:
			if keys := append(unappliedKeys(svc), unrolledKeys(svc)...); len(keys) > 0 {
				notes = append(notes, fmt.Sprintf("what is said of service %s in %s has no part in it: its objects are as the %s source has them", svc.Name, strings.Join(keys, ", "), svc.Source.Kind))
			}
		case whole != nil:
			if keys := unappliedKeys(svc); len(keys) > 0 {
				notes = append(notes, fmt.Sprintf("what is said of service %s in %s holds in long-lived environments alone: its previews are as the %s source has them", svc.Name, strings.Join(keys, ", "), whole.Kind))
			}
		}
		for _, env := range slices.Sorted(maps.Keys(svc.Environments)) {
			o := svc.Environments[env]
			from := o.Source
			if from == nil {
				from = svc.Source
			}
			if from != nil && (len(o.Env) > 0 || o.Resources != spec.Resources{}) {
				notes = append(notes, fmt.Sprintf("env and resources of service %s in %s have no part in it: its objects there are as the %s source has them", svc.Name, env, from.Kind))
			}
		}
	}
	return notes
}

// source renders the source of a valid spec from the files in the repository's folder, ""
// where that is not known, and notes what came of it. charts is the checkout with the
// platform's charts, "" for none.
func (v *validation) source(ctx context.Context, dir, charts string, class platform.Class, raw []byte) error {
	if dir == "" {
		v.Notes = append(v.Notes, "the source is not rendered, for its files are not known: name the repository's folder")
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
	mistake := spec.Locate(v.Path, raw).At(blamed(row.Source.From, got.Failed.Message).Key())
	mistake.Kind, mistake.Message = spec.KindConflict, oneLine(strings.TrimSuffix(got.Failed.Message+": "+got.Failed.Hint, ": "))
	v.Valid, v.Errors = false, append(v.Errors, mistake)
	return nil
}

// blamed is the source that a message is about, the first where it names none.
func blamed(sources spec.Sources, message string) spec.SourceOf {
	i := slices.IndexFunc(sources, func(one spec.SourceOf) bool { return strings.Contains(message, titleOf(one)) })
	return sources[max(i, 0)]
}

// keyOf is a key of a service, and whether the file gives it.
type keyOf struct {
	name  string
	given bool
}

// unappliedKeys are those of a service that say how its pods are.
func unappliedKeys(svc spec.Service) []string {
	return given(
		keyOf{"env", len(svc.Env) > 0}, keyOf{"command", len(svc.Command) > 0}, keyOf{"args", len(svc.Args) > 0}, keyOf{"resources", svc.Resources != spec.Resources{}},
		keyOf{"volumes", len(svc.Volumes) > 0}, keyOf{"migrate", svc.Migrate != nil}, keyOf{"healthcheck", svc.Healthcheck != nil}, keyOf{"schedule", svc.Schedule != ""},
	)
}

// unrolledKeys are those that say how its revisions follow each other.
func unrolledKeys(svc spec.Service) []string {
	return given(keyOf{"deploy", svc.Deploy.Strategy != spec.Rolling}, keyOf{"rollback.on_error_rate", svc.Rollback.OnErrorRate > 0})
}

func given(keys ...keyOf) []string {
	var out []string
	for _, key := range keys {
		if key.given {
			out = append(out, key.name)
		}
	}
	return out
}
