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
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// ArgoCDNamespace is where Argo CD's objects live.
const ArgoCDNamespace = "argocd"

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
	c.ApplicationSetHook = "http://" + address(c.ports[portApplicationSetHook]) + "/api/webhook"
	repoServer := address(c.ports[portRepoServer])
	common := []string{
		"--kubeconfig", c.Kubeconfig, "--namespace", ArgoCDNamespace, "--loglevel", "info",
		"--argocd-repo-server", repoServer, "--repo-server-plaintext",
	}
	beside := []string{
		"--kubeconfig", c.Kubeconfig, "--namespace", ArgoCDNamespace,
		"--repo-server", repoServer, "--repo-server-plaintext", "--redis", address(c.ports[portRedis]),
	}
	server := c.argoCDPart(ArgoCDServer, append(slices.Clone(beside), "--insecure", "--address", "127.0.0.1", "--port", fmt.Sprint(c.ports[portArgoServer]),
		"--metrics-address", "127.0.0.1", "--metrics-port", fmt.Sprint(c.ports[portArgoServerMetrics]), "--staticassets", c.path("argocd", "static")))
	server.ready, server.down = answers(http.DefaultClient, c.ArgoCD+"/healthz"), "Argo CD's server is not healthy"
	controller := c.argoCDPart(ApplicationController, append(beside, "--metrics-port", fmt.Sprint(c.ports[portControllerMetrics])))
	controller.ready = answers(http.DefaultClient, "http://"+address(c.ports[portControllerMetrics])+"/healthz")
	controller.down = "Argo CD's application controller is not healthy"
	sets := c.argoCDPart(ApplicationSetController, append(common,
		"--metrics-addr", address(c.ports[portApplicationSetMetrics]), "--probe-addr", address(c.ports[portApplicationSetProbe]),
		"--webhook-addr", address(c.ports[portApplicationSetHook])))
	sets.ready = answers(http.DefaultClient, "http://"+address(c.ports[portApplicationSetMetrics])+"/metrics") // it has no check of its health
	sets.down = "Argo CD's ApplicationSet controller is not healthy"
	for _, p := range []part{server, c.repoServerPart(), controller, sets} {
		if err := c.start(ctx, p); err != nil {
			return err
		}
	}
	return c.readPassword(ctx)
}

func (c *Cluster) repoServerPart() part {
	args := []string{
		"--address", "127.0.0.1", "--port", fmt.Sprint(c.ports[portRepoServer]), "--metrics-address", "127.0.0.1",
		"--metrics-port", fmt.Sprint(c.ports[portRepoServerMetrics]), "--redis", address(c.ports[portRedis]), "--disable-tls",
	}
	if c.options.ArgoCD != ArgoCD214 {
		args = append(args, "--client-ca-path=")
	}
	p := c.argoCDPart(RepoServer, args)
	p.ready, p.down = listens(c.ports[portRepoServer]), "Argo CD's repo server does not listen"
	return p
}

// argoCDPart is one of its parts, which its one binary plays by name.
func (c *Cluster) argoCDPart(name string, args []string) part {
	return part{name: name, program: c.binaries["argocd"], args: args, env: []string{
		"ARGOCD_BINARY_NAME=" + name, "KUBECONFIG=" + c.Kubeconfig,
		// "In the cluster" is what the kubeconfig says.
		"ARGOCD_FAKE_IN_CLUSTER=true", "ARGOCD_GPG_ENABLED=false", "ARGOCD_GNUPGHOME=" + c.path("argocd", "gnupg"),
		"ARGOCD_TLS_DATA_PATH=" + c.path("argocd", "tls"), "ARGOCD_SSH_DATA_PATH=" + c.path("argocd", "ssh"),
		"ARGOCD_PLUGINSOCKFILEPATH=" + c.path("argocd", "plugins"),
		"PATH=" + filepath.Dir(c.binaries["argocd-hack/gpg-wrapper.sh"]) + ":" + os.Getenv("PATH"),
	}}
}

// configureArgoCD applies the namespace and the settings that Argo CD comes with.
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
		objects, err := Decode(content)
		if err != nil {
			return err
		}
		for _, object := range objects {
			object.SetNamespace(ArgoCDNamespace)
			if err := c.applyObject(ctx, object, metav1.PatchOptions{FieldManager: "argocd", Force: new(true)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// readPassword reads the password that Argo CD's server made for its admin.
func (c *Cluster) readPassword(ctx context.Context) error {
	secrets, err := c.Resource(corev1.SchemeGroupVersion.WithKind("Secret"), ArgoCDNamespace)
	if err != nil {
		return err
	}
	return c.await(ctx, "Argo CD has made no password for its admin", func(ctx context.Context) error {
		secret, err := secrets.Get(ctx, "argocd-initial-admin-secret", metav1.GetOptions{})
		if err != nil {
			return err
		}
		encoded, _, err := unstructured.NestedString(secret.Object, "data", "password")
		if err != nil {
			return err
		}
		password, err := base64.StdEncoding.DecodeString(encoded)
		c.AdminPassword = string(password)
		return err
	})
}

// AccountToken makes a token of an account of Argo CD, as its admin. The account may
// have been made just now: it is waited for.
func (c *Cluster) AccountToken(ctx context.Context, account string) (string, error) {
	admin, err := c.Session(ctx)
	if err != nil {
		return "", err
	}
	var made struct{ Token string }
	err = c.await(ctx, "Argo CD has no account "+account, func(ctx context.Context) error {
		return c.AskArgoCD(ctx, admin, http.MethodPost, "/api/v1/account/"+account+"/token", map[string]string{}, &made)
	})
	return made.Token, err
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
