package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/spec"
)

// maxSpecFile is the most that is read of a spec, in bytes; Parse refuses less.
const maxSpecFile = 1 << 20

// validation is what "idp validate" prints; its JSON names are a contract.
type validation struct {
	Path     string       `json:"path"`
	Valid    bool         `json:"valid"`
	Services []string     `json:"services,omitempty"`
	Errors   []spec.Error `json:"errors,omitempty"`
}

func newValidate(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate [FILE|DIR]",
		Short: "Check a deploy.yaml, all mistakes at once",
		Long: `Checks a .idp/deploy.yaml as the bot would: the file given, "-" for standard input,
or the one in the repository at DIR, by default here. Prints every mistake with its
line and column, and ends with exit status 3 when there are any.`,
		Example: "  idp validate\n  idp validate path/to/repository -o json",
		Args:    cobra.MaximumNArgs(1),
	}
	output := addOutputFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		path, data, err := p.readSpec(args)
		if err != nil {
			return err
		}
		parsed, errs := spec.Parse(path, data)
		return p.printValidation(*output, path, parsed, errs)
	}
	return cmd
}

// printValidation prints the verdict as data, and returns it as the exit status.
func (p *program) printValidation(output format, path string, parsed *spec.Spec, errs spec.Errors) error {
	v := validation{Path: path, Valid: len(errs) == 0, Errors: errs}
	if parsed != nil {
		for _, s := range parsed.Services {
			v.Services = append(v.Services, s.Name)
		}
	}
	if output != formatTable {
		if err := output.print(p.stdout, false, v, table{}); err != nil {
			return err
		}
	} else if err := p.printVerdict(v); err != nil {
		return err
	}
	if v.Valid {
		return nil
	}
	return fault.New(fault.Invalid, fmt.Sprintf("%s in %s", plural(errs.Count(), "mistake"), path), `"idp schema" prints what is allowed`)
}

// printVerdict prints one line per mistake as compilers do, or that there is none.
func (p *program) printVerdict(v validation) error {
	var b strings.Builder
	for _, e := range v.Errors {
		fmt.Fprintln(&b, e)
	}
	if v.Valid {
		fmt.Fprintf(&b, "%s is valid: %s\n", v.Path, strings.Join(v.Services, ", "))
	}
	_, err := io.WriteString(p.stdout, b.String())
	return wrapOutput(err)
}

// readSpec reads the spec that a command's only argument names: a file, "-", or a
// repository's folder. The path returned is what errors call it.
func (p *program) readSpec(args []string) (path string, data []byte, err error) {
	path = "."
	if len(args) > 0 {
		path = args[0]
	}
	if path == "-" {
		data, err = io.ReadAll(io.LimitReader(p.stdin, maxSpecFile))
		return "stdin", data, err
	}
	if isDir(path) {
		path = filepath.Join(path, filepath.FromSlash(spec.Path))
	}
	file, err := os.Open(path)
	if err != nil {
		return path, nil, fault.New(fault.Invalid, fmt.Sprintf("cannot read %s: %s", path, reason(err)),
			"name the file, or a repository's folder that has "+spec.Path)
	}
	defer file.Close()
	if data, err = io.ReadAll(io.LimitReader(file, maxSpecFile)); err != nil {
		return path, nil, fault.New(fault.Invalid, fmt.Sprintf("cannot read %s: %s", path, reason(err)), "")
	}
	return path, data, nil
}
