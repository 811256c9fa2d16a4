package main

import (
	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/policy"
)

func newPlatform(p *program) *cobra.Command {
	cmd := &cobra.Command{Use: "platform", Short: "Write and check what the platform team declares"}
	asGroup(cmd)
	cmd.AddCommand(newPlatformInit(p), newPlatformValidate(p))
	return cmd
}

func newPlatformValidate(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate [DIR]",
		Short: "Check a platform folder as the bot would, all mistakes at once",
		Long: `Checks what the platform team declares in the platform folder of a checkout of the
GitOps repository, by default here: environments.yaml, teams.yaml, the classes and the
objects, each with its mistakes by line and column, and that the policies compile. Each
chart of platform/charts has to be what platform/charts.yaml pins, and to be one that can be
loaded; what its digest is instead is said. What a class leaves out is the server's
configuration, in whose place the defaults stand here; which Argo CDs a server has tokens
of, only it knows.

Ends with exit status 3 where there are mistakes. "idp policy test" tries the policies, and
"idp schema" prints the JSON Schemas of the files, for editors.`,
		Example: "  idp platform validate\n  idp platform validate path/to/gitops -o json",
		Args:    cobra.MaximumNArgs(1),
	}
	output := addOutputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		checkout := "."
		if len(args) > 0 {
			checkout = args[0]
		}
		if err := p.validatePlatform(cmd.Context(), *output, checkout); err != nil {
			return err
		}
		files, err := optionalPolicies(checkout)
		if err != nil {
			return err
		}
		if err := policy.Compile(cmd.Context(), files).Err(); err != nil {
			return brokenPolicies(err)
		}
		return nil
	}
	return cmd
}

// optionalPolicies are the policies of a checkout, none where it has no folder of them.
func optionalPolicies(checkout string) ([]gitops.File, error) {
	if !isDir(checkout + "/" + policy.Dir) {
		return nil, nil
	}
	return readPolicies(checkout)
}
