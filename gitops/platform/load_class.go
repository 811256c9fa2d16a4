package platform

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/spec"
	"k8s.io/apimachinery/pkg/util/validation"
)

// maxClassName bounds the name of a class, which is part of an ApplicationSet's.
const maxClassName = 40

// loadClass reads a file of platform/classes; files are those that it may name others
// of, and others the classes that were loaded before. The class that it returns has a name
// even where there are errors.
func loadClass(f gitops.File, base Class, files []gitops.File, objects map[string]*objectFile, others map[string]Class) (Class, spec.Errors) {
	name, isYAML := strings.CutSuffix(path.Base(f.Path), ".yaml")
	if !isYAML {
		name = strings.TrimSuffix(name, path.Ext(name))
		return Class{Name: name}, spec.Errors{misnamed(f.Path, path.Join(ClassesDir, name+".yaml"))}
	}
	var file classFile
	doc := spec.Decode(f.Path, f.Content, &file)
	if len(validation.IsDNS1123Label(name)) > 0 || len(name) > maxClassName {
		doc.Report("", spec.KindFormat, `class name %q is not valid: expected a file name of at most %d lower-case letters, digits and "-"`, name, maxClassName)
	}
	class := file.over(base, doc.Given)
	class.Name, class.Objects = name, file.loadObjects(doc, objects)
	switch previews := name == base.Name; {
	case doc.Given("access"):
		class.Gate = file.loadGate(doc, previews, class.Objects)
	case !previews:
		class.Gate = nil // the server's is of previews
	}
	if file.Provenance != nil {
		class.Provenance = file.Provenance.load(doc, files)
	}
	class.followedOnce(doc, others)
	known := base.problems()
	for _, p := range class.problems() {
		if p.field == "name" {
			continue
		}
		keys := classKeys[p.field]
		if i := slices.IndexFunc(keys, doc.Given); i >= 0 {
			if doc.OK(keys[i]) {
				doc.Report(keys[i], spec.KindFormat, "%s: %s", keys[i], p.msg)
			}
		} else if !slices.Contains(known, p) {
			doc.Report("", spec.KindConflict, "%s of the server's configuration does not suit the rest: %s", p.field, p.msg)
		}
	}
	return class, doc.Errors()
}

// followedOnce reports a branch that two Argo CDs would follow: each would make every
// Application that is listed there, on a cluster of its own.
func (c Class) followedOnce(doc *spec.Document, others map[string]Class) {
	for _, name := range slices.Sorted(maps.Keys(others)) {
		other := others[name]
		if name == c.Name || other.PushURL != c.PushURL || other.Branch != c.Branch || other.ArgoCDURL == c.ArgoCDURL {
			continue
		}
		keys := []string{"argocd_url", "gitops_branch", "gitops_url"}
		key := ""
		if i := slices.IndexFunc(keys, doc.Given); i >= 0 {
			key = keys[i]
		}
		doc.Report(key, spec.KindConflict, "two Argo CDs cannot follow one branch: class %s has another argocd_url and the same gitops_url and gitops_branch; give this one a repository or a branch of its own", name)
		return
	}
}

// classKeys are the keys of a class file that decide what a problem is about, the
// likeliest to be wrong first.
var classKeys = map[string][]string{
	"repository url":          {"gitops_read_url", "gitops_url"},
	"push url":                {"gitops_url"},
	"branch":                  {"gitops_branch"},
	"mode":                    {"gitops_mode"},
	"argo cd url":             {"argocd_url"},
	"argo cd namespace":       {"argocd_namespace"},
	"project":                 {"argocd_project"},
	"root":                    {"argocd_root"},
	"destination server":      {"argocd_destination"},
	"zone":                    {"domain"},
	"host template":           {"host", "domain"},
	"image template":          {"image"},
	"routing":                 {"routing"},
	"gateway name":            {"gateway_name", "routing"},
	"gateway namespace":       {"gateway_namespace", "routing"},
	"gateway section":         {"gateway_section"},
	"gateway address":         {"gateway_address"},
	"ingress class":           {"ingress_class"},
	"tls secret":              {"tls_secret"},
	"controller namespace":    {"routing_namespace", "routing"},
	"image pull secret":       {"image_pull_secret"},
	"node platforms":          {"node_platforms"},
	"pod security":            {"pod_security"},
	"ttl":                     {"ttl"},
	"maximum ttl":             {"max_ttl", "ttl"},
	"warning":                 {"warn_before", "ttl"},
	"quota pods":              {"quota_pods"},
	"quota replicas":          {"quota_max_replicas"},
	"quota cpu":               {"quota_cpu", "quota_default_cpu", "quota_default_cpu_request"},
	"quota memory":            {"quota_memory", "quota_default_memory", "quota_default_memory_request"},
	"quota ephemeral storage": {"quota_ephemeral_storage", "quota_default_ephemeral_storage"},
	"egress":                  {"egress_cidrs"},
	"denied egress":           {"egress_denied_cidrs"},
	"comment":                 {"comment"},
	"prometheus address":      {"prometheus_address"},
	"error rate query":        {"error_rate_query"},
	"ready query":             {"ready_query"},
	"logs":                    {"logs"},
	"diffs":                   {"diffs"},
}

// over returns base with what the file gives.
func (f *classFile) over(base Class, given func(key string) bool) Class {
	c := base
	if given("gitops_url") {
		c.PushURL, c.RepoURL = f.GitOpsURL, f.GitOpsURL
	}
	set(given("gitops_read_url"), &c.RepoURL, f.GitOpsReadURL)
	set(given("gitops_branch"), &c.Branch, f.GitOpsBranch)
	set(given("gitops_mode"), &c.Mode, Mode(f.GitOpsMode))
	set(given("argocd_url"), &c.ArgoCDURL, strings.TrimRight(f.ArgoCDURL, "/"))
	set(given("argocd_namespace"), &c.ArgoCDNamespace, f.ArgoCDNamespace)
	set(given("argocd_root"), &c.Root, f.ArgoCDRoot)
	set(given("argocd_project"), &c.Project, f.ArgoCDProject)
	set(given("argocd_destination"), &c.DestinationServer, f.ArgoCDDestination)
	set(given("domain"), &c.Zone, f.Domain)
	set(given("host"), &c.HostTemplate, f.Host)
	set(given("image"), &c.ImageTemplate, f.Image)
	set(given("ttl"), &c.TTL, f.TTL.Duration())
	set(given("max_ttl"), &c.MaxTTL, f.MaxTTL.Duration())
	set(given("warn_before"), &c.WarnBefore, f.WarnBefore.Duration())
	set(given("comment"), &c.Comment, CommentMode(f.Comment))
	set(given("bots"), &c.BotPreviews, f.Bots == "auto")
	set(given("image_pull_secret"), &c.ImagePullSecret, f.ImagePullSecret)
	set(given("node_platforms"), &c.NodePlatforms, f.NodePlatforms)
	set(given("pod_security"), &c.PodSecurity, f.PodSecurity)
	set(given("egress_cidrs"), &c.EgressCIDRs, f.EgressCIDRs)
	set(given("egress_denied_cidrs"), &c.EgressDeniedCIDRs, f.EgressDeniedCIDRs)
	if given("gateway_address") {
		c.Gateway = &Gateway{Address: f.GatewayAddress, TLS: base.Gateway == nil || base.Gateway.TLS}
	}
	set(given("prometheus_address"), &c.PrometheusAddress, f.PrometheusAddress)
	set(given("error_rate_query"), &c.ErrorRateQuery, string(f.ErrorRateQuery))
	set(given("ready_query"), &c.ReadyQuery, string(f.ReadyQuery))
	set(given("logs"), &c.Logs, ShowMode(f.Logs))
	set(given("diffs"), &c.Diffs, ShowMode(f.Diffs))
	f.routingOver(&c.Routing, given)
	f.quotaOver(&c.Quota, given)
	return c
}

func (f *classFile) routingOver(r *Routing, given func(key string) bool) {
	set(given("routing"), &r.Kind, RoutingKind(f.Routing))
	set(given("gateway_name"), &r.GatewayName, f.GatewayName)
	set(given("gateway_namespace"), &r.GatewayNamespace, f.GatewayNamespace)
	set(given("gateway_section"), &r.SectionName, f.GatewaySection)
	set(given("ingress_class"), &r.IngressClass, f.IngressClass)
	set(given("tls_secret"), &r.TLSSecret, f.TLSSecret)
	set(given("routing_namespace"), &r.ControllerNamespace, f.RoutingNamespace)
}

func (f *classFile) quotaOver(q *Quota, given func(key string) bool) {
	for _, text := range []struct {
		key  string
		to   *string
		from spec.Quantity
	}{
		{"quota_cpu", &q.CPU, f.QuotaCPU}, {"quota_memory", &q.Memory, f.QuotaMemory},
		{"quota_ephemeral_storage", &q.EphemeralStorage, f.QuotaEphemeralStorage},
		{"quota_default_cpu_request", &q.DefaultCPURequest, f.QuotaDefaultCPURequest}, {"quota_default_cpu", &q.DefaultCPU, f.QuotaDefaultCPU},
		{"quota_default_memory_request", &q.DefaultMemoryRequest, f.QuotaDefaultMemoryRequest}, {"quota_default_memory", &q.DefaultMem, f.QuotaDefaultMemory},
		{"quota_default_ephemeral_storage", &q.DefaultEphemeral, f.QuotaDefaultEphemeralStorage},
	} {
		set(given(text.key), text.to, string(text.from))
	}
	if f.QuotaPods != nil {
		q.Pods = int64(*f.QuotaPods)
	}
	if f.QuotaMaxReplicas != nil {
		q.MaxReplicas = *f.QuotaMaxReplicas
	}
}

func set[T any](given bool, to *T, value T) {
	if given {
		*to = value
	}
}
