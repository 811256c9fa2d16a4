package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
)

// schemas are what "idp schema" prints, by name.
func schemas() map[string]func() ([]byte, error) {
	return map[string]func() ([]byte, error){
		"deploy":       func() ([]byte, error) { return spec.Schema(), nil },
		"config":       configSchema,
		"environments": func() ([]byte, error) { return platform.EnvironmentsSchema(), nil },
		"class":        func() ([]byte, error) { return platform.ClassSchema(), nil },
		"teams":        func() ([]byte, error) { return platform.TeamsSchema(), nil },
		"charts":       func() ([]byte, error) { return platform.ChartsSchema(), nil },
	}
}

var schemaNames = []string{"deploy", "config", "environments", "class", "teams", "charts"}

func newSchema(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schema [deploy|config|environments|class|teams|charts]",
		Short: "Print the JSON Schema of a file, for editors",
		Long: `Prints the JSON Schema (draft-07) of .idp/deploy.yaml, of the server's configuration
file, or of what the platform team declares in the GitOps repository:
platform/environments.yaml, platform/teams.yaml, platform/charts.yaml and the files of
platform/classes. Editors that know yaml-language-server take it from a comment at the
file's top:

  # yaml-language-server: $schema=deploy.schema.json`,
		Example:   "  idp schema > deploy.schema.json",
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: schemaNames,
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		name := schemaNames[0]
		if len(args) > 0 {
			name = args[0]
		}
		if !slices.Contains(schemaNames, name) {
			return fault.Newf(fault.Usage, "there is no schema of %q", name).WithHint("use %s", strings.Join(schemaNames, ", "))
		}
		text, err := schemas()[name]()
		if err != nil {
			return fmt.Errorf("schema of %s: %w", name, err)
		}
		_, err = p.stdout.Write(text)
		return wrapOutput(err)
	}
	return cmd
}
