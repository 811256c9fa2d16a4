// Command devcluster runs a real Kubernetes with a real Argo CD on this machine,
// without containers, for a person to try things on and for tests to find built.
//
//	go run ./cmd/devcluster up [--argocd 3.5|2.14]     until Ctrl-C
//	go run ./cmd/devcluster build [--argocd 3.5|2.14]  only builds what it takes
//
// It needs Go, git, and Debian's redis-server and prometheus. The first build takes
// half an hour of two cores and is kept in the user's cache folder.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops/adopt"
	"github.com/idp-bot/idp/gitops/argocd"
	"github.com/idp-bot/idp/gitops/clustertest"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/repo/gittest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends it at once
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
	root := &cobra.Command{
		Use: "devcluster", Short: "A real Kubernetes with a real Argo CD on this machine, without containers",
		SilenceErrors: true, SilenceUsage: true,
	}
	var options clustertest.Options
	root.PersistentFlags().StringVar(&options.ArgoCD, "argocd", clustertest.ArgoCD35, "version of Argo CD: "+clustertest.ArgoCD35+" or "+clustertest.ArgoCD214)
	options.Progress = (&teller{w: stderr}).tell
	root.AddCommand(&cobra.Command{
		Use: "up", Short: "Start everything, and stay until Ctrl-C", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return up(cmd.Context(), options, stdout) },
	}, &cobra.Command{
		Use: "build", Short: "Build what it takes, and start nothing", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return clustertest.Build(cmd.Context(), options) },
	})
	return root
}

// teller tells of steps as they begin and end.
type teller struct {
	mu sync.Mutex
	w  io.Writer
}

func (t *teller) tell(step string, took time.Duration, ended bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ended {
		fmt.Fprintf(t.w, " %s\n", took.Round(100*time.Millisecond))
		return
	}
	fmt.Fprintf(t.w, "%s …", step)
}

func up(ctx context.Context, o clustertest.Options, stdout io.Writer) (err error) {
	began := time.Now()
	cluster, err := clustertest.Start(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	repository, token, err := bootstrap(ctx, cluster)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, `Everything is up after %s.

  Kubernetes   %s
               export KUBECONFIG=%s
  Argo CD %-4s %s
               admin's password %s
  Git          %s, with what "idp bootstrap --impersonate --logs" prints for it applied
               export IDP_ARGOCD_URL=%s IDP_ARGOCD_TOKEN=%s IDP_GITOPS_URL=%s IDP_PREVIEW_ACCESS=public
  Prometheus   %s
  logs         %s

Ctrl-C ends it and removes everything.
`, time.Since(began).Round(100*time.Millisecond), cluster.APIServer, cluster.Kubeconfig, o.ArgoCD, cluster.ArgoCD, cluster.AdminPassword,
		repository, cluster.ArgoCD, token, repository, cluster.Prometheus, cluster.Dir())
	<-ctx.Done()
	return nil
}

// bootstrap makes a GitOps repository, empty, and applies what idp needs to have its
// environments synced from it. It returns the repository's URL and the token of idp's
// account of Argo CD.
func bootstrap(ctx context.Context, cluster *clustertest.Cluster) (url, token string, err error) {
	repository, err := cluster.Git.Create(ctx, "acme/gitops")
	if err != nil {
		return "", "", err
	}
	// Argo CD cannot follow a branch that is not there.
	if _, err := repository.Commit(ctx, "main", gittest.Edit{Message: "Begin"}); err != nil {
		return "", "", err
	}
	class := platform.Default()
	class.RepoURL = repository.URL
	objects, err := argocd.Bootstrap(argocd.BootstrapOptions{Class: class, Root: "idp-root", Kinds: adopt.Committed(), Impersonate: true, Logs: true})
	if err != nil {
		return "", "", err
	}
	if err := cluster.ApplyAs(ctx, "idp-bootstrap", objects); err != nil {
		return "", "", err
	}
	token, err = cluster.AccountToken(ctx, argocd.Account)
	return repository.URL, token, err
}
