package github

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/bot/report"
)

func TestPullRequest(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.web.Commit("feature", map[string]string{"a.txt": "a"})
	opened, err := w.web.OpenPullRequest(githubtest.PullRequestOptions{Author: "dependabot[bot]", Title: "Bump", Head: "feature", Draft: true, Labels: []string{"preview", "deps"}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.client.PullRequest(t.Context(), w.ref(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if got.UpdatedAt.IsZero() {
		t.Error("it was updated at no time")
	}
	got.Author.ID, got.UpdatedAt = 0, time.Time{}
	want := bot.PullRequest{
		Repository: w.ref(), InstallationID: w.install.ID(), Number: 1, Title: "Bump", Open: true, Draft: true, Labels: []string{"preview", "deps"},
		HeadSHA: opened.HeadSHA(), HeadRef: "feature", BaseRef: "main", BaseIsDefault: true, Author: bot.Actor{Login: "dependabot[bot]", Bot: true},
		Uncommented: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := opened.Merge("alice"); err != nil {
		opened.ReadyForReview("alice")
		if err := opened.Merge("alice"); err != nil {
			t.Fatal(err)
		}
	}
	if got, err = w.client.PullRequest(t.Context(), w.ref(), 1); err != nil || got.Open || !got.Merged || got.MergeSHA != w.web.Branch("main") {
		t.Errorf("merged: %+v, %v", got, err)
	}
	w.web.Commit("release", map[string]string{"b.txt": "b"})
	w.web.Commit("main", map[string]string{"c.txt": "c"})
	if _, err := w.web.OpenPullRequest(githubtest.PullRequestOptions{Author: "alice", Title: "Back", Head: "main", Base: "release"}); err != nil {
		t.Fatal(err)
	}
	if got, err = w.client.PullRequest(t.Context(), w.ref(), 2); err != nil || got.BaseIsDefault || got.MergeSHA != "" {
		t.Errorf("into another branch: %+v, %v", got, err)
	}
	if _, err = w.client.PullRequest(t.Context(), w.ref(), 99); !errors.Is(err, bot.ErrNotFound) || !strings.Contains(err.Error(), "read pull request acme/web#99") {
		t.Errorf("absent: %v", err)
	}
}

func TestForkIsToldApart(t *testing.T) {
	t.Parallel()
	w := setup(t)
	fork := w.web.Fork("mallory")
	fork.Commit("evil", map[string]string{"a.txt": "a"})
	if _, err := w.web.OpenPullRequest(githubtest.PullRequestOptions{Author: "mallory", Title: "Hi", Head: "evil", HeadRepository: fork}); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(){"there": func() {}, "deleted": func() { fork.Delete("mallory") }} {
		change()
		if got, err := w.client.PullRequest(t.Context(), w.ref(), 1); err != nil || !got.Fork {
			t.Errorf("%s: fork %v, %v", name, got.Fork, err)
		}
	}
}

func TestOpenPullRequests(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for i := range perPage + 5 {
		w.open(t, fmt.Sprintf("branch%03d", i)).Comments()
	}
	open, err := w.client.OpenPullRequests(t.Context(), w.ref())
	if err != nil {
		t.Fatal(err)
	}
	for i, pr := range open {
		if pr.Number != i+1 || pr.HeadSHA == "" || !pr.Open {
			t.Fatalf("%d: %+v", i, pr)
		}
	}
	if len(open) != perPage+5 {
		t.Errorf("listed %d", len(open))
	}
}

func TestCommentsOnEveryPage(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pr := w.open(t, "a")
	for i := range 250 {
		if _, err := pr.Comment("alice", fmt.Sprint("comment ", i)); err != nil {
			t.Fatal(err)
		}
	}
	id, err := w.client.CreateComment(t.Context(), w.ref(), 1, "ours")
	if err != nil {
		t.Fatal(err)
	}
	all, err := w.client.Comments(t.Context(), w.ref(), 1)
	if err != nil || len(all) != 251 {
		t.Fatalf("listed %d, %v", len(all), err)
	}
	for i, comment := range all[:250] {
		if comment.Body != fmt.Sprint("comment ", i) || comment.ViaApp != 0 {
			t.Fatalf("%d: %+v", i, comment)
		}
	}
	if want := (bot.Comment{ID: id, Body: "ours", ViaApp: w.app.ID()}); all[250] != want {
		t.Errorf("ours: %+v, want %+v", all[250], want)
	}
	if err := w.client.EditComment(t.Context(), w.ref(), 7, "x"); !errors.Is(err, bot.ErrNotFound) {
		t.Errorf("edit what is not there: %v", err)
	}
	if err := w.client.DeleteComment(t.Context(), w.ref(), 7); err != nil {
		t.Errorf("delete what is not there: %v", err)
	}
}

func TestReact(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pr := w.open(t, "a")
	comment, err := pr.Comment("alice", "/idp status")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second finds the first
		if err := w.client.React(t.Context(), w.ref(), comment.ID, "eyes"); err != nil {
			t.Fatal(err)
		}
	}
	want := []githubtest.Reaction{{User: "idp[bot]", Content: "eyes"}}
	if got := pr.Comments()[0].Reactions; !slices.Equal(got, want) {
		t.Errorf("reactions %+v", got)
	}
	if err := w.client.React(t.Context(), w.ref(), 7, "eyes"); !errors.Is(err, bot.ErrNotFound) {
		t.Errorf("comment that is gone: %v", err)
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.web.Commit("main", map[string]string{
		"full": strings.Repeat("x", MaxFile), "more": strings.Repeat("x", MaxFile+1), "huge": strings.Repeat("x", 2<<20), "dir/with space/ü#?.txt": "odd",
	})
	sha := w.web.Branch("main")
	for path, want := range map[string]string{".idp/deploy.yaml": "service:\n  name: web\n", "full": strings.Repeat("x", MaxFile), "dir/with space/ü#?.txt": "odd"} {
		if got, err := w.client.File(t.Context(), w.ref(), path, sha); err != nil || string(got) != want {
			t.Errorf("%s: %d bytes, %v", path, len(got), err)
		}
	}
	for path, want := range map[string]error{"more": ErrTooLarge, "huge": ErrTooLarge, "dir": ErrNotFile, "absent": bot.ErrNotFound, ".idp/absent": bot.ErrNotFound} {
		if got, err := w.client.File(t.Context(), w.ref(), path, sha); !errors.Is(err, want) || got != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	// A commit that cannot be seen says nothing about the file.
	if _, err := w.client.File(t.Context(), w.ref(), "full", strings.Repeat("0", 40)); err == nil || errors.Is(err, bot.ErrNotFound) {
		t.Errorf("no such commit: %v", err)
	}
	for name, answer := range map[string]string{
		"symlink":   `{"type":"symlink","target":"../../etc/passwd","size":1,"name":"empty","path":"empty","sha":"x","url":"x","git_url":"x","html_url":"x","download_url":"x","_links":{"self":"x","git":"x","html":"x"}}`,
		"submodule": `{"type":"submodule","submodule_git_url":"https://example.com/x.git","size":0,"name":"empty","path":"empty","sha":"x","url":"x","git_url":"x","html_url":"x","download_url":null,"_links":{"self":"x","git":"x","html":"x"}}`,
	} {
		w.server.Inject(githubtest.Fault{Path: "/repos/acme/web/contents/**", Status: 200, Body: answer, Times: 1})
		if _, err := w.client.File(t.Context(), w.ref(), name, sha); !errors.Is(err, ErrNotFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestChangedFiles(t *testing.T) {
	t.Parallel()
	w := setup(t)
	files, want := map[string]string{}, []string{}
	for i := range 130 {
		name := fmt.Sprintf("src/%03d.txt", i)
		files[name] = "x"
		want = append(want, name)
	}
	w.web.Commit("feature", files)
	if _, err := w.web.OpenPullRequest(githubtest.PullRequestOptions{Author: "alice", Title: "Many", Head: "feature"}); err != nil {
		t.Fatal(err)
	}
	got, err := w.client.ChangedFiles(t.Context(), w.ref(), 1)
	slices.Sort(got)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%d files, %v", len(got), err)
	}
	w.server.Inject(githubtest.Fault{Path: "/repos/**", Status: 200, Times: 1, Body: `[{"filename":"new/name.go","previous_filename":"old/name.go","status":"renamed"}]`})
	if got, err := w.client.ChangedFiles(t.Context(), w.ref(), 1); err != nil || !slices.Equal(got, []string{"new/name.go", "old/name.go"}) {
		t.Errorf("renamed: %v, %v", got, err)
	}
}

func TestChangedFilesTruncated(t *testing.T) {
	t.Parallel()
	w := setup(t)
	files := map[string]string{}
	for i := range MaxChangedFiles + 10 {
		files[fmt.Sprintf("src/%04d.txt", i)] = "x"
	}
	w.web.Commit("feature", files)
	if _, err := w.web.OpenPullRequest(githubtest.PullRequestOptions{Author: "alice", Title: "Very many", Head: "feature"}); err != nil {
		t.Fatal(err)
	}
	got, err := w.client.ChangedFiles(t.Context(), w.ref(), 1)
	if err != nil || len(got) != MaxChangedFiles {
		t.Errorf("%d files, %v", len(got), err)
	}
}

func TestPermission(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.server.AddUser("outsider")
	for _, role := range []access.Permission{access.Read, access.Triage, access.Write, access.Maintain, access.Admin} {
		w.web.Grant("someone", string(role))
		if got, err := w.client.Permission(t.Context(), w.ref(), bot.Actor{Login: "someone"}); err != nil || got != role {
			t.Errorf("%s: %s, %v", role, got, err)
		}
	}
	if got, err := w.client.Permission(t.Context(), w.ref(), bot.Actor{ID: 12, Login: "someone"}); err == nil || got != access.None {
		t.Errorf("whose login is another's by now: %s, %v", got, err)
	}
	if got, err := w.client.Permission(t.Context(), w.ref(), bot.Actor{Login: "outsider"}); err != nil || got != access.None {
		t.Errorf("outsider: %s, %v", got, err)
	}
	if got, err := w.client.Permission(t.Context(), w.ref(), bot.Actor{Login: "nobody/../x"}); !errors.Is(err, bot.ErrNotFound) || got != access.None {
		t.Errorf("nobody: %s, %v", got, err)
	}
}

// A role counts only where the permission that goes with it agrees.
func TestPermissionOfRoles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		permission, role string
		want             access.Permission
	}{
		{"write", "maintain", access.Maintain}, {"write", "write", access.Write}, {"read", "triage", access.Triage},
		{"admin", "admin", access.Admin}, {"none", "none", access.None},
		{"write", "release-manager", access.Write}, {"read", "security", access.Read}, {"admin", "owner", access.Admin}, {"write", "", access.Write},
		{"read", "admin", access.Read}, {"none", "write", access.None}, {"read", "maintain", access.Read},
		{"superuser", "superuser", access.None}, {"superuser", "admin", access.None}, {"", "", access.None}, {"maintain", "maintain", access.None},
	} {
		if got := (permissionLevel{Permission: test.permission, RoleName: test.role}).granted(); got != test.want {
			t.Errorf("%q with role %q: %s, want %s", test.permission, test.role, got, test.want)
		}
	}
}

func TestCheckRun(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pr := w.open(t, "a")
	at := w.clock.Now().Add(-time.Minute)
	check := report.Check{
		Name: report.CheckName, HeadSHA: pr.HeadSHA(), Status: "in_progress", Title: "Waiting for the image", Summary: "…",
		ExternalID: "idp-web-pr-1-x", StartedAt: at, Buttons: []report.Button{{Label: "Destroy", Description: "Take the preview away", Identifier: "destroy"}},
	}
	if id, err := w.client.FindCheckRun(t.Context(), w.ref(), check.HeadSHA, check.Name, check.ExternalID); err != nil || id != 0 {
		t.Errorf("found %d, %v", id, err)
	}
	id, err := w.client.CreateCheckRun(t.Context(), w.ref(), check)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := w.client.FindCheckRun(t.Context(), w.ref(), check.HeadSHA, check.Name, check.ExternalID); err != nil || found != id {
		t.Errorf("found %d, %v, want %d", found, err, id)
	}
	if found, err := w.client.FindCheckRun(t.Context(), w.ref(), check.HeadSHA, "other", check.ExternalID); err != nil || found != 0 {
		t.Errorf("found %d of another name, %v", found, err)
	}
	if got := pr.CheckRuns()[0].Actions; !slices.Equal(got, []githubtest.CheckAction{{Label: "Destroy", Description: "Take the preview away", Identifier: "destroy"}}) {
		t.Errorf("buttons %+v", got)
	}
	check.Buttons = nil // they are taken away
	check.Status, check.Conclusion, check.Title, check.Text = "completed", "success", "Ready", "diff"
	check.DetailsURL, check.CompletedAt = "https://web.preview.example.com/", w.clock.Now()
	if err := w.client.UpdateCheckRun(t.Context(), w.ref(), id, check); err != nil {
		t.Fatal(err)
	}
	runs := pr.CheckRuns()
	want := githubtest.CheckRun{
		ID: id, App: "idp", Name: check.Name, HeadSHA: check.HeadSHA, Status: "completed", Conclusion: "success", DetailsURL: check.DetailsURL,
		ExternalID: check.ExternalID, Title: "Ready", Summary: "…", Text: "diff", StartedAt: at, CompletedAt: w.clock.Now(),
		Actions: []githubtest.CheckAction{},
	}
	if len(runs) != 1 {
		t.Fatalf("%d runs", len(runs))
	}
	runs[0].Annotations = nil
	if diff := cmp.Diff(want, runs[0]); diff != "" {
		t.Error(diff)
	}
	if err := w.client.UpdateCheckRun(t.Context(), w.ref(), 7, check); !errors.Is(err, bot.ErrNotFound) {
		t.Errorf("absent: %v", err)
	}
}

// GitHub appends annotations and takes 50 at a time; each must be there once,
// however often the check run is written.
func TestAnnotationsAreThereOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pr := w.open(t, "a")
	check := report.Check{Name: report.CheckName, HeadSHA: pr.HeadSHA(), Status: "completed", Conclusion: "failure", Title: "Errors", Summary: "…", CompletedAt: w.clock.Now()}
	for i := range 120 {
		check.Annotations = append(check.Annotations, report.Annotation{
			Path: ".idp/deploy.yaml", StartLine: i + 1, EndLine: i + 1 + i%2, StartColumn: 3, EndColumn: 0, Level: "failure", Title: "deploy.yaml", Message: fmt.Sprint("mistake ", i),
		})
	}
	id, err := w.client.CreateCheckRun(t.Context(), w.ref(), check)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.client.UpdateCheckRun(t.Context(), w.ref(), id, check); err != nil {
			t.Fatal(err)
		}
	}
	got := pr.CheckRuns()[0].Annotations
	if len(got) != 120 {
		t.Fatalf("%d annotations", len(got))
	}
	for i, one := range got {
		columns := one.StartColumn != nil && one.EndColumn != nil
		if one.Message != fmt.Sprint("mistake ", i) || columns != (i%2 == 0) {
			t.Fatalf("%d: %+v", i, one)
		}
	}
}

func TestDeployment(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pr := w.open(t, "a")
	d := report.Deployment{
		Environment: "preview", Transient: true, Preview: "idp-web-pr-1-x", SHA: pr.HeadSHA(), Ref: "a",
		State: "in_progress", URL: "https://web.preview.example.com/", Description: strings.Repeat("ü", 200),
	}
	other := d
	other.Preview = "idp-web-pr-2-y"
	if _, err := w.client.CreateDeployment(t.Context(), w.ref(), other); err != nil {
		t.Fatal(err)
	}
	if id, err := w.client.FindDeployment(t.Context(), w.ref(), d); err != nil || id != 0 {
		t.Errorf("found %d, %v", id, err)
	}
	id, err := w.client.CreateDeployment(t.Context(), w.ref(), d)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := w.client.FindDeployment(t.Context(), w.ref(), d); err != nil || found != id {
		t.Errorf("found %d, %v, want %d", found, err, id)
	}
	for _, state := range []string{"in_progress", "success", "inactive"} {
		d.State = state
		if err := w.client.SetDeploymentStatus(t.Context(), w.ref(), id, d); err != nil {
			t.Fatal(err)
		}
	}
	got := w.web.Deployments()
	if len(got) != 2 || got[0].State() != "pending" || got[1].State() != "inactive" || got[1].SHA != d.SHA || !got[1].Transient || got[1].Production {
		t.Errorf("deployments %+v", got)
	}
	if url := got[1].Statuses[1].EnvironmentURL; url != d.URL {
		t.Errorf("environment URL %q", url)
	}
}

// Long-lived environments are told from previews, and production from the rest.
func TestDeploymentThatStays(t *testing.T) {
	t.Parallel()
	w := setup(t)
	sha := w.web.Branch("main")
	for _, name := range []string{"staging", "production"} {
		d := report.Deployment{Environment: name, Preview: "idp-web-" + name + "-web", SHA: sha, Ref: "main", State: "success"}
		id, err := w.client.CreateDeployment(t.Context(), w.ref(), d)
		if err == nil {
			err = w.client.SetDeploymentStatus(t.Context(), w.ref(), id, d)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, got := range w.web.Deployments() {
		if got.Transient || got.Production != (i == 1) || got.State() != "success" {
			t.Errorf("%s: %+v", got.Environment, got)
		}
	}
}

func TestMarked(t *testing.T) {
	t.Parallel()
	for payload, want := range map[string]string{
		`{"idp_preview":"x"}`: "x", `"{\"idp_preview\":\"x\"}"`: "x", `""`: "", `{}`: "", `[]`: "", `null`: "", ``: "", `"text"`: "", `7`: "",
	} {
		if got := marked([]byte(payload)); got != want {
			t.Errorf("%s: %q", payload, got)
		}
	}
}

func TestRepositories(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for i := range perPage + 3 {
		w.server.AddRepository(fmt.Sprintf("acme/r%03d", i), githubtest.RepositoryOptions{Files: map[string]string{"x": "y"}})
	}
	all, err := w.client.Repositories(t.Context())
	if err != nil || len(all) != perPage+4 {
		t.Fatalf("listed %d, %v", len(all), err)
	}
	if !slices.Contains(all, w.ref()) {
		t.Errorf("acme/web is not listed")
	}
	found, err := w.client.FindRepository(t.Context(), "acme", "web")
	if err != nil || found != w.ref() {
		t.Errorf("found %+v, %v", found, err)
	}
	id, err := w.app.FindInstallation(t.Context(), "acme", "web")
	if err != nil || id != w.install.ID() {
		t.Errorf("installation %d, %v", id, err)
	}
	if _, err := w.app.FindInstallation(t.Context(), "acme", "nothing"); !errors.Is(err, bot.ErrNotFound) {
		t.Errorf("absent: %v", err)
	}
}
