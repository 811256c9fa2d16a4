package report

import (
	"fmt"
	"strings"

	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// sourced says where the objects of a preview come from, where that is not idp, and what of
// the pull request's own counts; "" for any other.
func sourced(e *previews.Environment) string {
	s := e.Source
	if s == nil || e.Wanted != previews.Present {
		return ""
	}
	if !e.Sourced() {
		return fmt.Sprintf("Rendered by idp: %s is not on %s yet, and counts once it is.", Code("preview.source"), Code(s.Branch))
	}
	if s.Own() {
		return fmt.Sprintf("Rendered from this pull request: its own %s at %s, which %s approved.",
			strings.TrimPrefix(sourceName(s.From), "the "), Code(short(s.Base)), Code(s.Approved.By))
	}
	text := fmt.Sprintf("Rendered from the base: %s at %s of %s, whatever this pull request changes there.",
		sourceName(s.From), Code(short(s.Base)), Code(s.Branch))
	if e.Charts != nil && e.Charts.Generation == e.Generation && e.Charts.Digests[s.From.Chart] != "" {
		text += " The chart is " + Code(e.Charts.Digests[s.From.Chart]) + ", as the platform team pinned it."
	}
	if len(s.Taken) > 0 {
		text += " Taken from the pull request: " + keys(codes(s.Taken)) + "."
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
