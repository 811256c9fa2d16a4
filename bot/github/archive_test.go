package github

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops/fault"
)

func TestTree(t *testing.T) {
	t.Parallel()
	w := setup(t)
	sha := w.web.Commit("main", map[string]string{
		"deploy/Chart.yaml": "name: x\n", "deploy/templates/a.yaml": "a\n", "deployment.md": "no", "values.yaml": "v\n", "link/x": "-> /etc/passwd",
	})
	got, err := w.client.Tree(t.Context(), w.ref(), sha, []string{"deploy", "values.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	text := map[string]string{}
	for name, content := range got {
		text[name] = string(content)
	}
	if diff := cmp.Diff(map[string]string{"deploy/Chart.yaml": "name: x\n", "deploy/templates/a.yaml": "a\n", "values.yaml": "v\n"}, text); diff != "" {
		t.Error(diff)
	}
	before := len(w.server.Requests())
	if _, err := w.client.Tree(t.Context(), w.ref(), sha, []string{"deploy", "values.yaml"}); err != nil || len(w.server.Requests()) != before {
		t.Errorf("it is asked for again, %v", err)
	}
	if _, err := w.client.Tree(t.Context(), w.ref(), sha, []string{"link"}); fault.CodeOf(err) != fault.Invalid || !strings.Contains(err.Error(), "link/x is no plain file") {
		t.Errorf("a link: %v", err)
	}
	for _, absent := range []string{"main", strings.Repeat("0", 40)} {
		if _, err := w.client.Tree(t.Context(), w.ref(), absent, []string{""}); !errors.Is(err, bot.ErrNotFound) {
			t.Errorf("%s: %v", absent, err)
		}
	}
}

// TestTreeOfRenamed follows GitHub to where a renamed repository is before the archive.
func TestTreeOfRenamed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	sha, ref := w.web.Commit("main", map[string]string{"a": "a"}), w.ref()
	w.web.Rename("alice", "website")
	got, err := w.client.Tree(t.Context(), ref, sha, []string{""})
	if err != nil || !slices.Contains(slices.Collect(maps.Keys(got)), "a") {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestServesArchives(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]bool{
		"https://codeload.github.com/a/b": true, "http://codeload.github.com/a/b": false, "https://codeload.github.com.evil.com/a": false,
		"https://evil.com/codeload.github.com": false, "https://api.github.com/a": false,
	} {
		api, target := &url.URL{Scheme: "https", Host: "api.github.com"}, parsed(t, at)
		if got := servesArchives(api, target); got != want {
			t.Errorf("%s: %v", at, got)
		}
	}
}

func parsed(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestUnpack refuses archives that git does not write.
func TestUnpack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		headers []tar.Header
		want    string
	}{
		"climbs":    {[]tar.Header{{Typeflag: tar.TypeReg, Name: "x/../../etc/passwd"}}, "a path that is none"},
		"absolute":  {[]tar.Header{{Typeflag: tar.TypeReg, Name: "/etc/passwd"}, {Typeflag: tar.TypeReg, Name: "x//y"}}, "a path that is none"},
		"backslash": {[]tar.Header{{Typeflag: tar.TypeReg, Name: `x/..\y`}}, "a path that is none"},
		"hard link": {[]tar.Header{{Typeflag: tar.TypeLink, Name: "x/y", Linkname: "/etc/passwd"}}, "no plain file"},
		"device":    {[]tar.Header{{Typeflag: tar.TypeBlock, Name: "x/y"}}, "no plain file"},
		"too large": {[]tar.Header{{Typeflag: tar.TypeReg, Name: "x/y", Size: maxTree + 1}}, "larger than 16 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			zipped := gzip.NewWriter(&out)
			archive := tar.NewWriter(zipped)
			for _, h := range c.headers {
				if err := archive.WriteHeader(&h); err != nil {
					t.Fatal(err)
				}
				if _, err := archive.Write(make([]byte, h.Size)); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(archive.Close(), zipped.Close()); err != nil {
				t.Fatal(err)
			}
			if _, err := unpack(&out, []string{""}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := unpack(strings.NewReader("<html>"), []string{""}); !errors.Is(err, errArchive) {
		t.Errorf("what is no archive: %v", err)
	}
}
