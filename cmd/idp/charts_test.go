package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/repo"
	"github.com/idp-bot/idp/previews"
)

// platformHistory is a repository with the platform folder, by commits; tip is the newest.
type platformHistory struct {
	commits map[string]platformFiles
	tip     string
	away    error
}

func (h *platformHistory) Tip(context.Context) (string, error) { return h.tip, h.away }

func (h *platformHistory) FilesBut(ctx context.Context, commit, dir, _ string) ([]gitops.File, error) {
	return h.Files(ctx, commit, dir)
}

func (h *platformHistory) Files(ctx context.Context, commit, dir string) ([]gitops.File, error) {
	files, ok := h.commits[commit]
	if !ok {
		return nil, repo.ErrInvalid
	}
	if _, linked := files[dir+"/link"]; linked {
		return nil, repo.ErrIrregular
	}
	if _, large := files[dir+"/large"]; large {
		return nil, repo.ErrTooLarge
	}
	return files.Files(ctx, commit, dir)
}

func (h *platformHistory) Text(ctx context.Context, commit, path string) ([]byte, error) {
	files, ok := h.commits[commit]
	if !ok {
		return nil, repo.ErrInvalid
	}
	return files.Text(ctx, commit, path)
}

// packedAt is a platform folder with one packed chart of a content, pinned as another.
func packedAt(content, pinned string) platformFiles {
	sum := sha256.Sum256([]byte(pinned))
	return platformFiles{
		"platform/charts.yaml":    "charts:\n  web: {digest: sha256:" + hex.EncodeToString(sum[:]) + "}\n",
		"platform/charts/web.tgz": content,
	}
}

// chartsOf are the declarations of a history.
func chartsOf(h *platformHistory) *declarations {
	base := platform.Default()
	base.RepoURL, base.PushURL, base.Branch = "https://github.com/acme/gitops.git", "https://github.com/acme/gitops.git", "main"
	return &declarations{base: base, api: "https://api.github.com", now: time.Now, repo: h}
}

// TestChartsFor reads the charts of a generation: what it was set out to be written with, else
// what is declared; that is looked at anew before anybody is refused.
func TestChartsFor(t *testing.T) {
	t.Parallel()
	h := &platformHistory{tip: "one", commits: map[string]platformFiles{"one": packedAt("first", "first"), "two": packedAt("second", "second")}}
	d := chartsOf(h)
	fixed := &previews.Charts{Generation: 3, UsedCharts: platform.UsedCharts{At: "one", Digests: map[string]string{"web": "sha256:1"}}}
	gone := &previews.Charts{Generation: 3, UsedCharts: platform.UsedCharts{At: "rewritten", Digests: map[string]string{"web": "sha256:1"}}}
	read := func(env previews.Environment) string {
		t.Helper()
		got, err := d.chartsFor(t.Context(), env, []string{"web"})
		if err != nil {
			return err.Error()
		}
		if used := got.of(env.Generation); used.Generation != env.Generation || used.At == "" || used.Digests["web"] == "" || got.recorded().At != used.At {
			t.Errorf("it is noted as %+v", used)
		}
		return string(got.files["web"].Packed) + " at " + got.used.At
	}
	expect := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	expect("first", read(previews.Environment{Generation: 1}), "first at one")
	h.tip = "two"
	if _, err := d.current(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect("another pin", read(previews.Environment{Generation: 4, Charts: fixed}), "second at two")
	expect("the same generation", read(previews.Environment{Generation: 3, Charts: fixed}), "first at one")
	expect("another history", read(previews.Environment{Generation: 3, Charts: gone}), "second at two")

	h.tip, h.commits["three"] = "three", packedAt("third", "another")
	if _, err := d.current(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.tip, h.commits["four"] = "four", packedAt("fourth", "fourth")
	expect("mended since it was read", read(previews.Environment{Generation: 5}), "fourth at four")
}

// TestChartsRefused: what is wrong with a chart is the platform team's, and what cannot be read
// is nobody's.
func TestChartsRefused(t *testing.T) {
	t.Parallel()
	linked := platformFiles{"platform/charts.yaml": "charts: {web: {digest: \"h1:" + strings.Repeat("A", 43) + "=\"}}\n", "platform/charts/web/link": ""}
	large := platformFiles{"platform/charts.yaml": linked["platform/charts.yaml"], "platform/charts/web/large": ""}
	for name, c := range map[string]struct {
		history platformHistory
		want    string
	}{
		"another content":     {platformHistory{tip: "a", commits: map[string]platformFiles{"a": packedAt("x", "y")}}, "the chart platform/charts/web.tgz is not what platform/charts.yaml pins: it is sha256:"},
		"not there":           {platformHistory{tip: "a", commits: map[string]platformFiles{"a": {"platform/charts.yaml": packedAt("x", "x")["platform/charts.yaml"]}}}, "there is no platform/charts/web.tgz"},
		"a link":              {platformHistory{tip: "a", commits: map[string]platformFiles{"a": linked}}, "the chart platform/charts/web has what is no plain file in it: links are not followed"},
		"more than is read":   {platformHistory{tip: "a", commits: map[string]platformFiles{"a": large}}, "the chart platform/charts/web is larger than 8 MiB"},
		"not declared":        {platformHistory{tip: "a", commits: map[string]platformFiles{"a": {"platform/charts.yaml": strings.ReplaceAll(packedAt("x", "x")["platform/charts.yaml"], "web", "api")}}}, "there is no chart web: platform/charts.yaml has api"},
		"none declared":       {platformHistory{tip: "a", commits: map[string]platformFiles{"a": {}}}, "there is no chart web: platform/charts.yaml has none"},
		"an empty repository": {platformHistory{}, "there is no chart web: platform/charts.yaml has none"},
		"out of reach":        {platformHistory{tip: "a", away: errors.New("out of reach")}, ""},
		"not in the clone":    {platformHistory{tip: "a", commits: map[string]platformFiles{}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := chartsOf(&c.history).chartsFor(t.Context(), previews.Environment{Generation: 1}, []string{"web"})
			_, later := errors.AsType[*previews.LaterError](err)
			wrong, theirs := errors.AsType[*previews.ChartError](err)
			switch {
			case c.want == "" && (!later || theirs):
				t.Errorf("got %v, want it later", err)
			case c.want != "" && (!theirs || later || !strings.Contains(wrong.Err.Message, c.want) || wrong.Err.Hint == ""):
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
