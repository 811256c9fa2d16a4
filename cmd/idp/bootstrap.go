package main

import (
	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops/argocd"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/render"
)

func newBootstrap(p *program) *cobra.Command {
	var impersonate, logs bool
	cmd := &cobra.Command{
		Use:   "bootstrap",
		Short: "Print what the platform team applies to a cluster once",
		Long: `Prints Kubernetes objects, and applies nothing: the Application that syncs the lists of
environments, the projects that fence what may be synced from where to where, idp's
account of Argo CD, which may look at Applications and nothing more, and the service
account that environments are synced as, with an admission policy that keeps it within
idp's namespaces.

With --logs the account may read the logs of pods as well: idp shows the last lines of a
container that fails, where preview_logs says so. Everything else does without.

Sync impersonation is a switch of all of Argo CD: with it on, every project has to name
service accounts. --impersonate turns it on; without it the account and the policy wait.`,
		Example: `  idp bootstrap --config idp.yaml | kubectl apply --server-side --field-manager idp-bootstrap -f -
  idp bootstrap --gitops-url https://github.com/acme/gitops.git --impersonate > bootstrap.yaml`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVar(&impersonate, "impersonate", false, "turn sync impersonation on, for all of Argo CD")
	cmd.Flags().BoolVar(&logs, "logs", false, "let idp's account of Argo CD read the logs of pods")
	config := addConfigFlags(cmd, "gitops_url", "gitops_read_url", "gitops_branch", "argocd_namespace", "argocd_root", "argocd_project", "argocd_destination")
	cmd.RunE = func(*cobra.Command, []string) error {
		cfg, err := p.loadConfig(config, forReading)
		if err != nil {
			return err
		}
		class := cfg.Class()
		if class.RepoURL == "" {
			return fault.New(fault.Usage, "gitops_url is not set", "name the repository with --gitops-url, or the configuration with --config")
		}
		out, err := argocd.Bootstrap(argocd.BootstrapOptions{Class: class, Root: cfg.ArgoCDRoot, Kinds: render.Kinds(), Impersonate: impersonate, Logs: logs})
		if err != nil {
			return err
		}
		_, err = p.stdout.Write(out)
		return wrapOutput(err)
	}
	return cmd
}
