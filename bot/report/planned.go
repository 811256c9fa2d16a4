package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops/manifests"
	"github.com/idp-bot/idp/gitops/policy"
	"github.com/idp-bot/idp/previews"
)

const (
	// maxPlan is how long the answer about a deployment may become, in bytes: what one
	// reply holds beside others.
	maxPlan = 60_000
	// noteRoom is kept for each part, to say at least that its diff is left out.
	noteRoom = 80
	// fewestLines are the least of a diff that are worth showing.
	fewestLines = 8
	// maxObjects is how many objects one line names.
	maxObjects = 8
)

// Planned is what a deployment would change in one part of a declared environment.
type Planned struct {
	// Service is "" for what the services share.
	Service string
	// Running says that the commit runs there already, or is about to: then it is left
	// alone.
	Running bool
	Changes []manifests.Difference
	// Rendered says where the objects come from, where that is not idp, as Markdown; "" for idp.
	Rendered string
	// Hidden says that whoever reads this may not know more of Changes than which objects.
	Hidden bool
	// Missing are the images that the registry does not have yet, or does not show. In the
	// diff their name stands where the digest will.
	Missing []previews.Image
	// Verdict is what policies say of the objects.
	Verdict policy.Verdict
	// Unknown says in words why it is not known what would change; "" where it is.
	Unknown string
}

// PlanInput is what there is to say of a deployment that somebody thinks of.
type PlanInput struct {
	Environment, SHA string
	Parts            []Planned
	// Refused and Waits are Markdown sentences: for what it would be refused, and what it
	// would wait for. Warned are what policies would tell and let pass.
	Refused, Waits, Warned []string
}

// Plan says what a deployment would change, with the diff of each part in its order, as
// far as there is room: cut at a whole line, with a note of how much was cut.
func Plan(in PlanInput) string {
	total, known := 0, true
	for _, p := range in.Parts {
		total += len(p.Changes)
		known = known && p.Unknown == ""
	}
	head := fmt.Sprintf("Deploying %s to %s changes %s. Nothing was deployed for saying so.", Code(short(in.SHA)), Code(in.Environment), plural(total, "object"))
	switch {
	case !known:
		head = fmt.Sprintf("Deploying %s to %s changes the following, as far as that is known. Nothing was deployed for saying so.", Code(short(in.SHA)), Code(in.Environment))
	case total == 0:
		head = fmt.Sprintf("Deploying %s to %s changes nothing.", Code(short(in.SHA)), Code(in.Environment))
	}
	hidden := ""
	if slices.ContainsFunc(in.Parts, func(p Planned) bool { return p.Hidden && len(p.Changes) > 0 }) {
		hidden = "What would change in them is not shown, since everybody can read this repository; `idp render` shows it."
	}
	foot := join(maxPlan, hidden,
		list(markWarning+" "+Code("/idp deploy "+in.Environment)+" would be refused now:", in.Refused),
		list(markWaiting+" It would wait:", append(missingLines(in.Parts), in.Waits...)),
		list("Policies would let it pass and say:", in.Warned))
	return join(maxPlan, append(append([]string{head}, plannedParts(in.Parts, maxPlan-len(head)-len(foot)-4)...), foot)...)
}

// plannedParts are the paragraphs about the parts, in at most room bytes with what joins
// them. What services share is only mentioned where there is something to say of it.
func plannedParts(parts []Planned, room int) []string {
	const joint = 2
	var out []string
	parts = slices.DeleteFunc(slices.Clone(parts), func(p Planned) bool {
		return p.Service == "" && p.Unknown == "" && len(p.Changes) == 0
	})
	for _, p := range parts {
		room -= len(plannedHead(p)) + joint + noteRoom
	}
	for _, p := range parts {
		room += noteRoom
		block := ""
		if !p.Hidden {
			block = plannedDiff(p.Changes, room-joint)
		}
		room -= len(block) + joint
		out = append(out, plannedHead(p), block)
	}
	return out
}

// plannedHead is the part's line: what becomes of how many objects, and which.
func plannedHead(p Planned) string {
	name := "What the services share"
	if p.Service != "" {
		name = Text(p.Service)
	}
	name = "**" + name + "**: "
	switch {
	case p.Running:
		return name + "nothing changes, the commit runs there already or is about to."
	case p.Unknown != "":
		return name + "not known. " + sentence(p.Unknown)
	case len(p.Changes) == 0:
		return join(maxPlan, name+"nothing changes.", p.Rendered)
	}
	return join(maxPlan, name+changedObjects(p.Changes), p.Rendered)
}

// changedObjects names objects by what becomes of them.
func changedObjects(changes []manifests.Difference) string {
	var words []string
	for _, verb := range []struct {
		manifests.Verb
		one, many string
	}{{manifests.Changed, "changes", "change"}, {manifests.Added, "is added", "are added"}, {manifests.Removed, "is removed", "are removed"}} {
		var names []string
		for _, c := range changes {
			if c.Verb == verb.Verb {
				names = append(names, Text(c.Object))
			}
		}
		if n := len(names); n > 0 {
			does := verb.many
			if n == 1 {
				does = verb.one
			}
			words = append(words, plural(n, "object")+" "+does+": "+someOf(names))
		}
	}
	return strings.Join(words, "; ")
}

func someOf(names []string) string {
	if more := len(names) - maxObjects; more > 0 {
		return strings.Join(names[:maxObjects], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}

// plannedDiff is the diff of some objects in at most room bytes, notes included; "" where
// nothing changes.
func plannedDiff(changes []manifests.Difference, room int) string {
	var text strings.Builder
	for _, c := range changes {
		text.WriteString(c.Diff)
	}
	if text.Len() == 0 {
		return ""
	}
	lines := strings.SplitAfter(strings.TrimRight(text.String(), "\n"), "\n")
	for n, over := len(lines), text.Len()-room; ; {
		for ; over > 0 && n > 0; n-- {
			over -= len(lines[n-1])
		}
		if n < min(fewestLines, len(lines)) {
			break
		}
		block := fence("diff", strings.Join(lines[:n], ""))
		if n < len(lines) {
			block += fmt.Sprintf("\n\nCut for want of room: the first %d of %d lines are shown.", n, len(lines))
		}
		if over = len(block) - room; over <= 0 {
			return block
		}
	}
	return fmt.Sprintf("Left out for want of room: a diff of %s.", plural(len(lines), "line"))
}

func missingLines(parts []Planned) []string {
	var out []string
	for _, p := range parts {
		for _, image := range p.Missing {
			out = append(out, fmt.Sprintf("Image %s: %s. Nothing is committed before it is there; the diff has its name where Git will have its digest.",
				Code(shortReference(image.Reference)), Text(image.Missing)))
		}
	}
	return out
}

func list(head string, items []string) string {
	if len(items) == 0 {
		return ""
	}
	return head + "\n\n- " + strings.Join(items, "\n- ")
}
