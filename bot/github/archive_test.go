package github

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/spec"
)

func TestTree(t *testing.T) {
	t.Parallel()
	w := setup(t)
	sha := w.web.Commit("main", map[string]string{
		"deploy/Chart.yaml": "name: x\n", "deploy/templates/a.yaml": "a\n", "deployment.md": "no", "values.yaml": "v\n", "link/x": "-> /etc/passwd",
	})
	got, err := w.client.Tree(t.Context(), w.ref(), sha, spec.Source{Kind: spec.Helm, Path: "deploy", ValuesFiles: []string{"values.yaml"}})
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
	if _, err := w.client.Tree(t.Context(), w.ref(), sha, spec.Source{Kind: spec.Helm, Path: "deploy", ValuesFiles: []string{"values.yaml"}}); err != nil || len(w.server.Requests()) != before {
		t.Errorf("it is asked for again, %v", err)
	}
	if _, err := w.client.Tree(t.Context(), w.ref(), sha, spec.Source{Kind: spec.Manifests, Path: "link"}); fault.CodeOf(err) != fault.Invalid || !strings.Contains(err.Error(), "link/x is no plain file") {
		t.Errorf("a link: %v", err)
	}
	for _, absent := range []string{"main", strings.Repeat("0", 40)} {
		if _, err := w.client.Tree(t.Context(), w.ref(), absent, spec.Source{Kind: spec.Manifests}); !errors.Is(err, bot.ErrNotFound) {
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
	got, err := w.client.Tree(t.Context(), ref, sha, spec.Source{Kind: spec.Manifests})
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
			if _, err := Untar(unzipping(t, out.Bytes()), spec.Source{Kind: spec.Manifests}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := Untar(func() (io.Reader, error) { return strings.NewReader("<html>" + strings.Repeat("x", 600)), nil }, spec.Source{}); !errors.Is(err, errArchive) {
		t.Errorf("what is no archive: %v", err)
	}
}

func unzipping(t *testing.T, zipped []byte) func() (io.Reader, error) {
	t.Helper()
	return func() (io.Reader, error) { return gzip.NewReader(bytes.NewReader(zipped)) }
}

// TestTreeOfOverlays keeps of a repository what kustomizations name, wherever that is, and
// refuses links among it alone.
func TestTreeOfOverlays(t *testing.T) {
	t.Parallel()
	w := setup(t)
	sha := w.web.Commit("main", map[string]string{
		"base/kustomization.yaml": "resources: [web.yaml]\n", "base/web.yaml": "kind: A\n", "base/unnamed.yaml": "kind: B\n",
		"overlays/x/kustomization.yaml": "resources: [../../base]\ntransformers: [t.yaml]\nconfigMapGenerator: [{name: a, files: [../../etc/app.conf]}]\n",
		"overlays/x/t.yaml":             "apiVersion: builtin\nkind: PatchTransformer\nmetadata: {name: a}\npath: ../../patches/p.yaml\n",
		"overlays/y/kustomization.yaml": "resources: [../../linked/base]\n", "overlays/z/kustomization.yaml": "resources: [../../base/link.yaml]\n",
		"patches/p.yaml": "p\n", "etc/app.conf": "c\n", "base/link.yaml": "-> /etc/passwd", "linked": "-> base", "large.bin": strings.Repeat("x", maxTree+1),
	})
	tree := func(at string) (map[string][]byte, error) {
		return w.client.Tree(t.Context(), w.ref(), sha, spec.Source{Kind: spec.Kustomize, Path: at})
	}
	got, err := tree("overlays/x")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"base/kustomization.yaml", "base/web.yaml", "etc/app.conf", "overlays/x/kustomization.yaml", "overlays/x/t.yaml", "patches/p.yaml"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	for at, says := range map[string]string{"overlays/y": "linked is no plain file", "overlays/z": "base/link.yaml is no plain file"} {
		if _, err := tree(at); fault.CodeOf(err) != fault.Invalid || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", at, err)
		}
	}
}

// TestTreeOfDependencies keeps the charts that a chart names beside it.
func TestTreeOfDependencies(t *testing.T) {
	t.Parallel()
	w := setup(t)
	sha := w.web.Commit("main", map[string]string{
		"web/Chart.yaml": "dependencies: [{name: common, repository: 'file://../common'}]\n", "common/Chart.yaml": "name: common\n", "common/templates/a.yaml": "a\n",
		"other/Chart.yaml": "name: other\n", "values/web.yaml": "a: 1\n",
	})
	got, err := w.client.Tree(t.Context(), w.ref(), sha, spec.Source{Kind: spec.Helm, Path: "web", ValuesFiles: []string{"values/web.yaml"}})
	if diff := cmp.Diff([]string{"common/Chart.yaml", "common/templates/a.yaml", "values/web.yaml", "web/Chart.yaml"}, slices.Sorted(maps.Keys(got))); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// TestTreeTooMuch: what is too large is the repository's fault and not tried again, and an
// archive may be larger than any answer.
func TestTreeTooMuch(t *testing.T) {
	t.Parallel()
	w := setup(t)
	sha := w.web.Commit("main", map[string]string{"deploy/a.yaml": "a: 1\n", "b/kustomization.yaml": strings.Repeat("#", maxTree+1)})
	from := spec.Source{Kind: spec.Manifests, Path: "deploy"}
	for name, c := range map[string]struct {
		size int64
		want string
	}{"larger than an answer": {maxAnswer + 1, ""}, "too large": {maxDownload + 1, "larger than 128 MiB"}} {
		w.app.trees.Purge()
		w.app.downloads = ofDownloads(padding{size: c.size, next: http.DefaultTransport})
		_, err := w.client.Tree(t.Context(), w.ref(), sha, from)
		if (err == nil) != (c.want == "") || err != nil && (fault.CodeOf(err) != fault.Invalid || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.app.downloads = ofDownloads(http.DefaultTransport)
	if _, err := w.client.Tree(t.Context(), w.ref(), sha, spec.Source{Kind: spec.Kustomize, Path: "a"}); fault.CodeOf(err) != fault.Invalid {
		t.Errorf("kustomizations without a bound: %v", err)
	}
	w.app.trees.Purge()
	w.app.downloads = deadline{next: http.DefaultTransport, within: time.Nanosecond, most: maxDownload, tooLarge: errDownload}
	if _, err := w.client.Tree(t.Context(), w.ref(), sha, from); !errors.Is(err, context.DeadlineExceeded) || fault.CodeOf(err) != fault.Failure {
		t.Errorf("a download that takes too long: %v", err)
	}
}

// padding sends an archive as a stream of that size: more of gzip's empty members follow it.
type padding struct {
	size int64
	next http.RoundTripper
}

func (p padding) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := p.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	var empty bytes.Buffer
	if err := gzip.NewWriter(&empty).Close(); err != nil {
		return nil, err
	}
	many := bytes.Repeat(empty.Bytes(), 1000)
	body := resp.Body
	resp.Body = io.NopCloser(io.MultiReader(body, &repeated{many: many, times: p.size / int64(len(many))}))
	return resp, nil
}

// repeated is the same again and again.
type repeated struct {
	many  []byte
	times int64
	left  []byte
}

func (r *repeated) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		if r.times < 0 {
			return 0, io.EOF
		}
		r.times--
		r.left = r.many
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}
