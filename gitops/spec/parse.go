package spec

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

const (
	defaultPort      = 8080
	defaultReplicas  = 1
	defaultLabel     = "preview"
	defaultSize      = "1Gi"
	defaultInterval  = 10 * time.Second
	defaultThreshold = 3
	maxInterval      = time.Hour
)

// Parse reads a .idp/deploy.yaml; name is what errors call the file, usually Path.
// It returns either a spec or errors, sorted by position, never both and never
// neither: every mistake that can be told at once is there. Text that is not YAML
// at all ends with the first mistake, as nothing after it means anything.
//
// Parse keeps nothing of data, needs nothing but data, and never panics.
func Parse(name string, data []byte) (*Spec, Errors) {
	src := &source{name: name, needs: "service with its name", outlawed: map[*yaml.Node]bool{}}
	root := src.load(data)
	if root == nil {
		return nil, src.errs.sorted()
	}
	var doc document
	d := newDecoder(src, root, reflect.ValueOf(&doc).Elem())
	out := (&checker{decoder: d}).document(&doc)
	if len(src.errs) == 0 {
		src.agree(data, root)
	}
	if len(src.errs) > 0 {
		return nil, src.errs.sorted()
	}
	return out, nil
}

// checker turns the decoded document into a Spec and holds it to the rules that a
// single value's type cannot say. Its methods return what they can even where
// they report, since Parse drops the result of a document with errors.
type checker struct{ *decoder }

// given reports whether a field stands in the file, right or wrong.
func (c *checker) given(field string) bool { _, ok := c.places[field]; return ok }

// ok reports whether a field stands in the file and has no error of its own.
func (c *checker) ok(field string) bool { return c.given(field) && !c.bad[field] }

// report records an error at a field's value.
func (c *checker) report(field string, kind ErrorKind, format string, args ...any) {
	c.fail(field, c.stands(field, c.places[field].value), problem{kind, fmt.Sprintf(format, args...), ""})
}

// reportMeant is report with a suggestion, which it appends to the message.
func (c *checker) reportMeant(field string, kind ErrorKind, meant, format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	if meant != "" {
		msg += ": did you mean " + quote(meant) + "?"
	}
	c.fail(field, c.places[field].value, problem{kind, msg, meant})
}

// reportKey records an error at a field's key: for what should not be there.
func (c *checker) reportKey(field string, kind ErrorKind, format string, args ...any) {
	at := c.places[field]
	if at.key == nil {
		c.report(field, kind, format, args...)
		return
	}
	c.bad[field] = true
	c.add(Error{Line: at.key.Line, Column: at.key.Column, EndLine: lastLine(at.value), Kind: kind, Field: field, Message: fmt.Sprintf(format, args...)})
}

// columns returns the column of each byte offset of a field's text; it is that of
// the text's start where the text is not written out on one line. Offsets must
// not fall from call to call, which makes long texts cheap.
func (c *checker) columns(field string) func(offset int) int {
	n := c.places[field].value
	line, start := c.lines[min(n.Line, len(c.lines))-1], n.Column
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		start++
	}
	skipped := 1
	for at := range line {
		if skipped == start {
			line = line[at:]
			break
		}
		skipped++
	}
	if skipped != start || !strings.HasPrefix(line, n.Value) {
		return func(int) int { return n.Column }
	}
	last := 0
	return func(offset int) int {
		start += utf8.RuneCountInString(n.Value[last:offset])
		last = offset
		return start
	}
}

// document returns the normalised spec.
func (c *checker) document(doc *document) *Spec {
	if c.bad[""] {
		return nil
	}
	defaults := c.blocks("", doc.Deploy, doc.Healthcheck, doc.Rollback, doc.Environments)
	out := &Spec{Preview: c.preview(doc.Preview)}
	switch {
	case c.given("service") && c.given("services"):
		c.reportKey("services", KindConflict, "service and services cannot both be given: move the service into the list")
	case !c.given("service") && !c.given("services"):
		at := c.places[""].value
		c.add(Error{Line: at.Line, Column: at.Column, Kind: KindMissing, Field: "service",
			Message: "service is missing in the document: expected service with its name, or services with a list of them"})
	}
	if doc.Service != nil {
		out.Services = append(out.Services, c.service(doc.Service, "service", defaults, true))
	}
	names := map[string]int{}
	for i, block := range doc.Services {
		if block == nil {
			continue
		}
		field := fmt.Sprintf("services[%d]", i)
		out.Services = append(out.Services, c.service(block, field, defaults, false))
		c.unique(join(field, "name"), "service name", block.Name, names)
	}
	c.sources(doc, out, defaults.environments)
	return out
}

// unique reports a value that seen has already, and adds it otherwise.
func (c *checker) unique(field, what, value string, seen map[string]int) {
	if !c.ok(field) {
		return
	}
	if first, again := seen[value]; again {
		c.report(field, KindDuplicate, "%s %s is used twice, first on line %d", what, quote(value), first)
		return
	}
	seen[value] = c.places[field].value.Line
}

// shared are the blocks that stand at the top as defaults and in a service as its
// own. Nil means not given.
type shared struct {
	deploy       *Deploy
	healthcheck  *Healthcheck
	rollback     *Rollback
	environments map[string]Override
}

func (c *checker) blocks(field string, deploy *deployBlock, health *healthcheckBlock, rollback *rollbackBlock, environments map[string]*environmentBlock) shared {
	return shared{
		deploy:       c.deploy(join(field, "deploy"), deploy),
		healthcheck:  c.healthcheck(join(field, "healthcheck"), health),
		rollback:     c.rollback(rollback),
		environments: c.environments(join(field, "environments"), environments),
	}
}

// sortedKeys returns the keys of a map in order, so that errors and results do
// not depend on the map's.
func sortedKeys[T any](m map[string]T) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
