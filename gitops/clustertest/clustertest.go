// Package clustertest runs a real Kubernetes and a real Argo CD on loopback,
// without containers: etcd, the API server, the controller manager, the
// scheduler, kwok for nodes and pods, Argo CD's four parts, Argo Rollouts, Redis,
// Prometheus and a Git server.
//
// The binaries are built from the modules in testdata/cluster, once for each
// content of their go.mod and go.sum, into the user's cache folder (build.go).
// Start puts everything else into one temporary folder and on free ports; Close
// ends every process that it started, by its process id, and removes the folder.
// Should this process die, the kernel ends its children. A Cluster is safe for
// concurrent use; several may run beside each other.
//
// Pods become ready without running anything: kwok only says that they do, or that
// they do not, by the name of their image (pods.go). What an image does is therefore
// never tested here.
package clustertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/restmapper"

	"github.com/idp-bot/idp/gitops/repo/gittest"
)

// The versions of Argo CD that there are: the one whose types idp imports, and
// the one that people run.
const (
	ArgoCD214 = "2.14"
	ArgoCD35  = "3.5"
)

// Options say what to start.
type Options struct {
	// ArgoCD is the version of Argo CD; ArgoCD35 by default.
	ArgoCD string
	// Progress, when set, is told of every step when it begins and when it ended.
	Progress func(step string, took time.Duration, ended bool)
}

// Cluster is everything, running.
type Cluster struct {
	// APIServer is the Kubernetes API's URL, https with a certificate of its own;
	// AdminToken the bearer token that may do everything; Kubeconfig a file with both.
	APIServer, AdminToken, Kubeconfig string
	// ArgoCD is the root of Argo CD's API, AdminPassword its admin's.
	ArgoCD, AdminPassword string
	// ApplicationSetHook is where the ApplicationSet controller takes webhooks.
	ApplicationSetHook string
	// Prometheus is the root of Prometheus' API. It scrapes what Scrape lists.
	Prometheus string
	// Git serves the repositories that tests make.
	Git *gittest.Server

	options  Options
	dir      string
	binaries binaries
	ports    ports

	// running guards parts, all that there are, and processes, those that run.
	running   sync.Mutex
	parts     []part
	processes []*process

	mu     sync.Mutex
	mapper *restmapper.DeferredDiscoveryRESTMapper
}

// The parts that StopPart and StartPart know, by name.
const (
	Etcd                     = "etcd"
	APIServer                = "kube-apiserver"
	ControllerManager        = "kube-controller-manager"
	Scheduler                = "kube-scheduler"
	Kwok                     = "kwok"
	Redis                    = "redis"
	Prometheus               = "prometheus"
	ArgoCDServer             = "argocd-server"
	RepoServer               = "argocd-repo-server"
	ApplicationController    = "argocd-application-controller"
	ApplicationSetController = "argocd-applicationset-controller"
	Rollouts                 = "argo-rollouts"
)

// ports are the loopback ports of a cluster's parts, by the constants below.
type ports [portCount]int

const (
	portEtcd = iota
	portEtcdPeer
	portAPIServer
	portKwok
	portRedis
	portPrometheus
	portArgoServer
	portArgoServerMetrics
	portRepoServer
	portRepoServerMetrics
	portControllerMetrics
	portApplicationSetMetrics
	portApplicationSetHook
	portApplicationSetProbe
	portRolloutsMetrics
	portRolloutsHealth
	portCount
)

// Start builds what is not built yet and starts everything. On an error it leaves
// nothing behind.
func Start(ctx context.Context, o Options) (c *Cluster, err error) {
	if o.ArgoCD == "" {
		o.ArgoCD = ArgoCD35
	}
	if o.Progress == nil {
		o.Progress = func(string, time.Duration, bool) {}
	}
	c = &Cluster{options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if err := missing(exec.LookPath); err != nil {
		return c, err
	}
	if c.binaries, err = build(ctx, o); err != nil {
		return c, err
	}
	if c.dir, err = os.MkdirTemp("", "idp-cluster-"); err != nil {
		return c, fmt.Errorf("make a folder for the cluster: %w", err)
	}
	if c.ports, err = freePorts(); err != nil {
		return c, err
	}
	for _, stage := range []struct {
		name  string
		start func(context.Context) error
	}{
		{"Git server", c.startGit},
		{"etcd", c.startEtcd},
		{"kube-apiserver", c.startAPIServer},
		{"custom resources", c.applyCRDs},
		{"kube-controller-manager, kube-scheduler, kwok", c.startControllers},
		{"Redis", c.startRedis},
		{"Prometheus", c.startPrometheus},
		{"Argo CD " + o.ArgoCD, c.startArgoCD},
		{"Argo Rollouts", c.startRollouts},
	} {
		if err := step(o, "start "+stage.name, func() error { return stage.start(ctx) }); err != nil {
			return c, fmt.Errorf("start %s: %w", stage.name, err)
		}
	}
	return c, nil
}

// step runs one step and tells of it.
func step(o Options, name string, do func() error) error {
	began := time.Now()
	o.Progress(name, 0, false)
	err := do()
	o.Progress(name, time.Since(began), true)
	return err
}

// Close ends everything, the last that was started first, and removes its files.
func (c *Cluster) Close() error {
	c.running.Lock()
	defer c.running.Unlock()
	var errs []error
	for _, p := range slices.Backward(c.processes) {
		errs = append(errs, p.stop())
	}
	c.processes = nil
	if c.Git != nil {
		errs = append(errs, c.Git.Close())
		c.Git = nil
	}
	if c.dir != "" {
		errs = append(errs, os.RemoveAll(c.dir))
	}
	return errors.Join(errs...)
}

// Dir is the folder of the cluster's files, with a log for each process.
func (c *Cluster) Dir() string { return c.dir }

// path is a file in the cluster's folder.
func (c *Cluster) path(elements ...string) string {
	return filepath.Join(append([]string{c.dir}, elements...)...)
}

func (c *Cluster) startGit(ctx context.Context) (err error) {
	c.Git, err = gittest.Start(ctx, c.path("git"))
	return err
}
