package bot

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// maxChangedFiles is how many files of a pull request GitHub lists; beyond, nobody
// can say that a path did not change.
// https://docs.github.com/en/rest/pulls/pulls#list-pull-requests-files
const maxChangedFiles = 3000

// wish is what the facts of a pull request ask for: a preview, none, or one that
// must be refused.
type wish struct {
	wanted bool
	// problem is why what is asked for is refused; nil when it is not.
	problem *previews.Problem
	// removal and detail say why none is wanted, for the row.
	removal previews.RemovalReason
	detail  string
	// why is the rule that decided, in words.
	why string
}

// rule is what decided, for the audit.
func (w wish) rule() string {
	if w.problem != nil && w.problem.Rule != "" {
		return w.problem.Rule
	}
	return w.why
}

// rule looks at the facts and decides, or leaves it to the rules after it.
type rule func(*deciding) (wish, bool)

// forbidding are the rules that hold for everybody, a command included; triggers
// those that a command stands in for. They are asked in order.
var (
	forbidding = []rule{closedRule, noSpecRule, invalidSpecRule, disabledRule, ignoredRule, draftRule}
	triggers   = []rule{labelRule, commandRule, pathsRule}
)

// wish asks the rules what the pull request's facts come to.
func (d *deciding) wish() wish {
	asked := d.env != nil && d.env.AskedBy != ""
	if w, decided := first(d, forbidding); decided {
		return w
	}
	if asked {
		return d.allowed(fmt.Sprintf("%s asked for the preview", d.env.AskedBy))
	}
	if w, decided := first(d, triggers); decided {
		return w
	}
	return d.allowed(fmt.Sprintf("trigger %s applies", d.trigger()))
}

// asked is the wish of somebody who asks by command.
func (d *deciding) asked() wish {
	if w, decided := first(d, forbidding); decided {
		return w
	}
	return d.allowed("a command asks for the preview")
}

// allowed wants a preview, but of a fork's code only once that was approved.
func (d *deciding) allowed(why string) wish {
	if v := d.admits(access.Preview); !v.Allowed {
		return wish{problem: d.unapproved(), why: why + "; " + v.Reason}
	}
	return wish{wanted: true, why: why}
}

func first(d *deciding, rules []rule) (wish, bool) {
	for _, r := range rules {
		if w, decided := r(d); decided {
			return w, true
		}
	}
	return wish{}, false
}

func closedRule(d *deciding) (wish, bool) {
	switch {
	case d.PR.Open:
		return wish{}, false
	case d.PR.Merged:
		return wish{removal: previews.RemovedMerged, why: "a merged pull request has no preview"}, true
	default:
		return wish{removal: previews.RemovedClosed, why: "a closed pull request has no preview"}, true
	}
}

func noSpecRule(d *deciding) (wish, bool) {
	if d.Spec.Found {
		return wish{}, false
	}
	return untriggered("there is no %s in this commit", spec.Path), true
}

// invalidSpecRule refuses a spec with errors. That of a bot's pull request is not even
// talked about, unless a preview is there or would be.
func invalidSpecRule(d *deciding) (wish, bool) {
	if d.Spec.Spec != nil {
		return wish{}, false
	}
	if d.PR.Fork {
		return d.invalidBase(), true
	}
	if d.ofBot() && d.env == nil && !d.event.asks() {
		return untriggered("%s has errors, and bots' pull requests have no preview unless labelled", spec.Path), true
	}
	message := fmt.Sprintf("%d errors in %s", len(d.Spec.Errors), spec.Path)
	if len(d.Spec.Errors) == 1 {
		message = "1 error in " + spec.Path
	}
	return wish{
		problem: &previews.Problem{Kind: previews.ProblemSpec, Message: message, Errors: d.Spec.Errors}, why: message,
	}, true
}

func disabledRule(d *deciding) (wish, bool) {
	if d.Spec.Spec.Preview.Enabled {
		return wish{}, false
	}
	return untriggered("preview.enabled is false in %s", spec.Path), true
}

func ignoredRule(d *deciding) (wish, bool) {
	for _, label := range d.Spec.Spec.Preview.IgnoreLabels {
		if d.labelled(label) {
			return untriggered("label %q keeps it from having a preview", label), true
		}
	}
	return wish{}, false
}

func draftRule(d *deciding) (wish, bool) {
	v := d.admits(access.Preview)
	if v.Cause != access.CauseDraft {
		return wish{}, false
	}
	return wish{removal: previews.RemovedDraft, why: v.Reason}, true
}

func labelRule(d *deciding) (wish, bool) {
	label := d.Spec.Spec.Preview.Label
	if d.trigger() != spec.TriggerLabel || d.labelled(label) {
		return wish{}, false
	}
	if d.byLabelAsBot() {
		return untriggered("pull requests of bots need label %q", label), true
	}
	return untriggered("it does not have label %q", label), true
}

// commandRule keeps what a command brought, and brings nothing by itself. A row
// that is there without having been asked for dates from another trigger.
func commandRule(d *deciding) (wish, bool) {
	if d.trigger() != spec.TriggerCommand {
		return wish{}, false
	}
	return untriggered("previews are made by /idp preview here, and nobody asked for this one"), true
}

func pathsRule(d *deciding) (wish, bool) {
	globs := d.Spec.Spec.Preview.Paths
	if len(globs) == 0 || len(d.ChangedFiles) >= maxChangedFiles || slices.ContainsFunc(d.ChangedFiles, func(file string) bool {
		return slices.ContainsFunc(globs, func(glob string) bool { return spec.Below(glob, file) })
	}) {
		return wish{}, false
	}
	return untriggered("none of its %d changed files is below preview.paths", len(d.ChangedFiles)), true
}

// trigger is the spec's, but for bots: their pull requests come in numbers, so a
// label takes the place of "auto" unless the class says otherwise.
func (d *deciding) trigger() spec.Trigger {
	if d.byLabelAsBot() {
		return spec.TriggerLabel
	}
	return d.Spec.Spec.Preview.Trigger
}

func (d *deciding) byLabelAsBot() bool {
	return d.Spec.Spec.Preview.Trigger == spec.TriggerAuto && d.ofBot()
}

// ofBot says that the pull request is a bot's, and brings no preview up by itself for that.
func (d *deciding) ofBot() bool { return d.admits(access.Automatic).Cause == access.CauseBot }

// labelled compares as GitHub does, whatever the case.
func (d *deciding) labelled(label string) bool {
	return slices.ContainsFunc(d.PR.Labels, func(has string) bool { return strings.EqualFold(has, label) })
}

// lifetime is the spec's time to live, else the class's, within the class's limit.
func (d *deciding) lifetime() (ttl time.Duration, why string) {
	ttl, source := d.Class.TTL, "the default"
	if own := d.Spec.Spec.Preview.TTL; own > 0 {
		ttl, source = own, "preview.ttl"
	}
	if limit := d.Class.MaxTTL; limit > 0 && ttl > limit {
		return limit, fmt.Sprintf("it lives %s from the last push: %s is %s, but that is the most allowed",
			spec.FormatDuration(limit), source, spec.FormatDuration(ttl))
	}
	return ttl, fmt.Sprintf("it lives %s from the last push (%s)", spec.FormatDuration(ttl), source)
}

func untriggered(format string, args ...any) wish {
	why := fmt.Sprintf(format, args...)
	return wish{removal: previews.RemovedUntriggered, detail: why, why: why}
}

// team is the first that the spec names; it owns the environment.
func team(s *spec.Spec) string {
	for _, svc := range s.Services {
		if svc.Team != "" {
			return svc.Team
		}
	}
	return ""
}
