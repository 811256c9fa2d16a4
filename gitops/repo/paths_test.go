package repo

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/repo/internal/gitexec"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

func TestValidPath(t *testing.T) {
	t.Parallel()
	for path, valid := range map[string]bool{
		"environments/acme/web/pr-1/manifests/x.yaml": true,
		"environments/acme/.github/pr-1":              true,
		"a b/c@d+e=f,g~":                              true,
		"":                                            false,
		"/etc/passwd":                                 false,
		"a//b":                                        false,
		"a/":                                          false,
		"a/../b":                                      false,
		"..":                                          false,
		"./a":                                         false,
		".git/config":                                 false,
		"a/.GIT/hooks":                                false,
		"a/.git./x":                                   false,
		"a/git~1/x":                                   false,
		"a/.git /x":                                   false,
		"a\\b":                                        false,
		"a\x00b":                                      false,
		"a\nb":                                        false,
		"a\tb":                                        false,
		"C:/x":                                        false,
		`a"b`:                                         false,
		"\u200c.git":                                  false,
		"a\xff":                                       false,
		strings.Repeat("a", 256):                      false,
		strings.Repeat("a/", 600) + "a":               false,
	} {
		if err := ValidPath(path); (err == nil) != valid || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", path, err)
		}
	}
}

// What a path may not hold is refused by ValidPath, and quoted all the same.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"environments/a/b", "a\nM 100644 inline b", `"quoted" \`, "\x00\xff\u200c", "../..", "..000", ".git/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		quoted := quotePath(s)
		for i := range len(quoted) {
			if quoted[i] < ' ' || quoted[i] > '~' {
				t.Fatalf("%q holds byte %d", quoted, quoted[i])
			}
		}
		if got := unquote(t, quoted); got != s {
			t.Fatalf("%q reads back as %q", s, got)
		}
		if ValidPath(s) != nil {
			return
		}
		if path.Clean(s) != s || path.IsAbs(s) || s == ".." || strings.HasPrefix(s, "../") || hasGitComponent(s) {
			t.Fatalf("%q is valid", s)
		}
	})
}

// FuzzEdits commits a hostile path below an environment's folder, with hostile content, to
// a repository that holds others: that file is written and nothing else is touched, or it
// is refused and nothing is; and what removes it leaves everything as it was.
func FuzzEdits(f *testing.F) {
	for _, s := range []string{
		"manifests/x.yaml", "x\nM 100644 inline platform/x", "../../../../platform/x.yaml", "..", ".git/config", "a/../../pr-2/x", `"`, `\056\056/x`, "a b", "--", "-f", ":1", "x\x00y", "GIT~1", "",
	} {
		f.Add(s, []byte("data 3\nabc\nD platform\ndone\n"))
	}
	f.Add("x", []byte("\x00\xff\r\n"))
	f.Add("x", []byte{})
	r, remote := setup(f)
	mustEdit(f, remote, gittest.Edit{Put: []gitops.File{{Path: "platform/x.yaml", Content: []byte("x")}}})
	mustCommit(f, r, deploy("pr-2", "v1"))
	others := listed(f, remote)
	f.Fuzz(func(t *testing.T, below string, content []byte) {
		const dir = "environments/acme/web/pr-1"
		c := Change{Key: "fuzz", Dir: dir, Accept: []string{""}, Files: []gitops.File{{Path: dir + "/" + below, Content: content}}}
		result := mustCommit(t, r, c)
		if ValidPath(below) != nil || ValidPath(dir+"/"+below) != nil {
			if len(result.Conflicts) != 1 || !errors.Is(result.Conflicts[0].Err, ErrInvalid) {
				t.Errorf("%q was not refused: %+v", below, result)
			}
			equalList(t, "after a refusal", listed(t, remote), others)
			return
		}
		equal(t, "applied", len(result.Applied), 1)
		blob := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(content)), content...))
		want := append(slices.Clone(others), fmt.Sprintf("100644 %x %s", blob, c.Files[0].Path))
		slices.Sort(want)
		equalList(t, "after the edit", listed(t, remote), want)
		gone := remove(c)
		gone.Key = "fuzz-removed"
		mustCommit(t, r, gone)
		equalList(t, "after the removal", listed(t, remote), others)
	})
}

// listed is every file at the remote's tip, with its mode and its blob's id.
func listed(t testing.TB, remote *gittest.Repository) []string {
	t.Helper()
	list, err := remote.List(t.Context(), tipOf(t, remote))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

func hasGitComponent(s string) bool {
	for _, c := range strings.Split(strings.ToLower(s), "/") {
		if strings.TrimRight(c, ". ") == ".git" {
			return true
		}
	}
	return false
}

// unquote reads C-style quoting as git's unquote_c_style does.
func unquote(t *testing.T, q string) string {
	if len(q) < 2 || q[0] != '"' || q[len(q)-1] != '"' {
		t.Fatalf("%q is not quoted", q)
	}
	var out []byte
	for body := q[1 : len(q)-1]; body != ""; {
		switch {
		case body[0] == '"':
			t.Fatalf("%q ends early", q)
		case body[0] != '\\':
			out, body = append(out, body[0]), body[1:]
		case body[1] == '"' || body[1] == '\\':
			out, body = append(out, body[1]), body[2:]
		default:
			var c int
			if _, err := fmt.Sscanf(body[1:4], "%3o", &c); err != nil {
				t.Fatalf("%q: %v", q, err)
			}
			out, body = append(out, byte(c)), body[4:]
		}
	}
	return string(out)
}

func TestInvalidChangesAreLeftOut(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	good := deploy("pr-1", "v1")
	in := func(dir string, files ...string) Change {
		c := Change{Key: "bad:" + dir + fmt.Sprint(len(files)), Dir: dir, Accept: []string{""}}
		c.Key = strings.Map(func(r rune) rune {
			if r <= ' ' || r > '~' {
				return '?'
			}
			return r
		}, c.Key)
		for _, f := range files {
			c.Files = append(c.Files, gitops.File{Path: f, Content: []byte("x")})
		}
		return c
	}
	bad := []Change{
		in("platform/classes", "platform/classes/x"),
		in("environments"),
		in("environments/../platform", "environments/../platform/x"),
		in("environments/acme/\"\nD platform", "environments/acme/\"\nD platform/x"),
		in("environments/acme/api/pr-1", "environments/acme/web/pr-2/x"),
		in("environments/acme/api/pr-2", "environments/acme/api/pr-2/x", "environments/acme/api/pr-2/x/y"),
		in("environments/acme/api/pr-3", "environments/acme/api/pr-3/.git/config"),
		in("environments/acme/api/pr-4", "environments/acme/api/pr-4"),
		in(good.Dir+"/manifests", good.Dir+"/manifests/x"),
		in("", "environments/acme/x"),
		{Key: "two\nlines", Dir: "environments/acme/api/pr-5"},
		{Key: good.Key, Dir: "environments/acme/api/pr-6"},
		{Key: "trailer", Dir: "environments/acme/api/pr-7", Trailers: [][2]string{{"Idp-Change", "forged"}}},
		{Key: "trailer2", Dir: "environments/acme/api/pr-8", Trailers: [][2]string{{"a: b\nIdp-Change", "forged"}}},
		{Key: "accept", Dir: "environments/acme/api/pr-9", Accept: []string{"HEAD"}},
	}
	result := mustCommit(t, r, append([]Change{good}, bad...)...)
	equal(t, "applied", len(result.Applied), 1)
	equal(t, "conflicts", len(result.Conflicts), len(bad))
	for _, c := range result.Conflicts {
		if !errors.Is(c.Err, ErrInvalid) {
			t.Errorf("%s: %v", c.Key, c.Err)
		}
	}
	equal(t, "files", len(paths(t, remote)), 2)

	_, err := r.Commit(t.Context(), Commit{Shared: []gitops.File{{Path: "platform/x.yaml", Content: []byte("x")}}}, nil)
	equal(t, "shared outside applicationsets/", errors.Is(err, ErrInvalid), true)
}

// A symbolic link in the place of any folder above or at an environment keeps it
// from being written, and keeps nothing else.
func TestLinkedParents(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	change, tried := deploy("pr-1", "v1"), 0
	mustEdit(t, remote, gittest.Edit{Put: []gitops.File{{Path: "platform/x.yaml", Content: []byte("x")}}})
	for _, at := range append(parents(change.Dir), change.Dir) {
		target := strings.Repeat("../", strings.Count(at, "/")) + "platform"
		tip := mustEdit(t, remote, gittest.Edit{Links: map[string]string{at: target}})
		for _, c := range []Change{change, remove(change)} {
			result := mustCommit(t, r, c)
			equal(t, at+": conflicts", len(result.Conflicts), 1)
			equal(t, at+": irregular", errors.Is(result.Conflicts[0].Err, ErrIrregular), true)
			tried++
		}
		equal(t, at+": tip", tipOf(t, remote), tip)
		mustEdit(t, remote, gittest.Edit{Remove: []string{at}})
	}
	for _, at := range []string{"applicationsets", "applicationsets/web.yaml"} {
		tip := mustEdit(t, remote, gittest.Edit{Links: map[string]string{at: "platform"}})
		_, err := r.Commit(t.Context(), Commit{Shared: []gitops.File{{Path: "applicationsets/web.yaml", Content: []byte("x")}}}, nil)
		equal(t, at+": irregular", errors.Is(err, ErrIrregular), true)
		equal(t, at+": tip", tipOf(t, remote), tip)
		mustEdit(t, remote, gittest.Edit{Remove: []string{at}})
		tried++
	}
	figure.Tell(t, "%d changes below links planted in place of every folder above: 0 bytes written", tried)
}

// The same, decided without git, for everything that is no folder.
func TestDecideIrregular(t *testing.T) {
	t.Parallel()
	id := strings.Repeat("a", 40)
	change := deploy("pr-1", "v1")
	shared := []gitops.File{{Path: "applicationsets/web.yaml", Content: []byte("x")}}
	for kind, e := range map[string]entry{
		"link": {"120000", "blob", id}, "file": {"100644", "blob", id}, "program": {"100755", "blob", id}, "submodule": {"160000", "commit", id},
	} {
		for _, planted := range append(parents(change.Dir), change.Dir, "applicationsets") {
			b, err := newBatch(Commit{Changes: []Change{change, deploy("pr-2", "v1")}, Shared: shared})
			if err != nil {
				t.Fatal(err)
			}
			p, err := decide(b, func(path string) (entry, error) {
				switch {
				case path == planted:
					return e, nil
				case strings.HasPrefix(planted, path+"/"):
					return entry{"040000", "tree", id}, nil
				}
				return entry{}, nil
			}, nil)
			if planted == "applicationsets" {
				equal(t, kind+" at "+planted, errors.Is(err, ErrIrregular), true)
				continue
			}
			equal(t, "error", err, nil)
			if len(p.conflicts) == 0 || !errors.Is(p.conflicts[0].Err, ErrIrregular) || p.conflicts[0].Key != change.Key {
				t.Errorf("%s at %s: %+v", kind, planted, p.conflicts)
			}
			equal(t, "shared", len(p.shared), 1)
		}
	}
}

func TestBranchesAndURLs(t *testing.T) {
	t.Parallel()
	dir := secrettest.Dir(t)
	try := func(url, branch string) error {
		r, err := Open(t.Context(), Options{URL: url, Branch: branch, Dir: dir})
		if err == nil {
			err = r.Close()
		}
		return err
	}
	for _, branch := range []string{
		"", "-f", "--upload-pack=touch /tmp/x", "a..b", "a b", "a:b", "refs/../x", ".a", "a/.b", "a.lock", "a//b", "/a", "a/", "@", "a@{1}", "a\nb", "*", "a~1", "a^", "a?", "[a]",
	} {
		if err := try("http://127.0.0.1/x.git", branch); !errors.Is(err, ErrInvalid) {
			t.Errorf("branch %q: %v", branch, err)
		}
	}
	for _, url := range []string{
		"", "--upload-pack=touch /tmp/x", "ext::sh -c true", "ext::http://x", "ssh://-oProxyCommand=true/x", "-oProxyCommand=x:y", "file://host/x", "/tmp/x", "ftp://x/y",
		"http://", "git@-host:x", "git@host:-x", "http://x/\ny", "https://user:canary-s3cret@host/x",
	} {
		err := try(url, "main")
		if !errors.Is(err, ErrInvalid) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("URL %q: %v", url, err)
		}
	}
	for _, url := range []string{"https://example.invalid/x.git", "ssh://git@example.invalid/x", "git@example.invalid:acme/x.git", "file:///nowhere"} {
		if err := try(url, "release/2026.11"); err != nil {
			t.Errorf("URL %q: %v", url, err)
		}
	}
}

func TestTreeIDIsGits(t *testing.T) {
	t.Parallel()
	_, remote := serve(t)
	var files []gitops.File
	for _, p := range []string{"d/a", "d/a.b/c", "d/a-/c", "d/a0/x", "d/b/c/d/e", "d/z", "d/B"} {
		files = append(files, gitops.File{Path: p, Content: []byte(p)})
	}
	files = append(files, gitops.File{Path: "d/empty"})
	sha := mustEdit(t, remote, gittest.Edit{Put: files})
	want, err := remote.TreeID(t.Context(), sha, "d")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "tree", TreeID("d", files), want)
	equal(t, "no files", TreeID("d", nil), "")
	equal(t, "not below", TreeID("e", files), "")
}

// fast-import must read what quotePath writes; unquote above is only our view.
func TestQuotePathIsRead(t *testing.T) {
	t.Parallel()
	r, _ := setup(t)
	odd := "a \"quoted\"\\ \x01\x7f\xc3\xa9/\nb"
	var in strings.Builder
	fmt.Fprintf(&in, "commit refs/heads/odd\ncommitter a <b> 1 +0000\ndata 0\nM 100644 inline %s\ndata 0\ndone\n", quotePath(odd))
	if _, err := r.git.Run(t.Context(), gitexec.Command{Args: []string{"fast-import", "--quiet", "--done"}, Stdin: strings.NewReader(in.String())}); err != nil {
		t.Fatal(err)
	}
	out, err := r.git.Run(t.Context(), gitexec.Command{Args: []string{"ls-tree", "-r", "-z", "--name-only", "refs/heads/odd"}})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "path", strings.TrimSuffix(string(out), "\x00"), odd)
}
