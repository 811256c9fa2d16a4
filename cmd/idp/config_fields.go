package main

import (
	_ "embed"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/idp-bot/idp/gitops/secret"
	"github.com/idp-bot/idp/gitops/spec"
)

// configSource is the file whose doc comments are the keys' help, so that what
// stands beside a field and what users read cannot differ.
//
//go:embed config.go
var configSource string

// configField is one key of the configuration, read off a field of Config.
type configField struct {
	// Key is the name in the file; Section the heading it stands under.
	Key, Section string
	// Help is the field's doc comment without its name, beginning in upper case.
	Help string
	// Default is as one would write it, "" for none.
	Default string
	// OneOf are the only values there are; nil when there are others.
	OneOf []string
	// Required says what to set a key to that serving cannot do without.
	Required string
	// check names the rule of config_check.go that the text is put to.
	check string
	typ   reflect.Type
	index []int
}

// Env and Flag are the key's names in the environment and as a flag.
func (f configField) Env() string  { return "IDP_" + strings.ToUpper(f.Key) }
func (f configField) Flag() string { return strings.ReplaceAll(f.Key, "_", "-") }

// Secret reports whether the value must never be shown.
func (f configField) Secret() bool {
	return f.typ == reflect.TypeFor[secret.String]() || f.typ == reflect.TypeFor[[]secret.String]()
}

// List reports whether the value is a list: comma-separated, or a sequence in the file.
func (f configField) List() bool { return f.typ.Kind() == reflect.Slice }

// sections are the headings of the structs that Config is made of.
var sections = map[string]string{
	"ServerConfig": "Server", "GitHubConfig": "GitHub", "GitOpsConfig": "GitOps", "ArgoCDConfig": "Argo CD",
	"PreviewConfig": "Previews", "RoutingConfig": "Routing", "QuotaConfig": "Quota",
}

// configFields returns every key in the order of config.go. Its result is shared
// and must not be changed.
var configFields = sync.OnceValue(func() []configField {
	docs := fieldDocs(configSource)
	var out []configField
	for _, section := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if section.Anonymous {
			continue
		}
		tag := section.Tag
		f := configField{
			Key: tag.Get("key"), Default: tag.Get("default"), Required: tag.Get("required"), check: tag.Get("check"),
			Section: sections[reflect.TypeFor[Config]().Field(section.Index[0]).Name],
			Help:    docs[section.Name], typ: section.Type, index: section.Index,
		}
		if oneof := tag.Get("oneof"); oneof != "" {
			f.OneOf = strings.Split(oneof, ",")
		}
		out = append(out, f)
	}
	return out
})

// fieldDocs returns the doc comments of all struct fields in a Go source, each
// as a sentence of its own: "Listen is the address." becomes "The address."
func fieldDocs(source string) map[string]string {
	out := map[string]string{}
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", source, parser.ParseComments)
	if err != nil {
		return out // It was compiled: it parses. The test of the reference would see it.
	}
	ast.Inspect(file, func(n ast.Node) bool {
		fields, ok := n.(*ast.StructType)
		if !ok {
			return true
		}
		for _, field := range fields.Fields.List {
			for _, name := range field.Names {
				text := strings.Join(strings.Fields(field.Doc.Text()), " ")
				for _, verb := range []string{"is", "are"} {
					text = strings.TrimPrefix(text, name.Name+" "+verb+" ")
				}
				first, size := utf8.DecodeRuneInString(text)
				out[name.Name] = string(unicode.ToUpper(first)) + text[size:]
			}
		}
		return true
	})
	return out
}

// mistake is what is wrong with one value and how to put it right. Neither text
// holds the value of a secret.
type mistake struct{ why, fix string }

func (m mistake) Error() string { return m.why + ": " + m.fix }

// set parses text into the field's place in c. A refusal is a mistake; c is
// unchanged then.
func (f configField) set(c *Config, text string) error {
	if err := f.accept(text); err != nil {
		return err
	}
	target := reflect.ValueOf(c).Elem().FieldByIndex(f.index)
	switch p := target.Addr().Interface().(type) {
	case *secret.String:
		*p = secret.New(text)
	case *[]secret.String:
		*p = nil
		for _, item := range splitList(text) {
			*p = append(*p, secret.New(item))
		}
	case *[]string:
		*p = splitList(text)
	case *time.Duration:
		d, err := spec.ParseDuration(text)
		if err != nil || d < 0 {
			return mistake{fmt.Sprintf("%q is not a duration", text), "write it like 90s, 45m, 72h or 14d"}
		}
		*p = d
	case *slog.Level:
		if err := p.UnmarshalText([]byte(text)); err != nil {
			return mistake{err.Error(), "use " + strings.Join(f.OneOf, ", ")}
		}
	case *int, *int32, *int64:
		n, err := strconv.ParseInt(text, 10, target.Type().Bits())
		if err != nil {
			return mistake{fmt.Sprintf("%q is not a whole number", text), "write it in digits, such as " + orElse(f.Default, "123456")}
		}
		target.SetInt(n)
	default: // string, and types that are one
		target.SetString(text)
	}
	return nil
}

// accept puts text to the rules that the field's tags name.
func (f configField) accept(text string) error {
	if len(f.OneOf) > 0 {
		for _, known := range f.OneOf {
			if text == known {
				return nil
			}
		}
		fix := "use " + strings.Join(f.OneOf, " or ")
		if near := nearest(text, f.OneOf); near != "" {
			fix = fmt.Sprintf("did you mean %q? (%s)", near, strings.Join(f.OneOf, ", "))
		}
		return mistake{fmt.Sprintf("%q is not one of its values", text), fix}
	}
	if rule, ok := rules[f.check]; ok {
		return rule(text)
	}
	return nil
}

// splitList splits at commas, dropping blanks and empty items.
func splitList(text string) []string {
	var out []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

func orElse(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}
