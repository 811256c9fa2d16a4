package clustertest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
)

func (c *Cluster) startRedis(ctx context.Context) error {
	return c.start(ctx, part{
		name: Redis, program: "redis-server", args: []string{
			"--bind", "127.0.0.1", "--port", fmt.Sprint(c.ports[portRedis]), "--save", "", "--appendonly", "no", "--dir", c.dir,
		},
		ready: listens(c.ports[portRedis]), down: "Redis does not listen",
	})
}

const prometheusConfig = `global: {scrape_interval: 1s, evaluation_interval: 1s}
scrape_configs:
- job_name: tests
  file_sd_configs: [{files: [targets.json], refresh_interval: 1s}]
`

func (c *Cluster) startPrometheus(ctx context.Context) error {
	if err := os.WriteFile(c.path("prometheus.yml"), []byte(prometheusConfig), 0o600); err != nil {
		return fmt.Errorf("configure Prometheus: %w", err)
	}
	if err := c.Scrape(); err != nil {
		return err
	}
	c.Prometheus = "http://" + address(c.ports[portPrometheus])
	return c.start(ctx, part{
		name: Prometheus, program: "prometheus", args: []string{
			"--config.file", c.path("prometheus.yml"), "--storage.tsdb.path", c.path("prometheus"),
			"--web.listen-address", address(c.ports[portPrometheus]),
		},
		ready: answers(http.DefaultClient, c.Prometheus+"/-/ready"), down: "Prometheus is not ready",
	})
}

// Scrape makes Prometheus scrape the given "HOST:PORT" addresses, every second, and
// no others.
func (c *Cluster) Scrape(targets ...string) error {
	if targets == nil {
		targets = []string{}
	}
	content, err := json.Marshal([]map[string]any{{"targets": targets}})
	if err != nil {
		return fmt.Errorf("list what Prometheus scrapes: %w", err)
	}
	// Prometheus reads a file that is half written as one that is broken.
	made := c.path("targets.json.new")
	if err := os.WriteFile(made, content, 0o600); err != nil {
		return fmt.Errorf("list what Prometheus scrapes: %w", err)
	}
	return os.Rename(made, c.path("targets.json"))
}

func (c *Cluster) startRollouts(ctx context.Context) error {
	err := c.Apply(ctx, []byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: argo-rollouts}\n"))
	if err != nil {
		return err
	}
	return c.start(ctx, part{
		name: Rollouts, program: c.binaries["rollouts-controller"], env: []string{"KUBECONFIG=" + c.Kubeconfig}, args: []string{
			"--kubeconfig", c.Kubeconfig, "--leader-elect=false",
			"--metricsport", fmt.Sprint(c.ports[portRolloutsMetrics]), "--healthzPort", fmt.Sprint(c.ports[portRolloutsHealth]),
		},
		ready: answers(http.DefaultClient, "http://"+address(c.ports[portRolloutsHealth])+"/healthz"), down: "Argo Rollouts is not healthy",
	})
}
