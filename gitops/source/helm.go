package source

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"
	"sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/gitops/spec"
)

// KubernetesVersion is the version that a chart is told to be rendered for: no cluster is
// asked, and the library's own default is one of 2020, at which charts write APIs that are gone.
const KubernetesVersion = "v1.34.0"

// helmChart renders a Helm chart as "helm template" does, but for what needs a cluster or a
// network.
func helmChart(req Request) (Result, error) {
	loaded, err := load(req)
	if err != nil {
		return Result{}, err
	}
	values, err := valuesOf(req)
	if err != nil {
		return Result{}, err
	}
	if err := chartutil.ProcessDependencies(loaded, values); err != nil {
		return Result{}, fmt.Errorf("the chart's dependencies: %w", err)
	}
	options := chartutil.ReleaseOptions{Name: req.Release, Namespace: req.Namespace, Revision: 1, IsInstall: true}
	able, err := capabilities(loaded)
	if err != nil {
		return Result{}, err
	}
	given, err := chartutil.ToRenderValuesWithSchemaValidation(loaded, values, options, able, true)
	if err != nil {
		return Result{}, fmt.Errorf("the chart's values: %w", err)
	}
	unasked, err := fit(loaded, given)
	if err != nil {
		return Result{}, err
	}
	rendered, err := engine.Engine{}.Render(loaded, given)
	if err != nil {
		return Result{}, err
	}
	if err := sized(maps.Values(rendered)); err != nil {
		return Result{}, err
	}
	out := Result{Notes: append(unasked, notes(loaded)...)}
	for _, crd := range loaded.CRDObjects() {
		out.Documents = append(out.Documents, split(string(crd.File.Data))...)
	}
	names := make([]string, 0, len(rendered))
	for name := range rendered {
		if base := path.Base(name); !strings.HasPrefix(base, "_") && base != "NOTES.txt" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		out.Documents = append(out.Documents, split(rendered[name])...)
	}
	return out, nil
}

// split splits a stream as Helm does, to which "---" ends a document whatever comes after it:
// where a template trims the end of the line, that is the next object.
func split(text string) []string {
	parts := releaseutil.SplitManifests(text)
	keys := slices.Collect(maps.Keys(parts))
	sort.Sort(releaseutil.BySplitManifestsOrder(keys))
	out := make([]string, len(keys))
	for i, key := range keys {
		out[i] = parts[key]
	}
	return out
}

// capabilities are what a chart may ask of the cluster, which has to be one that it is for.
func capabilities(loaded *chart.Chart) (*chartutil.Capabilities, error) {
	version, err := chartutil.ParseKubeVersion(KubernetesVersion)
	if err != nil {
		return nil, fmt.Errorf("the version of Kubernetes: %w", err)
	}
	if wanted := loaded.Metadata.KubeVersion; wanted != "" && !chartutil.IsCompatibleRange(wanted, version.String()) {
		return nil, fmt.Errorf("the chart is for Kubernetes %s, and rendered for %s", wanted, version)
	}
	able := chartutil.DefaultCapabilities.Copy()
	able.KubeVersion = *version
	return able, nil
}

// valuesOf are the values of the files, the last of which wins, and then those by key.
func valuesOf(req Request) (map[string]any, error) {
	out := map[string]any{}
	for _, file := range req.Source.ValuesFiles {
		content, ok := req.Files[file]
		if !ok {
			return nil, fmt.Errorf("there is no values file %s", file)
		}
		var more map[string]any
		if err := yaml.Unmarshal(content, &more); err != nil {
			return nil, fmt.Errorf("values file %s: %w", file, err)
		}
		out = chartutil.CoalesceTables(more, out)
	}
	for _, v := range req.Source.Values {
		if err := set(out, v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// set puts a value where its key says.
func set(values map[string]any, v spec.Value) error {
	words := strings.Split(v.Key, ".")
	for _, word := range words[:len(words)-1] {
		next, ok := values[word].(map[string]any)
		if !ok {
			if _, taken := values[word]; taken && values[word] != nil {
				return fmt.Errorf("value %s: %s is no table", v.Key, word)
			}
			next = map[string]any{}
			values[word] = next
		}
		values = next
	}
	values[words[len(words)-1]] = typed(v.Text)
	return nil
}

// typed is a boolean or a whole number where the text is one, written plainly.
func typed(text string) any {
	if text == "true" || text == "false" {
		return text == "true"
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && strconv.FormatInt(n, 10) == text {
		return n
	}
	return text
}

// asking are the functions of templates that get nothing here, and what to say of them.
var asking = []struct {
	uses *regexp.Regexp
	note string
}{
	{inAction("lookup"), "%s uses lookup, which finds nothing: no cluster is asked"},
	{inAction("getHostByName"), "%s uses getHostByName, which resolves nothing: there is no network"},
	{inAction("randAlphaNum|randAlpha|randNumeric|randAscii|randBytes|uuidv4|genCA|genSelfSignedCert|genSignedCert|genPrivateKey|shuffle|now"),
		"%s uses chance or the clock, so that it renders otherwise each time"},
}

func inAction(names string) *regexp.Regexp {
	return regexp.MustCompile(`\{\{[^}]*\b(?:` + names + `)\b`)
}

// notes tell of what the chart's templates ask for and do not get.
func notes(c *chart.Chart) []string {
	const most = 20
	var out []string
	for _, t := range c.Templates {
		for _, one := range asking {
			if len(out) < most && one.uses.Match(t.Data) {
				out = append(out, fmt.Sprintf(one.note, oneLine(c.Name()+"/"+t.Name)))
			}
		}
	}
	for _, dependency := range c.Dependencies() {
		out = append(out, notes(dependency)...)
	}
	return out[:min(len(out), most)]
}
