//go:build e2e

package main

import (
	"fmt"
	"slices"

	rolloutsv1alpha1 "github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// deploysByCanary: the first deployment has nothing to step away from, the next one
// takes every step, and each is told.
func deploysByCanary(s *scene) {
	s.serveTraffic()
	d := s.proposed("stepped", "12s", "web")
	d.say("/idp deploy staging")
	d.healthy()
	d.push(d.pr.Push, nil)
	d.say("/idp deploy staging")
	d.stepping(10, 1)
	d.stepping(50, 2)
	d.healthy()
}

// errorsRollBack: a revision that answers too badly is undone on the cluster and in Git,
// by digest, and is not deployed again unless somebody insists.
func errorsRollBack(s *scene) {
	users := s.serveTraffic()
	d := s.proposed("judged", "30s", "web")
	d.say("/idp deploy staging")
	good, goodImage := d.healthy()
	d.push(d.pr.Push, nil)
	bad, badImage := d.pr.HeadSHA(), d.built()
	users.fail(badImage, true)
	d.say("/idp deploy staging")
	const measured = "error-rate 5% > 1%"
	d.await("the bad commit is said to have failed", func() error {
		return d.says(bad, "failure", measured, abbreviated(good), "inactive")
	})
	d.Logf("its check is %q, the comment\n%s", d.check(bad).Title, d.comment())
	d.await("the good one is back", func() error { return d.runs(goodImage) })
	d.await("that is said", func() error {
		if state := d.deployed(good); state != "success" {
			return fmt.Errorf("its deployment is %q", state)
		}
		return nil
	})
	d.aborted()
	d.say("/idp deploy staging")
	d.told("failed in `staging` and was rolled back")
	users.fail(badImage, false)
	d.say("/idp deploy staging --force")
	d.stepping(10, 1)
	d.healthy()
}

func abbreviated(sha string) string { return sha[:7] }

// aborted wants Argo Rollouts itself to have ended a rollout for what an analysis found.
func (d staged) aborted() {
	d.Helper()
	row, err := d.row()
	d.must(err)
	runs, err := d.objects(analysisRuns, row.NamespaceName()).List(d.ctx, metav1.ListOptions{})
	d.must(err)
	var phases []string
	for _, item := range runs.Items {
		var run rolloutsv1alpha1.AnalysisRun
		d.must(runtime.DefaultUnstructuredConverter.FromUnstructured(item.Object, &run))
		phases = append(phases, string(run.Status.Phase))
	}
	if !slices.Contains(phases, string(rolloutsv1alpha1.AnalysisPhaseFailed)) {
		d.Errorf("the analyses are %v, and none failed", phases)
	}
	happened, err := d.objects(events, row.NamespaceName()).List(d.ctx, metav1.ListOptions{})
	d.must(err)
	var reasons []string
	for _, item := range happened.Items {
		reasons = append(reasons, fmt.Sprint(item.Object["reason"]))
	}
	if !slices.Contains(reasons, "RolloutAborted") {
		d.Errorf("the events are %v, and none says that the rollout was aborted", reasons)
	}
}

// rolledBack: a healthy release makes room for the one before, by digest.
func rolledBack(s *scene) {
	s.serveTraffic()
	d := s.proposed("returned", "3s", "web")
	d.say("/idp deploy staging")
	first, firstImage := d.healthy()
	d.push(d.pr.Push, nil)
	d.say("/idp deploy staging")
	second, _ := d.healthy()
	d.say("/idp rollback staging")
	d.await("the first is back", func() error { return d.runs(firstImage) })
	d.await("that is said", func() error {
		if state := d.deployed(second); state != "inactive" {
			return fmt.Errorf("the second's deployment is %q", state)
		}
		return d.says(first, "success", "", "is back at "+abbreviated(first), "success")
	})
}

// abortedMidCanary: somebody stops a rollout that waits at its first step.
func abortedMidCanary(s *scene) {
	s.serveTraffic()
	d := s.proposed("stopped", "10m", "web")
	d.say("/idp deploy staging")
	first, firstImage := d.healthy()
	d.push(d.pr.Push, nil)
	second := d.pr.HeadSHA()
	d.say("/idp deploy staging")
	d.stepping(10, 1)
	d.say("/idp abort staging")
	d.await("the first is all there is", func() error { return d.runs(firstImage) })
	d.await("that is said", func() error {
		if check := d.check(second); check.Conclusion == "" || check.Conclusion == "success" {
			return fmt.Errorf("the check of what was stopped is %s %s: %s", check.Status, check.Conclusion, check.Title)
		}
		return d.says(first, "success", "", "is back at "+abbreviated(first), "success")
	})
	d.Logf("the check of what was stopped is %s: %s", d.check(second).Conclusion, d.check(second).Title)
}

// oneOfTwoPaused: a service that waits in its canary does not hold the other.
func oneOfTwoPaused(s *scene) {
	s.serveTraffic()
	api := s.proposed("pair", "10m", "api", "web")
	web := api.of("staging", "web")
	api.say("/idp deploy staging")
	_, old := api.healthy()
	web.healthy()
	// web is a service that needs no pause from here on.
	spec := api.canary(api.image, "10m", "api") + fmt.Sprintf(canaried, "web", api.registryAddr+"/"+api.image, "2s", "2s")
	api.push(api.pr.Push, map[string]string{".idp/deploy.yaml": spec})
	api.say("/idp deploy staging api")
	api.stepping(10, 1)
	api.say("/idp deploy staging web")
	web.healthy()
	live, err := api.rollout()
	api.must(err)
	if s := live.Status; s.StableRS == s.CurrentPodHash || s.CurrentStepIndex == nil {
		api.Errorf("the other's Rollout goes on by itself: %s %s", s.Phase, s.Message)
	}
	api.say("/idp abort staging")
	api.await("the paused one is back", func() error { return api.runs(old) })
	if err := web.runs(api.built()); err != nil {
		s.Errorf("the other is not left alone: %v", err)
	}
}

// restartedMidCanary: idp is away while a canary takes its steps, and tells the end.
func restartedMidCanary(s *scene) {
	s.serveTraffic()
	d := s.proposed("resumed", "10s", "web")
	d.say("/idp deploy staging")
	d.healthy()
	d.push(d.pr.Push, nil)
	d.say("/idp deploy staging")
	d.stepping(10, 1)
	s.must(s.stopBot())
	image := d.built()
	d.await("the canary is past its first step, and nobody watches", func() error {
		live := &rolloutsv1alpha1.Rollout{}
		found, err := d.objects(rollouts, "").List(d.ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, item := range found.Items {
			s.must(runtime.DefaultUnstructuredConverter.FromUnstructured(item.Object, live))
			if live.Spec.Template.Spec.Containers[0].Image != image {
				continue
			}
			if at := live.Status.CurrentStepIndex; at != nil && *at > 1 {
				return nil
			}
		}
		return fmt.Errorf("it is %s: %s", live.Status.Phase, live.Status.Message)
	})
	s.must(s.start(s.ctx))
	d.healthy()
}

// nothingMeasured: Prometheus without data is no fault of a revision's.
func nothingMeasured(s *scene) {
	s.must(s.cluster.Scrape())
	d := s.proposed("unmeasured", "6s", "web")
	d.say("/idp deploy staging")
	d.healthy()
	d.push(d.pr.Push, nil)
	d.say("/idp deploy staging")
	d.healthy()
	if row, err := d.row(); err != nil || len(row.Deployed.Quarantine) > 0 {
		s.Errorf("%v is quarantined, %v", row.Deployed.Quarantine, err)
	}
}

// promoted: production gets what staging runs, by the same digest.
func promoted(s *scene) {
	s.serveTraffic()
	d := s.proposed("promoted", "2s", "web")
	d.say("/idp deploy staging")
	_, image := d.healthy()
	// The tag means something else by now.
	s.must(s.pushImage(s.ctx, d.image, d.pr.HeadSHA()))
	d.say("/idp promote staging production")
	production := d.of("production", "web")
	production.await("production is said to be healthy", func() error {
		return production.says(d.pr.HeadSHA(), "success", "", "eployed to production", "success")
	})
	if err := production.runs(image); err != nil {
		s.Errorf("production does not run what staging does: %v", err)
	}
	if err := d.runs(image); err != nil {
		s.Errorf("staging has changed: %v", err)
	}
}
