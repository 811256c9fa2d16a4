package onboard_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/idp-bot/idp/gitops/onboard"
	"github.com/idp-bot/idp/gitops/spec"
)

var update = flag.Bool("update", false, "write what is found into the repositories below testdata")

// Each archive below testdata is a repository, and as its last file what is written for
// it; the words behind "repository:" in its comment are its name. What is written is valid.
func TestLook(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) < 8 {
		t.Fatalf("%d repositories (%v)", len(archives), err)
	}
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			tree, want := fstest.MapFS{}, []byte(nil)
			files := archive.Files[:0]
			for _, file := range archive.Files {
				if file.Name == spec.Path {
					want = file.Data
					continue
				}
				files = append(files, file)
				tree[file.Name] = &fstest.MapFile{Data: file.Data}
			}
			_, name, _ := strings.Cut(string(archive.Comment), "repository: ")
			name, _, _ = strings.Cut(name, "\n")
			found, err := onboard.Look(tree, name)
			if err != nil {
				t.Fatal(err)
			}
			got := onboard.Write(found, "deploy.schema.json")
			if _, errs := spec.Parse(spec.Path, got); len(errs) > 0 {
				t.Errorf("what is written is not valid: %v\n%s", errs, got)
			}
			if *update {
				archive.Files = append(files, txtar.File{Name: spec.Path, Data: got})
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if !bytes.Equal(got, want) {
				t.Errorf("(-want +got)\n%s", cmp.Diff(string(want), string(got)))
			}
		})
	}
}

// FuzzLook: whatever a repository's files hold, what is written for it is valid.
func FuzzLook(f *testing.F) {
	f.Add("web", "FROM scratch\nEXPOSE 80\n", "services: {a: {build: .}}\n", "jobs: {b: {steps: [{run: docker push ghcr.io/a/b:$GITHUB_SHA}]}}\n", "image: {repository: ghcr.io/a/b}\n")
	f.Add("9", "FROM a AS b\nHEALTHCHECK CMD curl http://localhost/x\n", "services: {\"a\\nb\": {build: {context: ../..}}}\n", "", "")
	f.Fuzz(func(t *testing.T, name, dockerfile, compose, workflow, values string) {
		tree := fstest.MapFS{
			"Dockerfile": {Data: []byte(dockerfile)}, "compose.yaml": {Data: []byte(compose)}, ".github/workflows/ci.yml": {Data: []byte(workflow)},
			"chart/Chart.yaml": {Data: []byte("name: x\n")}, "chart/values.yaml": {Data: []byte(values)},
		}
		found, err := onboard.Look(tree, name)
		if err != nil {
			t.Fatal(err)
		}
		got := onboard.Write(found, "deploy.schema.json")
		if _, errs := spec.Parse(spec.Path, got); len(errs) > 0 {
			t.Fatalf("not valid: %v\n%s", errs, got)
		}
	})
}
