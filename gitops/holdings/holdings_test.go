package holdings

import (
	"context"
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/render"
	"github.com/idp-bot/idp/gitops/repo"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

const sha = "a1b2c3d4a1b2c3d4a1b2c3d4a1b2c3d4a1b2c3d4"

func record(t *testing.T, ref gitops.EnvironmentRef, generation int64) gitops.File {
	t.Helper()
	content, err := render.Marshal(render.Record{
		APIVersion: "idp.dev/v1", Kind: "Environment", RepositoryID: ref.RepositoryID, Owner: ref.Owner, Repo: ref.Repo, ID: ref.ID,
		FullName: "acme/web", PullRequest: 1, Generation: generation, SHA: sha, Class: "preview", Namespace: ref.Namespace(), Application: ref.Name(),
		Images: map[string]string{"web": "ghcr.io/acme/web:v1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return gitops.File{Path: ref.RecordPath(), Content: content}
}

func TestRead(t *testing.T) {
	t.Parallel()
	ctx := context.WithoutCancel(t.Context())
	server, err := gittest.Start(ctx, secrettest.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	remote, err := server.Create(ctx, "acme/gitops")
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Open(ctx, repo.Options{URL: remote.URL, Branch: "main", Dir: secrettest.Dir(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	ref := func(id string) gitops.EnvironmentRef {
		return gitops.EnvironmentRef{RepositoryID: 7, Owner: "acme", Repo: "web", ID: id}
	}
	commit := func(of gitops.EnvironmentRef, revision string, files ...gitops.File) string {
		t.Helper()
		done, err := r.Commit(ctx, repo.Commit{Changes: []repo.Change{{
			Key: of.String() + "@" + revision, Dir: of.Dir(), Files: files, Accept: []string{repo.AnyTree}, Subject: "Deploy",
			Trailers: [][2]string{{"Idp-Environment", of.String() + " generation " + revision}, {"Idp-Revision", revision}},
		}}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return done.Commit
	}
	commit(ref("pr-1"), "1", record(t, ref("pr-1"), 1))
	second := commit(ref("pr-1"), "2", record(t, ref("pr-1"), 2))
	written := commit(ref("pr-2"), "1", record(t, ref("pr-2"), 1))
	commit(ref("pr-3"), "1", record(t, ref("pr-3"), 1))
	commit(ref("pr-3"), "2")
	other := record(t, ref("pr-1"), 1)
	broken := gitops.File{Path: ref("pr-6").RecordPath(), Content: []byte(strings.Replace(string(record(t, ref("pr-6"), 1).Content), "sha: "+sha, "sha: a1b2", 1))}
	tip, err := remote.Commit(ctx, "main", gittest.Edit{Message: "By hand", Put: []gitops.File{
		{Path: ref("pr-2").RecordPath(), Content: []byte("kind: Nonsense\n")},
		record(t, ref("pr-3"), 1), // put back
		record(t, ref("pr-4"), 1), // by somebody else
		{Path: ref("pr-5").RecordPath(), Content: other.Content},
		broken,
		{Path: ref("pr-7").RecordPath(), Content: []byte("id: [\n")},
		{Path: ref("pr-8").Dir() + "/x", Content: []byte("x")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	held, err := Read(ctx, r, tip)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, h := range held {
		switch {
		case h.Problem != nil:
			seen[h.Dir] = h.Problem.Error()
		case h.Changed():
			seen[h.Dir] = "changed since " + h.Commit
		default:
			seen[h.Dir] = "as written in " + h.Commit
		}
		if (h.Record == nil) == (h.Problem == nil) || h.Tip != tip {
			t.Errorf("%s: record %v, problem %v, tip %s", h.Dir, h.Record, h.Problem, h.Tip)
		}
	}
	for dir, want := range map[string]string{
		"pr-1": "as written in " + second,
		"pr-2": "changed since " + written,
		"pr-3": "idp removed it in commit",
		"pr-4": "as written in ",
		"pr-5": "pr-5/environment.yaml:6: it is the record of environments/acme/web/pr-1",
		"pr-6": `pr-6/environment.yaml:15: read record of acme/web/pr-6: sha "a1b2" is not 40 hexadecimal digits`,
		"pr-7": "pr-7/environment.yaml:",
		"pr-8": "it has no environment.yaml",
	} {
		if got := seen["environments/acme/web/"+dir]; !strings.Contains(got, want) {
			t.Errorf("%s is %q, want %q", dir, got, want)
		}
	}
	if held, err := Read(ctx, r, ""); err != nil || len(held) != 0 {
		t.Errorf("a branch that is not there: %v, %v", held, err)
	}
}
