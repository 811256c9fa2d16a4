package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/idp-bot/idp/gitops/fault"
)

// configFlags are a command's flags for the configuration, as they were given.
type configFlags struct {
	file  string
	given map[string]*string // by key
	set   *pflag.FlagSet
}

// addConfigFlags gives cmd --config and a flag for each of the keys, and of the
// sections, that are named; with none named, for every key there is. Their texts
// are looked at only when the configuration is loaded, with everything else.
func addConfigFlags(cmd *cobra.Command, names ...string) *configFlags {
	f := &configFlags{given: map[string]*string{}, set: cmd.Flags()}
	cmd.Flags().StringVar(&f.file, "config", "", "configuration file in YAML (default $IDP_CONFIG)")
	for _, field := range configFields() {
		if len(names) > 0 && !slices.Contains(names, field.Section) && !slices.Contains(names, field.Key) {
			continue
		}
		v := &rawFlag{kind: field.kind()}
		f.given[field.Key] = &v.text
		usage := field.Help
		if field.Default != "" {
			usage += " Default " + field.Default + "."
		}
		cmd.Flags().Var(v, field.Flag(), usage)
		if field.OneOf != nil {
			// The flag was just defined: the only error there is cannot be.
			_ = cmd.RegisterFlagCompletionFunc(field.Flag(), cobra.FixedCompletions(field.OneOf, cobra.ShellCompDirectiveNoFileComp))
		}
	}
	return f
}

// rawFlag is a flag's text before anything has looked at it.
type rawFlag struct{ text, kind string }

// Set, String and Type make *rawFlag a pflag.Value. String is empty: a flag's
// default stands in its help, and a secret given as one is not shown.
func (r *rawFlag) Set(text string) error { r.text = text; return nil }
func (r *rawFlag) String() string        { return "" }
func (r *rawFlag) Type() string          { return r.kind }

// completeness is how much of the configuration a command needs.
type completeness bool

const (
	// forServing asks for the required keys and reads the files that keys name.
	forServing completeness = true
	// forReading does with what is set.
	forReading completeness = false
)

// loadConfig puts the configuration together: flags before environment before
// file before defaults. Everything that is wrong with it comes back as one error
// with the code fault.Invalid; warnings go to standard error.
func (p *program) loadConfig(flags *configFlags, need completeness) (*Config, error) {
	l, err := p.soundConfig(flags, need)
	if err != nil {
		return nil, err
	}
	return l.config, nil
}

// soundConfig is loadConfig for whoever asks as well what was set, and where.
func (p *program) soundConfig(flags *configFlags, need completeness) (*loading, error) {
	l := p.readConfig(flags, need)
	for _, w := range l.warnings {
		fmt.Fprintf(p.stderr, "%s %s\n", p.styled(p.stderr).bold("warning:"), w)
	}
	if len(l.problems) > 0 {
		return nil, fault.Wrap(configError(l.problems), fault.Invalid, plural(len(l.problems), "mistake")+" in the configuration",
			`"idp serve --help" describes every key`)
	}
	return l, nil
}

// readConfig reads and checks the configuration, and leaves what is wrong with it to
// whoever asks.
func (p *program) readConfig(flags *configFlags, need completeness) *loading {
	l := &loading{program: p, config: &Config{}, settings: map[string]setting{}}
	l.collect(flags)
	for _, f := range configFields() {
		if s, ok := l.settings[f.Key]; ok {
			if err := f.set(l.config, s.text); err != nil {
				l.report(f.Key, err)
			}
		}
	}
	l.derive()
	l.check(need)
	return l
}

// loading is the state of one loadConfig.
type loading struct {
	*program
	config *Config
	// settings are the winning texts by key, defaults included.
	settings map[string]setting
	problems []problem
	warnings []string
}

// collect fills settings from the defaults up. What a higher source replaces is
// not looked at.
func (l *loading) collect(flags *configFlags) {
	path := flags.file
	if path == "" {
		path = l.env["IDP_CONFIG"]
	}
	var file map[string]setting
	if path != "" {
		file, l.problems = readConfigFile(path)
	}
	for _, f := range configFields() {
		text, given := flags.given[f.Key]
		fromFile, inFile := file[f.Key]
		switch {
		case given && flags.set.Changed(f.Flag()):
			l.settings[f.Key] = setting{*text, "flag --" + f.Flag()}
		case l.env[f.Env()] != "":
			l.settings[f.Key] = setting{l.env[f.Env()], "environment " + f.Env()}
		case inFile:
			l.settings[f.Key] = fromFile
		case f.Default != "":
			l.settings[f.Key] = setting{f.Default, "default"}
		}
	}
	l.warnOfNearMisses()
}

// warnOfNearMisses warns of variables that look like one of ours misspelt. Others
// with our prefix may be anybody's: Kubernetes itself sets IDP_SERVICE_HOST in
// every pod beside a Service named idp.
func (l *loading) warnOfNearMisses() {
	names := []string{"CONFIG", strings.TrimPrefix(serverVariable, "IDP_"), strings.TrimPrefix(tokenVariable, "IDP_")}
	for _, f := range configFields() {
		names = append(names, strings.ToUpper(f.Key))
	}
	for name := range l.env {
		word, ours := strings.CutPrefix(name, "IDP_")
		if !ours || slices.Contains(names, word) {
			continue
		}
		if near := nearest(word, names); near != "" {
			l.warnings = append(l.warnings, fmt.Sprintf("%s is not read: did you mean IDP_%s?", name, near))
		}
	}
	slices.Sort(l.warnings)
}

// report adds what is wrong with a key's value. A value that could not even be
// read from the file has been reported already.
func (l *loading) report(key string, err error) {
	m, ok := err.(mistake)
	if !ok {
		m = mistake{err.Error(), "correct it"}
	}
	s, ok := l.settings[key]
	if !ok {
		s.origin = "not set"
	}
	for _, p := range l.problems {
		if p.Key == key && p.Origin == s.origin {
			return
		}
	}
	l.problems = append(l.problems, problem{Key: key, Origin: s.origin, mistake: m})
}

// given reports whether an operator set the key, anywhere.
func (l *loading) given(key string) bool {
	s, ok := l.settings[key]
	return ok && s.origin != "default"
}

// sound reports whether the key is set and nothing is wrong with it so far.
func (l *loading) sound(key string) bool {
	for _, p := range l.problems {
		if p.Key == key {
			return false
		}
	}
	_, ok := l.settings[key]
	return ok
}

// configError lists the problems; they are printed below the error's message.
type configError []problem

func (e configError) Error() string { return e[0].String() }

// Details returns one line per problem.
func (e configError) Details() []string {
	out := make([]string, len(e))
	for i, p := range e {
		out[i] = p.String()
	}
	return out
}
