package main

import (
	"fmt"
	"strings"

	"github.com/idp-bot/idp/gitops/spec"
)

// unapplied are notes on what a spec says of its services that has no part in their previews,
// since a source makes those: a sentence each service.
func unapplied(s *spec.Spec) []string {
	if s == nil {
		return nil
	}
	var notes []string
	from := s.Sources()
	for _, svc := range s.Services {
		source, sourced := from.Of("")
		if own, ok := from.Of(svc.Name); ok {
			source, sourced = own, true
		}
		if !sourced {
			continue
		}
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
			notes = append(notes, fmt.Sprintf("what is said of service %s in %s holds in long-lived environments alone: its previews are as the %s source has them", svc.Name, strings.Join(keys, ", "), source.Kind))
		}
	}
	return notes
}
