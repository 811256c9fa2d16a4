package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// updatePicture is the README's part on values that are changed in a team's own files: what
// the platform team writes, and what is printed of it.
func updatePicture(t *testing.T) string {
	t.Helper()
	archive, dir := readmeFiles(t, "update")
	checkout := filepath.Join(dir, "gitops")
	print := func(args ...string) string {
		return strings.ReplaceAll(readmePrints(t, exitOK, args...), checkout, "../gitops")
	}
	const sha, digest = "3f2c1a9d0b5e47c6a8f1e2d3c4b5a6978890abcd", "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	valid := print("validate", "--platform", checkout)
	patch := print("render", filepath.Join(dir, "web"), "--repo", "acme/web", "--repo-id", "1296269", "--env", "staging", "--platform", checkout, "--sha", sha, "--image", "web="+digest)
	return "```yaml\n# platform/environments.yaml\n" + string(archive.Files[0].Data) + "```\n\n```text\n" +
		"$ idp validate --platform ../gitops\n" + valid +
		"$ idp render --repo acme/web --repo-id 1296269 --env staging --platform ../gitops --sha 3f2c1a9… --image web=sha256:9f86d08…\n" +
		strings.ReplaceAll(patch, digest, "sha256:9f86d08…") + "```"
}

// readmeFiles writes the files of a part of the README into a folder of their own.
func readmeFiles(t *testing.T, part string) (archive *txtar.Archive, dir string) {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", "readme", part+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	dir = secrettest.Dir(t)
	if err := txtar.Write(archive, dir); err != nil {
		t.Fatal(err)
	}
	return archive, dir
}

// readmePrints is what the program prints, which ends with a status.
func readmePrints(t *testing.T, want int, args ...string) string {
	t.Helper()
	var stdout, stderr strings.Builder
	if status := searchedRun(t.Context(), t, args, nil, &stdout, &stderr, os.Environ()); status != want {
		t.Fatalf("idp %s ended with %d: %s%s", strings.Join(args, " "), status, stdout.String(), stderr.String())
	}
	return stdout.String()
}
