package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// TestRenderIsTheCommit holds "idp render" against what the bot committed for the
// same pull requests: the same paths and the same bytes, all of them.
func TestRenderIsTheCommit(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	clock := &stoppedClock{at: noon}
	w, err := newWorld(ctx, worldOptions{
		dir: worldDir(t), log: secrettest.Logger(t), now: clock.now, key: sharedKey, github: githubDescription(t),
		env: map[string]string{"IDP_GITOPS_PUSHES_PER_MINUTE": "0", "IDP_PREVIEW_TTL": "36h"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
	if err := w.start(context.WithoutCancel(ctx)); err != nil {
		t.Fatal(err)
	}
	w.github.AddUser("alice")
	text := "services:\n  - name: web\n    env:\n      SELF: \"https://{host}/{pr}\"\n  - name: mailer\n    kind: worker\npreview:\n  ttl: 5h\n"
	repo := w.github.AddRepository("acme/Shop", githubtest.RepositoryOptions{Files: map[string]string{".idp/deploy.yaml": text}})
	repo.Grant("alice", "write")
	for i := range 2 {
		branch := fmt.Sprintf("change-%d", i)
		sha := repo.PushAs("alice", branch, "Change", map[string]string{branch: "x"})
		if err := w.pushImage(ctx, strings.ToLower(repo.FullName()), sha); err != nil {
			t.Fatal(err)
		}
		if _, err := repo.OpenPullRequest(githubtest.PullRequestOptions{Author: "alice", Title: branch, Head: branch}); err != nil {
			t.Fatal(err)
		}
	}
	rows := awaitCommitted(t, w, 2)

	file := filepath.Join(secrettest.Dir(t), "deploy.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out := secrettest.Dir(t)
	for _, row := range rows {
		args := []string{
			"render", file, "--repo", row.Owner + "/" + row.Repo, "--repo-id", fmt.Sprint(row.Ref.RepositoryID), "--pr", fmt.Sprint(row.PR), "--sha", row.SHA,
			"--branch", row.HeadRef, "--author", row.Author, "--generation", fmt.Sprint(row.Generation), "--now", noon.Format(time.RFC3339), "--out", out,
		}
		for _, image := range row.Images {
			args = append(args, "--image", image.Service+"="+image.Digest)
		}
		var stdout, stderr strings.Builder
		if status := searchedRun(ctx, t, args, strings.NewReader(""), &stdout, &stderr, pairs(w.env)); status != exitOK {
			t.Fatalf("idp %s ended with %d:\n%s", strings.Join(args, " "), status, stderr.String())
		}
	}
	tip, err := w.gitops.Tip(ctx, "main")
	if err != nil {
		t.Fatal(err)
	}
	committed, err := w.gitops.List(ctx, tip)
	if err != nil {
		t.Fatal(err)
	}
	rendered := filesBelow(t, out)
	for _, line := range committed {
		path := strings.SplitN(line, " ", 3)[2]
		content, err := w.gitops.Content(ctx, tip, path)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := rendered[path]; !ok || got != content {
			t.Errorf("%s was committed as\n%s\nand is rendered (%v) as\n%s", path, content, ok, got)
		}
		delete(rendered, path)
	}
	for path := range rendered {
		t.Errorf("%s is rendered and was not committed", path)
	}
}

// awaitCommitted waits until n previews are in Git and returns their rows.
func awaitCommitted(t *testing.T, w *world, n int) []previews.Environment {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	changed, unsubscribe := w.main.store.Subscribe()
	defer unsubscribe()
	for {
		rows, err := w.main.store.Environments(ctx, store.Filter{Live: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == n && rows[0].AppliedGeneration > 0 && rows[n-1].AppliedGeneration > 0 {
			return rows
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("of %d previews there are %+v", n, rows)
		}
	}
}

// pairs is env as a process has it.
func pairs(env map[string]string) []string {
	out := make([]string, 0, len(env))
	for key, value := range env {
		out = append(out, key+"="+value)
	}
	return out
}

// filesBelow returns the files below dir, by their paths in it.
func filesBelow(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	root := os.DirFS(dir)
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(root, path)
		out[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
