package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// SourceKind says what renders objects.
type SourceKind string

// The kinds of source.
const (
	Helm      SourceKind = "helm"
	Kustomize SourceKind = "kustomize"
	Manifests SourceKind = "manifests"
)

// Source is where objects come from instead of idp's own rendering.
type Source struct {
	Kind SourceKind `json:"kind"`
	// Path is the folder of the chart, overlay or manifests, from the repository's root; ""
	// is the root itself.
	Path string `json:"path"`
	// Chart is the name of one of the platform's charts, "" for one of the repository. With it
	// there is no Path, and values alone are the repository's.
	Chart string `json:"chart,omitempty"`
	// ValuesFiles, Values and Overridable are a chart's alone. Values are by dotted key,
	// sorted, and win over the files; Overridable are the keys that pull requests may change.
	ValuesFiles []string `json:"valuesFiles,omitempty"`
	Values      []Value  `json:"values,omitempty"`
	Overridable []string `json:"overridable,omitempty"`
}

// Read says whether files of the repository are read for it.
func (s Source) Read() bool { return s.Chart == "" || len(s.ValuesFiles) > 0 }

// SourceOf is a source and whose objects come from it.
type SourceOf struct {
	// Service is the service that it is of, "" for all of the repository's at once.
	Service string `json:"service,omitempty"`
	// In is the declared environment that a source of all services is for, "" for previews.
	In string `json:"in,omitempty"`
	Source
}

// Key is where it stands in the file, as people are told: a service's is by its name.
func (s SourceOf) Key() string {
	switch {
	case s.Service == "" && s.In != "":
		return "environments." + s.In + ".source"
	case s.Service == "":
		return "preview.source"
	}
	return s.Service + ".source"
}

// Sources are where the objects of an environment come from: one source for all services,
// or those that services have of their own, in the order of the file. What none is for is
// rendered by idp.
type Sources []SourceOf

// Sources are those of previews, nil for none.
func (s *Spec) Sources() Sources {
	if s.Preview.Source != nil {
		return Sources{{Source: *s.Preview.Source}}
	}
	var out Sources
	for _, svc := range s.Services {
		if svc.Source != nil {
			out = append(out, SourceOf{Service: svc.Name, Source: *svc.Source})
		}
	}
	return out
}

// SourcesIn are those of a declared environment, nil for none: of each service what it has
// there, else what it has everywhere; or one of all of them.
func (s *Spec) SourcesIn(environment string) Sources {
	if from, ok := s.Together[environment]; ok {
		return Sources{{In: environment, Source: from}}
	}
	var out Sources
	for _, svc := range s.Services {
		from := svc.Source
		if there := svc.Environments[environment].Source; there != nil {
			from = there
		}
		if from != nil {
			out = append(out, SourceOf{Service: svc.Name, Source: *from})
		}
	}
	return out
}

// Check says what is wrong with a source that was not read from a spec, nil for nothing.
func (s Source) Check() error {
	if !slices.Contains([]SourceKind{Helm, Kustomize, Manifests}, s.Kind) {
		return fmt.Errorf("%q is no kind of source", s.Kind)
	}
	for _, path := range append([]string{s.Path}, s.ValuesFiles...) {
		if why, _ := relative(path); path != "" && why != "" {
			return fmt.Errorf("path %q %s", path, why)
		}
	}
	return nil
}

// UnmarshalJSON takes a Source alone, too: what was kept when a repository had one at most.
func (s *Sources) UnmarshalJSON(content []byte) error {
	if !bytes.HasPrefix(bytes.TrimSpace(content), []byte("{")) {
		return json.Unmarshal(content, (*[]SourceOf)(s))
	}
	var one SourceOf
	if err := json.Unmarshal(content, &one); err != nil {
		return fmt.Errorf("read a source: %w", err)
	}
	*s = nil
	if one.Kind != "" {
		*s = Sources{one}
	}
	return nil
}

// All is the name of the one part of a declared environment that has all services of a
// repository, where one source renders them together.
const All = "all"

// Of returns the source of a service, "" being all of them.
func (s Sources) Of(service string) (Source, bool) {
	i := slices.IndexFunc(s, func(one SourceOf) bool { return one.Service == service })
	if i < 0 {
		return Source{}, false
	}
	return s[i].Source, true
}

// Plain are the sources without whose they are.
func (s Sources) Plain() []Source {
	out := make([]Source, len(s))
	for i, one := range s {
		out[i] = one.Source
	}
	return out
}

// Value is a value of a chart: "true" and "false" are booleans to it and whole numbers
// are numbers.
type Value struct {
	Key  string `json:"key"`
	Text string `json:"text"`
}

// valueKey is a key of a chart's values: words with dots between them.
var valueKey = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

// maxSources is how many services may have sources of their own: each is rendered in a
// process of its own, whenever something of its environment changes.
const maxSources = 20

// sources holds the sources of a file to one for each service.
func (c *checker) sources(doc *document, out *Spec, top map[string]Override) {
	whole, given := c.given("preview.source"), 0
	check := func(field, service string) {
		at := join(field, "source")
		if !c.given(at) {
			return
		}
		switch given++; {
		case whole:
			c.reportKey(at, KindConflict, "source of service %s and preview.source cannot both be given: one of them renders the service", quote(service))
		case given > maxSources:
			c.reportKey(at, KindLimit, "source of service %s: at most %d services may have one", quote(service), maxSources)
		}
	}
	if doc.Service != nil {
		check("service", doc.Service.Name)
	} else if len(doc.Services) > 1 {
		c.together(doc, out, top)
	}
	for i, block := range doc.Services {
		if block != nil {
			check(indexed("services", i), block.Name)
		}
	}
}

// together takes the sources of environments that stand for several services, where none of
// those has another there.
func (c *checker) together(doc *document, out *Spec, top map[string]Override) {
	for _, env := range sortedKeys(doc.Environments) {
		at := join(join("environments", env), "source")
		if !c.given(at) {
			continue
		}
		for i, block := range doc.Services {
			if block == nil {
				continue
			}
			field := indexed("services", i)
			for _, own := range []string{join(field, "source"), join(join(join(field, "environments"), env), "source")} {
				if c.given(own) {
					c.reportKey(own, KindConflict, "source of service %s and environments.%s.source cannot both be given: one of them renders the service there", quote(block.Name), env)
				}
			}
		}
		from := top[env].Source
		if from == nil {
			continue // it is no source, which was told
		}
		if out.Together == nil {
			out.Together = map[string]Source{}
		}
		out.Together[env] = *from
		for i := range out.Services {
			own := out.Services[i].Environments[env]
			own.Source = nil
			out.Services[i].Environments[env] = own
		}
	}
}

// source returns the source of a block, nil where none is given.
func (c *checker) source(field string, b *sourceBlock) *Source {
	if b == nil {
		return nil
	}
	given := 0
	for _, key := range []string{"helm", "kustomize", "manifests"} {
		if c.given(join(field, key)) {
			if given++; given > 1 {
				c.reportKey(join(field, key), KindConflict, "helm, kustomize and manifests cannot both be given: one of them renders the objects")
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

// Sourced are a base branch's sources with what a pull request may change of them.
type Sourced struct {
	Sources Sources
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

// SourcesFrom lays on the base branch's sources what a pull request's may say: the values
// that the base's list as overridable. Everything else is the base's, the charts themselves
// included, and what the base has no source for gets none. head may be nil.
func SourcesFrom(base, head Sources) Sourced {
	var out Sourced
	for _, own := range base {
		other, ok := head.Of(own.Service)
		if !ok {
			out.Sources = append(out.Sources, own)
			continue
		}
		out.lay(own, other)
	}
	for _, other := range head {
		if _, ok := base.Of(other.Service); !ok {
			out.Left = append(out.Left, Untaken{Key: other.Key(), Why: leftBase})
		}
	}
	return out
}

// lay adds a source of the base branch with what the pull request's may say of it.
func (s *Sourced) lay(base SourceOf, head Source) {
	from := base
	from.Values = slices.Clone(base.Values)
	if head.Kind != base.Kind {
		s.Sources = append(s.Sources, from)
		s.Left = append(s.Left, Untaken{Key: base.Key() + "." + string(head.Kind), Why: leftBase})
		return
	}
	prefix := base.Key() + "." + string(base.Kind) + "."
	for _, other := range []struct {
		key  string
		same bool
	}{
		{"path", head.Path == base.Path}, {"chart", head.Chart == base.Chart}, {"valuesFiles", slices.Equal(head.ValuesFiles, base.ValuesFiles)},
		{"overridable", slices.Equal(head.Overridable, base.Overridable)},
	} {
		if !other.same {
			s.Left = append(s.Left, Untaken{Key: prefix + other.key, Why: leftBase})
		}
	}
	for _, v := range head.Values {
		s.value(&from.Source, prefix+"values.", v)
	}
	for _, v := range base.Values {
		if !slices.ContainsFunc(head.Values, func(o Value) bool { return o.Key == v.Key }) {
			s.Left = append(s.Left, Untaken{Key: prefix + "values." + v.Key, Why: leftRemoved})
		}
	}
	s.Sources = append(s.Sources, from)
}

// value takes one value of a pull request's into a source, or says why not.
func (s *Sourced) value(into *Source, prefix string, v Value) {
	i, there := slices.BinarySearchFunc(into.Values, v.Key, func(o Value, key string) int { return strings.Compare(o.Key, key) })
	switch {
	case there && into.Values[i].Text == v.Text:
	case !slices.Contains(into.Overridable, v.Key):
		s.Left = append(s.Left, Untaken{Key: prefix + v.Key, Why: leftOverridable})
	case strings.Contains(v.Text, "{{"):
		s.Left = append(s.Left, Untaken{Key: prefix + v.Key, Why: leftTemplate})
	default:
		if there {
			into.Values[i].Text = v.Text
		} else {
			into.Values = slices.Insert(into.Values, i, v)
		}
		s.Taken = append(s.Taken, prefix+v.Key)
	}
}
