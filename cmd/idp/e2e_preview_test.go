//go:build e2e

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/previews"
)

// proposal is a pull request, with what has to be so of it on the cluster, in Git and on
// GitHub.
type proposal struct {
	*scene
	repo *githubtest.Repository
	pr   *githubtest.PullRequest
	// image is the repository of the service's image, in the registry.
	image  string
	pushes int
}

// simple is a service that takes all defaults, with the image that "image" names.
const simple = `service:
  name: web
  image: %s/%s:{sha}
  replicas: 2
`

// newRepo makes a repository whose service has an image of that name: what its pods do
// is told by it.
func (s *scene) newRepo(name, image string, spec ...string) *githubtest.Repository {
	r := s.github.AddRepository("acme/"+name, githubtest.RepositoryOptions{Private: true, Files: map[string]string{
		".idp/deploy.yaml": fmt.Sprintf(simple, s.registryAddr, image) + strings.Join(spec, ""),
	}})
	r.Grant("alice", "write")
	return r
}

// open opens a pull request whose image is built.
func (s *scene) open(r *githubtest.Repository, image string) *proposal {
	s.Helper()
	branch := fmt.Sprintf("feature-%d", len(r.PullRequests())+1)
	sha := r.PushAs("alice", branch, "Change", map[string]string{branch + ".go": "package web\n"})
	s.must(s.pushImage(s.ctx, image, sha))
	pr, err := r.OpenPullRequest(githubtest.PullRequestOptions{Author: "alice", Title: "Change", Head: branch})
	s.must(err)
	return &proposal{scene: s, repo: r, pr: pr, image: image}
}

// opened is a pull request of a new repository.
func (s *scene) opened(name string) *proposal {
	s.Helper()
	return s.open(s.newRepo(name, "acme/"+name), "acme/"+name)
}

// push pushes a commit on top of the pull request and its image; files may change the spec.
func (c *proposal) push(move func(by string, files map[string]string) string, files map[string]string) {
	c.Helper()
	c.pushes++
	changed := map[string]string{fmt.Sprintf("push-%d.go", c.pushes): "package web\n"}
	for path, content := range files {
		changed[path] = content
	}
	// CI is faster than whoever tells of the commit.
	c.github.HoldDeliveries()
	defer c.github.StopHolding()
	sha := move("alice", changed)
	c.must(c.pushImage(c.ctx, c.image, sha))
}

// row is what the bot knows of the preview.
func (c *proposal) row() (previews.Environment, error) {
	return c.main.store.Environment(c.ctx, c.repo.ID(), gitops.PreviewID(c.pr.Number()))
}

// name is that of its namespace and its Application.
func (c *proposal) name() string {
	c.Helper()
	var name string
	c.await("the preview is known", func() error {
		row, err := c.row()
		name = row.Ref.Name()
		return err
	})
	return name
}

// check is idp's newest check on the head.
func (c *proposal) check() githubtest.CheckRun {
	var found githubtest.CheckRun
	for _, run := range c.pr.CheckRuns() {
		if run.HeadSHA == c.pr.HeadSHA() && run.App == "idp" {
			found = run
		}
	}
	return found
}

// comment is idp's comment, "" where there is none.
func (c *proposal) comment() string {
	for _, comment := range c.pr.Comments() {
		if comment.App == "idp" && strings.HasPrefix(comment.Body, report.Marker) {
			return comment.Body
		}
	}
	return ""
}

// deployed is the state of the newest GitHub deployment of the head.
func (c *proposal) deployed() string {
	state := ""
	for _, d := range c.repo.Deployments() {
		if d.SHA == c.pr.HeadSHA() {
			state = d.State()
		}
	}
	return state
}

// says wants GitHub's side to be: the check's conclusion ("" while it is in progress),
// something in the comment, and the deployment's state.
func (c *proposal) says(conclusion, words, deployment string) error {
	check := c.check()
	if check.Conclusion != conclusion || check.ID == 0 {
		return fmt.Errorf("the check is %s %s: %s", check.Status, check.Conclusion, check.Title)
	}
	if comment := c.comment(); !strings.Contains(comment, words) {
		return fmt.Errorf("the comment does not say %q:\n%s", words, comment)
	}
	if state := c.deployed(); state != deployment {
		return fmt.Errorf("the deployment is %q, not %q", state, deployment)
	}
	return nil
}

// files lists the preview's files in the GitOps repository.
func (c *proposal) files() ([]string, error) {
	tip, err := c.gitops.Tip(c.ctx, branch)
	if err != nil || tip == "" {
		return nil, err
	}
	listed, err := c.gitops.List(c.ctx, tip)
	if err != nil {
		return nil, err
	}
	folder := fmt.Sprintf(" environments/%s/pr-%d/", strings.ToLower(c.repo.FullName()), c.pr.Number())
	return slices.DeleteFunc(listed, func(line string) bool { return !strings.Contains(line, folder) }), nil
}

// built is the image of the head, by its digest in the registry.
func (c *proposal) built() string {
	c.Helper()
	repository := c.registryAddr + "/" + c.image
	ref, err := name.ParseReference(repository+":"+c.pr.HeadSHA(), name.Insecure)
	c.must(err)
	found, err := remote.Head(ref, remote.WithContext(c.ctx))
	c.must(err)
	return repository + "@" + found.Digest.String()
}

// runs wants the head's image to run on the cluster, in all its pods.
func (c *proposal) runs(namespace string) error {
	var web appsv1.Deployment
	if err := c.get(deployments, namespace, "web", &web); err != nil {
		return err
	}
	if runs, built := web.Spec.Template.Spec.Containers[0].Image, c.built(); runs != built {
		return fmt.Errorf("it runs %s, not %s", runs, built)
	}
	if s := web.Status; s.ObservedGeneration != web.Generation || s.UpdatedReplicas != 2 || s.AvailableReplicas != 2 || s.Replicas != 2 {
		return fmt.Errorf("of 2 pods %d are updated and %d available", s.UpdatedReplicas, s.AvailableReplicas)
	}
	return nil
}

// ready waits until the head serves, and is said to.
func (c *proposal) ready() {
	c.Helper()
	name := c.name()
	c.await("the preview is said to be ready", func() error { return c.says("success", "Preview is ready", "success") })
	if err := c.runs(name); err != nil {
		c.Errorf("it is said to be ready, and is not: %v", err)
	}
	files, err := c.files()
	c.must(err)
	if len(files) < 5 {
		c.Errorf("its files in Git are %q", files)
	}
}

// gone waits until nothing is left, and that is said.
func (c *proposal) gone(words string) {
	c.Helper()
	name := c.name()
	c.await("the preview is said to be gone", func() error {
		row, err := c.row()
		if err != nil {
			return err
		}
		if row.State() != previews.StateGone {
			return fmt.Errorf("the preview is %s", row.State())
		}
		return c.says(c.check().Conclusion, words, "inactive")
	})
	if err := c.absent(namespaces, "", name); err != nil {
		c.Errorf("it is said to be gone, and is not: %v", err)
	}
	files, err := c.files()
	c.must(err)
	if len(files) > 0 {
		c.Errorf("of its files in Git %q are left", files)
	}
}

// previewLives is the story of every preview: it comes, follows the pull request, and
// goes, on the cluster and in what is said of it.
func previewLives(s *scene) {
	c := s.opened("web")
	c.ready()
	name := c.name()
	var namespace corev1.Namespace
	s.must(s.get(namespaces, "", name, &namespace))
	if namespace.Labels[gitops.LabelManagedBy] != gitops.ManagedBy {
		c.Errorf("the namespace's labels are %v", namespace.Labels)
	}
	c.push(c.pr.Push, nil)
	c.ready()
	c.pr.Close("alice")
	c.gone("Preview removed: pull request closed")
}

// twoRepositories have a pull request each with the same number and the same service.
func twoRepositories(s *scene) {
	one, two := s.opened("desk"), s.opened("desk-admin")
	one.ready()
	two.ready()
	if one.name() == two.name() {
		s.Errorf("both are %s", one.name())
	}
	one.pr.Close("alice")
	one.gone("Preview removed")
	if err := two.runs(two.name()); err != nil {
		s.Errorf("the other's end has touched it: %v", err)
	}
	s.must(two.pr.Merge("alice"))
	two.gone("Preview removed: pull request merged")
}
