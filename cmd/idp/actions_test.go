package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// job is a job of GitHub Actions that uses one of the composite actions of this
// repository: its steps run here as they would there, against releases on loopback.
type job struct {
	*testing.T
	folder   string
	releases *httptest.Server
	env      []string
	path     string
	// elsewhere says that it runs on a GitHub Enterprise Server.
	elsewhere bool
}

// newJob serves a release of the program. broken is a release whose archive is not what
// its checksum is of.
func newJob(t *testing.T, broken bool) *job {
	t.Helper()
	program, err := exec.LookPath("idp")
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("idp_v1.2.3_%s_%s", runtime.GOOS, runtime.GOARCH)
	archive := archived(t, name+"/idp", "#!/bin/sh\nexec "+program+" \"$@\"\n")
	sums := fmt.Sprintf("%x  %s.tar.gz\n", sha256.Sum256(archive), name)
	if broken {
		archive = append(archive, 0)
	}
	j := &job{T: t, folder: secrettest.Dir(t)}
	j.releases = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1.2.3/" + name + ".tar.gz":
			_, _ = w.Write(archive)
		case "/v1.2.3/checksums.txt":
			_, _ = w.Write([]byte("0000  another.tar.gz\n" + sums))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(j.releases.Close)
	verified := "#!/bin/sh\ntest \"$2\" = --help && exit\necho \"$@\" >>" + filepath.Join(j.folder, "gh.log") + "\ntest -n \"$GH_TOKEN\" && test -z \"$GH_REFUSES\"\n"
	for file, content := range map[string]string{"gh": verified, "path": "", "deploy.yaml": "service:\n  name: web\n", "wrong.yaml": "service:\n  name: Web\n  prot: 1\n"} {
		if err := os.WriteFile(filepath.Join(j.folder, file), []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	j.path = filepath.Join(j.folder, "path")
	j.env = []string{
		"IDP_RELEASES=" + j.releases.URL, "RUNNER_TEMP=" + j.folder, "GITHUB_PATH=" + j.path, "HOME=" + j.folder,
		"PATH=" + j.folder + ":/usr/bin:/bin",
	}
	return j
}

// archived is a tar.gz of one program.
func archived(t *testing.T, name, content string) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	archive := tar.NewWriter(zip)
	err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))})
	if err == nil {
		_, err = archive.Write([]byte(content))
	}
	if err := errors.Join(err, archive.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// standsIn is what GitHub makes of what follows an input that is not given.
func (j *job) standsIn(expression string) string {
	switch expression {
	case "":
		return ""
	case " || github.action_ref":
		return "v1.2.3"
	case " || (github.server_url == 'https://github.com' && github.token) || ''":
		if j.elsewhere {
			return ""
		}
		return "token-of-the-job"
	}
	j.Fatalf("an expression that nobody looked at: %s", expression)
	return ""
}

// uses runs an action with inputs, and returns what it printed and whether it worked.
func (j *job) uses(action string, with map[string]string) (printed string, worked bool) {
	j.Helper()
	folder, err := filepath.Abs(filepath.Join("..", "..", ".github", "actions", action))
	if err != nil {
		j.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(folder, "action.yml"))
	if err != nil {
		j.Fatal(err)
	}
	var read struct {
		Inputs map[string]struct {
			Required bool   `json:"required"`
			Default  string `json:"default"`
		} `json:"inputs"`
		Runs struct {
			Using string `json:"using"`
			Steps []struct {
				Shell string            `json:"shell"`
				Env   map[string]string `json:"env"`
				Run   string            `json:"run"`
			} `json:"steps"`
		} `json:"runs"`
	}
	if err := yaml.UnmarshalStrict(content, &read, yaml.DisallowUnknownFields); err != nil && !strings.Contains(err.Error(), "unknown field") {
		j.Fatal(err)
	}
	for name := range with {
		if _, known := read.Inputs[name]; !known {
			j.Fatalf("%s has no input %s", action, name)
		}
	}
	for _, step := range read.Runs.Steps {
		if strings.Contains(step.Run, "${{") || step.Shell != "bash" || read.Runs.Using != "composite" {
			j.Fatalf("%s puts an input into a script: %s", action, step.Run)
		}
		added, err := os.ReadFile(j.path)
		if err != nil {
			j.Fatal(err)
		}
		run := exec.CommandContext(j.Context(), "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step.Run)
		run.Dir, run.Env = j.folder, append([]string{"GITHUB_ACTION_PATH=" + folder}, j.env...)
		if line := strings.TrimSpace(string(added)); line != "" {
			run.Env = append(run.Env, "PATH="+strings.ReplaceAll(line, "\n", ":")+":"+j.folder+":/usr/bin:/bin")
		}
		for name, value := range step.Env {
			run.Env = append(run.Env, name+"="+input.ReplaceAllStringFunc(value, func(text string) string {
				found := input.FindStringSubmatch(text)
				return cmp.Or(with[found[1]], read.Inputs[found[1]].Default, j.standsIn(found[2]))
			}))
		}
		out, err := run.CombinedOutput()
		if printed += string(out); err != nil {
			return printed, false
		}
	}
	return printed, true
}

// input is an input in the environment of a step, and what stands in for one that is not given.
var input = regexp.MustCompile(`\$\{\{ inputs\.([a-z]+)( \|\| .+)? \}\}`)

// The action that validates puts each mistake where the matcher finds its file and line.
func TestValidateAction(t *testing.T) {
	t.Parallel()
	j := newJob(t, false)
	if printed, worked := j.uses("validate", map[string]string{"version": "v1.2.3", "path": "deploy.yaml"}); !worked || !strings.Contains(printed, "deploy.yaml is valid: web") {
		t.Errorf("a right one: %s", printed)
	}
	printed, worked := j.uses("validate", map[string]string{"version": "v1.2.3", "path": "wrong.yaml"})
	content, err := os.ReadFile(filepath.Join("..", "..", ".github", "actions", "validate", "matcher.json"))
	if err != nil {
		t.Fatal(err)
	}
	var matchers struct {
		ProblemMatcher []struct {
			Pattern []struct{ Regexp string } `json:"pattern"`
		} `json:"problemMatcher"`
	}
	if err := json.Unmarshal(content, &matchers); err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?m)"+matchers.ProblemMatcher[0].Pattern[0].Regexp).FindAllStringSubmatch(printed, -1)
	if worked || len(found) != 2 || found[0][1] != "wrong.yaml" || found[0][2] != "2" || found[1][2] != "3" || !strings.Contains(printed, "::add-matcher::") {
		t.Errorf("a wrong one: %q in\n%s", found, printed)
	}
	asked, err := os.ReadFile(filepath.Join(j.folder, "gh.log"))
	if err != nil || !strings.Contains(string(asked), "attestation verify") {
		t.Errorf("the release's provenance was not asked for: %q (%v)", asked, err)
	}
}

// On a GitHub Enterprise Server the job's token is none of github.com: the checksum alone is
// what there is, which is said, and no token goes there.
func TestActionsElsewhere(t *testing.T) {
	t.Parallel()
	j := newJob(t, false)
	j.elsewhere = true
	printed, worked := j.uses("validate", map[string]string{"path": "deploy.yaml"})
	if !worked || !strings.Contains(printed, "deploy.yaml is valid: web") || !strings.Contains(printed, "::notice::idp v1.2.3 was checked by its checksum alone") {
		t.Errorf("it printed %s", printed)
	}
	if _, err := os.Stat(filepath.Join(j.folder, "gh.log")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("gh was asked: %v", err)
	}
}

// What is not a release, or is not the release's, is not run.
func TestActionsRunReleasesAlone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		broken  bool
		env     []string
		version string
	}{
		"another archive":   {true, nil, "v1.2.3"},
		"no provenance":     {false, []string{"GH_REFUSES=1"}, "v1.2.3"},
		"no such release":   {false, nil, "v9.9.9"},
		"a branch":          {false, nil, "main"},
		"another's release": {false, nil, "../../other/v1.2.3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJob(t, c.broken)
			j.env = append(j.env, c.env...)
			if printed, worked := j.uses("validate", map[string]string{"version": c.version, "path": "deploy.yaml"}); worked || strings.Contains(printed, "is valid") {
				t.Errorf("it ran: %s", printed)
			}
		})
	}
}

// The action that reports an image does so with what GitHub gives the job.
func TestReportImageAction(t *testing.T) {
	t.Parallel()
	s := newSigning(t)
	sha := s.repo.PullRequests()[0].HeadSHA()
	actions := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, err := s.repo.WorkflowToken("", "alice", r.URL.Query().Get("audience"), s.repo.PullRequests()[0])
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, `{"value":%q}`, token)
	}))
	defer actions.Close()
	j := newJob(t, false)
	j.env = append(j.env, actionsTokenURL+"="+actions.URL, actionsTokenToken+"=x", actionsRepository+"=acme/web")
	digest := "sha256:" + strings.Repeat("5", 64)
	printed, worked := j.uses("report-image", map[string]string{"version": "v1.2.3", "server": "http://" + s.world.main.Addr(), "service": "web", "digest": digest})
	kept, err := s.world.main.store.ReportedImage(t.Context(), s.repo.ID(), sha, "web")
	if !worked || err != nil || kept != digest {
		t.Errorf("kept %q (%v):\n%s", kept, err, printed)
	}
}
