package onboard

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/idp-bot/idp/gitops/spec"
)

// Write returns the .idp/deploy.yaml of what was found. It is valid, and says beside each
// line where that comes from. schema is where editors find the schema, relative to it.
func Write(f Found, schema string) []byte {
	w := &writer{}
	w.line("# yaml-language-server: $schema=%s", schema)
	w.line("# How idp deploys this repository. \"idp validate\" checks it, and \"idp render\" shows what it")
	w.line("# becomes. What stands here was found in the files that are named beside it.")
	for _, note := range f.Notes {
		w.line("#")
		w.wrapped("# TODO: "+plain(strings.Join(strings.Fields(note), " ")), "#   ")
	}
	w.line("")
	w.line("services:")
	for _, s := range f.Services {
		w.service(s)
	}
	w.line("")
	w.line("preview:")
	w.line("  ttl: 3d # after the last push")
	w.source(f)
	return []byte(w.String())
}

type writer struct{ strings.Builder }

func (w *writer) line(format string, args ...any) {
	fmt.Fprintf(w, format+"\n", args...)
}

// wrapped writes words in lines of at most 100 characters.
func (w *writer) wrapped(text, indent string) {
	const most = 100
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > most {
			w.line("%s", line)
			line = indent + word
			continue
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	w.line("%s", line)
}

// from is a remark on where something was found, "" for nowhere.
func from(file string) string {
	if file == "" {
		return ""
	}
	return " # " + plain(file)
}

// plain keeps a remark on its line.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || r != ' ' && !unicode.IsGraphic(r) || unicode.IsSpace(r) && r != ' ' {
			return '?'
		}
		return r
	}, text)
}

func (w *writer) service(s Service) {
	w.line("  - name: %s%s", quoted(s.Name), from(s.From))
	if s.Path != "" {
		w.line("    # A pull request that changes nothing of these gets the default branch's image of it.")
		w.line("    path: %s", quoted(s.Path))
		w.line("    # paths: [libs/**] # whatever else it is built from")
	}
	if s.Kind != spec.Web {
		w.line("    kind: %s # nothing says that it listens", s.Kind)
	}
	if s.Image != "" {
		w.line("    image: %s%s", quoted(s.Image), from(s.ImageFrom))
	}
	switch {
	case s.Kind == spec.Web && s.Port > 0:
		w.line("    port: %d%s", s.Port, from(s.PortFrom))
	case s.Kind == spec.Web:
		w.line("    port: 8080")
	}
	if len(s.Command) > 0 {
		words := make([]string, len(s.Command))
		for i, word := range s.Command {
			words[i] = quoted(word)
		}
		w.line("    args: [%s]%s", strings.Join(words, ", "), from(s.From))
	}
	if s.Health != "" && s.Kind == spec.Web {
		w.line("    healthcheck:")
		w.line("      path: %s%s", quoted(s.Health), from(s.HealthFrom))
	}
	if s.Source != nil {
		w.line("    source: # rendered as it is, from the base branch; without it idp renders the service")
		w.renders("      ", *s.Source, s.Others)
	}
	if len(s.Env) > 0 {
		w.line("    # %s sets these; give those that previews need, and no secret:", plain(s.From))
		w.line("    # env:")
		for _, name := range s.Env {
			w.line("    #   %s: \"\"", plain(name))
		}
	}
}

func (w *writer) source(f Found) {
	if f.Source == nil {
		return
	}
	w.line("  source: # rendered as it is, from the base branch; without it idp renders the services")
	w.renders("    ", *f.Source, f.Others)
}

// renders writes what is in the block of a source, with those that there are instead.
func (w *writer) renders(indent string, s Source, others []Source) {
	w.line("%s%s:", indent, s.Kind)
	w.line("%s  path: %s", indent, quoted(s.Path))
	for _, other := range others {
		w.line("%s# or %s: {path: %s}", indent, other.Kind, plain(quoted(other.Path)))
	}
}

// quoted is a YAML double-quoted scalar, which every JSON string is, or the word itself
// where it needs no quotes.
func quoted(text string) string {
	bare := text != "" && strings.IndexFunc(text, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '/' || r == '-' || r == '_' || r == '.')
	}) < 0
	if first := text + " "; bare && first[0] >= 'a' && first[0] <= 'z' && !ambiguous[text] || bare && first[0] == '/' {
		return text
	}
	data, err := json.Marshal(text)
	if err != nil {
		return `""` // a string always marshals
	}
	return string(data)
}

// ambiguous are words that some reader takes for something else than text.
var ambiguous = map[string]bool{"true": true, "false": true, "yes": true, "no": true, "on": true, "off": true, "null": true, "y": true, "n": true}
