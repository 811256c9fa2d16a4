package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/gitops/spec"
)

const readme = "../../README.md"

// TestGeneratedReference holds the README's generated parts against what they
// describe: each stands between "<!-- generated: NAME -->" and "<!-- end -->".
// Run it with -update after a change.
func TestGeneratedReference(t *testing.T) {
	t.Parallel()
	old, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	text := string(old)
	for name, part := range map[string]string{
		"configuration": configReference(), "commands": commandReference(), "comment commands": bot.CommandTable(),
		"exit statuses": exitReference(), "permissions": github.PermissionTable(), "doctor": doctorPicture(t), "metrics": metricsReference(t, registered(t)),
		"picture": picture(t), "update": updatePicture(t), "charts": chartsPicture(t), "canary": canaryPicture(t), "brought": broughtPicture(t), "leaving": leavingPicture(t), "guarded": guardedPicture(t), "spec": specReference(t),
	} {
		if text, err = replaceGenerated(text, name, part); err != nil {
			t.Fatal(err)
		}
	}
	switch {
	case text == string(old):
	case *update:
		if err := os.WriteFile(readme, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("README.md does not describe the program any more: go test ./cmd/idp -run Generated -update")
	}
}

// replaceGenerated puts part between the markers of name.
func replaceGenerated(text, name, part string) (string, error) {
	begin, end := "<!-- generated: "+name+" -->\n", "<!-- end -->"
	head, rest, ok := strings.Cut(text, begin)
	if !ok {
		return "", fmt.Errorf("README.md has no %q", strings.TrimSpace(begin))
	}
	_, tail, ok := strings.Cut(rest, end)
	if !ok {
		return "", fmt.Errorf("README.md has no %q after %q", end, strings.TrimSpace(begin))
	}
	return head + begin + "\n" + strings.TrimSpace(part) + "\n\n" + end + tail, nil
}

// configReference is the README's part on the keys: one Markdown table a section.
func configReference() string {
	var b strings.Builder
	for i, section := range sectionNames() {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "**%s**\n\n| key | default | what it is |\n| --- | --- | --- |\n", section)
		for _, f := range configFields() {
			if f.Section == section {
				fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Key, f.defaultCell(), f.helpCell())
			}
		}
	}
	return b.String()
}

func (f configField) defaultCell() string {
	switch {
	case f.Required != "":
		return "**required**"
	case f.Default == "":
		return ""
	}
	return "`" + f.Default + "`"
}

func (f configField) helpCell() string {
	text := strings.ReplaceAll(f.Help, "|", `\|`)
	if f.OneOf != nil {
		text += " One of `" + strings.Join(f.OneOf, "`, `") + "`."
	}
	return text
}

// commandReference is the README's table of subcommands.
func commandReference() string {
	var b strings.Builder
	b.WriteString("| command | what it does |\n| --- | --- |\n")
	var rows func(*cobra.Command)
	rows = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			switch {
			case !sub.IsAvailableCommand() || sub.Name() == "help" || sub.Parent().Name() == "completion":
			case sub.HasAvailableSubCommands() && sub.Name() != "completion":
				rows(sub)
			default:
				usage := strings.TrimSuffix(sub.CommandPath()+strings.TrimPrefix(sub.Use, sub.Name()), " [flags]")
				fmt.Fprintf(&b, "| `%s` | %s |\n", strings.ReplaceAll(usage, "|", `\|`), sub.Short)
			}
		}
	}
	rows(newRoot(&program{stdout: io.Discard, stderr: io.Discard}))
	return b.String()
}

// exitReference is the README's table of exit statuses.
func exitReference() string {
	var b strings.Builder
	b.WriteString("| status | meaning |\n| --- | --- |\n")
	for line := range strings.Lines(exitHelp) {
		status, meaning, _ := strings.Cut(strings.TrimSpace(line), "  ")
		fmt.Fprintf(&b, "| %s | %s |\n", status, meaning)
	}
	return b.String()
}

// registered returns the registry of a bot that was opened and never ran.
func registered(t *testing.T) *prometheus.Registry {
	t.Helper()
	dir := secrettest.Dir(t)
	cfg, _, err := load(t, forServing, "", complete(t, map[string]string{
		"IDP_LISTEN": "127.0.0.1:0", "IDP_METRICS_LISTEN": "127.0.0.1:0",
		"IDP_DATABASE_URL": "sqlite://" + filepath.Join(dir, "idp.db"), "IDP_GITOPS_URL": "file://" + filepath.Join(dir, "gitops.git"),
		"IDP_ARGOCD_URL": "http://127.0.0.1:1", "IDP_ARGOCD_TOKEN": "token",
	}))
	if err != nil {
		t.Fatal(err)
	}
	m := NewMain(cfg, secrettest.Logger(t), time.Now)
	if err := m.Open(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m.registry
}

// described is a metric as its description prints.
var described = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: "([^"]*)", (?:unit: "[^"]*", )?constLabels: \{[^}]*\}, variableLabels: \{([^}]*)\}\}$`)

// metricsReference is the README's table of idp's own metrics, by name.
func metricsReference(t *testing.T, registry *prometheus.Registry) string {
	t.Helper()
	var rows [][]string
	for _, desc := range descriptions(registry) {
		m := described.FindStringSubmatch(desc.String())
		if m == nil {
			t.Errorf("cannot read %s", desc)
			continue
		}
		if strings.HasPrefix(m[1], "idp_") {
			rows = append(rows, []string{m[1], kindOf(registry, desc), strings.ReplaceAll(m[3], ",", ", "), m[2]})
		}
	}
	slices.SortFunc(rows, func(a, b []string) int { return cmp.Compare(a[0], b[0]) })
	var b strings.Builder
	b.WriteString("| metric | type | labels | what it counts |\n| --- | --- | --- | --- |\n")
	for _, row := range rows {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", row[0], row[1], row[2], strings.ReplaceAll(row[3], "|", `\|`))
	}
	return b.String()
}

// descriptions returns what describes the registry's metrics. The registry is
// locked until the last one is received.
func descriptions(registry *prometheus.Registry) []*prometheus.Desc {
	ch := make(chan *prometheus.Desc)
	go func() {
		defer close(ch)
		registry.Describe(ch)
	}()
	var out []*prometheus.Desc
	for desc := range ch {
		out = append(out, desc)
	}
	return out
}

// only is a collector of one description, which a registry refuses with the
// collector that it already has for it.
type only struct{ desc *prometheus.Desc }

func (o only) Describe(ch chan<- *prometheus.Desc) { ch <- o.desc }
func (o only) Collect(chan<- prometheus.Metric)    {}

// kindOf returns "counter", "gauge" or "histogram". A description does not tell;
// what was registered does, and for collectors of several metrics the name.
func kindOf(registry *prometheus.Registry, desc *prometheus.Desc) string {
	var already prometheus.AlreadyRegisteredError
	if err := registry.Register(only{desc}); errors.As(err, &already) {
		switch already.ExistingCollector.(type) {
		case *prometheus.HistogramVec, prometheus.Histogram:
			return "histogram"
		case *prometheus.CounterVec:
			return "counter"
		case *prometheus.GaugeVec:
			return "gauge"
		}
	}
	if strings.Contains(desc.String(), `_total"`) {
		return "counter"
	}
	return "gauge"
}

// What the README says of images is a valid spec, and what people read.
func TestReadmeImages(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(string(text), "### Which image a preview runs\n")
	part, _, _ = strings.Cut(part, "\n### ")
	_, sample, _ := strings.Cut(part, "```yaml\n")
	sample, _, _ = strings.Cut(sample, "```")
	parsed, errs := spec.Parse(spec.Path, []byte(sample))
	if len(errs) > 0 || len(parsed.Services) != 2 || !parsed.Services[0].Parted() {
		t.Errorf("the sample is no spec: %v", errs)
	}
	for golden, said := range map[string]string{
		"waiting-for-ci":  "⏳ Waiting for image ghcr.io/acme/payments-api:a1b2c3d · CI run since 18:00 UTC, usually 6m",
		"ready-unchanged": "from `main` (`9f8e7d6`), unchanged here",
	} {
		shown, err := os.ReadFile("../../bot/report/testdata/" + golden + ".txtar")
		if err != nil || !strings.Contains(string(shown), said) || !strings.Contains(part, said) {
			t.Errorf("%q is not what the README or the comment says (%v)", said, err)
		}
	}
}
