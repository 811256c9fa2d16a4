package platform

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/spec"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
)

// The Pod Security Standards that PodSecurity takes.
const (
	Restricted = "restricted"
	Baseline   = "baseline"
	Privileged = "privileged"
)

// minServiceChars is what a host template must leave of a service's name in the
// longest environment, so that a cut host is still one to recognise.
const minServiceChars = 12

// Metadata are the addresses at which clouds hand credentials to whoever asks.
// No class may list them as a destination.
var metadata = []netip.Prefix{
	netip.MustParsePrefix("169.254.169.254/32"), // AWS, Azure, Google, OpenStack, DigitalOcean
	netip.MustParsePrefix("169.254.170.2/32"),   // AWS ECS task credentials
	netip.MustParsePrefix("169.254.170.23/32"),  // AWS EKS pod identity
	netip.MustParsePrefix("100.100.100.200/32"), // Alibaba
	netip.MustParsePrefix("192.0.0.192/32"),     // Oracle
	netip.MustParsePrefix("168.63.129.16/32"),   // Azure's host agent
	netip.MustParsePrefix("fd00:ec2::254/128"),  // AWS
	netip.MustParsePrefix("fd00:ec2::23/128"),   // AWS EKS pod identity
	netip.MustParsePrefix("fd20:ce::254/128"),   // Google
}

// Metadata returns the addresses of cloud metadata services, which stay denied
// whatever a class lists.
func Metadata() []netip.Prefix { return slices.Clone(metadata) }

// Validate reports everything that is wrong with the class, one error per
// mistake, joined; nil when it can be rendered and committed.
func (c Class) Validate() error {
	var errs []error
	for _, p := range c.problems() {
		errs = append(errs, fmt.Errorf("class %q: %s: %s", c.Name, p.field, p.msg))
	}
	return errors.Join(errs...)
}

// problem is what is wrong with a field of a class.
type problem struct{ field, msg string }

// problems returns everything that is wrong with the class.
func (c Class) problems() []problem {
	v := &validator{}
	v.label("name", c.Name)
	v.repoURL(c.RepoURL)
	v.check(c.PushURL == "" || !hasPassword(c.PushURL), "push url", "holds a password: give the server a token instead")
	v.literal("branch", c.Branch)
	v.check(slices.Contains([]Mode{"", ModePush, ModePullRequest}, c.Mode), "mode", "%q is neither push nor pull_request", c.Mode)
	v.argoCD(c.ArgoCDURL)
	v.label("argo cd namespace", c.ArgoCDNamespace)
	v.subdomain("project", c.Project)
	if c.Root != "" {
		v.subdomain("root", c.Root)
	}
	v.literal("destination server", c.DestinationServer)
	v.hosts(c)
	v.check(strings.TrimSpace(c.ImageTemplate) != "", "image template", "is empty: give one such as %q", Default().ImageTemplate)
	v.routing(c.Routing)
	if c.ImagePullSecret != "" {
		v.subdomain("image pull secret", c.ImagePullSecret)
	}
	for _, nodes := range c.NodePlatforms {
		v.check(IsNodePlatform(nodes), "node platforms", "%q is not OS/ARCHITECTURE, such as linux/amd64 or linux/arm/v7", nodes)
	}
	v.check(slices.Contains([]string{Restricted, Baseline, Privileged}, c.PodSecurity),
		"pod security", "%q is none of restricted, baseline, privileged", c.PodSecurity)
	v.times(c)
	v.quota(c.Quota)
	v.destinations("egress", c.EgressCIDRs, true)
	v.destinations("denied egress", c.EgressDeniedCIDRs, false)
	v.check(slices.Contains([]CommentMode{CommentSticky, CommentOnFailure, CommentOff}, c.Comment),
		"comment", "%q is none of sticky, on-failure, off", c.Comment)
	v.analysis(c)
	v.check(slices.Contains([]ShowMode{ShowPrivate, ShowAlways, ShowNever}, c.Logs), "logs", "%q is none of private, always, never", c.Logs)
	v.check(slices.Contains([]ShowMode{ShowPrivate, ShowAlways, ShowNever}, c.Diffs), "diffs", "%q is none of private, always, never", c.Diffs)
	return v.problems
}

// nodePlatform is what Docker and Kubernetes call a kind of node.
var nodePlatform = regexp.MustCompile(`^[a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?$`)

// IsNodePlatform says that a text is OS/ARCHITECTURE, perhaps with a variant.
func IsNodePlatform(text string) bool { return nodePlatform.MatchString(text) }

// validator gathers the mistakes of one class.
type validator struct{ problems []problem }

func (v *validator) check(ok bool, field, format string, args ...any) {
	if !ok {
		v.problems = append(v.problems, problem{field, fmt.Sprintf(format, args...)})
	}
}

func (v *validator) label(field, value string) {
	v.check(len(validation.IsDNS1123Label(value)) == 0, field, "%q is no DNS label (lower case letters, digits and -, at most 63)", value)
}

func (v *validator) subdomain(field, value string) {
	v.check(len(validation.IsDNS1123Subdomain(value)) == 0, field, "%q is no name (lower case letters, digits, - and .)", value)
}

// literal is text that stands in an ApplicationSet's template as it is.
func (v *validator) literal(field, value string) {
	v.check(value != "", field, "is empty")
	v.check(!strings.Contains(value, "{{"), field, "%q holds {{, which Argo CD would expand", value)
}

func (v *validator) repoURL(raw string) {
	v.literal("repository url", raw)
	v.check(!hasPassword(raw), "repository url", "holds a password: Argo CD has credentials of its own")
}

func (v *validator) argoCD(raw string) {
	if raw == "" {
		return
	}
	u, err := url.Parse(raw)
	v.check(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == "",
		"argo cd url", "%q is no http or https URL without credentials", raw)
}

func hasPassword(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false // scp-like, such as git@host:path
	}
	_, password := u.User.Password()
	return password
}

// analysis is what rollouts are judged by, and where idp looks whether they serve.
func (v *validator) analysis(c Class) {
	if c.Gateway != nil {
		host, port, err := net.SplitHostPort(c.Gateway.Address)
		v.check(err == nil && host != "" && port != "", "gateway address", "%q is not HOST:PORT, such as gateway.internal:443", c.Gateway.Address)
	}
	if c.PrometheusAddress != "" {
		u, err := url.Parse(c.PrometheusAddress)
		v.check(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil,
			"prometheus address", "%q is no http or https URL without credentials", c.PrometheusAddress)
		v.literal("prometheus address", c.PrometheusAddress)
	}
	v.check(c.ErrorRateQuery == "" || c.PrometheusAddress != "", "error rate query", "has no Prometheus to ask: give prometheus_address as well")
	v.query("error rate query", c.ErrorRateQuery)
	v.query("ready query", c.ReadyQuery)
}

// query holds a template to what tells one environment's pods from another's.
func (v *validator) query(field, query string) {
	if query == "" {
		return
	}
	const most = 4096
	v.check(len(query) <= most, field, "has %d bytes: expected at most %d", len(query), most)
	v.check(!strings.Contains(query, "{{"), field, "holds {{, which Argo Rollouts would expand: write { { apart")
	for _, word := range []string{"{service}", "{namespace}"} {
		v.check(strings.Contains(query, word), field, "has no %s: it would judge the pods of others", word)
	}
}

// hosts tries the host template on the longest names there are.
func (v *validator) hosts(c Class) {
	v.subdomain("zone", c.Zone)
	t := c.HostTemplate
	v.check(strings.HasSuffix(t, ".{zone}"), "host template", "%q does not end in .{zone}", t)
	v.check(strings.Contains(t, "{hash}"), "host template",
		"%q has no {hash}: two repositories would publish the same host", t)
	long := gitops.EnvironmentRef{
		RepositoryID: 1, Owner: strings.Repeat("o", 39), Repo: strings.Repeat("r", 100), ID: strings.Repeat("e", 63),
	}
	host := long.Host(t, strings.Repeat("s", 63), c.Zone)
	v.check(len(validation.IsDNS1123Subdomain(host)) == 0, "host template", "%q gives no valid host name, such as %q", t, host)
	for _, label := range strings.Split(host, ".") {
		v.check(len(label) <= validation.DNS1123LabelMaxLength, "host template", "%q gives a part of more than 63 characters: %q", t, label)
	}
	if first, _, _ := strings.Cut(t, "."); strings.Contains(first, "{service}") {
		fixed := len(long.Host(first, "s", "")) - 1
		v.check(validation.DNS1123LabelMaxLength-fixed >= minServiceChars, "host template",
			"%q leaves fewer than %d characters for the service's name", t, minServiceChars)
	}
}

func (v *validator) routing(r Routing) {
	switch r.Kind {
	case HTTPRoute:
		v.label("gateway name", r.GatewayName)
		v.label("gateway namespace", r.GatewayNamespace)
		if r.SectionName != "" {
			v.subdomain("gateway section", r.SectionName)
		}
	case Ingress:
		if r.IngressClass != "" {
			v.subdomain("ingress class", r.IngressClass)
		}
		if r.TLSSecret != "" {
			v.subdomain("tls secret", r.TLSSecret)
		}
	default:
		v.check(false, "routing", "%q is neither HTTPRoute nor Ingress", r.Kind)
		return
	}
	v.check(len(validation.IsDNS1123Label(r.TrafficNamespace())) == 0, "controller namespace",
		"%q is no namespace: name the one that traffic enters from", r.TrafficNamespace())
}

func (v *validator) times(c Class) {
	v.check(c.TTL > 0, "ttl", "%s is not more than 0", spec.FormatDuration(c.TTL))
	v.check(c.MaxTTL >= c.TTL, "maximum ttl", "%s at most is less than the ttl of %s", spec.FormatDuration(c.MaxTTL), spec.FormatDuration(c.TTL))
	v.check(c.WarnBefore >= 0 && c.WarnBefore < c.TTL, "warning", "%s before expiry is not within the ttl of %s", spec.FormatDuration(c.WarnBefore), spec.FormatDuration(c.TTL))
}

func (v *validator) quota(q Quota) {
	v.check(q.Pods > 0, "quota pods", "%d is not more than 0", q.Pods)
	v.check(q.MaxReplicas > 0, "quota replicas", "%d is not more than 0", q.MaxReplicas)
	v.ascending("cpu", q.DefaultCPURequest, q.DefaultCPU, q.CPU)
	v.ascending("memory", q.DefaultMemoryRequest, q.DefaultMem, q.Memory)
	v.ascending("ephemeral storage", q.DefaultEphemeral, q.EphemeralStorage)
}

// ascending checks quantities of one resource, each at most the next.
func (v *validator) ascending(field string, values ...string) {
	var last resource.Quantity
	for _, text := range values {
		q, err := resource.ParseQuantity(text)
		if err != nil || q.Sign() <= 0 {
			v.check(false, "quota "+field, "%q is no quantity above 0", text)
			return
		}
		v.check(q.Cmp(last) >= 0, "quota "+field, "%s is less than %s: expected default request <= default limit <= quota", text, last.String())
		last = q
	}
}

func (v *validator) destinations(field string, cidrs []string, open bool) {
	for _, text := range cidrs {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			v.check(false, field, "%q is no CIDR such as 203.0.113.0/24", text)
			continue
		}
		v.check(p == p.Masked(), field, "%q has bits beyond its length: did you mean %s?", text, p.Masked())
		v.check(!p.Addr().Is4In6(), field, "%q is an IPv4 range in IPv6 clothes: write it as IPv4", text)
		for _, m := range metadata {
			inside := m.Bits() <= p.Bits() && m.Contains(p.Addr())
			v.check(!open || !inside, field, "%s is a cloud's metadata service, which hands out credentials", text)
		}
	}
}
