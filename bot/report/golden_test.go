package report

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/idp-bot/idp/gitops/platform"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestGolden shows every state as people see it.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, s := range states() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			golden(t, s.name, txtar.Format(archive(t, s.in)))
		})
	}
}

func archive(t *testing.T, in Input) *txtar.Archive {
	t.Helper()
	check := CheckOf(in)
	d, deployed := DeploymentOf(in)
	deployment := "none"
	if deployed {
		deployment = fmt.Sprintf("%s of %s (%s)\n%s\n%s", d.State, d.SHA, d.Ref, d.URL, d.Description)
	}
	annotations, err := json.MarshalIndent(check.Annotations, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	head := fmt.Sprintf("%s\n%s %s of %s\nfrom %s to %s\n%s\n%s\n", check.Title, check.Status, check.Conclusion, check.HeadSHA,
		check.StartedAt.Format("15:04:05"), check.CompletedAt.Format("15:04:05"), check.DetailsURL, check.ExternalID)
	modes := ""
	for _, mode := range []platform.CommentMode{platform.CommentSticky, platform.CommentOnFailure, platform.CommentOff} {
		in.Class.Comment = mode
		modes += fmt.Sprintf("%s: new %v, existing %v\n", mode, CommentWanted(in, false), CommentWanted(in, true))
	}
	return &txtar.Archive{Files: []txtar.File{
		{Name: "comment.md", Data: []byte(Comment(in) + "\n")},
		{Name: "comment.wanted", Data: []byte(modes)},
		{Name: "check", Data: []byte(head)},
		{Name: "check.summary.md", Data: []byte(check.Summary + "\n")},
		{Name: "check.text.md", Data: []byte(check.Text + "\n")},
		{Name: "check.annotations.json", Data: append(annotations, '\n')},
		{Name: "deployment", Data: []byte(deployment + "\n")},
	}}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name+".txtar")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got; -update rewrites):\n%s", file, diff)
	}
}
