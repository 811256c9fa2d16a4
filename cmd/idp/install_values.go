package main

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/idp-bot/idp/gitops/fault"
)

const (
	imageRepository  = "ghcr.io/idp-bot/idp"
	sqliteDatabase   = "sqlite"
	postgresDatabase = "postgres"
)

// installation is the values of the chart that a configuration and the flags come to. Its JSON
// names are those of chart/values.yaml; what is left out is as it is there.
type installation struct {
	Image            imageValue     `json:"image"`
	ImagePullSecrets []namedValue   `json:"imagePullSecrets,omitempty"`
	Config           map[string]any `json:"config"`
	Secret           secretValues   `json:"secret"`
	Database         string         `json:"database"`
	Replicas         int            `json:"replicas,omitempty"`
	Storage          *storageValues `json:"storage,omitempty"`
	TLS              string         `json:"tls,omitempty"`
	Grace            int            `json:"terminationGracePeriodSeconds"`
	NetworkPolicy    networkValues  `json:"networkPolicy"`
	ServiceMonitor   enabledValue   `json:"serviceMonitor"`
	Namespace        *createdValue  `json:"namespace,omitempty"`

	// notes are what is left out of the configuration, and why, a sentence each without its
	// full stop.
	notes []string
}

type imageValue struct {
	Repository string `json:"repository"`
	Tag        string `json:"tag,omitempty"`
	Digest     string `json:"digest,omitempty"`
}

type namedValue struct {
	Name string `json:"name"`
}

type secretValues struct {
	Name   string       `json:"name"`
	Files  []string     `json:"files"`
	Tokens []tokenValue `json:"tokens,omitempty"`
}

// tokenValue is the entry of the Secret with the token for one URL, of a key of the configuration
// that has several.
type tokenValue struct {
	Key   string `json:"key"`
	URL   string `json:"url"`
	Entry string `json:"entry"`
	file  string
}

type storageValues struct {
	Size  string `json:"size"`
	Class string `json:"class,omitempty"`
}

type networkValues struct {
	Monitoring string         `json:"monitoring"`
	Egress     []destinations `json:"egress"`
}

// destinations are where idp goes: to pods of a namespace, to addresses, or anywhere.
type destinations struct {
	To        string            `json:"to"`
	Port      int               `json:"port,omitempty"`
	Namespace string            `json:"namespace,omitempty"`
	Pods      map[string]string `json:"pods,omitempty"`
	CIDR      string            `json:"cidr,omitempty"`
}

type enabledValue struct {
	Enabled bool `json:"enabled"`
}

type createdValue struct {
	Create bool `json:"create"`
}

var (
	imageTag    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	imageDigest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	imageName   = regexp.MustCompile(`^[a-z0-9]+([._:/-]+[a-z0-9]+)*$`)
)

// check holds the flags against their forms.
func (f installFlags) check() error {
	for _, named := range [][2]string{{"namespace", f.namespace}, {"secret", f.secret}, {"certificate-secret", f.certificate}, {"monitoring-namespace", f.monitoring}} {
		if !dnsLabel.MatchString(named[1]) {
			return fault.Newf(fault.Usage, "--%s %q is not a name of Kubernetes: lower-case letters, digits and -, at most 63", named[0], named[1])
		}
	}
	for _, named := range [][2]string{{"pull-secret", f.pullSecret}, {"storage-class", f.storageClass}} {
		if named[1] != "" && !dnsName.MatchString(named[1]) {
			return fault.Newf(fault.Usage, "--%s %q is not a name of Kubernetes", named[0], named[1])
		}
	}
	if size, err := resource.ParseQuantity(f.storage); err != nil || size.Sign() <= 0 {
		return fault.Newf(fault.Usage, "--storage %q is not a size", f.storage).WithHint("write it like 10Gi")
	}
	if f.replicas < 1 {
		return fault.Newf(fault.Usage, "--replicas %d: at least one has to run", f.replicas)
	}
	return nil
}

// newInstallation puts the values together. What cannot work in a pod is refused.
func newInstallation(f installFlags, l *loading) (*installation, error) {
	image, err := installImage(f.image, buildVersion())
	if err != nil {
		return nil, err
	}
	if err := reachable(l.config); err != nil {
		return nil, err
	}
	v := &installation{
		Image: image, Config: map[string]any{}, Secret: secretValues{Name: f.secret}, Database: sqliteDatabase,
		Grace:          int((l.config.DrainTimeout + 15*time.Second) / time.Second),
		NetworkPolicy:  networkValues{Monitoring: f.monitoring, Egress: egressOf(l.config, f.namespace)},
		ServiceMonitor: enabledValue{f.serviceMonitor},
	}
	if isPostgres(l.config.DatabaseURL.Reveal()) {
		v.Database, v.Replicas = postgresDatabase, f.replicas
	} else {
		v.Storage = &storageValues{Size: f.storage, Class: f.storageClass}
	}
	if l.config.TLSCertFile != "" {
		v.TLS = f.certificate
	}
	if f.pullSecret != "" {
		v.ImagePullSecrets = []namedValue{{f.pullSecret}}
	}
	return v, v.configure(l)
}

// configure takes over each key that is set, to where it belongs.
func (v *installation) configure(l *loading) error {
	var own []string
	for _, field := range configFields() {
		set, ok := l.settings[field.Key]
		switch {
		case !ok || set.origin == "default":
		case field.Secret(): // entries of the Secret, by their own names
		case slices.Contains(chartKeys, field.Key):
			own = append(own, field.Key)
		case slices.Contains(secretFileKeys(), field.Key):
			v.Secret.Files = append(v.Secret.Files, field.Key)
		case slices.Contains(tokenFilesKeys(), field.Key):
			for i, pair := range splitList(set.text) {
				address, file, _ := cutTokenFile(pair)
				v.Secret.Tokens = append(v.Secret.Tokens, tokenValue{field.Key, address, fmt.Sprintf("%s-%d", field.Key, i+1), file})
			}
		case field.Key == "audit_log" && set.text != "-":
			return fault.Newf(fault.Invalid, "audit_log (%s): %s is a file, and a pod keeps none", set.origin, set.text).
				WithHint("set it to -, and collect what idp writes to standard output")
		default:
			v.Config[field.Key] = field.value(set.text)
		}
	}
	if len(own) > 0 {
		v.notes = append(v.notes, strings.Join(own, ", ")+": not taken over, for the manifests say where idp listens and keeps its files")
	}
	return nil
}

// chartKeys are the keys that the chart sets itself, from where idp runs.
var chartKeys = []string{"listen", "metrics_listen", "state_dir", "tls_cert_file", "tls_key_file"}

// secretFileKeys are the keys that name one file with something secret in it, but for the
// certificate's, which have a Secret of their own.
func secretFileKeys() []string {
	var out []string
	for _, field := range configFields() {
		if strings.HasSuffix(field.Key, "_file") && !slices.Contains(chartKeys, field.Key) {
			out = append(out, field.Key)
		}
	}
	return out
}

// tokenFilesKeys are the keys that name files with tokens or keys, as URL=FILE.
func tokenFilesKeys() []string {
	var out []string
	for _, field := range configFields() {
		if strings.HasSuffix(field.Key, "_token_files") || field.Key == "gitops_apps" {
			out = append(out, field.Key)
		}
	}
	return out
}

// value is a text as the file of the configuration would have it.
func (f configField) value(text string) any {
	if f.List() {
		return splitList(text)
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && f.number() {
		return n
	}
	return text
}

// installImage reads --image; without it the image is that of the release that this is.
func installImage(given, version string) (imageValue, error) {
	if given == "" {
		if !released.MatchString(version) {
			return imageValue{}, fault.Newf(fault.Usage, "this idp (%s) is no release, so that there is no image of it", version).
				WithHint("name one with --image, such as %s@sha256:…", imageRepository)
		}
		return imageValue{Repository: imageRepository, Tag: strings.TrimPrefix(version, "v")}, nil
	}
	name, digest, pinned := strings.Cut(given, "@")
	out := imageValue{Repository: name, Digest: digest}
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		out.Repository, out.Tag = name[:i], name[i+1:]
		if !imageTag.MatchString(out.Tag) {
			return out, fault.Newf(fault.Usage, "--image %q: %q is not a tag", given, out.Tag)
		}
	}
	switch {
	case !imageName.MatchString(out.Repository):
		return out, fault.Newf(fault.Usage, "--image %q is not an image", given).WithHint("write it like %s:1.2.3 or %s@sha256:…", imageRepository, imageRepository)
	case pinned && !imageDigest.MatchString(digest):
		return out, fault.Newf(fault.Usage, "--image %q: %q is not a digest", given, digest).WithHint("write sha256: and 64 hexadecimal digits")
	case !pinned && out.Tag == "":
		return out, fault.Newf(fault.Usage, "--image %q has no tag and no digest: which one runs would change by itself", given).WithHint("write it like %s:1.2.3 or %s@sha256:…", imageRepository, imageRepository)
	}
	return out, nil
}

// released are the versions of releases, and none of those that Go makes of commits.
var released = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+(-[a-z]+(\.[0-9]+)?)?$`)

// peerURL is a URL of something that idp calls.
type peerURL struct{ key, to, text string }

func peerURLs(c *Config) []peerURL {
	out := []peerURL{
		{"github_api_url", "GitHub", c.GitHubAPIURL},
		{"gitops_url", "The GitOps repository", c.GitOpsURL},
		{"platform_url", "The platform folder's repository", c.PlatformURL},
		{"argocd_url", "Argo CD", c.ArgoCDURL},
	}
	for _, pair := range c.GitOpsTokenFiles {
		address, _, _ := cutTokenFile(pair)
		out = append(out, peerURL{"gitops_token_files", "The GitOps repository of a class", address})
	}
	for _, item := range c.GitOpsApps {
		of, _ := cutWriterApp(item)
		out = append(out, peerURL{"gitops_apps", "The GitOps repository of a class", of.address})
	}
	for _, pair := range c.ArgoCDTokenFiles {
		address, _, _ := cutTokenFile(pair)
		out = append(out, peerURL{"argocd_token_files", "The Argo CD of a class", address})
	}
	return slices.DeleteFunc(out, func(p peerURL) bool { return p.text == "" })
}

// reachable refuses what is not there in a pod: this machine, and keys of ssh.
func reachable(c *Config) error {
	refuse := func(key, why, fix string) error {
		return fault.Newf(fault.Invalid, "%s: %s", key, why).WithHint("%s", fix)
	}
	for _, peer := range peerURLs(c) {
		u, why := parseGitURL(peer.text)
		switch {
		case why != "":
			return refuse(peer.key, why, "write it like https://HOST/")
		case u.Scheme == "file" || isLoopback(u.Hostname()):
			return refuse(peer.key, "it is on this machine, which a pod does not reach", "name it as the cluster reaches it")
		case u.Scheme == "ssh":
			return refuse(peer.key, "ssh needs a key and the host's, which the manifests have no place for", "use https, with a token in gitops_token_file")
		}
	}
	if host, _, ok := hostPort(c.DatabaseURL.Reveal()); isPostgres(c.DatabaseURL.Reveal()) && (!ok || isLoopback(host)) {
		return refuse("database_url", "it is on this machine, which a pod does not reach", "name PostgreSQL's host as the cluster reaches it")
	}
	if host, _, err := net.SplitHostPort(c.GatewayAddress); err == nil && isLoopback(host) {
		return refuse("gateway_address", "it is on this machine, which a pod does not reach", "name it as the cluster reaches it")
	}
	return nil
}

// hostPort is where a URL leads; false where it has no host of its own.
func hostPort(text string) (host string, port int, ok bool) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return "", 0, false
	}
	number, err := strconv.Atoi(u.Port())
	if err != nil {
		number = map[string]int{"http": 80, "postgres": 5432, "postgresql": 5432}[u.Scheme]
	}
	if number == 0 {
		number = 443
	}
	return u.Hostname(), number, true
}

// egressOf is where idp goes with this configuration. Registries are asked by https wherever
// images are, and tokens of GitHub Actions where GitHub's keys are.
func egressOf(c *Config, namespace string) []destinations {
	out := []destinations{{To: "GitHub, image registries and other hosts that speak https", Port: httpsPort}}
	add := func(to string, d destinations) {
		d.To = to
		same := func(o destinations) bool { return o.Port == d.Port && o.Namespace == d.Namespace && o.CIDR == d.CIDR }
		if (d.Port != httpsPort || d.Namespace != "") && !slices.ContainsFunc(out, same) {
			out = append(out, d)
		}
	}
	for _, peer := range peerURLs(c) {
		host, port, ok := hostPort(peer.text)
		if !ok {
			continue
		}
		d := destinationsOf(host, port, namespace)
		if d.Namespace != "" && strings.HasPrefix(peer.key, "argocd_") {
			d.Pods, d.Port = map[string]string{"app.kubernetes.io/name": "argocd-server"}, argoCDPort
		}
		add(peer.to, d)
	}
	if text := c.DatabaseURL.Reveal(); isPostgres(text) {
		if host, port, ok := hostPort(text); ok {
			add("PostgreSQL", destinationsOf(host, port, namespace))
		}
	}
	if host, port, err := net.SplitHostPort(c.GatewayAddress); err == nil {
		number, _ := strconv.Atoi(port) // the configuration's own rule has read it
		d := destinationsOf(host, number, namespace)
		if d.Namespace != "" {
			d.Port = 0 // its pods may listen at another one than its Service
		}
		add("The gateway, to see whether previews serve", d)
	}
	return out
}

const (
	httpsPort = 443
	// argoCDPort is where the pods of argocd-server listen, whatever the port of its Service.
	argoCDPort = 8080
)

// destinationsOf is what a host and port are to a network policy: the pods behind a Service
// of the cluster, an address, or anything at that port.
func destinationsOf(host string, port int, namespace string) destinations {
	if address, err := netip.ParseAddr(host); err == nil {
		return destinations{Port: port, CIDR: netip.PrefixFrom(address, address.BitLen()).String()}
	}
	words := strings.Split(strings.TrimSuffix(host, ".cluster.local"), ".")
	switch {
	case len(words) == 1:
		return destinations{Port: port, Namespace: namespace}
	case len(words) == 3 && words[2] == "svc":
		return destinations{Port: port, Namespace: words[1]}
	}
	return destinations{Port: port}
}
