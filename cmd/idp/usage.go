package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops/fault"
)

// usage prints how a command is called: its form, examples, subcommands and flags.
func usage(cmd *cobra.Command) error {
	var b strings.Builder
	form := cmd.UseLine()
	if cmd.HasAvailableSubCommands() {
		form = cmd.CommandPath() + " COMMAND"
	}
	fmt.Fprintf(&b, "Usage:\n  %s\n", form)
	if cmd.HasExample() {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("\nCommands:\n")
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(&b, "  %-*s %s\n", sub.NamePadding(), sub.Name(), sub.Short)
			}
		}
	}
	for _, group := range flagSections(cmd) {
		fmt.Fprintf(&b, "\n%s:\n%s", group.Name(), group.FlagUsagesWrapped(100))
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\n%q tells more of a command.\n", cmd.CommandPath()+" COMMAND --help")
	}
	_, err := fmt.Fprint(cmd.OutOrStderr(), b.String())
	return err
}

// newHelp is "idp help COMMAND", which cobra's own answers with status 0 even
// where there is no such command.
func newHelp() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show what a command does and how it is called",
		ValidArgsFunction: func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			return commandNames(cmd.Root()), cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		about, rest, err := cmd.Root().Find(args)
		if err != nil || len(rest) > 0 && about.HasSubCommands() {
			return unknownCommand(about, rest[0])
		}
		about.InitDefaultHelpFlag()
		return about.Help()
	}
	return cmd
}

// required refuses a call without one of the flags.
func required(cmd *cobra.Command, flags ...string) error {
	var missing []string
	for _, name := range flags {
		if !cmd.Flags().Changed(name) {
			missing = append(missing, "--"+name)
		}
	}
	switch len(missing) {
	case 0:
		return nil
	case 1:
		return misused(cmd, missing[0]+" is missing")
	default:
		return misused(cmd, strings.Join(missing, " and ")+" are missing")
	}
}

// oneOf refuses a call without exactly one of the flags.
func oneOf(cmd *cobra.Command, flags ...string) error {
	var all, given []string
	for _, name := range flags {
		all = append(all, "--"+name)
		if cmd.Flags().Changed(name) {
			given = append(given, "--"+name)
		}
	}
	switch len(given) {
	case 0:
		return misused(cmd, "one of "+inWords(all)+" is missing")
	case 1:
		return nil
	}
	return misused(cmd, inWords(given)+" exclude each other")
}

// inWords lists words as a sentence does.
func inWords(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// misused is an error of usage that points to the command's help.
func misused(cmd *cobra.Command, message string) error {
	return fault.Newf(fault.Usage, "%s", message).WithHint("%q shows how it is called", cmd.CommandPath()+" --help")
}

// oneArg asks for one argument, which what names.
func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return misused(cmd, what+" is missing")
		case 1:
			return nil
		}
		return atMostOneArg(cmd, args)
	}
}

// twoArgs asks for two arguments, which first and second name.
func twoArgs(first, second string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return misused(cmd, first+" is missing")
		case 1:
			return misused(cmd, second+" is missing")
		case 2:
			return nil
		}
		return misused(cmd, fmt.Sprintf("%q takes two arguments, not %d", cmd.CommandPath(), len(args)))
	}
}

// atMostOneArg refuses a second argument.
func atMostOneArg(cmd *cobra.Command, args []string) error {
	if len(args) <= 1 {
		return nil
	}
	return misused(cmd, fmt.Sprintf("%q takes one argument, not %d", cmd.CommandPath(), len(args)))
}

// noArgs refuses arguments, which cobra.NoArgs would call commands.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return misused(cmd, fmt.Sprintf("%q takes no arguments", cmd.CommandPath()))
}
