package clustertest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// ArgoCDNamespace is where Argo CD's objects live.
const ArgoCDNamespace = "argocd"

// Account is the account of Argo CD that idp uses; its rights are those of
// ReadToken.
const Account = "idp"

// settings are what is set on Argo CD beyond its own defaults: idp's account.
const settings = `apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-cm, namespace: argocd}
data: {accounts.idp: apiKey}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-rbac-cm, namespace: argocd}
data:
  policy.csv: |
    p, role:idp, applications, get, */*, allow
    g, idp, role:idp
`

// startArgoCD starts its four parts. The server comes first, since it makes the key
// that the ApplicationSet controller's webhooks need.
func (c *Cluster) startArgoCD(ctx context.Context) error {
	if err := c.configureArgoCD(ctx); err != nil {
		return err
	}
	for _, dir := range []string{"gnupg", "tls", "ssh", "plugins", "static"} {
		if err := os.MkdirAll(c.path("argocd", dir), 0o700); err != nil {
			return fmt.Errorf("make Argo CD's folders: %w", err)
		}
	}
	c.ArgoCD = "http://" + address(c.ports[portArgoServer])
	repoServer := address(c.ports[portRepoServer])
	common := []string{
		"--kubeconfig", c.Kubeconfig, "--namespace", ArgoCDNamespace, "--loglevel", "info",
		"--argocd-repo-server", repoServer, "--repo-server-plaintext",
	}
	beside := []string{
		"--kubeconfig", c.Kubeconfig, "--namespace", ArgoCDNamespace,
		"--repo-server", repoServer, "--repo-server-plaintext", "--redis", address(c.ports[portRedis]),
	}
	if err := c.runArgoCD("argocd-server", append(beside, "--insecure", "--address", "127.0.0.1", "--port", fmt.Sprint(c.ports[portArgoServer]),
		"--metrics-address", "127.0.0.1", "--metrics-port", fmt.Sprint(c.ports[portArgoServerMetrics]), "--staticassets", c.path("argocd", "static"))); err != nil {
		return err
	}
	if err := c.await(ctx, "Argo CD's server is not healthy", answers(http.DefaultClient, c.ArgoCD+"/healthz")); err != nil {
		return err
	}
	if err := c.startRepoServer(ctx); err != nil {
		return err
	}
	if err := c.runArgoCD("argocd-application-controller", append(beside, "--metrics-port", fmt.Sprint(c.ports[portControllerMetrics]))); err != nil {
		return err
	}
	if err := c.runArgoCD("argocd-applicationset-controller", append(common,
		"--metrics-addr", address(c.ports[portApplicationSetMetrics]), "--probe-addr", address(c.ports[portApplicationSetProbe]),
		"--webhook-addr", address(c.ports[portApplicationSetHook]))); err != nil {
		return err
	}
	for what, url := range map[string]string{
		"Argo CD's application controller":    "http://" + address(c.ports[portControllerMetrics]) + "/healthz",
		"Argo CD's ApplicationSet controller": "http://" + address(c.ports[portApplicationSetMetrics]) + "/metrics", // it has no check of its health
	} {
		if err := c.await(ctx, what+" is not healthy", answers(http.DefaultClient, url)); err != nil {
			return err
		}
	}
	return c.makeToken(ctx)
}

func (c *Cluster) startRepoServer(ctx context.Context) error {
	args := []string{
		"--address", "127.0.0.1", "--port", fmt.Sprint(c.ports[portRepoServer]), "--metrics-address", "127.0.0.1",
		"--metrics-port", fmt.Sprint(c.ports[portRepoServerMetrics]), "--redis", address(c.ports[portRedis]), "--disable-tls",
	}
	if c.options.ArgoCD != ArgoCD214 {
		args = append(args, "--client-ca-path=")
	}
	if err := c.runArgoCD("argocd-repo-server", args); err != nil {
		return err
	}
	return c.await(ctx, "Argo CD's repo server does not listen", listens(c.ports[portRepoServer]))
}

// runArgoCD starts one of its parts, which its one binary plays by name.
func (c *Cluster) runArgoCD(part string, args []string) error {
	return c.run(part, c.binaries["argocd"], []string{
		"ARGOCD_BINARY_NAME=" + part, "KUBECONFIG=" + c.Kubeconfig,
		// "In the cluster" is what the kubeconfig says.
		"ARGOCD_FAKE_IN_CLUSTER=true", "ARGOCD_GPG_ENABLED=false", "ARGOCD_GNUPGHOME=" + c.path("argocd", "gnupg"),
		"ARGOCD_TLS_DATA_PATH=" + c.path("argocd", "tls"), "ARGOCD_SSH_DATA_PATH=" + c.path("argocd", "ssh"),
		"ARGOCD_PLUGINSOCKFILEPATH=" + c.path("argocd", "plugins"),
		"PATH=" + filepath.Dir(c.binaries["argocd-hack/gpg-wrapper.sh"]) + ":" + os.Getenv("PATH"),
	}, args...)
}

// configureArgoCD applies the namespace and the settings that Argo CD comes with,
// and idp's account.
func (c *Cluster) configureArgoCD(ctx context.Context) error {
	if err := c.Apply(ctx, []byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: "+ArgoCDNamespace+"}\n")); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(c.binaries["argocd-config"], "argocd-*.yaml"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("find Argo CD's settings: %d files: %w", len(files), err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read Argo CD's settings: %w", err)
		}
		objects, err := decode(content)
		if err != nil {
			return err
		}
		for _, object := range objects {
			object.SetNamespace(ArgoCDNamespace)
			if err := c.applyObject(ctx, object, "argocd"); err != nil {
				return err
			}
		}
	}
	return c.Apply(ctx, []byte(settings))
}

// makeToken logs in as Argo CD's admin and makes the token of idp's account.
func (c *Cluster) makeToken(ctx context.Context) error {
	secrets, err := c.Resource(corev1.SchemeGroupVersion.WithKind("Secret"), ArgoCDNamespace)
	if err != nil {
		return err
	}
	secret, err := secrets.Get(ctx, "argocd-initial-admin-secret", metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read the admin's password: %w", err)
	}
	encoded, _, err := unstructured.NestedString(secret.Object, "data", "password")
	if err != nil {
		return fmt.Errorf("read the admin's password: %w", err)
	}
	password, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return fmt.Errorf("read the admin's password: %w", err)
	}
	c.AdminPassword = string(password)
	admin, err := c.Session(ctx)
	if err != nil {
		return err
	}
	var made struct{ Token string }
	if err := c.AskArgoCD(ctx, admin, http.MethodPost, "/api/v1/account/"+Account+"/token", map[string]string{}, &made); err != nil {
		return err
	}
	c.ReadToken = made.Token
	return nil
}

// Session logs in as Argo CD's admin and returns the token.
func (c *Cluster) Session(ctx context.Context) (token string, err error) {
	var made struct{ Token string }
	err = c.AskArgoCD(ctx, "", http.MethodPost, "/api/v1/session", map[string]string{"username": "admin", "password": c.AdminPassword}, &made)
	return made.Token, err
}

// AskArgoCD sends a request to Argo CD's API with a token, "" for none, and reads
// the answer into out, where that is not nil.
func (c *Cluster) AskArgoCD(ctx context.Context, token, method, path string, body, out any) error {
	var content bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&content).Encode(body); err != nil {
			return fmt.Errorf("ask Argo CD: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.ArgoCD+path, &content)
	if err != nil {
		return fmt.Errorf("ask Argo CD: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask Argo CD: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return &ArgoCDError{Status: resp.StatusCode, Text: fmt.Sprintf("%s %s: Argo CD answered %s: %.300s", method, path, resp.Status, answer)}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// ArgoCDError is an answer of Argo CD's that is no success.
type ArgoCDError struct {
	Status int
	Text   string
}

func (e *ArgoCDError) Error() string { return e.Text }
