package main

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/gitops/platform"
)

// minWebhookSecret is the length, in bytes, below which a webhook secret is
// refused: that of the SHA-256 it keys (RFC 2104, section 3).
const minWebhookSecret = 32

// derive fills the values that follow from others.
func (l *loading) derive() {
	c := l.config
	if c.GitOpsReadURL == "" {
		c.GitOpsReadURL = c.GitOpsURL
	}
	if c.StateDir == "" && isPostgres(c.DatabaseURL.Reveal()) {
		c.StateDir = "idp-state"
	}
	if c.StateDir == "" {
		c.StateDir = filepath.Join(filepath.Dir(strings.TrimPrefix(c.DatabaseURL.Reveal(), sqliteScheme)), "idp-state")
	}
}

// check puts the parsed values to the rules that concern more than a text.
func (l *loading) check(need completeness) {
	l.checkDatabaseURL()
	l.checkWebhookSecrets()
	l.checkGitOpsURLs()
	l.checkArgoCD(need)
	l.checkTimes()
	l.checkQuota()
	if need == forServing {
		l.checkRequired()
		l.checkListeners()
		l.checkStateDir()
		l.checkAuditLog()
		l.checkAppToken()
		l.checkPrivateKey()
		l.checkWriters()
		l.checkTLS()
		l.checkSignIn()
		l.checkTokenFiles()
		l.checkDockerConfig()
		l.checkExposure()
	}
	l.checkClass()
}

// checkClass asks the class itself for what no key alone is to blame for.
func (l *loading) checkClass() {
	class := l.config.Class()
	if len(l.problems) > 0 || class.RepoURL == "" {
		return
	}
	for line := range strings.Lines(errorText(class.Validate())) {
		l.problems = append(l.problems, problem{Origin: "what previews get", mistake: mistake{strings.TrimSpace(line), "correct the key"}})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// refuse reports a mistake of the key unless it has one already.
func (l *loading) refuse(key, why, fix string) { l.report(key, mistake{why, fix}) }

func (l *loading) checkRequired() {
	for _, f := range configFields() {
		if _, set := l.settings[f.Key]; f.Required != "" && !set {
			l.refuse(f.Key, "it is required", "set "+f.Env()+" to "+f.Required)
		}
	}
	if l.sound("github_app_id") && l.config.GitHubAppID <= 0 {
		l.refuse("github_app_id", "it is not an App id", "use the number on the App's settings page")
	}
}

func (l *loading) checkWebhookSecrets() {
	if !l.sound("github_webhook_secret") {
		return
	}
	secrets := l.config.GitHubWebhookSecret
	if len(secrets) == 0 {
		l.refuse("github_webhook_secret", "it holds no secret", `make one with "openssl rand -hex 32"`)
	}
	for i, s := range secrets {
		if n := len(s.Reveal()); n < minWebhookSecret {
			l.refuse("github_webhook_secret", fmt.Sprintf("secret %d of %d has %d bytes", i+1, len(secrets), n),
				fmt.Sprintf("use at least %d, from \"openssl rand -hex 32\"", minWebhookSecret))
		}
	}
}

func (l *loading) checkGitOpsURLs() {
	for _, key := range []string{"gitops_url", "gitops_read_url", "platform_url"} {
		if !l.sound(key) || l.settings[key].text == "" {
			continue
		}
		u, why := parseGitURL(l.settings[key].text)
		switch {
		case why != "":
			l.refuse(key, why, "write it like https://github.com/acme/gitops.git, ssh://git@host/gitops.git or file:///srv/gitops.git")
		case u.User != nil && (u.Scheme != "ssh" || hasPassword(u)):
			l.refuse(key, "the URL holds credentials", "leave them out and name a file with the token in gitops_token_file")
		case u.Scheme == "http" && !isLoopback(u.Hostname()):
			l.warnings = append(l.warnings, fmt.Sprintf("%s (%s): the token goes to %s unencrypted: use https", key, l.settings[key].origin, u.Host))
		}
	}
}

// checkAppToken makes sure that the App's own token, which is used where no file
// with one is named, may go to the GitOps repository's host.
func (l *loading) checkAppToken() {
	if l.given("gitops_token_file") || !l.sound("gitops_url") || !l.sound("github_api_url") || !strings.HasPrefix(l.config.GitOpsURL, "http") {
		return
	}
	api, err := url.Parse(l.config.GitHubAPIURL)
	if err == nil {
		_, _, err = github.OwnRepository(api, l.config.GitOpsURL)
	}
	if err != nil {
		l.refuse("gitops_url", err.Error(), "name a repository on that GitHub, or a file with a token in gitops_token_file")
	}
}

// parseGitURL takes what git does of http, https, ssh and file; why says what is
// wrong without quoting a text that may hold a password.
func parseGitURL(text string) (u *url.URL, why string) {
	if user, rest, ok := strings.Cut(text, "@"); ok && !strings.Contains(text, "://") && strings.Contains(rest, ":") {
		host, path, _ := strings.Cut(rest, ":") // git@host:path
		return &url.URL{Scheme: "ssh", User: url.User(user), Host: host, Path: path}, ""
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, "this is not a URL"
	}
	switch u.Scheme {
	case "http", "https", "ssh":
		if u.Host == "" {
			return nil, "the URL has no host"
		}
	case "file":
		if !filepath.IsAbs(u.Path) {
			return nil, "the file URL has no absolute path"
		}
	default:
		return nil, "this is not an http, https, ssh or file URL"
	}
	return u, ""
}

// checkArgoCD asks for the token only where it is used: "idp bootstrap" prints the
// account that it is made for.
func (l *loading) checkArgoCD(need completeness) {
	switch url, token := l.given("argocd_url"), l.given("argocd_token"); {
	case url && !token && need == forServing:
		l.refuse("argocd_token", "argocd_url is set and this is not", `apply what "idp bootstrap" prints and make one with "argocd account generate-token --account idp", or remove argocd_url`)
	case token && !url:
		l.refuse("argocd_url", "argocd_token is set and this is not", "name the root of Argo CD's API, or remove argocd_token")
	}
	if l.config.Routing == platform.Ingress && l.config.RoutingNamespace == "" && l.sound("routing") {
		l.refuse("routing_namespace", "routing is Ingress and this is not set", "name the ingress controller's namespace")
	}
}

func (l *loading) checkTimes() {
	c := l.config
	for _, t := range []struct {
		key string
		d   time.Duration
	}{
		{"preview_ttl", c.PreviewTTL},
		{"preview_max_ttl", c.PreviewMaxTTL},
		{"image_timeout", c.ImageTimeout},
		{"rollout_timeout", c.RolloutTimeout},
		{"drain_timeout", c.DrainTimeout},
	} {
		if l.sound(t.key) && t.d <= 0 {
			l.refuse(t.key, "it must be longer than nothing", "write it like 30m")
		}
	}
	if l.sound("preview_ttl") && l.sound("preview_max_ttl") && c.PreviewTTL > c.PreviewMaxTTL {
		l.refuse("preview_ttl", "it is longer than preview_max_ttl", fmt.Sprintf("use at most %s, or raise preview_max_ttl", l.settings["preview_max_ttl"].text))
	}
	if l.sound("preview_ttl") && l.sound("preview_warn_before") && c.PreviewWarnBefore >= c.PreviewTTL {
		l.refuse("preview_warn_before", "it is not shorter than preview_ttl", fmt.Sprintf("use less than %s", l.settings["preview_ttl"].text))
	}
}

// checkQuota holds the defaults of one container against each other and against
// the sums, which would otherwise refuse every pod.
func (l *loading) checkQuota() {
	for _, pair := range [][2]string{
		{"quota_default_cpu_request", "quota_default_cpu"},
		{"quota_default_cpu", "quota_cpu"},
		{"quota_default_memory_request", "quota_default_memory"},
		{"quota_default_memory", "quota_memory"},
		{"quota_default_ephemeral_storage", "quota_ephemeral_storage"},
	} {
		if !l.sound(pair[0]) || !l.sound(pair[1]) {
			continue
		}
		small, large := l.settings[pair[0]].text, l.settings[pair[1]].text
		if a, b := resource.MustParse(small), resource.MustParse(large); a.Cmp(b) > 0 {
			l.refuse(pair[0], fmt.Sprintf("%s is more than %s of %s", small, large, pair[1]), "lower it, or raise "+pair[1])
		}
	}
}

func (l *loading) checkListeners() {
	c := l.config
	if _, port, _ := net.SplitHostPort(c.Listen); c.Listen == c.MetricsListen && port != "0" {
		l.refuse("metrics_listen", "it is the same as listen", "give metrics a port of their own")
	}
}

func (l *loading) checkPrivateKey() {
	const key = "github_private_key_file"
	l.checkKeyFile(key, "it", l.config.GitHubPrivateKeyFile)
}

func (l *loading) checkKeyFile(key, called, file string) {
	if content, ok := l.readFile(key, file); ok && !holdsRSAKey(content) {
		l.refuse(key, called+" holds no RSA private key in PEM", "use the .pem file that GitHub gave when the key was generated")
	}
}

// holdsRSAKey accepts PKCS#1, which GitHub hands out, and PKCS#8.
func holdsRSAKey(content []byte) bool {
	block, _ := pem.Decode(content)
	if block == nil {
		return false
	}
	if _, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return true
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	_, ok := key.(*rsa.PrivateKey)
	return err == nil && ok
}

func (l *loading) checkTokenFiles() {
	check := func(key, called, file string) {
		if content, ok := l.readFile(key, file); ok && strings.TrimSpace(string(content)) == "" {
			l.refuse(key, called+" is empty", "write the token into it")
		}
	}
	check("gitops_token_file", "it", l.config.GitOpsTokenFile)
	check("platform_token_file", "it", l.config.PlatformTokenFile)
	l.checkArgoCDTokens(check)
	const key = "gitops_token_files"
	for _, pair := range l.config.GitOpsTokenFiles {
		address, file, ok := cutTokenFile(pair)
		switch u, why := parseGitURL(address); {
		case !ok || why != "":
			l.refuse(key, "an item is not of the form URL=FILE", "write it like https://github.com/acme/gitops-production.git=/etc/idp/production-token")
		case hasPassword(u):
			l.refuse(key, "the URL holds credentials", "leave them out: the token is in the file")
		default:
			check(key, file, file)
		}
	}
}

// checkArgoCDTokens puts the Argo CDs that classes may name to the rules of the server's own.
func (l *loading) checkArgoCDTokens(check func(key, called, file string)) {
	const key = "argocd_token_files"
	own := strings.TrimRight(l.config.ArgoCDURL, "/")
	for _, pair := range l.config.ArgoCDTokenFiles {
		address, file, ok := cutTokenFile(pair)
		u, err := url.Parse(address)
		switch {
		case !ok || err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
			l.refuse(key, "an item is not of the form URL=FILE", "write it like https://argocd.production.example.com=/etc/idp/argocd-production-token")
		case u.User != nil:
			l.refuse(key, "the URL holds credentials", "leave them out: the token is in the file")
		case own == "":
			l.refuse("argocd_url", key+" is set and this is not", "name the Argo CD of previews, or remove "+key)
		case strings.TrimRight(address, "/") == own:
			l.refuse(key, address+" is argocd_url, whose token argocd_token is", "remove that item")
		default:
			check(key, file, file)
		}
	}
}

// checkSignIn wants both of what people sign in with, or none.
func (l *loading) checkSignIn() {
	const id, file = "github_client_id", "github_client_secret_file"
	switch c := l.config; {
	case c.GitHubClientID == "" && c.GitHubClientSecretFile != "":
		l.refuse(id, "it is missing, and "+file+" is set", "use the Client ID on the App's settings page")
	case c.GitHubClientID != "" && c.GitHubClientSecretFile == "":
		l.refuse(file, "it is missing, and "+id+" is set", "write a client secret, which the App's settings page generates, into a file and name it")
	default:
		if content, ok := l.readFile(file, c.GitHubClientSecretFile); ok && strings.TrimSpace(string(content)) == "" {
			l.refuse(file, "it is empty", "write the client secret into it")
		}
	}
}

// checkTLS wants both files or none, and a pair of them.
func (l *loading) checkTLS() {
	const cert, key = "tls_cert_file", "tls_key_file"
	c := l.config
	switch {
	case c.TLSCertFile == "" && c.TLSKeyFile == "":
		return
	case c.TLSCertFile == "":
		l.refuse(cert, "it is missing, and "+key+" is set", "name the certificate of that key")
		return
	case c.TLSKeyFile == "":
		l.refuse(key, "it is missing, and "+cert+" is set", "name the private key of that certificate")
		return
	}
	if _, ok := l.readFile(key, c.TLSKeyFile); !ok {
		return
	}
	if pair, err := tls.LoadX509KeyPair(c.TLSCertFile, c.TLSKeyFile); err != nil {
		l.refuse(cert, "it cannot be used with "+key+": "+reason(err), "name a certificate, with those between it and its authority, and its key, both in PEM")
	} else if time.Now().After(pair.Leaf.NotAfter) {
		l.warnings = append(l.warnings, fmt.Sprintf("%s (%s): the certificate expired on %s", cert, c.TLSCertFile, pair.Leaf.NotAfter.Format(time.DateOnly)))
	}
}

func (l *loading) checkDockerConfig() {
	if content, ok := l.readFile("images_docker_config_file", l.config.ImagesDockerConfigFile); ok {
		var parsed struct {
			Auths map[string]json.RawMessage `json:"auths"`
		}
		if err := json.Unmarshal(content, &parsed); err != nil {
			l.refuse("images_docker_config_file", "it is not a Docker config.json", `make one with "docker login REGISTRY"`)
		}
	}
}

// readFile reads a file that a key names, and warns when others than its owner
// may read it too: all of them hold credentials.
func (l *loading) readFile(key, path string) ([]byte, bool) {
	if path == "" || !l.sound(key) {
		return nil, false
	}
	content, err := os.ReadFile(path)
	if err != nil {
		l.refuse(key, fmt.Sprintf("cannot read %s: %s", path, reason(err)), "check the path and the file's permissions")
		return nil, false
	}
	if info, err := os.Stat(path); err == nil && readableByOthers(info.Mode()) && !mountedFor(info, os.Getuid(), os.Getgid()) {
		l.warnings = append(l.warnings, fmt.Sprintf("%s (%s): %s has mode %04o: chmod 600 it", key, l.settings[key].origin, path, info.Mode().Perm()))
	}
	return content, true
}

func readableByOthers(mode fs.FileMode) bool { return mode.Perm()&0o077 != 0 }

// mountedFor says that a file belongs to somebody else, who lets a user's group read it and
// nobody more: so Kubernetes mounts a Secret for a pod that does not run as root.
func mountedFor(info fs.FileInfo, uid, gid int) bool {
	of, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(of.Uid) != uid && int(of.Gid) == gid && info.Mode().Perm()&0o037 == 0
}

// checkExposure warns of what is allowed and rarely meant.
func (l *loading) checkExposure() {
	if !l.given("preview_domain") {
		l.warnings = append(l.warnings, fmt.Sprintf("preview_domain (not set): hosts end in %s, which only the machine of a browser itself resolves", l.config.PreviewDomain))
	}
	if u, err := url.Parse(l.config.GitHubAPIURL); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		l.warnings = append(l.warnings, fmt.Sprintf("github_api_url (%s): tokens go to %s unencrypted: use https", l.settings["github_api_url"].origin, u.Host))
	}
}

func hasPassword(u *url.URL) bool {
	_, ok := u.User.Password()
	return ok
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}
