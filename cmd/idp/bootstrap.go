package main

import (
	"cmp"
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
	var checkout, of string
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
GitOps repository with a root and each project of its own. Those whose argocd_url names
another Argo CD are left out, and printed with --argocd and that URL, for that one.

Sync impersonation is a switch of all of Argo CD: with it on, every project has to name
service accounts. --impersonate turns it on; without it the account and the policy wait.`,
		Example: `  idp bootstrap --config idp.yaml | kubectl apply --server-side --field-manager idp-bootstrap -f -
  idp bootstrap --gitops-url https://github.com/acme/gitops.git --impersonate > bootstrap.yaml
  idp bootstrap --config idp.yaml --platform gitops --argocd https://argocd.prod.acme.dev`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&checkout, "platform", "", platformUsage)
	cmd.Flags().StringVar(&of, "argocd", "", "the Argo CD to print for, by the argocd_url of classes (default the server's own)")
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
		switch {
		case checkout != "":
			declared, err := loadPlatform(checkout, class)
			if err != nil {
				return err
			}
			if err := fencedIn(&options, declared, cmp.Or(strings.TrimRight(of, "/"), class.ArgoCDURL)); err != nil {
				return err
			}
		case of != "":
			return fault.New(fault.Usage, "--argocd needs --platform", "classes name Argo CDs: give the checkout that declares them with --platform")
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

// fencedIn has the classes of one Argo CD fenced.
func fencedIn(o *argocd.BootstrapOptions, declared platform.Platform, of string) error {
	own := o.Class
	o.Class = declared.Classes[own.Name]
	var others []string
	for _, class := range inUse(declared) {
		if class.ArgoCDURL == of {
			o.Classes = append(o.Classes, class)
		} else if !slices.Contains(others, class.ArgoCDURL) {
			others = append(others, class.ArgoCDURL)
		}
	}
	if of == own.ArgoCDURL {
		return nil
	}
	if len(o.Classes) == 0 {
		return fault.Newf(fault.NotFound, "no class of an environment names the Argo CD %s", of).WithHint("they name %s", cmp.Or(strings.Join(others, ", "), "none"))
	}
	o.Class, o.Classes = o.Classes[0], o.Classes[1:]
	return nil
}

// inUse are the classes that environments have, by name.
func inUse(declared platform.Platform) []platform.Class {
	classes := map[string]platform.Class{}
	for _, env := range declared.Environments {
		classes[env.Class] = declared.Classes[env.Class]
	}
	return slices.SortedFunc(maps.Values(classes), func(a, b platform.Class) int { return strings.Compare(a.Name, b.Name) })
}
