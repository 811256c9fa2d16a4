package platform

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/spec"
	"k8s.io/apimachinery/pkg/util/validation"
)

// loadEnvironments reads platform/environments.yaml. An environment without a class
// has the one that is called fallback.
func loadEnvironments(f gitops.File, classes map[string]Class, fallback string) ([]Environment, Access, spec.Errors) {
	var file environmentsFile
	doc := spec.Decode(f.Path, f.Content, &file)
	previews := file.Previews.access()
	checkAccess(doc, "previews", previews)
	var out []Environment
	taken := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(file.Environments)) {
		at := spec.Join("environments", name)
		if why := spec.CheckEnvironment(name); why != "" {
			doc.ReportKey(at, spec.KindFormat, "environment name %q %s", name, why)
		}
		block := file.Environments[name]
		if block == nil {
			continue
		}
		env := block.environment(name, fallback)
		known := slices.Sorted(maps.Keys(classes))
		if class, ok := classes[env.Class]; ok {
			env.Logs = cmp.Or(env.Logs, class.Logs, ShowPrivate)
		} else if field := spec.Join(at, "class"); doc.OK(field) {
			doc.Suggest(field, spec.KindChoice, spec.Near(env.Class, known), "there is no class %q: add %s/%s.yaml, or use one of %s",
				env.Class, ClassesDir, env.Class, strings.Join(known, ", "))
		}
		checkNamespace(doc, spec.Join(at, "namespace"), env.Namespace)
		checkAccess(doc, at, env.Access())
		unique(doc, spec.Join(at, "checks"), env.Checks)
		env.Updates = block.updates(doc, at, env, classes[env.Class], taken)
		out = append(out, env)
	}
	return out, previews, doc.Errors()
}

func (b *environmentBlock) environment(name, class string) Environment {
	return Environment{
		Name: name, Class: cmp.Or(b.Class, class), Namespace: b.Namespace,
		Permission: cmp.Or(b.Permission, PermissionWrite), Users: b.Users, Teams: b.Teams, Actions: b.Actions.rules(), Checks: b.Checks,
		Protected: b.Protected, Approval: b.Approval, AutoDeploy: b.AutoDeploy,
		Logs: ShowMode(b.Logs), RolloutTimeout: b.RolloutTimeout.Duration(),
	}
}

var namespaceWord = regexp.MustCompile(`\{[^{}]*\}`)

// checkNamespace holds a pattern to names that stay inside the fence and apart
// from one another.
func checkNamespace(doc *spec.Document, field, pattern string) {
	if !doc.OK(field) {
		return
	}
	words := []string{"repo", "owner", "env", "hash"}
	for _, word := range namespaceWord.FindAllString(pattern, -1) {
		if word = strings.Trim(word, "{}"); !slices.Contains(words, word) {
			doc.Suggest(field, spec.KindPlaceholder, spec.Near(word, words), "unknown placeholder {%s} in namespace: expected one of %s", word, strings.Join(words, ", "))
			return
		}
	}
	if !strings.HasPrefix(pattern, namespacePrefix) {
		doc.Suggest(field, spec.KindFormat, namespacePrefix+pattern, "namespace %q does not begin with %q, which is what keeps idp inside its own namespaces", pattern, namespacePrefix)
	}
	if !strings.Contains(pattern, "{hash}") {
		doc.Suggest(field, spec.KindFormat, pattern+"-{hash}", "namespace %q has no {hash}: two repositories would share a namespace", pattern)
		return
	}
	long := gitops.EnvironmentRef{RepositoryID: 1, Owner: strings.Repeat("o", 39), Repo: strings.Repeat("r", 100), ID: strings.Repeat("e", 40)}
	name := expandNamespace(pattern, long, minSlug)
	switch {
	case len(name) > maxNamespace:
		doc.Report(field, spec.KindRange, "namespace %q is too long: with the longest names it has %d characters of %d", pattern, len(name), maxNamespace)
	case len(validation.IsDNS1123Label(name)) > 0:
		doc.Report(field, spec.KindFormat, `namespace %q gives no valid name: expected lower-case letters, digits and "-", with a letter or digit at the end`, pattern)
	}
}

// unique reports what is listed twice.
func unique(doc *spec.Document, field string, values []string) {
	for i, value := range values {
		if at := spec.Index(field, i); doc.OK(at) && slices.Contains(values[:i], value) {
			doc.Report(at, spec.KindDuplicate, "%q is listed twice", value)
		}
	}
}
