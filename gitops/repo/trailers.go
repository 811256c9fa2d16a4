package repo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/idp-bot/idp/gitops/repo/internal/gitexec"
)

// Trailer is the value of a trailer in a commit.
type Trailer struct{ Commit, Value string }

// Trailers returns every trailer of a name in the commits of a local clone, with a work
// tree or bare, whatever branch they are on; the newest commit first. ErrInvalid says
// that dir is no repository, or name no trailer's.
func Trailers(ctx context.Context, dir, name string) ([]Trailer, error) {
	if !validTrailerName(name) {
		return nil, fmt.Errorf("trailer %.80q: %w", name, ErrInvalid)
	}
	gitDir := filepath.Join(dir, ".git")
	if _, err := os.Stat(gitDir); err != nil {
		gitDir = dir
	}
	if _, err := os.Stat(filepath.Join(gitDir, "HEAD")); err != nil {
		return nil, fmt.Errorf("%s is no Git repository: %w", dir, ErrInvalid)
	}
	home, err := os.MkdirTemp("", "idp-home-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(home) // an empty folder in the system's place for those
	out, err := gitexec.Git{Dir: gitDir, Home: home}.Run(ctx, gitexec.Command{Args: []string{
		"log", "-z", "--no-color", "--no-show-signature", "--all", "HEAD",
		"--format=tformat:%H%x1f%(trailers:key=" + name + ",valueonly,unfold,separator=%x1e)", "--",
	}})
	if err != nil {
		return nil, fmt.Errorf("read the commits of %s: %w", dir, err)
	}
	var found []Trailer
	for record := range strings.SplitSeq(string(out), "\x00") {
		commit, field, _ := strings.Cut(strings.TrimPrefix(record, "\n"), "\x1f")
		for _, value := range values(field) {
			found = append(found, Trailer{Commit: commit, Value: value})
		}
	}
	return found, nil
}
