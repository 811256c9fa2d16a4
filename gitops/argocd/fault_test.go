package argocd_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/gitops/argocd"
	"github.com/idp-bot/idp/gitops/argocd/argocdtest"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// troubled is the Application "web" of a stand-in, to have something go wrong in.
type troubled struct {
	*testing.T
	server *argocdtest.Server
	client *argocd.Client
}

func newTroubled(t *testing.T) *troubled {
	t.Helper()
	git, err := gittest.Start(t.Context(), secrettest.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = git.Close() })
	repo, err := git.Create(t.Context(), "acme/gitops")
	if err != nil {
		t.Fatal(err)
	}
	w := &troubled{T: t}
	w.server, err = argocdtest.Start(argocdtest.Options{Token: token, Root: "web", Repository: repo, Branch: "main", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.server.Close() })
	w.client, err = argocd.New(argocd.Options{URL: w.server.URL(), Token: secret.New(token)})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *troubled) live(documents ...string) {
	w.Helper()
	if err := w.server.SetLive("web", strings.Join(documents, "\n---\n")); err != nil {
		w.Fatal(err)
	}
}

func (w *troubled) fault(logs bool) *argocd.Fault {
	w.Helper()
	f, err := w.client.Fault(w.Context(), "web", logs)
	if err != nil {
		w.Fatal(err)
	}
	return f
}

const (
	moving  = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, generation: 1}, spec: {replicas: 1}, status: {observedGeneration: 1, updatedReplicas: 1}}"
	overdue = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, generation: 1}, spec: {replicas: 1}, status: {observedGeneration: 1, updatedReplicas: 1, conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded}]}}`
	fine    = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: other, generation: 1}, spec: {replicas: 1}, status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas: 1}}"
)

// replicas is a ReplicaSet of web, by its revision.
func replicas(name, revision, status string) string {
	return `{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: ` + name + `, generation: 1, creationTimestamp: "2026-11-23T12:00:00Z", annotations: {deployment.kubernetes.io/revision: "` + revision +
		`"}, ownerReferences: [{kind: Deployment, name: web}]}, spec: {replicas: 1}, status: {observedGeneration: 1, ` + status + `}}`
}

// podOf is a Pod with a container of a status.
func podOf(kind, owner, name, phase, container string) string {
	return `{apiVersion: v1, kind: Pod, metadata: {name: ` + name + `, creationTimestamp: "2026-11-23T12:00:00Z", labels: {app.kubernetes.io/name: web}, ownerReferences: [{kind: ` + kind + `, name: ` + owner +
		`}]}, spec: {restartPolicy: Always, containers: [{name: app, resources: {limits: {memory: 512Mi}}}]}, status: {phase: ` + phase + `, containerStatuses: [` + container + `]}}`
}

func noted(kind, name, reason, message string) string {
	return `{apiVersion: v1, kind: Event, metadata: {name: e}, involvedObject: {kind: ` + kind + `, name: ` + name + `}, type: Warning, reason: ` + reason + `, message: "` + message + `", count: 3, lastTimestamp: "2026-11-23T12:00:09Z"}`
}

const (
	crashing = `{name: app, restartCount: 3, state: {waiting: {reason: CrashLoopBackOff, message: back-off}}, lastState: {terminated: {exitCode: 1, reason: Error}}}`
	starting = `{name: app, state: {waiting: {reason: ContainerCreating}}}`
)

// What is told is the cause, and never what waits for it.
func TestFault(t *testing.T) {
	t.Parallel()
	older, newer := replicas("web-a", "1", "replicas: 1"), replicas("web-b", "2", "replicas: 1")
	refused := replicas("web-b", "2", `conditions: [{type: ReplicaFailure, status: "True", message: 'pods is forbidden: exceeded quota: idp'}]`)
	rollout := func(message string) string {
		return `{apiVersion: argoproj.io/v1alpha1, kind: Rollout, metadata: {name: web}, status: {phase: Degraded, message: '` + message + `'}}`
	}
	run := `{apiVersion: argoproj.io/v1alpha1, kind: AnalysisRun, metadata: {name: web-b-2, ownerReferences: [{kind: Rollout, name: web}]},
		spec: {metrics: [{name: error-rate, failureCondition: "result[0] > 0.05"}]},
		status: {phase: Failed, message: m, metricResults: [{name: latency, phase: Successful}, {name: error-rate, phase: Failed, measurements: [{phase: Failed, value: "[0.0731]"}]}]}}`
	for name, test := range map[string]struct {
		live          []string
		object, short string
	}{
		"nothing":                      {nil, "", ""},
		"all is well":                  {[]string{fine}, "", ""},
		"a crash before its owners":    {[]string{overdue, newer, podOf("ReplicaSet", "web-b", "web-b-1", "Running", crashing)}, "Pod web-b-1", "its process crashes (exit 1, 3 restarts)"},
		"a crash of the revision past": {[]string{overdue, older, newer, podOf("ReplicaSet", "web-a", "web-a-1", "Running", crashing)}, "Deployment web", "it did not become ready in time"},
		"of nothing that is not well":  {[]string{fine, overdue, newer, podOf("Deployment", "other", "other-1", "Running", crashing)}, "Deployment web", "it did not become ready in time"},
		"a quota":                      {[]string{moving, older, refused}, "ReplicaSet web-b", "the quota is used up"},
		"no room": {[]string{moving, newer, podOf("ReplicaSet", "web-b", "web-b-1", "Pending", ""), noted("Pod", "web-b-1", "FailedScheduling", "0/3 nodes are available: 3 Insufficient cpu.")},
			"Pod web-b-1", "no node has room for it"},
		"a probe": {[]string{moving, newer, podOf("ReplicaSet", "web-b", "web-b-1", "Running", "{name: app, state: {running: {}}}"), noted("Pod", "web-b-1", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")},
			"Pod web-b-1", "its health check fails"},
		"only on its way": {[]string{moving, newer, podOf("ReplicaSet", "web-b", "web-b-1", "Pending", starting)}, "Pod web-b-1", ""},
		"an image": {[]string{moving, newer, podOf("ReplicaSet", "web-b", "web-b-1", "Pending", `{name: app, state: {waiting: {reason: ImagePullBackOff, message: 'Back-off pulling image "x": 401 Unauthorized'}}}`)},
			"Pod web-b-1", "the image cannot be pulled"},
		"a Job": {[]string{`{apiVersion: batch/v1, kind: Job, metadata: {name: web-migrate}, status: {conditions: [{type: Failed, status: "True", message: Job has reached the specified backoff limit}]}}`},
			"Job web-migrate", "its run failed"},
		"what a Job's Pod did": {[]string{`{apiVersion: batch/v1, kind: Job, metadata: {name: web-migrate}, status: {conditions: [{type: Failed, status: "True", message: Job has reached the specified backoff limit}]}}`,
			strings.Replace(podOf("Job", "web-migrate", "web-migrate-1", "Failed", "{name: app, state: {terminated: {exitCode: 2}}}"), "Always", "Never", 1)}, "Pod web-migrate-1", "its process fails (exit 2)"},
		"an analysis":                  {[]string{rollout(`RolloutAborted: Metric "error-rate" assessed Failed`), run}, "AnalysisRun web-b-2", "the rollout was aborted: error-rate 7.31% > 5%"},
		"an analysis of long ago":      {[]string{rollout("ProgressDeadlineExceeded: has timed out progressing."), run}, "Rollout web", "it did not become ready in time"},
		"a rollout aborted by someone": {[]string{rollout("RolloutAborted: Rollout aborted update to revision 2"), run}, "Rollout web", "the rollout was aborted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTroubled(t)
			if test.live != nil {
				w.live(test.live...)
			}
			f := w.fault(false)
			if f == nil {
				f = &argocd.Fault{}
			}
			if f.String() != test.object || f.Short != test.short {
				t.Errorf("%q: %q, want %q: %q (%+v)", f.String(), f.Short, test.object, test.short, f)
			}
			if f.Kind == "Pod" && f.Of != "web" && f.Of != "web-migrate" {
				t.Errorf("it is of %q", f.Of)
			}
		})
	}
}

func TestFaultLogs(t *testing.T) {
	t.Parallel()
	w := newTroubled(t)
	w.live(overdue, replicas("web-b", "2", "replicas: 1"), podOf("ReplicaSet", "web-b", "web-b-1", "Running", crashing), noted("Pod", "web-b-1", "BackOff", "Back-off restarting"))
	if f := w.fault(true); len(f.Logs) != 0 || f.LogsMissing != "it wrote no logs" || !f.Ran {
		t.Errorf("nothing was written: %+v", f)
	}
	var lines []string
	for range 30 {
		lines = append(lines, "  indented\t\"quoted\"")
	}
	if err := w.server.SetLogs("web", "web-b-1", strings.Join(lines, "\n")); err != nil {
		t.Fatal(err)
	}
	f := w.fault(true)
	if diff := cmp.Diff(lines[:20], f.Logs); diff != "" || f.LogsMissing != "" {
		t.Error(diff, f.LogsMissing)
	}
	if diff := cmp.Diff([]argocd.Event{{At: time.Date(2026, 11, 23, 12, 0, 9, 0, time.UTC), Warning: true, Reason: "BackOff", Message: "Back-off restarting", Count: 3}}, f.Events); diff != "" {
		t.Error(diff)
	}
	if f := w.fault(false); len(f.Logs) != 0 || f.LogsMissing != "" {
		t.Errorf("logs that nobody asked for: %+v", f)
	}
	w.server.DenyLogs(true)
	if f := w.fault(true); len(f.Logs) != 0 || !strings.Contains(f.LogsMissing, "may not read them") || f.Short == "" {
		t.Errorf("denied: %+v", f)
	}
}

// canary is a Rollout of steps 10, 5 min, 50, 10 min, 100.
func canary(status string) string {
	return `{apiVersion: argoproj.io/v1alpha1, kind: Rollout, metadata: {name: web, generation: 2}, spec: {strategy: {canary: {steps: [
		{setWeight: 10}, {pause: {duration: 5m}}, {setWeight: 50}, {pause: {duration: "600"}}, {setWeight: 100}]}}}, status: {observedGeneration: "2", ` + status + `}}`
}

func TestRollouts(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 2, 0, 0, time.UTC)
	const under = `stableRS: a, currentPodHash: b, `
	all := 15 * time.Minute
	for name, test := range map[string]struct {
		live string
		want argocd.Rollout
	}{
		"setting the first weight": {canary(under + `phase: Progressing, currentStepIndex: 0`),
			argocd.Rollout{Canary: true, Step: 1, Steps: 3, Weight: 10, Phase: "Progressing", Pauses: all, Left: all}},
		"paused for two minutes": {canary(under + `phase: Paused, currentStepIndex: 1, pauseConditions: [{reason: CanaryPauseStep, startTime: "2026-11-23T12:00:00Z"}]`),
			argocd.Rollout{Canary: true, Step: 1, Steps: 3, Weight: 10, Phase: "Paused", Pauses: all, Left: 13 * time.Minute}},
		"paused, and overdue": {canary(under + `phase: Paused, currentStepIndex: 3, pauseConditions: [{reason: CanaryPauseStep, startTime: "2026-11-23T11:00:00Z"}]`),
			argocd.Rollout{Canary: true, Step: 2, Steps: 3, Weight: 50, Phase: "Paused", Pauses: all}},
		"by a traffic router": {canary(under + `phase: Progressing, currentStepIndex: 2, canary: {weights: {canary: {weight: 37}}}`),
			argocd.Rollout{Canary: true, Step: 2, Steps: 3, Weight: 37, Phase: "Progressing", Pauses: all, Left: 10 * time.Minute}},
		"the first deployment": {canary(`phase: Progressing, currentPodHash: b, currentStepIndex: 5`), argocd.Rollout{Canary: true, Phase: "Progressing"}},
		"done":                 {canary(`phase: Healthy, stableRS: b, currentPodHash: b, currentStepIndex: 5`), argocd.Rollout{Canary: true, Phase: "Healthy"}},
		"not read yet": {strings.Replace(canary(under+`phase: Degraded, message: of before, abort: true, currentStepIndex: 0`), `observedGeneration: "2"`, `observedGeneration: "1"`, 1),
			argocd.Rollout{Canary: true, Phase: "Progressing"}},
		"waits for somebody": {`{apiVersion: argoproj.io/v1alpha1, kind: Rollout, metadata: {name: web}, spec: {strategy: {canary: {steps: [{setWeight: 20}, {pause: {}}, {setWeight: 60}]}}}, status: {observedGeneration: "0", ` + under + `phase: Paused, message: CanaryPauseStep, currentStepIndex: 1}}`,
			argocd.Rollout{Canary: true, Step: 1, Steps: 2, Weight: 20, Phase: "Paused", Message: "CanaryPauseStep", Waits: true}},
		"blue-green": {`{apiVersion: argoproj.io/v1alpha1, kind: Rollout, metadata: {name: web}, spec: {strategy: {blueGreen: {}}}, status: {observedGeneration: "0", phase: Progressing, message: active service cutover pending}}`,
			argocd.Rollout{Phase: "Progressing", Message: "active service cutover pending"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTroubled(t)
			w.live(test.live)
			test.want.Name = "web"
			got, err := w.client.Rollouts(t.Context(), "web", now)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]argocd.Rollout{test.want}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Argo CD being away is an error, and no diagnosis.
func TestFaultAway(t *testing.T) {
	t.Parallel()
	w := newTroubled(t)
	w.live(overdue)
	w.server.SetAway(true)
	if f, err := w.client.Fault(context.Background(), "web", true); err == nil {
		t.Errorf("%+v", f)
	}
}
