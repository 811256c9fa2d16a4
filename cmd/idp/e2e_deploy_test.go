//go:build e2e

package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	rolloutsv1alpha1 "github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/rogpeppe/go-internal/txtar"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/idp-bot/idp/bot/github/githubtest"
)

// deploysByCanary: the first deployment has nothing to step away from, the next one
// takes every step, and each is told.
func deploysByCanary(s *scene) {
	s.serveTraffic()
	d := s.proposed("stepped", "12s", "web")
	d.say("/idp deploy staging")
	d.healthy()
	old := d.pr.HeadSHA()
	d.push(d.pr.Push, nil)
	sha := d.pr.HeadSHA()
	d.say("/idp deploy staging")
	d.stepping(10, 1)
	first := d.check(sha)
	d.stepping(50, 2)
	second := d.check(sha)
	d.healthy()
	d.recorded(old, first, second, d.check(sha))
}

// recorded holds the checks of a canary against those that the README shows, which this
// play wrote there: -update writes them anew, and then TestGeneratedReference has to.
func (d staged) recorded(old string, checks ...githubtest.CheckRun) {
	d.Helper()
	plain := strings.NewReplacer(abbreviated(d.pr.HeadSHA()), "a1b2c3d", abbreviated(old), "9f8e7d6", d.registryAddr, "ghcr.io")
	var now txtar.Archive
	now.Comment = []byte("What the play \"deploy by canary\" saw on the real cluster, for the README.\n")
	for i, check := range checks {
		head := strings.TrimSpace(check.Name + ": " + check.Status + " " + check.Conclusion)
		content := fmt.Sprintf("%s\ntitle: %s\n\n%s\n", head, check.Title, check.Summary)
		now.Files = append(now.Files, txtar.File{Name: fmt.Sprintf("%d.md", i+1), Data: []byte(plain.Replace(content))})
	}
	if *update {
		d.must(os.WriteFile(canaryRecord, txtar.Format(&now), 0o644))
		return
	}
	content, err := os.ReadFile(canaryRecord)
	d.must(err)
	// How long it took, what is left and the repository's id, which is in the host, differ
	// from run to run.
	figures := regexp.MustCompile(`\b\d+(\.\d+)?[ms](\d+s)?\b|\b[0-9a-f]{10}\b`)
	// Where a check is written late in a pause, nothing is left of that.
	left := regexp.MustCompile(` · [^·\n]+ left\n`)
	mask := func(text []byte) string {
		return figures.ReplaceAllString(left.ReplaceAllString(string(text), "\n"), "?")
	}
	if got, want := mask(txtar.Format(&now)), mask(content); got != want {
		d.Errorf("a canary's check is not as the README shows it any more:\n%s\nand it shows\n%s", got, want)
	}
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

// lockedAndQueued: one deployment at a time. A pull request's newer one takes the place of
// its older one, another's waits until that is over and the environment is given free.
func lockedAndQueued(s *scene) {
	s.serveTraffic()
	s.github.AddUser("bob")
	one := s.proposed("queued", "15s", "web")
	one.repo.Grant("bob", "write")
	one.say("/idp deploy staging")
	one.healthy()
	one.push(one.pr.Push, nil)
	older := one.pr.HeadSHA()
	one.say("/idp deploy staging")
	one.stepping(10, 1)
	one.push(one.pr.Push, nil)
	first, firstImage := one.pr.HeadSHA(), one.built()
	one.say("/idp deploy staging")
	one.stepping(10, 1)
	if check := one.check(older); check.Conclusion != "cancelled" {
		s.Errorf("the check of what was superseded is %s %s: %s", check.Status, check.Conclusion, check.Title)
	}
	two := staged{s.open(one.repo, one.image), "staging", "web"}
	second := two.pr.HeadSHA()
	two.say("/idp deploy staging")
	two.told(fmt.Sprintf("waits in the queue of `staging`: `%s` is under way for pull request %d", abbreviated(first), one.pr.Number()))
	two.say("/idp status staging")
	two.told(fmt.Sprintf("1. `%s` of pull request %d", abbreviated(second), two.pr.Number()))
	two.sayAs("bob", "/idp lock staging the release is being tested")
	two.told("Locked `staging`")
	three := staged{s.open(one.repo, one.image), "staging", "web"}
	three.say("/idp deploy staging")
	three.told("`staging` is locked by `bob`")
	three.told("the release is being tested")
	one.healthy()
	if err := one.runs(firstImage); err != nil {
		s.Errorf("a locked environment does not stay as it is: %v", err)
	}
	if row, err := one.row(); err != nil || row.SHA != first || len(row.Deployed.Queue) != 1 {
		s.Errorf("%s is wanted, %d wait, %v", row.SHA, len(row.Deployed.Queue), err)
	}
	three.sayAs("bob", "/idp unlock staging")
	two.stepping(10, 1)
	two.healthy()
	if check := one.check(first); check.Conclusion != "success" || one.deployed(first) != "inactive" {
		s.Errorf("the first's check is %s: %s, its deployment %s", check.Conclusion, check.Title, one.deployed(first))
	}
	if check := three.check(three.pr.HeadSHA()); check.ID != 0 {
		s.Errorf("what was refused has a check: %s", check.Title)
	}
}
