package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
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
