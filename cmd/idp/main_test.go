package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/gitops/source"
	"github.com/idp-bot/idp/previews/storetest/postgrestest"
)

// update rewrites goldens, the expectations of scripts and the generated parts of
// the README instead of comparing with them.
var update = flag.Bool("update", false, "rewrite what the tests compare with")

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == source.Command {
		// The renderer starts its own binary, which here is the test's.
		os.Exit(source.Child(os.Stdin, os.Stdout, os.Stderr))
	}
	testscript.Main(searched{m}, map[string]func(){"idp": main})
}

// searched are the tests of this package, with what they write searched for secrets, and
// the PostgreSQL that some of them start.
type searched struct{ *testing.M }

func (s searched) Run() int { return secrettest.Main(postgrestest.Stopping(s.M)) }

// TestScripts runs the real main: each script in testdata/script tells what is
// typed and what comes back.
func TestScripts(t *testing.T) {
	t.Parallel()
	key := privateKey(t)
	testscript.RunT(searchedScripts{t}, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		WorkdirRoot:         secrettest.Dir(t),
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			return os.WriteFile(secrettest.Given(filepath.Join(env.WorkDir, "app.pem")), key, 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": scriptStatus},
	})
}

// scriptStatus is "status N idp ARGS…": idp must end with that exit status. What
// it wrote can then be looked at with stdout and stderr as usual.
func scriptStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N command [args]")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if exit, ok := err.(interface{ ExitCode() int }); ok {
		got = string(rune('0' + exit.ExitCode()))
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != args[0] {
		ts.Fatalf("%v ended with status %s, want %s", args[1:], got, args[0])
	}
}

// privateKey returns a new RSA key as GitHub hands them out. It is as small as Go
// allows, for speed.
func privateKey(t *testing.T) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
}

// TestExitStatuses ends the program with each status that the help names.
func TestExitStatuses(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // it takes connections and never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	render := []string{"render", "-", "--repo", "acme/web", "--pr", "7", "--sha", noSHA}
	for name, c := range map[string]struct {
		args   []string
		stdin  string
		status int
		stderr string
	}{
		"ok":      {[]string{"version"}, "", exitOK, ""},
		"failure": {[]string{"healthcheck", "--listen", closed.Addr().String()}, "", exitFailure, "error: no answer from "},
		"usage":   {[]string{"vresion"}, "", exitUsage, `did you mean "version"?`},
		"invalid": {render, "nonsense: 1\n", exitInvalid, `unknown key "nonsense"`},
		"denied":  {render, "service: {name: web, replicas: 9}\n", exitDenied, "at most 3"},
		"timeout": {[]string{"healthcheck", "--listen", silent.Addr().String(), "--timeout", "20ms"}, "", exitTimeout, "error: no answer from "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr strings.Builder
			got := searchedRun(t.Context(), t, c.args, strings.NewReader(c.stdin), &stdout, &stderr, nil)
			if got != c.status || !strings.Contains(stderr.String(), c.stderr) {
				t.Errorf("idp %s ended with %d, want %d and %q in:\n%s", strings.Join(c.args, " "), got, c.status, c.stderr, stderr.String())
			}
			if got != exitOK && stdout.Len() > 0 {
				t.Errorf("an error came with data:\n%s", stdout.String())
			}
		})
	}
}
