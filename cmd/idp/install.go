package main

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/source"
)

// chartFiles is the Helm chart of idp itself, below "chart". It is the one description of how
// idp runs on Kubernetes: what "idp install --print" prints is that chart, rendered.
//
//go:embed all:chart
var chartFiles embed.FS

// installRelease is what the printed objects are named.
const installRelease = "idp"

// installFlags are the flags of "idp install", as given.
type installFlags struct {
	print, values                     bool
	chart, namespace, image           string
	secret, certificate               string
	storage, storageClass, monitoring string
	pullSecret                        string
	replicas                          int
	serviceMonitor                    bool
}

func newInstall(p *program) *cobra.Command {
	var f installFlags
	cmd := &cobra.Command{
		Use:   "install (--print | --values | --chart DIR)",
		Short: "Print the manifests that idp itself runs by on Kubernetes",
		Long: `Prints Kubernetes objects for idp itself, and applies nothing: a namespace held to the Pod
Security Standard "restricted", an account without rights, the configuration, a Deployment,
its Services, a network policy and, with PostgreSQL, a disruption budget.

The configuration is read as "idp serve" reads it, and what that would refuse is refused.
With an SQLite database there is one replica and a volume for the file, with PostgreSQL
there are --replicas. What is secret is not printed: the objects refer to a Secret, and
the command that makes it from the files named here goes to standard error.

--values prints the same as values of the Helm chart that is in this program, and --chart
writes that chart into a folder: "helm template idp DIR --namespace idp --values FILE --set
namespace.create=true" prints what --print does.`,
		Example: `  idp install --print --config idp.yaml | kubectl apply --server-side --field-manager idp-install -f -
  idp install --chart idp-chart && idp install --values --config idp.yaml > values.yaml
  helm upgrade --install idp idp-chart --namespace idp --create-namespace --values values.yaml`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.print, "print", false, "print the manifests")
	flags.BoolVar(&f.values, "values", false, "print the values of the chart instead")
	flags.StringVar(&f.chart, "chart", "", "write the chart into a new folder instead")
	flags.StringVar(&f.namespace, "namespace", "idp", "namespace that idp runs in")
	flags.StringVar(&f.image, "image", "", "image of idp, with a tag or a digest or both (default "+imageRepository+" with the tag of this release)")
	flags.StringVar(&f.pullSecret, "pull-secret", "", "Secret there to pull the image with")
	flags.IntVar(&f.replicas, "replicas", 2, "how many run, with PostgreSQL")
	flags.StringVar(&f.secret, "secret", installRelease, "Secret there with what is secret of the configuration")
	flags.StringVar(&f.certificate, "certificate-secret", "idp-tls", "Secret there with the certificate, where tls_cert_file is set")
	flags.StringVar(&f.storage, "storage", "10Gi", "size of the volume, with SQLite")
	flags.StringVar(&f.storageClass, "storage-class", "", "storage class of the volume (default the cluster's)")
	flags.StringVar(&f.monitoring, "monitoring-namespace", "monitoring", "namespace that may scrape metrics")
	flags.BoolVar(&f.serviceMonitor, "service-monitor", false, "print a ServiceMonitor, of the Prometheus operator")
	config := addConfigFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := oneOf(cmd, "print", "values", "chart"); err != nil {
			return err
		}
		if f.chart != "" {
			return p.writeChart(f.chart)
		}
		return p.install(f, cmd.Flags().Changed("replicas"), config)
	}
	return cmd
}

// install prints the manifests or the values.
func (p *program) install(f installFlags, scaled bool, config *configFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	l, err := p.soundConfig(config, forServing)
	if err != nil {
		return err
	}
	v, err := newInstallation(f, l)
	if err != nil {
		return err
	}
	if scaled && v.Database == sqliteDatabase && f.replicas != 1 {
		return fault.Newf(fault.Usage, "--replicas %d: an SQLite file has one server", f.replicas).WithHint("set database_url to a PostgreSQL for more")
	}
	out, err := v.output(f)
	if err != nil {
		return err
	}
	if _, err := p.stdout.Write(out); err != nil {
		return wrapOutput(err)
	}
	for _, note := range v.notes {
		p.note("%s", note)
	}
	_, _ = fmt.Fprintf(p.stderr, "\nBefore it can start, make what is secret, with the files of this machine:\n\n%s\n", v.secretCommands(f, l))
	return nil
}

// output is what goes to standard output.
func (v *installation) output(f installFlags) ([]byte, error) {
	if f.print {
		v.Namespace = &createdValue{true} // Helm makes the one that it installs into itself
	}
	text, err := sigsyaml.Marshal(v)
	if err != nil || f.values {
		return text, err
	}
	var values map[string]any
	if err := sigsyaml.Unmarshal(text, &values); err != nil {
		return nil, fmt.Errorf("read the values: %w", err)
	}
	files, err := fs.Sub(chartFiles, "chart")
	if err != nil {
		return nil, fmt.Errorf("read the chart: %w", err)
	}
	manifests, err := source.Own(files, values, installRelease, f.namespace)
	if err != nil {
		return nil, fmt.Errorf("render the manifests: %w", err)
	}
	return []byte(manifests), nil
}

// writeChart writes the chart into a folder that is not there yet.
func (p *program) writeChart(dir string) error {
	if exists(dir) {
		return fault.Newf(fault.Usage, "--chart %s: it is there already; nothing was written", dir).WithHint("name a folder that is not")
	}
	files, err := fs.Sub(chartFiles, "chart")
	if err == nil {
		err = os.CopyFS(dir, files)
	}
	if err != nil {
		if at, ok := errors.AsType[*fs.PathError](err); ok {
			return fault.Wrap(err, fault.Failure, fmt.Sprintf("cannot write %s: %s", at.Path, reason(err)), "")
		}
		return fmt.Errorf("write the chart to %s: %w", dir, err)
	}
	_, err = fmt.Fprintln(p.stdout, strings.TrimSuffix(dir, "/"))
	return wrapOutput(err)
}
