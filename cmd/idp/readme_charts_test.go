package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// chartsPicture is the README's part on charts of the platform team's: what they write, what
// repositories do, and what is printed of it.
func chartsPicture(t *testing.T) string {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", "readme", "charts.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	dir := secrettest.Dir(t)
	if err := txtar.Write(archive, dir); err != nil {
		t.Fatal(err)
	}
	gitops := filepath.Join(dir, "gitops")
	print := func(want int, args ...string) string {
		var stdout, stderr strings.Builder
		if status := run(t.Context(), args, nil, &stdout, &stderr, os.Environ()); status != want {
			t.Fatalf("idp %s ended with %d: %s%s", strings.Join(args, " "), status, stdout.String(), stderr.String())
		}
		return strings.NewReplacer(gitops, "../gitops", filepath.Join(dir, "misspelt")+"/", "", filepath.Join(dir, "web")+"/", "").Replace(stdout.String())
	}
	pins := filepath.Join(gitops, "platform", "charts.yaml")
	if err := os.Remove(pins); err != nil {
		t.Fatal(err)
	}
	unpinned := print(exitInvalid, "platform", "validate", gitops)
	if err := os.WriteFile(pins, archive.Files[0].Data, 0o600); err != nil {
		t.Fatal(err)
	}
	valid := print(exitOK, "platform", "validate", gitops)
	named := print(exitOK, "validate", "--platform", gitops, filepath.Join(dir, "web"))
	misspelt := print(exitInvalid, "validate", "--platform", gitops, filepath.Join(dir, "misspelt"))
	return "```console\n$ idp platform validate ../gitops\n" + unpinned + "```\n\n" +
		"```yaml\n# platform/charts.yaml\n" + string(archive.Files[0].Data) + "```\n\n```yaml\n# .idp/deploy.yaml\n" + string(archive.Files[1].Data) + "```\n\n" +
		"```console\n$ idp platform validate ../gitops\n" + valid + "$ idp validate --platform ../gitops .\n" + named +
		"$ idp validate --platform ../gitops .      # where it says wbe\n" + misspelt + "```"
}
