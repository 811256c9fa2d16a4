package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/repo"
	"github.com/idp-bot/idp/previews"
)

// platformFiles is a GitOps repository's platform folder.
type platformFiles map[string]string

func (f platformFiles) Tip(context.Context) (string, error) { return "tip", nil }

func (f platformFiles) FilesBut(ctx context.Context, commit, _, _ string) ([]gitops.File, error) {
	return f.Files(ctx, commit, "")
}

func (f platformFiles) Files(_ context.Context, _, dir string) ([]gitops.File, error) {
	var files []gitops.File
	for path, content := range f {
		if strings.HasPrefix(path, dir) {
			files = append(files, gitops.File{Path: path, Content: []byte(content)})
		}
	}
	return files, nil
}

func (f platformFiles) Text(_ context.Context, _, path string) ([]byte, error) {
	content, ok := f[path]
	if !ok {
		return nil, repo.ErrNoFile
	}
	return []byte(content), nil
}

func TestDeclarationsServable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ class, want string }{
		"pull requests here":             {"gitops_mode: pull_request", ""},
		"pushed elsewhere":               {"gitops_url: https://git.example.com/acme/production.git", ""},
		"pull requests elsewhere":        {"gitops_url: https://git.example.com/acme/production.git\ngitops_mode: pull_request", "is not the GitHub of the API"},
		"pull requests of no repository": {"gitops_url: https://github.com/production.git\ngitops_mode: pull_request", "names no owner and repository"},
		"no git URL":                     {"gitops_url: ftp://git.example.com/acme/production.git", "expected http://"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := platform.Default()
			base.RepoURL, base.PushURL, base.Branch = "https://github.com/acme/gitops.git", "https://github.com/acme/gitops.git", "main"
			d := &declarations{base: base, api: "https://api.github.com", now: time.Now, repo: platformFiles{
				"platform/environments.yaml": "environments: {production: {class: durable}}\n", "platform/classes/durable.yaml": c.class + "\n",
			}}
			_, err := d.current(t.Context())
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "platform/classes/durable.yaml")):
				t.Errorf("the error is %v, want one about %s", err, c.want)
			}
		})
	}
}

// lostFolder is a platform folder that may come to be out of reach.
type lostFolder struct {
	platformFiles
	tip   string
	err   error
	asked int
}

func (f *lostFolder) Tip(context.Context) (string, error) { f.asked++; return f.tip, f.err }

// For previews the folder is asked for once a minute, and beside an error stands what it
// said last; for what is deployed it is asked each time, and an error is all there is.
func TestDeclarationsRecent(t *testing.T) {
	t.Parallel()
	now, base := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC), platform.Default()
	base.RepoURL, base.PushURL, base.Branch = "https://github.com/acme/gitops.git", "https://github.com/acme/gitops.git", "main"
	folder := &lostFolder{tip: "one", platformFiles: platformFiles{"platform/teams.yaml": "teams: {web: {repositories: [{id: 7}]}}\n"}}
	d := &declarations{base: base, repo: folder, now: func() time.Time { return now }}
	team := func(p platform.Platform) string { owner, _ := p.Teams.Of(7); return owner.Team }

	folder.err = errors.New("out of reach")
	if p, err := d.recent(t.Context()); err == nil || p.Classes != nil {
		t.Errorf("never read: %+v, %v", p, err)
	}
	folder.err = nil
	for range 3 {
		if p, err := d.recent(t.Context()); err != nil || team(p) != "web" {
			t.Errorf("%+v, %v", p, err)
		}
	}
	if folder.asked != 2 {
		t.Errorf("asked %d times", folder.asked)
	}
	folder.tip, folder.platformFiles = "two", platformFiles{"platform/teams.yaml": "teams: {api: {repositories: [{id: 7}]}}\n"}
	if p, _ := d.recent(t.Context()); team(p) != "web" {
		t.Errorf("within the minute it is of %s", team(p))
	}
	now = now.Add(recently)
	if p, err := d.recent(t.Context()); err != nil || team(p) != "api" {
		t.Errorf("after it: %+v, %v", p, err)
	}
	now, folder.tip, folder.platformFiles = now.Add(recently), "three", platformFiles{"platform/teams.yaml": "teems: {}\n"}
	if p, err := d.recent(t.Context()); err == nil || team(p) != "api" {
		t.Errorf("with a mistake in it: %+v, %v", p, err)
	}
	if p, err := d.current(t.Context()); err == nil || p.Classes != nil {
		t.Errorf("as it is now: %+v, %v", p, err)
	}
}

// Where the folder cannot be read nothing is rendered, and nothing given up for it; a
// mistake in it is for the platform team.
func TestDeclarationsOutOfReach(t *testing.T) {
	t.Parallel()
	base := platform.Default()
	base.RepoURL, base.PushURL, base.Branch = "https://github.com/acme/gitops.git", "https://github.com/acme/gitops.git", "main"
	folder := &lostFolder{tip: "one", err: errors.New("out of reach"), platformFiles: platformFiles{"platform/teams.yaml": "teems: {}\n"}}
	d := &declarations{base: base, repo: folder, now: time.Now}
	later := func(err error) bool { _, ok := errors.AsType[*previews.LaterError](err); return ok }
	if _, err := d.rendering(previews.Environment{}); !later(err) {
		t.Errorf("out of reach: %v", err)
	}
	folder.err = nil
	if _, err := d.rendering(previews.Environment{}); err == nil || later(err) {
		t.Errorf("with a mistake in it: %v", err)
	}
	folder.platformFiles = nil
	if _, err := d.rendering(previews.Environment{}); err != nil {
		t.Errorf("mended: %v", err)
	}
}
