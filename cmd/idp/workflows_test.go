package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// pinned is an action at a commit, with the version that it is for readers.
var pinned = regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)

// TestActionsArePinned holds every action that a workflow uses to a commit: a tag can be
// moved to other code.
func TestActionsArePinned(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("..", "..", ".github", "workflows", "*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no workflows (%v)", err)
	}
	commits := map[string]string{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			_, action, uses := strings.Cut(strings.TrimSpace(line), "uses: ")
			if !uses {
				continue
			}
			if !pinned.MatchString(action) {
				t.Errorf("%s: %s is not pinned: write OWNER/NAME@COMMIT # VERSION", filepath.Base(file), action)
			}
			name, at, _ := strings.Cut(action, "@")
			if before, seen := commits[name]; seen && before != at {
				t.Errorf("%s is used at %s and at %s", name, before, at)
			}
			commits[name] = at
		}
	}
}

// TestReleaseIsGuarded holds the workflow of releases to what a release stands on: the
// checks of CI, with the sums of its modules and no known vulnerability, come first, and what
// comes out has a list of what is in it and a signed provenance.
func TestReleaseIsGuarded(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	data, err := os.ReadFile(filepath.Join(root, ".github", "workflows", "release.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var release struct {
		Jobs map[string]struct {
			Needs       string            `json:"needs"`
			Permissions map[string]string `json:"permissions"`
			Steps       []struct {
				Uses string         `json:"uses"`
				Run  string         `json:"run"`
				With map[string]any `json:"with"`
			} `json:"steps"`
		} `json:"jobs"`
	}
	if err := yaml.Unmarshal(data, &release); err != nil {
		t.Fatal(err)
	}
	has := func(job, part string) bool {
		for _, step := range release.Jobs[job].Steps {
			if strings.Contains(step.Uses+"@ "+step.Run, part) {
				return true
			}
		}
		return false
	}
	for job, parts := range map[string][]string{
		"test":     {"bash .ci/run", "golang.org/x/vuln/cmd/govulncheck@v"},
		"binaries": {"cyclonedx-gomod", "sha256sum", "actions/attest-build-provenance@"},
		"image":    {"docker/build-push-action@", "actions/attest-build-provenance@"},
	} {
		for _, part := range parts {
			if !has(job, part) {
				t.Errorf("the job %s of a release has no step with %q", job, part)
			}
		}
	}
	for name, job := range release.Jobs {
		if name != "test" && job.Needs != "test" {
			t.Errorf("the job %s of a release does not wait for the tests", name)
		}
		if name != "test" && job.Permissions["attestations"] != "write" {
			t.Errorf("the job %s of a release may not attest", name)
		}
		for _, step := range job.Steps {
			if strings.HasPrefix(step.Uses, "docker/build-push-action@") && (step.With["sbom"] != true || step.With["provenance"] != "mode=max") {
				t.Errorf("the image has no SBOM or no provenance: %v", step.With)
			}
		}
	}
	ci, err := os.ReadFile(filepath.Join(root, ".ci", "run"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(ci), "\nrun go mod verify\n") {
		t.Error(".ci/run does not verify the modules")
	}
}

// TestImageIsRun holds that a workflow runs what takes root and a folder of Debian's own.
func TestImageIsRun(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("..", "..", ".github", "workflows", "test.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^      - run: bash \.ci/image$`).Match(data) {
		t.Error("test.yml does not run .ci/image")
	}
}
