//go:build e2e

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"

	rolloutsv1alpha1 "github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/policy"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/previews"
)

// The kinds of Argo Rollouts that tests look at.
var (
	rollouts     = rolloutsv1alpha1.SchemeGroupVersion.WithKind("Rollout")
	analysisRuns = rolloutsv1alpha1.SchemeGroupVersion.WithKind("AnalysisRun")
	events       = corev1.SchemeGroupVersion.WithKind("Event")
)

// declaredEnvironments is what the platform team declares, of a class that is judged by
// the cluster's Prometheus.
const declaredEnvironments = `environments:
  staging: {class: judged}
  production: {class: judged}
`

// judgedClass has the queries of the README, over a time that tests can wait for.
const judgedClass = `prometheus_address: %s
error_rate_query: |-
  sum(rate(http_requests_total{namespace="{namespace}",pod=~"{service}-{canary_hash}-.*",code=~"5.."}[10s]))
  / sum(rate(http_requests_total{namespace="{namespace}",pod=~"{service}-{canary_hash}-.*"}[10s]))
`

// canaried is a service that rolls out in steps, with what the second line names as its
// image and the given pauses.
const canaried = `  - name: %s
    team: shop
    image: %s:{sha}
    replicas: 2
    healthcheck:
      path: /health
      interval: 2s
    rollback:
      on_error_rate: ">1%%"
    deploy:
      strategy: canary
      canary:
        - weight: 10
          pause: %s
        - weight: 50
          pause: %s
        - weight: 100
`

// canary is the spec of services that roll out in steps, without previews beside them.
func (s *scene) canary(image, pause string, services ...string) string {
	spec := "preview:\n  enabled: false\nservices:\n"
	for _, service := range services {
		spec += fmt.Sprintf(canaried, service, s.registryAddr+"/"+image, pause, pause)
	}
	return spec
}

// declare has the platform team declare the environments.
func (s *scene) declare() {
	s.Helper()
	_, err := s.gitops.Commit(s.ctx, branch, gittest.Edit{Message: "Declare environments", Put: []gitops.File{
		{Path: platform.EnvironmentsPath, Content: []byte(declaredEnvironments)},
		{Path: platform.ClassesDir + "/judged.yaml", Content: fmt.Appendf(nil, judgedClass, s.cluster.Prometheus)},
		{Path: policy.SettingsPath, Content: fmt.Appendf(nil, "registries: [%q]\n", s.registryAddr)},
	}})
	s.must(err)
}

// traffic is who uses the services: at every scrape each ready pod has answered a
// hundred requests more, and five of them badly where its image fails.
type traffic struct {
	*scene
	mu       sync.Mutex
	failing  map[string]bool // by image
	requests *prometheus.CounterVec
	ready    *prometheus.GaugeVec
}

// serveTraffic lets Prometheus scrape what the services' pods count, and how ready they
// are, until the test ends.
func (s *scene) serveTraffic() *traffic {
	s.Helper()
	t := &traffic{
		scene: s, failing: map[string]bool{},
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total"}, []string{"namespace", "pod", "code"}),
		ready:    prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "kube_pod_status_ready"}, []string{"namespace", "pod", "condition"}),
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(t.requests, t.ready)
	all, metrics := s.objects(pods, ""), promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	exporter := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found, err := all.List(r.Context(), metav1.ListOptions{LabelSelector: gitops.LabelManagedBy + "=" + gitops.ManagedBy})
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.ready.Reset()
		for _, item := range found.Items {
			var pod corev1.Pod
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(item.Object, &pod); err == nil {
				t.answered(&pod)
			}
		}
		metrics.ServeHTTP(w, r)
	}))
	s.Cleanup(exporter.Close)
	s.must(s.cluster.Scrape(strings.TrimPrefix(exporter.URL, "http://")))
	s.Cleanup(func() { _ = s.cluster.Scrape() })
	return t
}

// answered counts what a pod has answered since the last scrape.
func (t *traffic) answered(pod *corev1.Pod) {
	ready := slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
	if !ready {
		t.ready.WithLabelValues(pod.Namespace, pod.Name, "true").Set(0)
		return
	}
	t.ready.WithLabelValues(pod.Namespace, pod.Name, "true").Set(1)
	bad := 0.
	if t.failing[pod.Spec.Containers[0].Image] {
		bad = 5
	}
	t.requests.WithLabelValues(pod.Namespace, pod.Name, "500").Add(bad)
	t.requests.WithLabelValues(pod.Namespace, pod.Name, "200").Add(100 - bad)
}

// fail lets the pods of an image answer badly, or well again.
func (t *traffic) fail(image string, so bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failing[image] = so
}

// staged is a service of a pull request's repository in a declared environment.
type staged struct {
	*proposal
	env, service string
}

// proposed is a pull request of a new repository whose services have that pause between
// their steps, as seen at the first of them in staging.
func (s *scene) proposed(name, pause string, services ...string) staged {
	s.Helper()
	s.declare()
	image := "acme/" + name
	r := s.github.AddRepository("acme/"+name, githubtest.RepositoryOptions{Private: true, Files: map[string]string{
		".idp/deploy.yaml": s.canary(image, pause, services...),
	}})
	r.Grant("alice", "write")
	return staged{s.open(r, image), "staging", services[0]}
}

func (d staged) of(env, service string) staged { return staged{d.proposal, env, service} }

// say comments on the pull request.
func (d staged) say(command string) {
	d.Helper()
	d.sayAs("alice", command)
}

func (d staged) sayAs(who, command string) {
	d.Helper()
	_, err := d.pr.Comment(who, command)
	d.must(err)
}

// told waits for a comment of idp's that has these words.
func (d staged) told(words string) {
	d.Helper()
	d.await("a comment says: "+words, func() error {
		var all []string
		for _, comment := range d.pr.Comments() {
			if comment.App == "idp" && strings.Contains(comment.Body, words) {
				return nil
			}
			all = append(all, comment.Body)
		}
		return fmt.Errorf("the comments are:\n%s", strings.Join(all, "\n"))
	})
}

func (d staged) row() (previews.Environment, error) {
	return d.main.store.Environment(d.ctx, d.repo.ID(), d.env+"."+d.service)
}

// check is idp's newest check of the service on a commit.
func (d staged) check(sha string) githubtest.CheckRun {
	var found githubtest.CheckRun
	for _, run := range d.repo.CheckRuns() {
		if run.HeadSHA == sha && (run.Name == "idp / "+d.env || run.Name == "idp / "+d.env+" ("+d.service+")") {
			found = run
		}
	}
	return found
}

// deployed is the state of the newest GitHub deployment of a commit.
func (d staged) deployed(sha string) string {
	state := ""
	for _, one := range d.repo.Deployments() {
		if one.SHA == sha && strings.HasPrefix(one.Environment, d.env) {
			state = one.State()
		}
	}
	return state
}

// comment is idp's comment about the service.
func (d staged) comment() string {
	row, err := d.row()
	if err != nil {
		return ""
	}
	for _, comment := range d.pr.Comments() {
		if comment.App == "idp" && strings.HasPrefix(comment.Body, report.MarkerOf(&row)) {
			return comment.Body
		}
	}
	return ""
}

// says wants GitHub's side of a commit to be: the check's conclusion ("" while it is in
// progress), words in its title and in the comment, and the deployment's state.
func (d staged) says(sha, conclusion, title, comment, deployment string) error {
	check := d.check(sha)
	if check.ID == 0 || check.Conclusion != conclusion || !strings.Contains(check.Title, title) {
		return fmt.Errorf("the check is %s %s: %s\n%s", check.Status, check.Conclusion, check.Title, check.Summary)
	}
	if said := d.comment(); !strings.Contains(said, comment) {
		return fmt.Errorf("the comment does not say %q:\n%s", comment, said)
	}
	if state := d.deployed(sha); state != deployment {
		return fmt.Errorf("the deployment is %q, not %q", state, deployment)
	}
	return nil
}

// rollout is the live Rollout.
func (d staged) rollout() (*rolloutsv1alpha1.Rollout, error) {
	row, err := d.row()
	if err != nil {
		return nil, err
	}
	var live rolloutsv1alpha1.Rollout
	return &live, d.get(rollouts, row.NamespaceName(), d.service, &live)
}

// runs wants an image to be what Git has, and what runs in all pods.
func (d staged) runs(image string) error {
	row, err := d.row()
	if err != nil {
		return err
	}
	tip, err := d.gitops.Tip(d.ctx, branch)
	if err != nil {
		return err
	}
	written, err := d.gitops.Content(d.ctx, tip, row.Ref.ManifestsDir()+"/"+d.service+"-rollout.yaml")
	if err != nil || !strings.Contains(written, image) {
		return fmt.Errorf("Git has another image than %s, %v:\n%s", image, err, written)
	}
	live, err := d.rollout()
	if err != nil {
		return err
	}
	if has := live.Spec.Template.Spec.Containers[0].Image; has != image {
		return fmt.Errorf("the cluster has %s, not %s", has, image)
	}
	if s := live.Status; s.Phase != rolloutsv1alpha1.RolloutPhaseHealthy || s.StableRS != s.CurrentPodHash || s.AvailableReplicas != 2 || s.Replicas != 2 || s.Abort {
		return fmt.Errorf("the Rollout is %s: %s; %d of %d pods are available", s.Phase, s.Message, s.AvailableReplicas, s.Replicas)
	}
	return nil
}

// healthy waits until the head is said to be deployed, and holds that to be true. It
// returns the head and its image.
func (d staged) healthy() (sha, image string) {
	d.Helper()
	sha, image = d.pr.HeadSHA(), d.built()
	d.await(d.env+" is said to be healthy", func() error { return d.says(sha, "success", "", "eployed to "+d.env, "success") })
	if err := d.runs(image); err != nil {
		d.Errorf("it is said to be healthy, and is not: %v", err)
	}
	return sha, image
}

// stepping waits until a step of the canary is told, and wants the Rollout to be there.
func (d staged) stepping(weight, step int) {
	d.Helper()
	words := fmt.Sprintf("Canary %d%% · step %d of 3", weight, step)
	d.await("the check says "+words, func() error { return d.says(d.pr.HeadSHA(), "", words, words, "in_progress") })
	live, err := d.rollout()
	d.must(err)
	if s := live.Status; s.CurrentStepIndex == nil || int(*s.CurrentStepIndex) < 2*(step-1) || s.StableRS == s.CurrentPodHash {
		d.Errorf("the Rollout is %s: %s, not at step %d", s.Phase, s.Message, step)
	}
}
