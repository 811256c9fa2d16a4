package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
)

// maxSpecFile is the most that is read of a spec, in bytes; Parse refuses less.
const maxSpecFile = 1 << 20

// validation is what "idp validate" prints; its JSON names are a contract.
type validation struct {
	Path     string   `json:"path"`
	Valid    bool     `json:"valid"`
	Services []string `json:"services,omitempty"`
	// Environments are those that a platform folder declares.
	Environments []string    `json:"environments,omitempty"`
	Errors       spec.Errors `json:"errors,omitempty"`
	// Denied and Warned are what policies say; there are some only with --policies.
	Denied []finding `json:"denied,omitempty"`
	Warned []finding `json:"warned,omitempty"`
	// Changed is what the source renders to that a preview has otherwise, or not at all, a
	// sentence each.
	Changed []string `json:"changed,omitempty"`
	// Notes are what follows from a spec or a platform folder that is no mistake, a sentence
	// each.
	Notes []string `json:"notes,omitempty"`
}

func newValidate(p *program) *cobra.Command {
	var platformDir, policies string
	cmd := &cobra.Command{
		Use:   "validate [FILE|DIR]",
		Short: "Check a deploy.yaml or a platform folder, all mistakes at once",
		Long: `Checks a .idp/deploy.yaml as the bot would: the file given, "-" for standard input,
or the one in the repository at DIR, by default here. With --platform alone it is instead
what the platform team declares in a checkout of the GitOps repository: environments.yaml,
teams.yaml, charts.yaml and the classes of its platform folder, whether the charts are what
is pinned, and whether the values that update names in environments.yaml can be changed in
it. What a class leaves out is the server's configuration, in whose place the defaults stand
here. With --platform and a file, or its folder, that is held to the charts that there are.

A preview.source is rendered as the bot would, from the files beside the deploy.yaml in the
repository's folder: what keeps it from being rendered is a mistake, and what is dropped or
changed of it is said.

With --policies it is also put to the guardrails in a folder, and the starter set beside
them: what a preview of it would ask for and be rendered to, and each environment that it
names. The repository, the commit and who asks are made up, and the class is the default
one; with --platform beside it, each environment has the class that the platform folder
declares for it, and those that are declared are tried as well.

Prints every mistake with its line and column, and ends with exit status 3 when there
are any, 4 when policies refuse it.`,
		Example: "  idp validate\n  idp validate path/to/repository -o json\n  idp validate --policies path/to/gitops/platform/policies\n  idp validate --platform path/to/gitops\n  idp validate --platform path/to/gitops path/to/repository\n  idp validate --platform path/to/gitops --policies path/to/gitops",
		Args:    cobra.MaximumNArgs(1),
	}
	output := addOutputFlag(cmd)
	cmd.Flags().StringVar(&platformDir, "platform", "", "checkout of the GitOps repository whose platform folder to check")
	cmd.Flags().StringVar(&policies, "policies", "", "folder of policies, or a checkout that has platform/policies, to put it to")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if platformDir != "" && policies == "" && len(args) == 0 {
			return p.validatePlatform(cmd.Context(), *output, platformDir)
		}
		path, data, err := p.readSpec(args)
		if err != nil {
			return err
		}
		declared, err := declaredIn(platformDir)
		if err != nil {
			return err
		}
		parsed, errs := spec.Parse(path, data)
		if parsed != nil && platformDir != "" {
			errs = declared.CheckSpec(path, data)
		}
		v := validation{Path: path, Valid: len(errs) == 0, Errors: errs, Notes: unapplied(parsed)}
		if parsed != nil {
			for _, s := range parsed.Services {
				v.Services = append(v.Services, s.Name)
			}
		}
		if v.Valid && policies != "" {
			if v.Denied, v.Warned, err = guarded(cmd.Context(), policies, declared, data, parsed); err != nil {
				return err
			}
		}
		if v.Valid && len(parsed.Sources()) > 0 {
			if err := v.source(cmd.Context(), checkout(args), platformDir, declared.OfPreviews(exampleClass()), data); err != nil {
				return err
			}
		}
		return p.printValidation(*output, v, v.Errors.Count(), `"idp schema" prints what is allowed`)
	}
	return cmd
}

// validatePlatform checks the platform folder of a checkout.
func (p *program) validatePlatform(ctx context.Context, output format, checkout string) error {
	files, err := readPlatform(checkout)
	if err != nil {
		return err
	}
	base := platform.Default()
	base.RepoURL = exampleRepoURL
	declared, errs := platform.Load(files, base)
	charts, err := chartCheckout{checkout}.check(ctx)
	if err != nil {
		return err
	}
	errs = append(slices.DeleteFunc(errs, func(e spec.Error) bool { return e.Path == platform.ChartsPath }), charts...)
	v := validation{Path: filepath.Join(checkout, platform.Dir), Valid: len(errs) == 0, Errors: errs, Environments: declared.Names()}
	if class := declared.OfPreviews(base); v.Valid && class.Closed() {
		v.Notes = append(v.Notes, "previews get no address: "+platform.WhyClosed+"; "+class.HowToOpen())
	}
	if v.Valid {
		warnings, err := updateWarnings(checkout, declared, base)
		if err != nil {
			return err
		}
		v.Notes = append(v.Notes, warnings...)
		if not := platform.NotOfPreviews(files, base); not != "" {
			v.Notes = append(v.Notes, not)
		}
	}
	return p.printValidation(output, v, errs.Count(), platformHint)
}

// printValidation prints the verdict as data, and returns it as the exit status.
func (p *program) printValidation(output format, v validation, mistakes int, hint string) error {
	if output != formatTable {
		if err := output.print(p.stdout, false, v, table{}); err != nil {
			return err
		}
	} else if err := p.printVerdict(v); err != nil {
		return err
	}
	if len(v.Denied) > 0 {
		return fault.New(fault.Denied, fmt.Sprintf("policies refuse %s: %s", v.Path, plural(len(v.Denied), "reason")), "the platform team's policies say what is allowed; idp policy list NAME prints one of the starter set")
	}
	if v.Valid {
		return nil
	}
	return fault.New(fault.Invalid, fmt.Sprintf("%s in %s", plural(mistakes, "mistake"), v.Path), hint)
}

// printVerdict prints one line per mistake as compilers do, or that there is none.
func (p *program) printVerdict(v validation) error {
	var b strings.Builder
	for _, e := range v.Errors {
		fmt.Fprintln(&b, e)
	}
	for _, f := range v.Denied {
		fmt.Fprintln(&b, f.text(v.Path))
	}
	for _, f := range v.Warned {
		fmt.Fprintln(&b, "warning: "+f.text(v.Path))
	}
	for _, note := range v.Notes {
		fmt.Fprintln(&b, "warning: "+v.Path+": "+note)
	}
	for _, changed := range v.Changed {
		fmt.Fprintln(&b, "note: "+printable(changed))
	}
	if v.Valid && len(v.Denied) == 0 {
		of := strings.Join(append(v.Services, v.Environments...), ", ")
		fmt.Fprintf(&b, "%s is valid: %s\n", v.Path, cmp.Or(of, "no environments"))
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
