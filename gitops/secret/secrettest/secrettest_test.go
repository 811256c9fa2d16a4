package secrettest

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/idp-bot/idp/gitops/figure"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

// plantVariable says where TestPlanted tells a secret.
const plantVariable = "IDP_TEST_PLANT"

// planted tell the same secret, each in another place.
var planted = map[string]func(t *testing.T, mark string){
	"a file": func(t *testing.T, mark string) { write(t, filepath.Join(Dir(t), "deep", "file"), "x"+mark) },
	"a file's name": func(t *testing.T, mark string) {
		write(t, filepath.Join(Dir(t), mark), "")
	},
	"a file that is not given": func(t *testing.T, mark string) {
		dir := Dir(t)
		write(t, Given(filepath.Join(dir, "given")), mark)
		write(t, filepath.Join(dir, "other"), mark)
	},
	"a loose object":  func(t *testing.T, mark string) { commit(t, mark) },
	"a packed object": func(t *testing.T, mark string) { git(t, commit(t, mark), "gc", "--quiet", "--prune=now") },
	"a commit's message": func(t *testing.T, mark string) {
		git(t, commit(t, "harmless"), "commit", "--quiet", "--allow-empty", "--message", mark)
	},
	"an object that is lost": func(t *testing.T, mark string) {
		git(t, commit(t, mark), "update-ref", "-d", "HEAD")
	},
	"a row":           func(t *testing.T, mark string) { rows(t, mark) },
	"a log":           func(t *testing.T, mark string) { Logger(t).Debug("asked", "header", mark) },
	"a written log":   func(t *testing.T, mark string) { fmt.Fprint(Writer(t, "the log", io.Discard), mark) },
	"a request":       func(t *testing.T, mark string) { ask(t, "/x", mark) },
	"an address":      func(t *testing.T, mark string) { ask(t, "/x?token="+mark, "") },
	"an answer":       func(t *testing.T, mark string) { Text(t, "an answer", []byte(mark)) },
	"a dump":          func(t *testing.T, mark string) { Database(t, "test", "COPY x\n"+mark+"\n\\.\n") },
	"a dump's bytes":  func(t *testing.T, mark string) { Database(t, "test", `\\x`+hex.EncodeToString([]byte("a "+mark))) },
	"standard output": func(_ *testing.T, mark string) { fmt.Println(mark) },
	"standard error":  func(_ *testing.T, mark string) { fmt.Fprintln(os.Stderr, mark) },
	"in pieces":       func(_ *testing.T, mark string) { fmt.Print(mark[:3]); fmt.Print(mark[3:]) },
	"a test's log":    func(t *testing.T, mark string) { t.Log(mark) },
	"a crash":         func(_ *testing.T, mark string) { go func() { panic(mark) }(); select {} },
}

// TestPlanted tells a secret where it is told to; TestEveryChannel runs it.
func TestPlanted(t *testing.T) {
	if place := os.Getenv(plantVariable); place != "" {
		planted[place](t, "ghs_0123456789")
	}
}

// TestEveryChannel has the tests of a binary tell a secret in one place at a time: it fails
// for each, says so, and shows what it printed.
func TestEveryChannel(t *testing.T) {
	t.Parallel()
	for place := range planted {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			out, status := runPlanted(t, place)
			if status == 0 || !strings.Contains(out, "tells a secret: …") || !strings.Contains(out, "ghs_0123456789") {
				t.Errorf("it ended with %d and says:\n%s", status, strings.ReplaceAll(out, "ghs_", "ghs-"))
			}
		})
	}
	if out, status := runPlanted(t, ""); status != 0 || !strings.Contains(out, "PASS") {
		t.Errorf("where nothing is told it ended with %d:\n%s", status, out)
	}
	figure.Tell(t, "a secret planted in %d places, a Git object, a database and a crash among them: the tests failed for each", len(planted))
}

func runPlanted(t *testing.T, place string) (out string, status int) {
	t.Helper()
	tests := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPlanted$", "-test.v")
	tests.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, childVariable+"=") }), plantVariable+"="+place)
	said, err := tests.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(said), exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(said), 0
}

// TestSearchedTells is what Main ends with, which others read.
func TestSearchedTells(t *testing.T) {
	t.Parallel()
	want := Counts{1, 2, 3, 4, 5, 6}
	if got, ok := ParseCounts(want.String() + "\n"); !ok || got != want {
		t.Errorf("%v, %v", got, ok)
	}
	if got, ok := ParseCounts("PASS\n"); ok {
		t.Errorf("%v", got)
	}
	if sum := want.Add(want); sum != (Counts{2, 4, 6, 8, 10, 12}) {
		t.Errorf("%v", sum)
	}
	var out bytes.Buffer
	Text(t, "an answer", nil)
	if status(0, &out, &out); !strings.HasPrefix(out.String(), "searched for secrets: ") {
		t.Errorf("%q", out.String())
	}
}

// TestForms finds a canary in whatever form it is told, and a text like it in none.
func TestForms(t *testing.T) {
	t.Parallel()
	s := For("pass/word+?~")
	for _, what := range []string{New("webhook"), "pass/word+?~"} {
		for before := range 4 {
			for _, form := range []string{
				what, strings.Repeat("-", before) + what + "tail",
				base64.StdEncoding.EncodeToString([]byte(strings.Repeat("u", before) + what + ":x")),
				base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("u", before) + what)),
				hex.EncodeToString([]byte("u" + what)), strings.ToUpper(hex.EncodeToString([]byte(what))),
			} {
				if found := s.Text("it", []byte("a "+form)); len(found) == 0 {
					t.Errorf("%q is not found with %d before it: %q", what, before, form)
				}
			}
		}
	}
	for _, harmless := range []string{"", "g", "idp canary", "idp-canary", "ghs", "Bearer ey", "[redacted]", "pass-word"} {
		if found := s.Text("it", []byte(harmless)); len(found) > 0 {
			t.Errorf("%v", found)
		}
	}
	if one, other := New("a"), New("a"); one == other || len(one) < 32 {
		t.Errorf("%q, %q", one, other)
	}
}

// TestHarmless: what is given, what a peer is identified by, and what holds no secret, is no
// leak.
func TestHarmless(t *testing.T) {
	t.Parallel()
	token := "ghu_" + New("token")
	write(t, Given(filepath.Join(Dir(t), "given")), token)
	ask(t, "/api/v3/applications/Iv1.0/token", token)
	commit(t, "harmless")
	rows(t, "harmless")
	Logger(t).Info("harmless")
	Database(t, "test", "harmless")
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// commit makes a repository with a file and returns its folder, whose work tree is gone.
func commit(t *testing.T, content string) (dir string) {
	t.Helper()
	dir = Dir(t)
	file := filepath.Join(dir, "file")
	write(t, file, content)
	git(t, dir, "init", "--quiet")
	git(t, dir, "add", "file")
	git(t, dir, "commit", "--quiet", "--message", "Add")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	return dir
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

// rows has a row in a database whose log is not written back yet.
func rows(t *testing.T, mark string) {
	t.Helper()
	var db *sql.DB
	t.Cleanup(func() { // after the search
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	var err error
	db, err = sql.Open("sqlite", "file:"+filepath.Join(Dir(t), "x.db")+"?_pragma=journal_mode(WAL)")
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{"CREATE TABLE x (y TEXT)", "INSERT INTO x VALUES ('" + mark + "')"} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

// ask sends a peer a request that is searched; its header is not.
func ask(t *testing.T, path, body string) {
	t.Helper()
	answered := false
	peer := Requests(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		read, err := io.ReadAll(r.Body)
		answered = err == nil && string(read) == body
	}))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer ghs_1")
	peer.ServeHTTP(httptest.NewRecorder(), r)
	if !answered {
		t.Error("the peer was not asked")
	}
}
