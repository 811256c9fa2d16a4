package githubtest

import (
	"strings"
	"testing"
)

// A short SHA stands for a commit only while there is one that begins so.
func TestShortSHAOfSeveral(t *testing.T) {
	t.Parallel()
	s := New(Options{})
	r := s.AddRepository("acme/web", RepositoryOptions{})
	first, second := "abcdef0"+strings.Repeat("1", 33), "abcdef0"+strings.Repeat("2", 33)
	s.commits[first] = &commit{network: r, sha: first}
	if got := r.resolve("abcdef0"); got == nil || got.sha != first {
		t.Errorf("%+v", got)
	}
	s.commits[second] = &commit{network: r, sha: second}
	if got := r.resolve("abcdef0"); got != nil {
		t.Errorf("%+v", got)
	}
	if got := r.resolve("abcdef02"); got == nil || got.sha != second {
		t.Errorf("%+v", got)
	}
}
