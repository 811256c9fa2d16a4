package clustertest

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// insecure is a client for the API server's certificate, which it made itself.
func insecure() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
}

func (c *Cluster) startEtcd(ctx context.Context) error {
	client, peer := "http://"+address(c.ports[portEtcd]), "http://"+address(c.ports[portEtcdPeer])
	return c.start(ctx, part{
		name: Etcd, program: c.binaries["etcd"], args: []string{
			"--data-dir", c.path("etcd"), "--unsafe-no-fsync", "--log-level", "warn",
			"--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
			"--initial-advertise-peer-urls", peer, "--initial-cluster", "default=" + peer,
		},
		ready: answers(http.DefaultClient, client+"/health"), down: "etcd is not healthy",
	})
}

func (c *Cluster) startAPIServer(ctx context.Context) error {
	key, err := c.serviceAccountKey()
	if err != nil {
		return err
	}
	c.AdminToken = randomHex(16)
	tokens := c.path("tokens.csv")
	if err := os.WriteFile(tokens, []byte(c.AdminToken+",admin,admin,system:masters\n"), 0o600); err != nil {
		return fmt.Errorf("write the admin's token: %w", err)
	}
	c.APIServer = "https://" + address(c.ports[portAPIServer])
	err = c.start(ctx, part{
		name: APIServer, program: c.binaries["kube-apiserver"], args: []string{
			"--etcd-servers", "http://" + address(c.ports[portEtcd]), "--cert-dir", c.path("certs"),
			"--bind-address", "127.0.0.1", "--secure-port", fmt.Sprint(c.ports[portAPIServer]),
			"--service-account-key-file", key, "--service-account-signing-key-file", key,
			"--service-account-issuer", "https://kubernetes.default.svc", "--service-cluster-ip-range", "10.96.0.0/16",
			"--token-auth-file", tokens, "--authorization-mode", "RBAC", "--disable-admission-plugins", "ServiceAccount",
		},
		ready: answers(insecure(), c.APIServer+"/readyz"), down: "the API server is not ready",
	})
	if err != nil {
		return err
	}
	return c.writeKubeconfig()
}

// serviceAccountKey makes the key that service accounts' tokens are signed with.
func (c *Cluster) serviceAccountKey() (file string, err error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", fmt.Errorf("make a key for service accounts: %w", err)
	}
	file = c.path("service-accounts.pem")
	content := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return "", fmt.Errorf("write the key for service accounts: %w", err)
	}
	return file, nil
}

func (c *Cluster) writeKubeconfig() error {
	c.Kubeconfig = c.path("kubeconfig")
	err := os.WriteFile(c.Kubeconfig, fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: idp
contexts:
- name: idp
  context: {cluster: idp, user: admin}
clusters:
- name: idp
  cluster: {server: %q, insecure-skip-tls-verify: true}
users:
- name: admin
  user: {token: %q}
`, c.APIServer, c.AdminToken), 0o600)
	if err != nil {
		return fmt.Errorf("write the kubeconfig: %w", err)
	}
	return nil
}

// node is the one node there is; kwok plays it.
const node = `apiVersion: v1
kind: Node
metadata:
  name: fake
  annotations: {kwok.x-k8s.io/node: fake}
  labels: {kubernetes.io/hostname: fake, kubernetes.io/os: linux, kubernetes.io/arch: amd64}
status:
  allocatable: {cpu: "1000", memory: 4Ti, ephemeral-storage: 4Ti, pods: "5000"}
  capacity: {cpu: "1000", memory: 4Ti, ephemeral-storage: 4Ti, pods: "5000"}
`

func (c *Cluster) startControllers(ctx context.Context) error {
	config := []string{"--kubeconfig", c.Kubeconfig}
	leader := append(config, "--leader-elect=false", "--secure-port=0")
	if err := c.writeKwokConfig(); err != nil {
		return err
	}
	for _, p := range []part{
		{
			name: ControllerManager, program: c.binaries["kube-controller-manager"],
			args: append(slices.Clone(leader), "--service-account-private-key-file", c.path("service-accounts.pem"),
				// A busy machine has kwok late for the node's heartbeat, and pods that were made
				// unready for that stay so.
				"--node-monitor-grace-period=24h"),
		},
		{name: Scheduler, program: c.binaries["kube-scheduler"], args: leader},
		{
			name: Kwok, program: c.binaries["kwok"], args: append(config, "--config", c.path("kwok.yaml"), "--manage-all-nodes=true",
				// The API server fetches logs from where the node says that its kubelet is.
				"--server-address", address(c.ports[portKwok]), "--node-ip", "127.0.0.1", "--node-port", fmt.Sprint(c.ports[portKwok]),
				"--tls-cert-file", c.path("certs", "apiserver.crt"), "--tls-private-key-file", c.path("certs", "apiserver.key")),
			ready: listens(c.ports[portKwok]), down: "kwok does not listen",
		},
	} {
		if p.ready == nil {
			p.ready = func(context.Context) error { return nil } // they listen nowhere; that pods run shows that they do
		}
		if err := c.start(ctx, p); err != nil {
			return err
		}
	}
	if err := c.Apply(ctx, []byte(node)); err != nil {
		return err
	}
	return c.await(ctx, "the node is not ready", c.nodeReady)
}

// applyCRDs teaches the API server the kinds that idp renders.
func (c *Cluster) applyCRDs(ctx context.Context) error {
	gateway, err := goTool(ctx, c.binaries["root"], "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api")
	if err != nil {
		return fmt.Errorf("find the Gateway API: %w", err)
	}
	for _, dir := range []string{
		c.binaries["argocd-crds"], c.binaries["rollouts-crds"], filepath.Dir(c.binaries[secretsCRD]), filepath.Join(strings.TrimSpace(string(gateway)), "config", "crd", "standard"),
	} {
		if err := c.applyDir(ctx, dir, "CustomResourceDefinition"); err != nil {
			return err
		}
	}
	return c.await(ctx, "the custom resources are not known", c.knowsCRDs)
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}
