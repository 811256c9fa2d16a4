//go:build e2e

package main

import (
	"fmt"
	"strings"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/previews"
)

// deploysByPullRequest: where people merge what idp writes, nothing is on the cluster
// before they do, and what they merge is rolled out and told like any other.
func deploysByPullRequest(s *scene) {
	s.serveTraffic()
	d := s.proposed("reviewed", "1s", "web").of("reviewed", "web")
	s.github.Repository(gitopsRepository).Mirror(s.gitops)
	_, err := s.gitops.Commit(s.ctx, branch, gittest.Edit{Message: "Have production reviewed", Put: []gitops.File{
		{Path: platform.EnvironmentsPath, Content: []byte(declaredEnvironments + "  reviewed: {class: reviewed}\n")},
		{Path: platform.ClassesDir + "/reviewed.yaml", Content: fmt.Appendf([]byte("gitops_mode: pull_request\n"), judgedClass, s.cluster.Prometheus)},
	}})
	s.must(err)

	d.say("/idp deploy reviewed")
	first := d.offered(d.pr.HeadSHA())
	if live, err := d.rollout(); err == nil {
		s.Errorf("the cluster has it before it is merged: %s", live.Name)
	}
	s.must(first.Squash("alice"))
	d.healthy()

	d.push(d.pr.Push, nil)
	d.say("/idp deploy reviewed")
	second := d.offered(d.pr.HeadSHA())
	s.must(second.Merge("alice"))
	d.healthy()
	for branch := range s.heads() {
		if strings.HasPrefix(branch, "idp/") {
			s.Errorf("branch %s is left", branch)
		}
	}
}

// offered waits until a commit waits in a pull request of the GitOps repository, that
// alone, and returns it.
func (d staged) offered(sha string) (found *githubtest.PullRequest) {
	d.Helper()
	d.await("it is proposed", func() error {
		row, err := d.row()
		if err != nil {
			return err
		}
		if p := row.Proposed(); p == nil || row.SHA != sha || row.State() != previews.StateProposed {
			return fmt.Errorf("it is %s at %.7s", row.State(), row.SHA)
		}
		open := 0
		for _, pr := range d.github.Repository(gitopsRepository).PullRequests() {
			if pr.State() == "open" {
				found, open = pr, open+1
			}
		}
		if open != 1 {
			return fmt.Errorf("%d pull requests are open", open)
		}
		return d.says(sha, "", fmt.Sprintf("Waiting for %s#%d to be merged", gitopsRepository, found.Number()), "waiting to be merged", "")
	})
	return found
}

// heads are the GitOps repository's branches.
func (s *scene) heads() map[string]string {
	s.Helper()
	heads, err := s.gitops.Heads(s.ctx)
	s.must(err)
	return heads
}
