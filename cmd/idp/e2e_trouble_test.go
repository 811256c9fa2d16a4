//go:build e2e

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/idp-bot/idp/gitops/clustertest"
	"github.com/idp-bot/idp/previews"
)

// outrun lets the time that a rollout may take go by.
func (s *scene) outrun() {
	s.clock.advance(s.cfg.RolloutTimeout + time.Minute)
	s.main.wake.all()
}

// names waits until the comment names a cause, while there is no verdict yet.
func (c *proposal) names(cause string) {
	c.Helper()
	c.await("the comment says: "+cause, func() error {
		if comment := c.comment(); !strings.Contains(comment, cause) {
			return fmt.Errorf("it says:\n%s", comment)
		}
		return nil
	})
}

// fails waits until the check of the head has failed and the comment names the cause.
func (c *proposal) fails(cause string) {
	c.Helper()
	c.await("the check has failed", func() error {
		check := c.check()
		if check.Conclusion != "failure" && check.Conclusion != "timed_out" {
			return fmt.Errorf("the check is %s %s: %s", check.Status, check.Conclusion, check.Title)
		}
		return c.says(check.Conclusion, cause, "failure")
	})
	c.Logf("it is told so:\n%s", c.comment())
}

// podWaits waits until a pod's container waits for a reason.
func (c *proposal) podWaits(reason string) {
	c.Helper()
	name := c.name()
	c.await("a pod waits: "+reason, func() error {
		found := "no pod"
		for _, pod := range c.podsOf(name) {
			statuses, _, _ := unstructured.NestedSlice(pod.Object, "status", "containerStatuses")
			if found = fmt.Sprint(statuses); strings.Contains(found, "reason:"+reason) {
				return nil
			}
		}
		return fmt.Errorf("%s", found)
	})
}

// broken is a preview whose pods do not come up until a push mends them: Kubernetes
// gives a reason, and idp tells it in words.
func broken(s *scene, image, reason, words string) {
	c := s.open(s.newRepo(strings.TrimPrefix(image, "acme/"), image), image)
	c.podWaits(reason)
	c.names(words)
	s.outrun()
	c.fails(words)
	// The next push takes another image.
	c.image = image + "-mended"
	c.push(c.pr.Push, map[string]string{".idp/deploy.yaml": fmt.Sprintf(simple, s.registryAddr, c.image)})
	c.ready()
	c.pr.Close("alice")
	c.gone("Preview removed")
}

func imageCannotBePulled(s *scene) {
	broken(s, "acme/pulled"+clustertest.Unpullable, "ImagePullBackOff", "ImagePullBackOff")
}

func podCrashes(s *scene) {
	broken(s, "acme/started"+clustertest.Crashes, "CrashLoopBackOff", "its process crashes")
}

// hog is a pod of somebody else's in a preview's namespace, which takes nearly all that
// the namespace may use.
const hog = `apiVersion: v1
kind: Pod
metadata: {name: hog}
spec:
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, runAsUser: 1000, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: hog
    image: registry.test/hog:1
    resources:
      limits: {cpu: "2900m", memory: 1Gi, ephemeral-storage: 1Gi}
      requests: {cpu: 50m, memory: 128Mi, ephemeral-storage: 1Gi}
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
`

// quotaExceeded: what idp renders fits, but somebody else's pod has taken the room.
func quotaExceeded(s *scene) {
	c := s.opened("crowded")
	c.ready()
	name := c.name()
	objects, err := clustertest.Decode([]byte(hog))
	s.must(err)
	_, err = s.objects(pods, name).Create(s.ctx, objects[0], metav1.CreateOptions{})
	s.must(err)
	c.push(c.pr.Push, nil)
	c.await("the cluster refuses the new pods", func() error {
		var web appsv1.Deployment
		if err := c.get(deployments, name, "web", &web); err != nil {
			return err
		}
		for _, condition := range web.Status.Conditions {
			if condition.Type == appsv1.DeploymentReplicaFailure && strings.Contains(condition.Message, "exceeded quota") {
				return nil
			}
		}
		return fmt.Errorf("its conditions are %v", web.Status.Conditions)
	})
	c.names("exceeded quota")
	s.outrun()
	c.fails("exceeded quota")
	c.pr.Close("alice")
	c.gone("Preview removed")
}

// handEditOnCluster: Argo CD puts back what somebody changes, which is told, and the
// preview stays what it is.
func handEditOnCluster(s *scene) {
	c := s.opened("edited")
	c.ready()
	name := c.name()
	_, err := s.objects(deployments, name).Patch(s.ctx, "web", types.MergePatchType, []byte(`{"spec":{"replicas":1}}`), metav1.PatchOptions{FieldManager: "somebody"})
	s.must(err)
	c.await("Argo CD has put it back", func() error { return c.runs(name) })
	c.await("that is told", func() error {
		return c.says("success", "Deployment web was changed on the cluster, not in Git", "success")
	})
	c.must(s.objects(deployments, name).Delete(s.ctx, "web", metav1.DeleteOptions{}))
	c.await("Argo CD has made it again", func() error { return c.runs(name) })
	c.ready()
	c.pr.Close("alice")
	c.gone("Preview removed")
}

// refusesThree has the API server refuse Deployments of three pods in one namespace.
const refusesThree = `apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: e2e-three}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}
  validations:
  - {expression: "object.metadata.namespace != '%s' || object.spec.replicas != 3", message: three are one too many}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: e2e-three}
spec: {policyName: e2e-three, validationActions: [Deny]}
`

// fixDuringRetry: Argo CD retries a commit that the cluster refuses, and what is pushed
// meanwhile comes all the same; what is closed meanwhile goes.
func fixDuringRetry(s *scene) {
	c := s.opened("retried")
	c.ready()
	name := c.name()
	s.must(s.cluster.Apply(s.ctx, fmt.Appendf(nil, refusesThree, name)))
	s.Cleanup(func() {
		for _, kind := range []string{"ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy"} {
			_ = s.objects(admissionv1.SchemeGroupVersion.WithKind(kind), "").Delete(context.Background(), "e2e-three", metav1.DeleteOptions{}) // with the cluster at the latest
		}
	})
	s.await("the cluster refuses three pods", func() error {
		_, err := s.objects(deployments, name).Patch(s.ctx, "web", types.MergePatchType, []byte(`{"spec":{"replicas":3}}`), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil {
			return errors.New("it takes them")
		}
		return nil
	})
	two := fmt.Sprintf(simple, s.registryAddr, c.image)
	three := strings.Replace(two, "replicas: 2", "replicas: 3", 1)
	const again = "committed once more"
	for range 2 {
		c.push(c.pr.Push, map[string]string{".idp/deploy.yaml": three})
		c.retried(name)
		c.push(c.pr.Push, map[string]string{".idp/deploy.yaml": two})
		c.ready()
		s.Logf("so far %d fixes were %s", strings.Count(s.log.String(), again), again)
	}
	c.push(c.pr.Push, map[string]string{".idp/deploy.yaml": three})
	c.retried(name)
	c.pr.Close("alice")
	c.gone("Preview removed")
}

// retried waits until Argo CD is to retry a sync that has failed.
func (c *proposal) retried(application string) {
	c.Helper()
	c.await("Argo CD retries it", func() error {
		var app struct {
			Status struct {
				OperationState struct {
					Phase, Message string
					RetryCount     int
				}
			}
		}
		if err := c.askArgoCD("/api/v1/applications/"+application, &app); err != nil {
			return err
		}
		if op := app.Status.OperationState; op.Phase != "Running" || op.RetryCount == 0 {
			return fmt.Errorf("its sync is %s: %s", op.Phase, op.Message)
		}
		return nil
	})
}

// rollingOut opens a pull request whose pods do not come up until start is called:
// there is no kubelet.
func (s *scene) rollingOut(name string) (c *proposal, start func()) {
	s.Helper()
	start = s.stopPart(clustertest.Kwok)
	c = s.opened(name)
	c.synced()
	return c, start
}

// synced waits until the head's pods are on the cluster, and says nothing of how they are.
func (c *proposal) synced() {
	c.Helper()
	name := c.name()
	c.await("the cluster has the head's pods", func() error {
		var web appsv1.Deployment
		if err := c.get(deployments, name, "web", &web); err != nil {
			return err
		}
		runs, updated := web.Spec.Template.Spec.Containers[0].Image, web.Status.UpdatedReplicas
		if runs != c.built() || updated == 0 || web.Status.ObservedGeneration != web.Generation {
			return fmt.Errorf("it has %s in %d pods", runs, updated)
		}
		return nil
	})
	if check := c.check(); check.Conclusion != "" {
		c.Errorf("nothing runs yet, and the check says %s: %s", check.Conclusion, check.Title)
	}
}

// forcePushMidSync: the newest commit is what counts, and what is said of an older one
// is no success.
func forcePushMidSync(s *scene) {
	c, start := s.rollingOut("forced")
	old := c.pr.HeadSHA()
	c.push(c.pr.ForcePush, map[string]string{".idp/deploy.yaml": fmt.Sprintf(simple, s.registryAddr, c.image)})
	c.synced()
	start()
	c.ready()
	for _, run := range c.repo.CheckRuns() {
		if run.HeadSHA == old && (run.Conclusion == "success" || run.Conclusion == "") {
			s.Errorf("the check of the commit that is gone is %s %s: %s", run.Status, run.Conclusion, run.Title)
		}
	}
	c.pr.Close("alice")
	c.gone("Preview removed")
}

// closedMidSync: what has not come up yet goes all the same.
func closedMidSync(s *scene) {
	c, start := s.rollingOut("closed")
	c.pr.Close("alice")
	c.await("it has left Git", func() error {
		files, err := c.files()
		if err == nil && len(files) > 0 {
			err = fmt.Errorf("%d files are left", len(files))
		}
		return err
	})
	start()
	c.gone("Preview removed: pull request closed")
}

// restartedMidSync: what happens while idp is down is told when it is back.
func restartedMidSync(s *scene) {
	c, start := s.rollingOut("restarted")
	name := c.name()
	s.must(s.stopBot())
	start()
	c.await("it runs, and nobody watches", func() error { return c.runs(name) })
	if check := c.check(); check.Conclusion != "" {
		s.Errorf("nobody can know, and the check says %s", check.Conclusion)
	}
	s.must(s.start(s.ctx))
	c.ready()
	s.must(s.stopBot())
	c.pr.Close("alice")
	s.must(s.github.WaitDeliveries(s.ctx)) // it is lost
	s.must(s.start(s.ctx))
	s.must(s.main.sweeper.Sweep(s.ctx))
	c.gone("Preview removed: pull request closed")
}

// argoCDDown: Argo CD's server is away in the middle of a rollout. That is no verdict,
// it is told, and what came of the rollout is told once it is back.
func argoCDDown(s *scene) {
	c, startPods := s.rollingOut("unseen")
	startServer := s.stopPart(clustertest.ArgoCDServer)
	startPods()
	name := c.name()
	c.await("it runs, and nobody can see it", func() error { return c.runs(name) })
	s.clock.advance(2 * time.Minute)
	s.main.wake.all()
	c.await("it is told that Argo CD is away", func() error { return c.says("", "Argo CD does not answer", "in_progress") })
	startServer()
	c.ready()
	// A push whose refresh is lost arrives all the same.
	startServer = s.stopPart(clustertest.ArgoCDServer)
	c.push(c.pr.Push, nil)
	c.await("the push is in Git", func() error {
		row, err := c.row()
		if err == nil && (row.AppliedSHA != c.pr.HeadSHA() || row.State() != previews.StateSyncing) {
			err = fmt.Errorf("%s is applied, %s", row.AppliedSHA, row.State())
		}
		return err
	})
	startServer()
	c.ready()
	c.pr.Close("alice")
	c.gone("Preview removed")
}

// repoServerDown: Argo CD cannot read the GitOps repository for a while.
func repoServerDown(s *scene) {
	c := s.opened("unread")
	c.ready()
	start := s.stopPart(clustertest.RepoServer)
	c.push(c.pr.Push, nil)
	c.await("Argo CD's trouble is told", func() error {
		return errors.Join(c.says("", "Argo CD is rolling out", "in_progress"), c.says("", "connection refused", "in_progress"))
	})
	start()
	c.ready()
	c.pr.Close("alice")
	c.gone("Preview removed")
}

// stuckOnFinalizer: a removal that is held up is told with what holds it, and goes on
// when that lets go.
func stuckOnFinalizer(s *scene) {
	c := s.opened("held")
	c.ready()
	name := c.name()
	finalizers := func(value string) {
		patch := fmt.Sprintf(`{"metadata":{"finalizers":%s}}`, value)
		_, err := s.objects(deployments, name).Patch(s.ctx, "web", types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "somebody"})
		s.must(err)
	}
	finalizers(`["example.com/backup"]`)
	c.pr.Close("alice")
	c.await("it is being taken down", func() error {
		var namespace corev1.Namespace
		if err := c.get(namespaces, "", name, &namespace); err != nil {
			return err
		}
		if namespace.DeletionTimestamp == nil {
			return fmt.Errorf("nobody has asked for it")
		}
		return nil
	})
	s.clock.advance(45 * time.Second)
	s.main.wake.all()
	c.await("what holds it is told", func() error {
		return c.says(c.check().Conclusion, "finalizer example.com/backup on Deployment web", "inactive")
	})
	finalizers("null")
	c.gone("Preview removed")
}

// expiredTogether: twenty previews expire, and one sweep takes them away.
func expiredTogether(s *scene) {
	const many = 20
	r := s.newRepo("many", "acme/many", "preview:\n  ttl: 2h\n")
	changes := make([]*proposal, many)
	for i := range changes {
		changes[i] = s.open(r, "acme/many")
	}
	for _, c := range changes {
		c.ready()
	}
	s.clock.advance(95 * time.Minute)
	warned, err := s.main.reaper.Sweep(s.ctx)
	s.must(err)
	s.clock.advance(35 * time.Minute)
	s.await("the warnings are said", func() error {
		for _, c := range changes {
			if !strings.Contains(c.comment(), "/idp extend") {
				return fmt.Errorf("#%d is not warned", c.pr.Number())
			}
		}
		return nil
	})
	before, err := s.gitops.Tip(s.ctx, branch)
	s.must(err)
	reaped, err := s.main.reaper.Sweep(s.ctx)
	s.must(err)
	if warned.Warned != many || reaped.Removed != many {
		s.Errorf("%d are warned, %d removed, of %d", warned.Warned, reaped.Removed, many)
	}
	for _, c := range changes {
		c.gone("Preview removed: expired")
	}
	after, err := s.gitops.Tip(s.ctx, branch)
	s.must(err)
	messages, err := s.gitops.Messages(s.ctx, after)
	s.must(err)
	old, err := s.gitops.Messages(s.ctx, before)
	s.must(err)
	if n := len(messages) - len(old); n > 3 {
		s.Errorf("%d removals took %d commits", many, n)
	}
	if names := slices.Collect(s.previewNamespaces()); len(names) > 0 {
		s.Errorf("left of all the tests: %q", names)
	}
}
