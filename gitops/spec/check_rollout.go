package spec

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
)

// deploy returns a rollout, nil when none is given.
func (c *checker) deploy(field string, b *deployBlock) *Deploy {
	if b == nil {
		return nil
	}
	out := Deploy{Strategy: Strategy(b.Strategy)}
	strategy, steps := join(field, "strategy"), join(field, "canary")
	if !c.given(strategy) {
		out.Strategy = Rolling
	}
	switch {
	case c.bad[strategy]:
	case out.Strategy == Canary && !c.given(steps):
		c.report(strategy, KindConflict, "strategy canary needs steps: add canary with weights rising to 100")
	case out.Strategy != Canary && c.given(steps):
		c.reportKey(steps, KindConflict, "canary steps do not suit strategy %s: remove them, or set strategy: canary", out.Strategy)
	}
	for i, step := range b.Canary {
		if step == nil {
			continue
		}
		at := indexed(steps, i)
		s := CanaryStep{}
		if step.Weight != nil {
			s.Weight = *step.Weight
		}
		if step.Pause != nil {
			s.Pause = time.Duration(*step.Pause)
		}
		c.rising(join(at, "weight"), b.Canary, i)
		out.Canary = append(out.Canary, s)
	}
	return &out
}

// rising reports a weight that is not above the one before, or not 100 at the end.
func (c *checker) rising(field string, steps []*canaryBlock, i int) {
	if !c.ok(field) {
		return
	}
	weight := *steps[i].Weight
	if i > 0 && steps[i-1] != nil && steps[i-1].Weight != nil && weight <= *steps[i-1].Weight {
		c.report(field, KindConflict, "weight %d is not more than the %d before it: expected weights that rise", weight, *steps[i-1].Weight)
		return
	}
	if i == len(steps)-1 && weight != 100 {
		c.report(field, KindConflict, "the last weight is %d: expected 100, or the rollout never ends", weight)
	}
}

// healthcheck returns a probe, nil when none is given.
func (c *checker) healthcheck(field string, b *healthcheckBlock) *Healthcheck {
	if b == nil {
		return nil
	}
	out := &Healthcheck{Path: b.Path, Interval: defaultInterval, Threshold: defaultThreshold}
	if at := join(field, "path"); c.ok(at) {
		switch {
		case strings.Contains(b.Path, "://"):
			c.report(at, KindFormat, "path %s: expected a path such as /health, without scheme and host", quote(b.Path))
		case strings.ContainsAny(b.Path, " \t\u00a0"):
			c.report(at, KindFormat, "path %s: expected no spaces in it", quote(b.Path))
		case !strings.HasPrefix(b.Path, "/"):
			c.reportMeant(at, KindFormat, "/"+b.Path, `path %s does not start with "/"`, quote(b.Path))
		}
	}
	if b.Interval != nil {
		out.Interval = time.Duration(*b.Interval)
		if out.Interval > maxInterval {
			c.report(join(field, "interval"), KindRange, "interval %s is out of range: expected at most %s", FormatDuration(out.Interval), FormatDuration(maxInterval))
		}
	}
	if b.Threshold != nil {
		out.Threshold = *b.Threshold
	}
	return out
}

// rollback returns when to undo a rollout, nil when nothing is given. An error
// rate without auto means auto: that is what it is for.
func (c *checker) rollback(b *rollbackBlock) *Rollback {
	if b == nil {
		return nil
	}
	out := &Rollback{Auto: b.OnErrorRate != nil}
	if b.Auto != nil {
		out.Auto = *b.Auto
	}
	if b.OnErrorRate != nil {
		out.OnErrorRate = float64(*b.OnErrorRate)
	}
	return out
}

var previewID = regexp.MustCompile(`^pr-[0-9]+$`)

// environments returns what differs in each declared environment.
func (c *checker) environments(field string, blocks map[string]*environmentBlock) map[string]Override {
	if len(blocks) == 0 {
		return nil
	}
	out := make(map[string]Override, len(blocks))
	for _, env := range sortedKeys(blocks) {
		at := join(field, env)
		if why := CheckEnvironment(env); why != "" {
			c.reportKey(at, KindFormat, "environment name %s %s", quote(env), why)
		}
		b := blocks[env]
		if b == nil {
			continue
		}
		out[env] = Override{
			Replicas:  b.Replicas,
			Env:       c.env(join(at, "env"), b.Env),
			Resources: c.resources(join(at, "resources"), b.Resources, Resources{}),
			Source:    c.source(join(at, "source"), b.Source),
		}
	}
	return out
}

// preview returns which pull requests get a preview.
func (c *checker) preview(b *previewBlock) Preview {
	out := Preview{Enabled: true, Trigger: TriggerAuto, Label: defaultLabel, Drafts: true}
	if b == nil {
		return out
	}
	if b.Enabled != nil {
		out.Enabled = *b.Enabled
	}
	if c.given("preview.trigger") {
		out.Trigger = Trigger(b.Trigger)
	}
	if c.given("preview.label") {
		out.Label = b.Label
	}
	if b.Drafts != nil {
		out.Drafts = *b.Drafts
	}
	if b.TTL != nil {
		out.TTL = time.Duration(*b.TTL)
	}
	for i, glob := range b.Paths {
		c.glob(indexed("preview.paths", i), glob)
	}
	out.Paths, out.IgnoreLabels = b.Paths, b.IgnoreLabels
	out.Source = c.source("preview.source", b.Source)
	if i := slices.Index(b.IgnoreLabels, out.Label); i >= 0 && c.ok(indexed("preview.ignoreLabels", i)) && out.Trigger == TriggerLabel {
		c.report(indexed("preview.ignoreLabels", i), KindConflict, "label %s asks for a preview and keeps it away: choose another", quote(out.Label))
	}
	return out
}

// glob holds a pattern to one that can match a file of the repository.
func (c *checker) glob(field, value string) {
	if !c.ok(field) {
		return
	}
	why, meant := relative(strings.TrimRight(value, "/"))
	switch {
	case strings.HasPrefix(value, "!"):
		c.report(field, KindFormat, "glob %s: globs cannot exclude, list what to include", quote(value))
	case !doublestar.ValidatePattern(value):
		c.report(field, KindFormat, "glob %s is not valid: check that brackets and braces are closed", quote(value))
	case strings.Contains(value, `\`):
	case why != "":
		c.reportMeant(field, KindFormat, meant, "glob %s %s", quote(value), why)
	case strings.HasSuffix(value, "/"):
		c.reportMeant(field, KindFormat, value+"**", "glob %s matches no file", quote(value))
	}
}
