//go:build e2e

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// brought is a repository that idp is brought to: on disk as its team has it, and on
// GitHub.
type brought struct {
	*scene
	name, dir string
	files     map[string]string
	repo      *githubtest.Repository
	// told is what was typed and printed.
	told strings.Builder
}

// bring makes a repository of a file of testdata/brought.
func (s *scene) bring(fixture, name string) *brought {
	s.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", "brought", fixture+".txtar"))
	s.must(err)
	b := &brought{scene: s, name: name, dir: filepath.Join(secrettest.Dir(s), name), files: map[string]string{}}
	for _, f := range archive.Files {
		b.files[f.Name] = strings.ReplaceAll(string(f.Data), "$REGISTRY", s.registryAddr)
		path := filepath.Join(b.dir, f.Name)
		s.must(os.MkdirAll(filepath.Dir(path), 0o755))
		s.must(os.WriteFile(path, []byte(b.files[f.Name]), 0o644))
	}
	for _, args := range [][]string{{"init", "-q"}, {"remote", "add", "origin", "git@github.com:acme/" + name + ".git"}} {
		out, err := exec.CommandContext(s.ctx, "git", append([]string{"-C", b.dir}, args...)...).CombinedOutput()
		if err != nil {
			s.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	b.repo = s.github.AddRepository("acme/"+name, githubtest.RepositoryOptions{Private: true, Files: b.files})
	b.repo.Grant("alice", "write")
	return b
}

// types runs the program as somebody would in the repository's folder.
func (b *brought) types(args ...string) {
	b.Helper()
	fmt.Fprintf(&b.told, "$ idp %s\n", strings.Join(args, " "))
	b.told.WriteString(strings.ReplaceAll(b.idp(append(args, b.dir)...), b.dir+string(filepath.Separator), ""))
}

// onboards merges a pull request with what the program wrote, and returns the commit that
// it became.
func (b *brought) onboards() (merged string) {
	b.Helper()
	wrote := map[string]string{}
	for _, name := range []string{".idp/deploy.yaml", ".idp/deploy.schema.json"} {
		content, err := os.ReadFile(filepath.Join(b.dir, name))
		b.must(err)
		wrote[name] = string(content)
	}
	b.repo.PushAs("alice", "idp", "Deploy with idp", wrote)
	pr, err := b.repo.OpenPullRequest(githubtest.PullRequestOptions{Author: "alice", Title: "Deploy with idp", Head: "idp"})
	b.must(err)
	b.must(pr.Merge("alice"))
	return b.repo.Branch("main")
}

// becomes waits until a pull request that changes a file has its preview, and returns it.
func (b *brought) becomes(image, file string) *proposal {
	b.Helper()
	sha := b.repo.PushAs("alice", "feature", "Change", map[string]string{file: "changed\n"})
	b.must(b.pushImage(b.ctx, image, sha))
	pr, err := b.repo.OpenPullRequest(githubtest.PullRequestOptions{Author: "alice", Title: "Change", Head: "feature"})
	b.must(err)
	c := &proposal{scene: b.scene, repo: b.repo, pr: pr, image: image}
	b.await("the preview of "+b.name+" is said to be ready", func() error { return c.says("success", "Preview is ready", "success") })
	b.tells(c.check())
	return c
}

// tells adds a check to what was printed.
func (b *brought) tells(check githubtest.CheckRun) {
	fmt.Fprintf(&b.told, "\n%s: %s\n\n%s\n", check.Name, check.Title, check.Summary)
}

// records holds what was told against what the README shows; -update writes it anew.
func (b *brought) records(c *proposal, fixture string) {
	b.Helper()
	plain := strings.NewReplacer(b.registryAddr, "ghcr.io", c.pr.HeadSHA(), "a1b2c3d4e5f60718293a4b5c6d7e8f9012345678", abbreviated(c.pr.HeadSHA()), "a1b2c3d").Replace(b.told.String())
	file := filepath.Join("testdata", "brought", fixture+".told")
	if *update {
		b.must(os.WriteFile(file, []byte(plain), 0o644))
		return
	}
	want, err := os.ReadFile(file)
	b.must(err)
	figures := regexp.MustCompile(`\b\d+(\.\d+)?[ms](\d+s)?\b|\b[0-9a-f]{7,10}\b|sha256:[0-9a-f…]+|\d\d:\d\d UTC|\w{3} \d+ \w{3}`)
	mask := func(text string) string { return figures.ReplaceAllString(text, "?") }
	if mask(plain) != mask(string(want)) {
		b.Errorf("it is not told as the README shows it any more:\n%s", plain)
	}
}

// runsAll wants a namespace's workloads to be these, "Kind name", and all of their pods to be ready.
func (c *proposal) runsAll(want ...string) {
	c.Helper()
	var got []string
	for _, kind := range []string{"Deployment", "StatefulSet"} {
		list, err := c.objects(deployments.GroupVersion().WithKind(kind), c.name()).List(c.ctx, metav1.ListOptions{})
		c.must(err)
		for _, item := range list.Items {
			got = append(got, kind+" "+item.GetName())
			status, _ := item.Object["status"].(map[string]any)
			if all, ready := status["replicas"], status["readyReplicas"]; all == nil || all != ready {
				c.Errorf("%s %s has %v pods and %v that are ready", kind, item.GetName(), all, ready)
			}
		}
	}
	slices.Sort(want)
	if slices.Sort(got); !slices.Equal(got, want) {
		c.Errorf("there are %q, not %q", got, want)
	}
}

// bringsSource: a team with a chart, overlays or plain manifests, from nothing to a preview of these
// workloads.
func bringsSource(fixture, name, file string, workloads ...string) func(*scene) {
	return func(s *scene) {
		b := s.bring(fixture, name)
		b.types("init")
		b.types("validate")
		b.onboards()
		c := b.becomes("acme/"+name, file)
		c.runsAll(workloads...)
		b.records(c, fixture)
		c.pr.Close("alice")
		c.gone("Preview removed")
	}
}

// bringsMonorepo: a team whose CI builds one image of six, from nothing to a preview.
func bringsMonorepo(s *scene) {
	b := s.bring("monorepo", "mono")
	b.types("init")
	b.types("validate")
	built := b.onboards()
	services := []string{"api", "cart", "mailer-worker", "reports-worker", "search", "web"}
	for _, service := range services {
		s.must(s.pushImage(s.ctx, "acme/"+service, built))
	}
	c := b.becomes("acme/api", "services/api/main.go")
	var want []string
	for _, service := range services {
		want = append(want, "Deployment "+service)
	}
	c.runsAll(want...)
	b.records(c, "monorepo")
	c.pr.Close("alice")
	c.gone("Preview removed")
}
