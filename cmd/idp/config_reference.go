package main

import (
	"cmp"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// kind is the word for a key's values in help and reference.
func (f configField) kind() string {
	switch {
	case f.OneOf != nil:
		return strings.Join(f.OneOf, "|")
	case f.List():
		return "list"
	case f.typ == reflect.TypeFor[time.Duration]():
		return "duration"
	case f.number():
		return "number"
	case f.Secret():
		return "secret"
	}
	return "text"
}

func (f configField) number() bool {
	return f.OneOf == nil && f.typ.ConvertibleTo(reflect.TypeFor[int64]()) && f.typ != reflect.TypeFor[time.Duration]()
}

// sectionNames returns the sections in the order of config.go.
func sectionNames() []string {
	var out []string
	for _, f := range configFields() {
		if len(out) == 0 || out[len(out)-1] != f.Section {
			out = append(out, f.Section)
		}
	}
	return out
}

// configSchema is the JSON Schema (draft-07) of the configuration file. What it
// cannot say, such as that one duration is below another, loadConfig checks.
func configSchema() ([]byte, error) {
	properties := map[string]any{}
	for _, f := range configFields() {
		properties[f.Key] = f.schema()
	}
	out, err := json.MarshalIndent(map[string]any{
		"$schema":              "http://json-schema.org/draft-07/schema#",
		"title":                "idp's configuration file",
		"type":                 "object",
		"additionalProperties": false,
		"properties":           properties,
	}, "", "  ")
	return append(out, '\n'), err
}

func (f configField) schema() map[string]any {
	s := map[string]any{"type": "string", "description": f.Help}
	switch {
	case f.OneOf != nil:
		s["enum"] = f.OneOf
	case f.number():
		s["type"] = "integer"
	case f.List():
		s["type"] = []string{"string", "array"}
		s["items"] = map[string]any{"type": "string"}
	}
	if f.Default == "" {
		return s
	}
	s["default"] = f.Default
	if n, err := strconv.Atoi(f.Default); err == nil && f.number() {
		s["default"] = n
	}
	return s
}

// flagSections returns the command's flags in groups: its own under "Flags", then
// those that are keys of the configuration under the names of their sections.
func flagSections(cmd *cobra.Command) []*pflag.FlagSet {
	section := map[string]string{}
	for _, f := range configFields() {
		section[f.Flag()] = f.Section + " flags"
	}
	groups := []*pflag.FlagSet{pflag.NewFlagSet("Flags", pflag.ContinueOnError)}
	for _, name := range sectionNames() {
		groups = append(groups, pflag.NewFlagSet(name+" flags", pflag.ContinueOnError))
	}
	cmd.Flags().SortFlags = false
	for _, group := range groups {
		group.SortFlags = false
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if cmp.Or(section[f.Name], "Flags") == group.Name() {
				group.AddFlag(f)
			}
		})
	}
	return slices.DeleteFunc(groups, func(group *pflag.FlagSet) bool { return !group.HasFlags() })
}
