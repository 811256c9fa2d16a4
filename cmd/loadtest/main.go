// Command loadtest measures idp under load, on this machine alone.
//
//	go run ./cmd/loadtest [--run W3,W6] [--short] [--write .github/PERFORMANCE.md]
//	go run ./cmd/loadtest cluster [--prs 20] [--at-once 50] [--repos 1,100]
//
// The first needs Go and git, the second what devcluster needs, too: Debian's redis-server
// and prometheus. What is measured is a report and no test: it fails only where something
// does not happen at all.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/cmd/loadtest/measure"
	"github.com/idp-bot/idp/gitops/clustertest"
)

func main() {
	// More signals change nothing: the end is bounded, and timeout(1) sends two at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := newRoot(os.Stdout, os.Stderr).ExecuteContext(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "\ninterrupted; nothing is left of it")
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "\nerror:", err)
		os.Exit(1)
	}
}

func newRoot(stdout, stderr io.Writer) *cobra.Command {
	top := newLoad(stdout, stderr)
	top.AddCommand(newCluster(stdout, stderr))
	return top
}

func newCluster(stdout, stderr io.Writer) *cobra.Command {
	began := time.Now()
	o := measure.Options{Progress: func(line string) {
		fmt.Fprintf(stderr, "%7s  %s\n", time.Since(began).Round(time.Second), line)
	}}
	output := "table"
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Measure idp on a real Kubernetes with a real Argo CD",
		Long: `Starts a Kubernetes with Argo CD on loopback and idp beside it, and measures how long
previews take from the pull request's webhook until their check says that they are
healthy, beside the same files pushed by hand; deployments by canary; expiry; and
Argo CD's own pull-request generator in the same run. Everything is removed at the
end, and with Ctrl-C.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return fmt.Errorf("--output %s: expected table or json", output)
			}
			r, err := measure.Run(cmd.Context(), o)
			if err != nil {
				return err
			}
			if output == "json" {
				return r.JSON(stdout)
			}
			return r.Table(stdout)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.PRs, "prs", 20, "pull requests one by one, and for the generator")
	f.IntVar(&o.AtOnce, "at-once", 50, "pull requests at once")
	f.IntSliceVar(&o.Repositories, "repos", []int{1, 100}, "with so many repositories that have a preview each")
	f.StringVar(&o.ArgoCD, "argocd", clustertest.ArgoCD35, "version of Argo CD: "+clustertest.ArgoCD35+" or "+clustertest.ArgoCD214)
	f.BoolVar(&o.Generator, "generator", true, "measure Argo CD's pull-request generator as well")
	f.DurationVar(&o.Poll, "poll", time.Minute, "how often the generator asks GitHub where it has no webhook")
	f.IntVar(&o.Deploys, "deploys", 5, "deployments by canary")
	f.DurationVar(&o.Pause, "pause", 5*time.Second, "each of a canary's two pauses")
	f.IntVar(&o.Expiries, "expiries", 5, "previews that expire")
	f.StringVar(&o.Program, "idp", "", "idp's binary; by default it is built")
	f.StringVarP(&output, "output", "o", output, "how to print the report: table or json")
	return cmd
}
