package repo

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/repo/internal/gitexec"
)

// sizes are how many environments the benchmarks' repository holds beforehand.
var sizes = []int{1_000, 10_000}

func eachSize(b *testing.B, measure func(b *testing.B, environments int)) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("environments=%d", n), func(b *testing.B) { measure(b, n) })
	}
}

func filled(b *testing.B, environments int) *gittest.Repository {
	b.Helper()
	_, remote := serve(b)
	var files []gitops.File
	for i := range environments {
		files = append(files, deploy(fmt.Sprintf("pr-%d", i+1), "v0").Files...)
	}
	mustEdit(b, remote, gittest.Edit{Put: files})
	return remote
}

// BenchmarkCommit is one changed environment among many, committed and pushed over HTTP:
// what it takes should not grow with how many there are.
func BenchmarkCommit(b *testing.B) { eachSize(b, benchmarkCommit) }

func benchmarkCommit(b *testing.B, environments int) {
	remote := filled(b, environments)
	r := open(b, remote)
	last := deploy("pr-1", "v0")
	for i := 0; b.Loop(); i++ {
		next := deploy("pr-1", fmt.Sprintf("v%d", i+1), treeOf(last))
		if result := mustCommit(b, r, next); len(result.Conflicts) > 0 {
			b.Fatal(result.Conflicts[0].Err)
		}
		last = next
	}
}

// BenchmarkFloor is the least that can be done for the same: git fast-import and
// git push, without a look at what is there or a word to anybody.
func BenchmarkFloor(b *testing.B) { eachSize(b, benchmarkFloor) }

func benchmarkFloor(b *testing.B, environments int) {
	remote := filled(b, environments)
	r := open(b, remote)
	tip, err := r.Tip(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		content := fmt.Sprintf("v%d\n", i+1)
		var in bytes.Buffer
		fmt.Fprintf(&in, "commit refs/heads/work\ncommitter f <f@x> 1700000000 +0000\ndata 1\n.\nfrom %s\n", tip)
		fmt.Fprintf(&in, "M 100644 inline environments/acme/web/pr-1/manifests/deployment.yaml\ndata %d\n%s\n", len(content), content)
		if _, err := r.git.Run(b.Context(), gitexec.Command{Args: []string{"fast-import", "--quiet", "--force"}, Stdin: &in}); err != nil {
			b.Fatal(err)
		}
		if _, err := r.git.Run(b.Context(), gitexec.Command{Args: []string{"push", "--quiet", "origin", "refs/heads/work:refs/heads/main"}, Network: true}); err != nil {
			b.Fatal(err)
		}
		out, err := r.git.Run(b.Context(), gitexec.Command{Args: []string{"rev-parse", "refs/heads/work"}})
		if err != nil {
			b.Fatal(err)
		}
		tip = string(bytes.TrimSpace(out))
	}
}

// BenchmarkContended is BenchmarkCommit where somebody else has always pushed before: from
// the push that is refused on, it is what decides who is faster.
func BenchmarkContended(b *testing.B) { eachSize(b, benchmarkContended) }

func benchmarkContended(b *testing.B, environments int) {
	remote := filled(b, environments)
	r := open(b, remote)
	last := deploy("pr-1", "v0")
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		mustEdit(b, remote, gittest.Edit{Put: []gitops.File{{Path: "notes/note.txt", Content: fmt.Appendf(nil, "%d\n", i)}}})
		b.StartTimer()
		next := deploy("pr-1", fmt.Sprintf("v%d", i+1), treeOf(last))
		if result := mustCommit(b, r, next); len(result.Conflicts) > 0 {
			b.Fatal(result.Conflicts[0].Err)
		}
		last = next
	}
}
