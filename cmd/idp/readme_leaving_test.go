package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// leavingPicture is what an operator types once a repository is gone that is deployed
// somewhere, as a scenario holds it.
func leavingPicture(t *testing.T) string {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("..", "..", "testdata", "scenarios", "repository-deleted-declared.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	out.WriteString("```console\n")
	for _, typed := range []struct{ command, printed string }{
		{"idp env list", "lost.txt"}, {"idp env remove acme/web staging", "shown.txt"}, {"idp env remove acme/web staging --confirm", "removed.txt"},
	} {
		printed := ""
		for _, file := range archive.Files {
			if file.Name == typed.printed {
				printed = string(file.Data)
			}
		}
		printed, ok := strings.CutSuffix(printed, "status 0\n")
		if !ok {
			t.Fatalf("the scenario does not print %s, or it failed", typed.printed)
		}
		// Commits have seven digits where scenarios call them by a name.
		out.WriteString("$ " + typed.command + "\n" + strings.ReplaceAll(printed, "pr@1   ", "a1b2c3d"+"   "))
	}
	return out.String() + "```"
}
