package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/idp-bot/idp/gitops/spec"
)

// Verdict is what the policies say. Where Broken is not nil nobody knows what they would
// say, and nothing new may go on.
type Verdict struct {
	Denied, Warned []Finding
	Broken         error
}

// Allowed says that nothing speaks against it.
func (v Verdict) Allowed() bool { return v.Broken == nil && len(v.Denied) == 0 }

// Finding is one thing that a policy says.
type Finding struct {
	// Policy is the title of the policy, or else Rule, such as "main.deny" or of the
	// starter set "registries". File and Line are where it stands.
	Policy, Rule, File string
	Line               int
	Message            string
	// Object is the "Kind/name" that it is about, "" for the request.
	Object string
	// Take is the preview that may go to make room for the one that is asked for, where the
	// policy names one; nil where it names none.
	Take *Take
	// At is the place in .idp/deploy.yaml that it points at, with its text as the message;
	// nil where it points at none.
	At *spec.Error
}

// String returns the finding in one line, the policy first.
func (f Finding) String() string {
	if f.Object == "" {
		return f.Policy + ": " + f.Message
	}
	return f.Policy + ": " + f.Message + " (" + f.Object + ")"
}

// document is one input with what it is about.
type document struct {
	input  any
	object string
}

// evaluate asks all rules about the documents. It waits for its turn without a limit but
// ctx, for what is ahead has one.
func (s *Set) evaluate(ctx context.Context, about map[string]any, now time.Time, documents []document, file *spec.Spec, places spec.Places) Verdict {
	if s.broken != nil {
		return Verdict{Broken: s.broken}
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return Verdict{Broken: ctx.Err()}
	}
	e := evaluation{Set: s, ctx: ctx, now: now, meter: newMeter(s.limits), pointer: pointer{file, places}}
	var err error
	if e.txn, err = s.store.NewTransaction(ctx, storage.WriteParams); err == nil {
		defer s.store.Abort(ctx, e.txn) // what is written there is for this evaluation alone
		err = s.store.Write(ctx, e.txn, storage.ReplaceOp, storage.Path{"idp"}, about)
	}
	if err == nil {
		err = e.all(documents)
	}
	if err != nil {
		return Verdict{Broken: err}
	}
	return e.verdict.sorted()
}

type evaluation struct {
	*Set
	pointer
	ctx     context.Context
	txn     storage.Transaction
	now     time.Time
	meter   *meter
	verdict Verdict
}

func (e *evaluation) all(documents []document) error {
	for _, d := range documents {
		raw, err := json.Marshal(d.input)
		if err != nil {
			return fmt.Errorf("encode %s: %w", orRequest(d.object), err)
		}
		if len(raw) > MaxInput {
			return fmt.Errorf("%s is too large for policies: expected at most %d KiB", orRequest(d.object), MaxInput>>10)
		}
		input, err := ast.ValueFromReader(strings.NewReader(string(raw)))
		if err != nil {
			return fmt.Errorf("read %s: %w", orRequest(d.object), err)
		}
		for _, r := range e.rules {
			if err := e.ask(r, input, d.object); err != nil {
				return ruleError{r, orRequest(d.object), err}
			}
		}
	}
	return nil
}

func orRequest(object string) string {
	if object == "" {
		return "the request"
	}
	return object
}

func (e *evaluation) ask(r rule, input ast.Value, object string) error {
	results, err := r.query.Eval(e.ctx, rego.EvalParsedInput(input), rego.EvalTransaction(e.txn), rego.EvalTime(e.now), rego.EvalExternalCancel(e.meter))
	if over := e.meter.err(); over != nil {
		return over
	}
	if err != nil {
		return err
	}
	for _, result := range results {
		for _, expression := range result.Expressions {
			if err := e.gather(r, expression.Value, object); err != nil {
				return err
			}
		}
	}
	return nil
}

// ruleError is the error of a rule that was asked about an object.
type ruleError struct {
	rule   rule
	object string
	err    error
}

// Error returns "FILE:LINE:COLUMN: message", with what is known of the place.
func (e ruleError) Error() string {
	file, line, column, message := e.rule.file, e.rule.line, 1, e.err.Error()
	if f, ok := errors.AsType[*topdown.Error](e.err); ok {
		if message = f.Message; f.Location != nil {
			file, line, column = f.Location.File, f.Location.Row, f.Location.Col
		}
	}
	return fmt.Sprintf("%s:%d:%d: %s (policy %q about %s)", file, line, column, message, e.rule.name, e.object)
}

// Unwrap returns what OPA said.
func (e ruleError) Unwrap() error { return e.err }

// gather takes what a rule came to: a set of results, one, or whether it holds.
func (e *evaluation) gather(r rule, value any, object string) error {
	switch v := value.(type) {
	case nil:
		return nil
	case bool:
		if v {
			return e.find(r, map[string]any{"msg": "it applies here"}, object)
		}
		return nil
	case []any:
		for _, one := range v {
			if err := e.gather(r, one, object); err != nil {
				return err
			}
		}
		return nil
	case string:
		return e.find(r, map[string]any{"msg": v}, object)
	case map[string]any:
		return e.find(r, v, object)
	}
	return fmt.Errorf("its result is %T: expected a text, or an object with msg", value)
}

func (e *evaluation) find(r rule, result map[string]any, object string) error {
	message, ok := result["msg"].(string)
	if !ok || strings.TrimSpace(message) == "" {
		return errors.New("its result has no text msg")
	}
	f := Finding{Policy: r.name, Rule: r.id, File: r.file, Line: r.line, Message: cut(message), Object: object}
	var err error
	if f.Take, err = takeOf(result); err != nil {
		return err
	}
	f.At = e.point(result, f)
	to := &e.verdict.Denied
	if r.warns {
		to = &e.verdict.Warned
	}
	if len(*to) < maxFindings {
		*to = append(*to, f)
	}
	return nil
}

// cut bounds a message, which is one line.
func cut(message string) string {
	message = strings.Join(strings.Fields(strings.ToValidUTF8(message, "�")), " ")
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	return message
}

// sorted returns the verdict in the order of its texts, each once.
func (v Verdict) sorted() Verdict {
	for _, list := range []*[]Finding{&v.Denied, &v.Warned} {
		slices.SortStableFunc(*list, func(a, b Finding) int { return strings.Compare(a.String(), b.String()) })
		*list = slices.CompactFunc(*list, func(a, b Finding) bool { return a.String() == b.String() })
	}
	return v
}

// pointer finds what findings point at.
type pointer struct {
	spec   *spec.Spec
	places spec.Places
}

// point returns the place that a result names with "path", and "service" where that is
// below a service; nil where it names none.
func (p pointer) point(result map[string]any, f Finding) *spec.Error {
	metadata, _ := result["metadata"].(map[string]any)
	word := func(key string) string {
		if text, ok := result[key].(string); ok {
			return text
		}
		text, _ := metadata[key].(string)
		return text
	}
	field, service := word("path"), word("service")
	if field == "" && service == "" || p.spec == nil {
		return nil
	}
	if service != "" {
		field = strings.Trim(p.field(service)+"."+field, ".")
	}
	at := p.places.At(field)
	at.Kind, at.Message = spec.KindConflict, f.Policy+": "+f.Message
	return &at
}

// field is where a service stands in the file, "" where it does not.
func (p pointer) field(name string) string {
	for i, svc := range p.spec.Services {
		if svc.Name == name {
			return p.fieldOf(i)
		}
	}
	return ""
}

func (p pointer) fieldOf(i int) string {
	if p.places.Has("service") {
		return "service"
	}
	return fmt.Sprintf("services[%d]", i)
}
