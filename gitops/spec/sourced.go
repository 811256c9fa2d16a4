package spec

import (
	"regexp"
	"slices"
	"strings"
)

// SourceKind says what renders the objects of previews.
type SourceKind string

// The kinds of source.
const (
	Helm      SourceKind = "helm"
	Kustomize SourceKind = "kustomize"
	Manifests SourceKind = "manifests"
)

// Source is where the objects of previews come from instead of idp's own rendering.
type Source struct {
	Kind SourceKind
	// Path is the folder of the chart, overlay or manifests, from the repository's root; ""
	// is the root itself.
	Path string
	// Chart is the name of one of the platform's charts, "" for one of the repository. With it
	// there is no Path, and values alone are the repository's.
	Chart string `json:",omitempty"`
	// ValuesFiles, Values and Overridable are a chart's alone. Values are by dotted key,
	// sorted, and win over the files; Overridable are the keys that pull requests may change.
	ValuesFiles []string `json:",omitempty"`
	Values      []Value  `json:",omitempty"`
	Overridable []string `json:",omitempty"`
}

// Value is a value of a chart: "true" and "false" are booleans to it and whole numbers
// are numbers.
type Value struct{ Key, Text string }

// valueKey is a key of a chart's values: words with dots between them.
var valueKey = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

// source returns the source of a preview block, nil where none is given.
func (c *checker) source(b *sourceBlock) *Source {
	const field = "preview.source"
	if b == nil {
		return nil
	}
	given := 0
	for _, key := range []string{"helm", "kustomize", "manifests"} {
		if c.given(join(field, key)) {
			if given++; given > 1 {
				c.reportKey(join(field, key), KindConflict, "helm, kustomize and manifests cannot both be given: one of them renders the preview")
			}
		}
	}
	switch {
	case b.Helm != nil:
		return c.chart(join(field, "helm"), b.Helm)
	case b.Kustomize != nil:
		return &Source{Kind: Kustomize, Path: c.folder(join(join(field, "kustomize"), "path"), b.Kustomize.Path)}
	case b.Manifests != nil:
		return &Source{Kind: Manifests, Path: c.folder(join(join(field, "manifests"), "path"), b.Manifests.Path)}
	case given == 0:
		c.reportKey(field, KindMissing, "source is empty: expected one of helm, kustomize, manifests")
	}
	return nil
}

// chart returns the source of a Helm chart.
func (c *checker) chart(field string, b *helmBlock) *Source {
	out := &Source{Kind: Helm, Path: c.folder(join(field, "path"), b.Path), Chart: b.Chart, Overridable: b.Overridable}
	c.whichChart(field, b)
	for i, file := range b.ValuesFiles {
		out.ValuesFiles = append(out.ValuesFiles, c.folder(indexed(join(field, "valuesFiles"), i), file))
	}
	seen := map[string]int{}
	for i, key := range b.Overridable {
		at := indexed(join(field, "overridable"), i)
		c.keyOfValue(at, key, false)
		c.unique(at, "value", key, seen)
	}
	for _, key := range sortedKeys(b.Values) {
		at := join(join(field, "values"), key)
		c.keyOfValue(at, key, true)
		if !c.bad[at] {
			out.Values = append(out.Values, Value{Key: key, Text: string(b.Values[key])})
		}
	}
	return out
}

// whichChart holds a chart to the folder that it is in or the name that the platform team has
// for it, one of both.
func (c *checker) whichChart(field string, b *helmBlock) {
	path, chart := join(field, "path"), join(field, "chart")
	switch {
	case c.given(path) && c.given(chart):
		c.reportKey(chart, KindConflict, "path and chart cannot both be given: path is a chart of this repository, chart one of the platform team's")
	case !c.given(path) && !c.given(chart):
		c.reportKey(field, KindMissing, "helm has no chart: expected path, the folder of one in this repository, or chart, the name of one that the platform team keeps")
	case c.ok(chart):
		if why := CheckChartName(b.Chart); why != "" {
			c.report(chart, KindFormat, "chart %s %s", quote(b.Chart), why)
		}
	}
}

// keyOfValue holds the name of a value to words with dots between them.
func (c *checker) keyOfValue(field, key string, isKey bool) {
	if c.bad[field] || valueKey.MatchString(key) {
		return
	}
	report := c.report
	if isKey {
		report = c.reportKey
	}
	report(field, KindFormat, "value %s: expected words with dots between them, such as ingress.enabled", quote(key))
}

// Sourced is a base branch's source with what a pull request may change of it.
type Sourced struct {
	Source Source
	// Taken are the keys of values that come from the pull request, Left what differs there
	// and does not.
	Taken []string
	Left  []Untaken
}

const (
	leftOverridable = "the base branch does not list it as overridable"
	leftTemplate    = "it holds a template"
	leftBase        = "the base branch's counts"
)

// SourceFrom lays on the base branch's source what a pull request's may say: the values
// that the base's lists as overridable. Everything else is the base's, the chart itself
// included. head may be nil.
func SourceFrom(base Source, head *Source) Sourced {
	out := Sourced{Source: base}
	out.Source.Values = slices.Clone(base.Values)
	if head == nil {
		return out
	}
	if head.Kind != base.Kind {
		out.Left = append(out.Left, Untaken{Key: "preview.source." + string(head.Kind), Why: leftBase})
		return out
	}
	prefix := "preview.source." + string(base.Kind) + "."
	for _, other := range []struct {
		key  string
		same bool
	}{
		{"path", head.Path == base.Path}, {"chart", head.Chart == base.Chart}, {"valuesFiles", slices.Equal(head.ValuesFiles, base.ValuesFiles)},
		{"overridable", slices.Equal(head.Overridable, base.Overridable)},
	} {
		if !other.same {
			out.Left = append(out.Left, Untaken{Key: prefix + other.key, Why: leftBase})
		}
	}
	for _, v := range head.Values {
		out.value(prefix+"values.", v)
	}
	for _, v := range base.Values {
		if !slices.ContainsFunc(head.Values, func(o Value) bool { return o.Key == v.Key }) {
			out.Left = append(out.Left, Untaken{Key: prefix + "values." + v.Key, Why: leftRemoved})
		}
	}
	return out
}

// value takes one value of a pull request's, or says why not.
func (s *Sourced) value(prefix string, v Value) {
	i, there := slices.BinarySearchFunc(s.Source.Values, v.Key, func(o Value, key string) int { return strings.Compare(o.Key, key) })
	switch {
	case there && s.Source.Values[i].Text == v.Text:
	case !slices.Contains(s.Source.Overridable, v.Key):
		s.Left = append(s.Left, Untaken{Key: prefix + v.Key, Why: leftOverridable})
	case strings.Contains(v.Text, "{{"):
		s.Left = append(s.Left, Untaken{Key: prefix + v.Key, Why: leftTemplate})
	default:
		if there {
			s.Source.Values[i].Text = v.Text
		} else {
			s.Source.Values = slices.Insert(s.Source.Values, i, v)
		}
		s.Taken = append(s.Taken, prefix+v.Key)
	}
}
