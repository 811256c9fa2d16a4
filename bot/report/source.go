package report

import (
	"fmt"
	"strings"

	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// sourced says where the objects of an environment come from, where that is not idp alone, and
// what of the commit's own counts; "" for any other.
func sourced(e *previews.Environment) string {
	s := e.Source
	if s == nil || e.Wanted != previews.Present {
		return ""
	}
	if !e.Sourced() {
		var left []string
		for _, one := range s.Left {
			left = append(left, Code(one.Key))
		}
		verb, counts := "is", "counts once it is"
		if len(left) > 1 {
			verb, counts = "are", "count once they are"
		}
		return fmt.Sprintf("Rendered by idp: %s %s not on %s yet, and %s.", keys(left), verb, Code(s.Branch), counts)
	}
	if e.Declared() && s.Base == e.SHA {
		return fmt.Sprintf("Rendered from %s at this commit, which is on %s.", sourceNames(e, s.From), Code(s.Branch)) + pinned(e)
	}
	if s.Own() {
		return fmt.Sprintf("Rendered from this pull request: its own %s at %s, which %s approved.",
			strings.TrimPrefix(sourceNames(e, s.From), "the "), Code(short(s.Base)), Code(s.Approved.By)) + rest(e)
	}
	of := "pull request"
	if e.Declared() {
		of = "commit"
	}
	text := fmt.Sprintf("Rendered from the base: %s at %s of %s, whatever this %s changes there.",
		sourceNames(e, s.From), Code(short(s.Base)), Code(s.Branch), of) + pinned(e) + rest(e)
	if len(s.Taken) > 0 {
		text += " Taken from the " + of + ": " + keys(codes(s.Taken)) + "."
	}
	if len(s.Left) == 0 {
		return text
	}
	left := make([]string, len(s.Left))
	for i, one := range s.Left {
		left[i] = Code(one.Key)
		if one.Why != "" {
			left[i] += " (" + Text(one.Why) + ")"
		}
	}
	return text + " Not taken: " + keys(left) + "."
}

// pinned names the platform's charts among the sources by their digests, after a space; "" for
// none.
func pinned(e *previews.Environment) string {
	text := ""
	for _, s := range e.Source.From {
		if e.Charts == nil || e.Charts.Generation != e.Generation || e.Charts.Digests[s.Chart] == "" {
			continue
		}
		chart := " The chart is "
		if len(e.Source.From) > 1 {
			chart = " The chart for " + Code(s.Service) + " is "
		}
		text += chart + Code(e.Charts.Digests[s.Chart]) + ", as the platform team pinned it."
	}
	return text
}

// Rendered says where the objects of a part of a declared environment come from, as Markdown;
// "" for idp.
func Rendered(e *previews.Environment) string { return sourced(e) }

// rest names the services that idp renders beside those that have sources of their own, after
// a space; "" for none.
func rest(e *previews.Environment) string {
	parsed, _ := spec.Parse(spec.Path, e.Spec)
	if _, whole := e.Source.From.Of(""); whole || parsed == nil || e.Declared() {
		return ""
	}
	var own []string
	for _, service := range parsed.Services {
		if _, sourced := e.Source.From.Of(service.Name); !sourced {
			own = append(own, Code(service.Name))
		}
	}
	if len(own) == 0 {
		return ""
	}
	return " Rendered by idp: " + keys(own) + "."
}

// sourceNames names sources of an environment in the middle of a sentence, each with its service
// where there are several.
func sourceNames(e *previews.Environment, all spec.Sources) string {
	var names []string
	for _, s := range all {
		name := sourceName(s.Source)
		if s.Service != "" && !e.Declared() && !single(e) {
			name += " for " + Code(s.Service)
		}
		names = append(names, name)
	}
	return keys(names)
}

// sourceName names a source in the middle of a sentence.
func sourceName(s spec.Source) string {
	in := "the repository's root"
	if s.Chart != "" {
		return "the values of the platform's Helm chart " + Code(s.Chart)
	}
	if s.Path != "" {
		in = Code(s.Path)
	}
	return kinds[string(s.Kind)] + " in " + in
}

// kinds are what people call the kinds of source.
var kinds = map[string]string{"helm": "the Helm chart", "kustomize": "the Kustomize overlay", "manifests": "the manifests"}

func codes(all []string) []string {
	out := make([]string, len(all))
	for i, one := range all {
		out[i] = Code(one)
	}
	return out
}

// maxDropped is how many notes of a source are listed in a check's summary; its text has the
// others.
const maxDropped = 40

// notesOf are what was dropped or changed of what the source of a preview rendered to.
func notesOf(e *previews.Environment) []string {
	if !e.Sourced() || e.Wanted != previews.Present {
		return nil
	}
	return e.Source.Notes
}

// dropped lists what was dropped or changed of what a source rendered to.
func dropped(e *previews.Environment) string {
	var lines []string
	for i, note := range notesOf(e) {
		if i == maxDropped {
			lines = append(lines, fmt.Sprintf("and %d more, which stand below", len(e.Source.Notes)-maxDropped))
			break
		}
		lines = append(lines, sentence(note))
	}
	return list("Dropped or changed of what it renders to:", lines)
}

// alsoDropped lists the notes that dropped has no room for, in at most room bytes; what does
// not fit is counted.
func alsoDropped(e *previews.Environment, room int) string {
	const head, noteRoom = "**Also dropped or changed of what it renders to**", 100
	notes := notesOf(e)
	if len(notes) <= maxDropped {
		return ""
	}
	notes = notes[maxDropped:]
	var lines []string
	size := len(head) + noteRoom
	for i, note := range notes {
		line := sentence(note)
		if size += len(line) + len("\n- "); size > room {
			lines = append(lines, fmt.Sprintf("and %d more, for which there is no room; %s lists all of them", len(notes)-i, Code("idp render --pr")))
			break
		}
		lines = append(lines, line)
	}
	return list(head, lines)
}
