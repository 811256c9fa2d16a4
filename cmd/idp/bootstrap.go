package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops/adopt"
	"github.com/idp-bot/idp/gitops/argocd"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
)

func newBootstrap(p *program) *cobra.Command {
	var impersonate, logs bool
	var checkout string
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

With --platform the classes that the platform folder declares are fenced as well, each
GitOps repository with a root and each project of its own.

Sync impersonation is a switch of all of Argo CD: with it on, every project has to name
service accounts. --impersonate turns it on; without it the account and the policy wait.`,
		Example: `  idp bootstrap --config idp.yaml | kubectl apply --server-side --field-manager idp-bootstrap -f -
  idp bootstrap --gitops-url https://github.com/acme/gitops.git --impersonate > bootstrap.yaml`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&checkout, "platform", "", platformUsage)
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
		options := argocd.BootstrapOptions{Class: class, Root: cfg.ArgoCDRoot, Kinds: adopt.Committed(), Impersonate: impersonate, Logs: logs}
		if checkout != "" {
			declared, err := loadPlatform(checkout, class)
			if err != nil {
				return err
			}
			options.Class, options.Classes = declared.Classes[class.Name], inUse(declared)
		}
		out, err := argocd.Bootstrap(options)
		if err != nil {
			return fault.Wrap(err, fault.Invalid, err.Error(), "")
		}
		_, err = p.stdout.Write(out)
		return wrapOutput(err)
	}
	return cmd
}

// inUse are the classes that environments have, by name.
func inUse(declared platform.Platform) []platform.Class {
	classes := map[string]platform.Class{}
	for _, env := range declared.Environments {
		classes[env.Class] = declared.Classes[env.Class]
	}
	return slices.SortedFunc(maps.Values(classes), func(a, b platform.Class) int { return strings.Compare(a.Name, b.Name) })
}
