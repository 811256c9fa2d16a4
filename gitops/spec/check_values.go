package spec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
)

func indexed(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }

// env returns environment variables sorted by name.
func (c *checker) env(field string, values map[string]word) []EnvVar {
	var out []EnvVar
	for _, key := range sortedKeys(values) {
		at := join(field, key)
		if c.bad[at] {
			continue
		}
		value := string(values[key])
		if problems := validation.IsEnvVarName(key); len(problems) > 0 {
			c.reportKey(at, KindFormat, "environment variable name %s is not valid: expected letters, digits, \"_\", \"-\" and \".\", not starting with a digit", quote(key))
		}
		if strings.ContainsRune(value, 0) {
			c.report(at, KindFormat, "%s holds a NUL byte, which no environment variable can", quote(key))
		}
		c.placeholders(at, value, placeholders)
		out = append(out, EnvVar{Name: key, Value: value})
	}
	return out
}

// placeholders reports words in braces that are none of the placeholders of the field, each
// word once and where it stands.
func (c *checker) placeholders(field, value string, allowed []string) {
	c.eachToken(field, value, func(t braced) *problem {
		known := slices.Contains(allowed, t.name)
		switch {
		case t.guard == '$' && known:
			meant := "{" + t.name + "}"
			return &problem{KindPlaceholder, fmt.Sprintf("placeholder $%s: did you mean %q, without the dollar sign?", meant, meant), meant}
		case t.guard == 0 && !known:
			return unknownPlaceholder(t.name, allowed)
		}
		return nil
	})
}

func unknownPlaceholder(word string, allowed []string) *problem {
	if slices.Contains(imagePlaceholders, word) {
		return &problem{KindPlaceholder, fmt.Sprintf(`placeholder {%s} is for "image" alone: expected one of %s`, word, inBraces(allowed)), ""}
	}
	msg := fmt.Sprintf("unknown placeholder {%s}", cut(word))
	if meant := near(word, allowed); meant != "" {
		return &problem{KindPlaceholder, fmt.Sprintf(`%s: did you mean "{%s}"?`, msg, meant), "{" + meant + "}"}
	}
	return &problem{KindPlaceholder, fmt.Sprintf(`%s: expected one of %s, or \{%s} for the text itself`, msg, inBraces(allowed), cut(word)), ""}
}

// noPlaceholders reports placeholders where they are not replaced.
func (c *checker) noPlaceholders(field, value string) {
	c.eachToken(field, value, func(t braced) *problem {
		if t.guard != 0 || !slices.Contains(placeholders, t.name) {
			return nil
		}
		return &problem{KindPlaceholder, fmt.Sprintf("placeholder {%s} is only replaced in image and env: put it in env, and write $(NAME) here", t.name), ""}
	})
}

// eachToken reports what judge says about each different {word} of a text.
func (c *checker) eachToken(field, text string, judge func(braced) *problem) {
	n, columns := c.places[field].value, c.columns(field)
	seen := map[string]bool{}
	for _, t := range tokens(text) {
		word := string(t.guard) + t.name
		if seen[word] {
			continue
		}
		seen[word] = true
		at := t.at
		if t.guard == '$' {
			at-- // what is wrong is the dollar sign
		}
		if p := judge(t); p != nil {
			c.bad[field] = true
			c.add(Error{Line: n.Line, Column: columns(at), Kind: p.kind, Field: field, Message: p.msg, Suggestion: p.meant})
		}
	}
}

// words returns a command, which takes no placeholders.
func (c *checker) words(field string, list []word) []string {
	var out []string
	for i, w := range list {
		at := indexed(field, i)
		if c.bad[at] {
			continue
		}
		out = append(out, string(w))
		switch {
		case i == 0 && w == "" && strings.HasSuffix(field, "command"):
			c.report(at, KindFormat, "the command's first word is empty: expected a program")
		case strings.ContainsRune(string(w), 0):
			c.report(at, KindFormat, "%s holds a NUL byte, which no argument can", fieldName(at))
		}
		c.noPlaceholders(at, string(w))
	}
	return out
}

func (c *checker) image(field, value string) {
	if !c.ok(field) {
		return
	}
	before := len(c.errs)
	c.placeholders(field, value, imagePlaceholders)
	if len(c.errs) > before {
		return
	}
	if err := checkReference(value); err != nil {
		c.report(field, KindFormat, "image %s: %v", quote(value), err)
	}
}

// CheckImage says what is wrong with an image template such as
// "ghcr.io/{owner}/{repo}:{sha}", for templates that come from elsewhere than a spec.
func CheckImage(template string) error {
	for _, t := range tokens(template) {
		if t.guard != 0 || !slices.Contains(imagePlaceholders, t.name) {
			return fmt.Errorf("unknown placeholder in image template %s: expected one of %s", quote(template), inBraces(imagePlaceholders))
		}
	}
	if err := checkReference(template); err != nil {
		return fmt.Errorf("image template %s: %w", quote(template), err)
	}
	return nil
}

// checkReference parses an image reference with example values for placeholders.
func checkReference(template string) error {
	sha := strings.Repeat("0123456789", 4)
	example := Vars{SHA: sha, ShortSHA: sha[:7], MergeSHA: sha, ShortMergeSHA: sha[:7], PR: "1", Env: "pr-1", Host: "example.com", Owner: "owner", Repo: "repo", Service: "service"}
	ref := example.Expand(template)
	if strings.TrimSpace(ref) != ref {
		return fmt.Errorf("expected an image reference without spaces around it")
	}
	if strings.Contains(ref, "://") {
		return fmt.Errorf("expected an image reference without a scheme")
	}
	if _, err := name.ParseReference(ref); err != nil {
		return fmt.Errorf("expected an image reference such as ghcr.io/acme/web:{sha}, lower-case, with at most one tag or digest")
	}
	return nil
}

// resources returns amounts, each requests at most its limits.
func (c *checker) resources(field string, b *resourcesBlock, base Resources) Resources {
	if b == nil {
		return Resources{}
	}
	out := Resources{
		Requests: c.amounts(join(field, "requests"), b.Requests),
		Limits:   c.amounts(join(field, "limits"), b.Limits),
	}
	c.compare(field, base, out)
	return out
}

func (c *checker) amounts(field string, b *amountsBlock) ResourceList {
	if b == nil {
		return ResourceList{}
	}
	c.cpu(join(field, "cpu"), b.CPU)
	c.memory(join(field, "memory"), b.Memory)
	return ResourceList{CPU: string(b.CPU), Memory: string(b.Memory)}
}

// compare reports requests above limits once over is laid on base, at the one that
// stands below field. What neither changes together is reported where it stands.
func (c *checker) compare(field string, base, over Resources) {
	for _, kind := range []struct{ name, request, limit string }{
		{"cpu", first(over.Requests.CPU, base.Requests.CPU), first(over.Limits.CPU, base.Limits.CPU)},
		{"memory", first(over.Requests.Memory, base.Requests.Memory), first(over.Limits.Memory, base.Limits.Memory)},
	} {
		at := join(join(field, "requests"), kind.name)
		limitAt := join(join(field, "limits"), kind.name)
		if c.bad[at] || c.bad[limitAt] || !above(kind.request, kind.limit) {
			continue
		}
		if !c.given(at) {
			at = limitAt
		}
		if c.given(at) {
			c.report(at, KindConflict, "requests.%s %s is more than limits.%s %s", kind.name, kind.request, kind.name, kind.limit)
		}
	}
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func above(request, limit string) bool {
	r, err := resource.ParseQuantity(request)
	l, err2 := resource.ParseQuantity(limit)
	return err == nil && err2 == nil && r.Cmp(l) > 0
}

// amount parses a quantity above 0.
func (c *checker) amount(field string, q quantity, example string) (resource.Quantity, bool) {
	if !c.ok(field) {
		return resource.Quantity{}, false
	}
	const most = 32
	parsed, err := resource.ParseQuantity(string(q))
	switch {
	case err != nil || len(q) > most:
		meant := strings.NewReplacer(" ", "", "B", "", "b", "", "g", "G", "k", "K").Replace(string(q))
		if _, err := resource.ParseQuantity(meant); err != nil || len(q) > most {
			meant = ""
		}
		c.reportMeant(field, KindFormat, meant, "%s %s is not a quantity: expected one such as %s", fieldName(field), quote(string(q)), example)
		return parsed, false
	case parsed.Sign() <= 0:
		c.report(field, KindRange, "%s %s is out of range: expected more than 0", fieldName(field), q)
		return parsed, false
	}
	return parsed, true
}

func (c *checker) cpu(field string, q quantity) {
	if parsed, ok := c.amount(field, q, "250m or 1.5"); ok && parsed.Cmp(resource.MustParse("1m")) < 0 {
		c.report(field, KindRange, "%s %s is out of range: expected at least 1m", fieldName(field), q)
	}
}

// memory refuses less than a mebibyte: it is always a wrong unit, such as 128m
// (thousandths of a byte) or 512 (bytes).
func (c *checker) memory(field string, q quantity) {
	if parsed, ok := c.amount(field, q, "256Mi or 1Gi"); ok && parsed.Cmp(resource.MustParse("1Mi")) < 0 {
		c.reportMeant(field, KindRange, strings.TrimRight(string(q), "mkKi")+"Mi", "%s %s is less than 1Mi", fieldName(field), q)
	}
}
