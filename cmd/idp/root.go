package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/idp-bot/idp/gitops/fault"
)

// commands lists the subcommands, in the order of the help. A new one is its own
// file and a row here; the README's table follows.
func commands() []func(*program) *cobra.Command {
	return []func(*program) *cobra.Command{
		newServe,
		newSetup,
		newDoctor,
		newDrift,
		newDemo,
		newInit,
		newValidate,
		newRender,
		newTry,
		newSchema,
		newBootstrap,
		newInstall,
		newReplay,
		newLogin,
		newLogout,
		newRun,
		newImage,
		newEnv,
		newReap,
		newPause,
		newResume,
		newAudit,
		newPlatform,
		newPolicy,
		newMeasures,
		newDeliveries,
		newDB,
		newRebuild,
		newRerender,
		newHealthcheck,
		newRenderSource,
		newVersion,
	}
}

// keepOrder has help list commands in the order of commands, for the whole process.
var keepOrder = sync.OnceFunc(func() { cobra.EnableCommandSorting = false })

// newRoot returns the command tree over p.
func newRoot(p *program) *cobra.Command {
	root := &cobra.Command{
		Use:   "idp",
		Short: "Preview environments and deployments for pull requests, through GitOps",
		Long: `idp is a GitHub App that gives each pull request a preview environment through
GitOps, and takes it away again; and that deploys to staging, production and whatever
else the platform team declares, on a comment or a merge.

Exit status:
  ` + strings.ReplaceAll(exitHelp, "\n", "\n  "),
		Example: `  idp demo                   the whole story on this machine, nothing needed
  idp validate               check .idp/deploy.yaml here
  idp serve --config idp.yaml`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	asGroup(root)
	keepOrder()
	for _, newCommand := range commands() {
		root.AddCommand(newCommand(p))
	}
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetFlagErrorFunc(flagError)
	root.SetUsageFunc(usage)
	root.Version = buildVersion()
	root.InitDefaultVersionFlag()
	root.SetVersionTemplate("idp {{.Version}}\n")
	root.SetHelpCommand(newHelp())
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			asGroup(cmd)
			cmd.Short = "Print the completion script of a shell"
		}
	}
	markStart(root, p)
	return root
}

// asGroup makes cmd a command that only holds others: alone it shows its help,
// and a word that is none of its commands is an error with a suggestion.
func asGroup(cmd *cobra.Command) {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return unknownCommand(cmd, args[0])
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}

func commandNames(cmd *cobra.Command) []string {
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return names
}

// unknownCommand is the error about a word that is none of cmd's commands.
func unknownCommand(cmd *cobra.Command, word string) error {
	err := fault.Newf(fault.Usage, "unknown command %q for %q", word, cmd.CommandPath())
	if near := nearest(word, commandNames(cmd)); near != "" {
		return err.WithHint("did you mean %q?", near)
	}
	return err.WithHint("%q lists the commands", cmd.CommandPath()+" --help")
}

// flagError turns a mistake in the flags into one of usage, with the flag that
// was probably meant.
func flagError(cmd *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	out := fault.New(fault.Usage, err.Error(), fmt.Sprintf("%q lists the flags", cmd.CommandPath()+" --help"))
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return out
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near := nearest(unknown.GetSpecifiedName(), names); near != "" {
		return out.WithHint("did you mean --%s?", near)
	}
	return out
}

// markStart makes every command below cmd note in p that its arguments were
// accepted. Cobra checks required flags after all of its own hooks, so this is
// the only place that comes after every check.
func markStart(cmd *cobra.Command, p *program) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			p.started = true
			return run(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		markStart(sub, p)
	}
}
