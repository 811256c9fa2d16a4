package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// chartsPicture is the README's part on charts of the platform team's: what they write, what
// repositories do, and what is printed of it.
func chartsPicture(t *testing.T) string {
	t.Helper()
	archive, dir := readmeFiles(t, "charts")
	gitops := filepath.Join(dir, "gitops")
	print := func(want int, args ...string) string {
		return strings.NewReplacer(gitops, "../gitops", filepath.Join(dir, "misspelt")+"/", "", filepath.Join(dir, "web")+"/", "").Replace(readmePrints(t, want, args...))
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
