package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/idp-bot/idp/cmd/loadtest/load"
)

// newLoad is the command itself: the whole of idp, without a cluster.
func newLoad(stdout, stderr io.Writer) *cobra.Command {
	began := time.Now()
	o := load.Options{Sizes: load.Whole(), Progress: func(line string) {
		fmt.Fprintf(stderr, "%7s  %s\n", time.Since(began).Round(time.Second), line)
	}}
	short, output, write := false, "table", ""
	cmd := &cobra.Command{
		Use:   "loadtest",
		Short: "Measure idp under load, on this machine",
		Long: `Measures the real idp on loopback, beside the stand-in GitHub, git over HTTP and SQLite with
every commit on the disk, and what the same takes with git or the libraries alone, by turns.
The paces that hold idp to what Git hosts bear are off. What is measured:

` + load.Describe(),
		Args: cobra.NoArgs, SilenceErrors: true, SilenceUsage: true,
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.Only, "run", nil, "what to measure, such as W3,W6; all by default")
	f.BoolVar(&short, "short", false, "with sizes that take seconds: that it works is seen, how fast is not")
	f.StringVar(&write, "write", "", "a `file` that the report is written to as well, as Markdown")
	f.StringVar(&o.Program, "idp", "", "idp's `binary`; by default it is built")
	f.StringVar(&o.Profiles, "profiles", "", "a `folder` for profiles of idp at work")
	f.StringVarP(&output, "output", "o", output, "how to print the report: table or json")
	addSizes(f, &o.Sizes)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if output != "table" && output != "json" {
			return fmt.Errorf("--output %s: expected table or json", output)
		}
		if short {
			if err := shorten(f, &o.Sizes); err != nil {
				return err
			}
		}
		if write != "" {
			o.SoFar = func(r *load.Report) error { return r.Write(write) }
		}
		report, err := load.Run(cmd.Context(), o)
		if report == nil {
			return err
		}
		print := report.Table
		if output == "json" {
			print = report.JSON
		}
		return errors.Join(err, print(stdout))
	}
	return cmd
}

// addSizes adds a flag for each size, whose default is what s has.
func addSizes(f *pflag.FlagSet, s *load.Sizes) {
	number := func(at *int, name, usage string) { f.IntVar(at, name, *at, usage) }
	number(&s.Webhooks, "webhooks", "W1: webhooks")
	number(&s.Connections, "connections", "W1: connections that they come over")
	number(&s.Payload, "payload", "W1: bytes of each")
	f.IntSliceVar(&s.Burst, "burst", s.Burst, "W2: pull requests at once, in one run each")
	number(&s.Each, "each", "W2: environments that are committed one by one, to compare with")
	f.IntSliceVar(&s.Environments, "environments", s.Environments, "W3: environments that there are, the fewest first")
	number(&s.Changes, "changes", "W3: changes among each")
	number(&s.Events, "events", "W4: events")
	number(&s.Pulls, "pulls", "W4: pull requests that they are about")
	number(&s.Reap, "reap", "W5: environments that are taken away")
	number(&s.ReapOf, "reap-of", "W5: environments that there are")
	number(&s.Singles, "singles", "W6: pull requests, one by one")
	number(&s.Contended, "contended", "W7: pull requests")
	f.DurationVar(&s.ForeignEvery, "foreign-every", s.ForeignEvery, "W7: how often somebody else pushes")
	number(&s.IdlePreviews, "idle-previews", "W8: previews that there are")
	number(&s.IdleRepositories, "idle-repositories", "W8: repositories that they are of")
	f.DurationVar(&s.IdleFor, "idle-for", s.IdleFor, "W8: how long nothing happens")
	number(&s.NoOps, "no-ops", "W9: deliveries")
	number(&s.FairBurst, "fair-burst", "fairness: pull requests of the burst")
	number(&s.FairSingles, "fair-singles", "fairness: single ones, before it and meanwhile")
}

// shorten gives s the short sizes, but for those that flags say.
func shorten(said *pflag.FlagSet, s *load.Sizes) error {
	short := load.Short()
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	addSizes(flags, &short)
	var err error
	flags.VisitAll(func(f *pflag.Flag) {
		if given := said.Lookup(f.Name); given.Changed && err == nil {
			if list, ok := given.Value.(pflag.SliceValue); ok {
				err = f.Value.(pflag.SliceValue).Replace(list.GetSlice())
				return
			}
			err = f.Value.Set(given.Value.String())
		}
	})
	*s = short
	return err
}
