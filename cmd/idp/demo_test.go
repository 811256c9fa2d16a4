package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/bot/github/githubtest/openapi"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// blanks are what differs between two tellings of the demo's story.
var blanks = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`sha256:[0-9a-f]+…?`), "DIGEST"},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "HASH"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "ADDRESS"},
	{regexp.MustCompile(`\b[0-9a-f]{40}\b`), "SHA"},
	// Short ones are told from words and numbers by their place.
	{regexp.MustCompile("(?m)(`|at |of |commit |api:)[0-9a-f]{7}(`|$| |,)"), "${1}SHA$2"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\dT[\d:]+Z`), "TIME"},
	{regexp.MustCompile(`\b[A-Z][a-z]{2} \d\d? [A-Z][a-z]{2} \d\d:\d\d UTC`), "TIME"},
	{regexp.MustCompile(`\b\d\d:\d\d:\d\d UTC`), "TIME"},
	{regexp.MustCompile(`(after|,|image|committed) (?:\d+m)?[\d.]+m?s`), "$1 DURATION"},
	{regexp.MustCompile(`(?m)^ *(?:\d+m)?[\d.]+m?s  `), "DURATION  "},
	{regexp.MustCompile(`\d+s from the last push`), "DURATION from the last push"},
	{regexp.MustCompile(`Committed (?:\d+m)?[\d.]+s`), "Committed DURATION"},
	{regexp.MustCompile(`… and \d+ lines more`), "… and N lines more"},
	{regexp.MustCompile(`─+\n`), "──\n"},
	// Whether an expiry of seconds later is another one, and so what stands around
	// it in a diff, is chance: only what is changed otherwise counts.
	{regexp.MustCompile(`(?m)^    (?:@@| ).*\n`), ""},
	{regexp.MustCompile(`(?m)^    [-+] *(?:expiresAt|idp.dev/expires-at): .*\n`), ""},
}

// blanked is what the demo printed without what differs each time.
func blanked(story string) string {
	for _, b := range blanks {
		story = b.pattern.ReplaceAllString(story, b.with)
	}
	return story
}

// golden compares got with a file in testdata, or with -update writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got; -update accepts it):\n%s", file, diff)
	}
}

// gone fails the test when anything is left in the folder.
func gone(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("the demo leaves %v (%v)", left, err)
	}
}

// The demo tells its whole story, and every request it makes of GitHub is one
// that GitHub would know.
func TestDemo(t *testing.T) {
	t.Parallel()
	schema, err := openapi.Shared()
	if err != nil {
		t.Fatal(err)
	}
	validator, dir := schema.NewValidator(), secrettest.Dir(t)
	stdout, stderr := newWatchedLog(t), newWatchedLog(t)
	p := &program{stdin: strings.NewReader(""), stdout: stdout, stderr: stderr, env: map[string]string{"TMPDIR": dir}}
	began := time.Now()
	// Beside every other test it may take longer than alone.
	err = p.demo(t.Context(), demoOptions{timeout: 2 * time.Minute, log: slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}), github: validator.Middleware})
	if err != nil {
		t.Fatalf("the demo failed: %v\n%s\n%s", err, stdout.String(), stderr.String())
	}
	t.Logf("it took %s", short(time.Since(began)))
	if stderr.String() != "" {
		t.Errorf("the bot warned of something:\n%s", stderr.String())
	}
	if violations := validator.Violations(); len(violations) > 0 || validator.Checked() < 50 {
		t.Errorf("of %d requests and answers GitHub would not know: %s", validator.Checked(), strings.Join(violations, "\n"))
	}
	golden(t, "demo.txt", blanked(stdout.String()))
	gone(t, dir)
}

// demoProcess is "idp demo ARGS" as a process of its own, whose git is what the
// folder path holds.
func demoProcess(t *testing.T, path, tmp string, args ...string) (cmd *exec.Cmd, stdout, stderr *watchedLog) {
	t.Helper()
	stdout, stderr = newWatchedLog(t), newWatchedLog(t)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	cmd = exec.CommandContext(ctx, "idp", append([]string{"demo"}, args...)...)
	cmd.Env = []string{"PATH=" + path, "HOME=" + tmp, "TMPDIR=" + tmp}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}

// gitInstead is a folder with a git that runs script first.
func gitInstead(t *testing.T, script string) string {
	t.Helper()
	real, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	dir := secrettest.Dir(t)
	if err := os.WriteFile(filepath.Join(dir, "git"), []byte("#!/bin/sh\n"+script+"\nexec "+real+" \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir + string(os.PathListSeparator) + os.Getenv("PATH")
}

// failPush makes a git that cannot push, nor pack what idp pushes without it.
const failPush = `for a; do case "$a" in push|pack-objects) echo "fatal: the disk is full" >&2; exit 128 ;; esac; done`

// What is missing, or does not happen, is told with its reason, and fails.
func TestDemoFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		path    func(*testing.T) string
		args    []string
		stdout  string // a pattern
		because []string
	}{
		"no git": {
			func(t *testing.T) string { return secrettest.Dir(t) }, nil, `^$`,
			[]string{"error: the demo's parts did not start: ", "git is not installed", "hint: it needs git, with its http-backend"},
		},
		"git without its server": {
			func(t *testing.T) string { return gitInstead(t, `[ "$1" = --exec-path ] && echo /nowhere && exit`) }, nil, `^$`,
			[]string{"error: the demo's parts did not start: ", "git was installed without http-backend", "hint: it needs git, with its http-backend"},
		},
		"pushes fail": {
			func(t *testing.T) string { return gitInstead(t, failPush) }, []string{"--timeout=40s"}, `\n2\. CI is done[^\n]*\n  GitHub delivered workflow_run[^\n]*\n`,
			[]string{"error: chapter 2 did not happen\n  waited 2", " in vain until the head is committed", "\n  the bot's last warning: ", "the disk is full", "hint: ", "--verbose"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tmp := secrettest.Dir(t)
			cmd, stdout, stderr := demoProcess(t, test.path(t), tmp, test.args...)
			err := cmd.Run()
			if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != exitFailure {
				t.Errorf("it ended with %v", err)
			}
			if !regexp.MustCompile(test.stdout).MatchString(stdout.String()) {
				t.Errorf("it told:\n%s", stdout.String())
			}
			for _, reason := range test.because {
				if !strings.Contains(stderr.String(), reason) {
					t.Errorf("no %q in\n%s", reason, stderr.String())
				}
			}
			gone(t, tmp)
		})
	}
}

// Ctrl-C ends the story wherever it is, and leaves nothing.
func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]string{"as it starts": `are up on`, "while it waits for a push": `\n2\. `} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tmp := secrettest.Dir(t)
			cmd, stdout, stderr := demoProcess(t, gitInstead(t, failPush), tmp, "--timeout=1m")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			stdout.await(t, at)
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			interrupted := time.Now()
			err := cmd.Wait()
			if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != exitFailure || stderr.String() != "error: interrupted\n" {
				t.Errorf("it ended with %v and %q", err, stderr.String())
			}
			// Nothing that it waits for takes as long as any of its timeouts.
			if took := time.Since(interrupted); took > patience {
				t.Errorf("it ended after %s", took)
			}
			gone(t, tmp)
		})
	}
}

// pageShows asks for a page until all patterns are on it, and returns it.
func pageShows(t *testing.T, page string, patterns ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		status, body := get(t, page)
		missing := ""
		for _, pattern := range patterns {
			if !regexp.MustCompile(pattern).Match(body) {
				missing = pattern
			}
		}
		if status == http.StatusOK && missing == "" {
			return string(body)
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: status %d, no %q in\n%s", page, status, missing, body)
		case <-tick.C:
		}
	}
}

// With --serve one comments in a browser and watches the bot act.
func TestDemoServe(t *testing.T) {
	t.Parallel()
	tmp := secrettest.Dir(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdout, stderr, ended := newWatchedLog(t), newWatchedLog(t), make(chan int, 1)
	go func() {
		ended <- searchedRun(ctx, t, []string{"demo", "--serve", "--timeout=2m"}, strings.NewReader(""), stdout, stderr, []string{"TMPDIR=" + tmp})
	}()
	for chapter := 1; chapter <= 6; chapter++ {
		stdout.await(t, fmt.Sprintf(`\n%d\. `, chapter))
	}
	page := stdout.await(t, `Now you: (http://\S+/pull/\d+)\n`)[1]
	stdout.await(t, `Ctrl-C ends it`)
	comment := func(login, body string) {
		t.Helper()
		resp, err := http.PostForm(page, url.Values{"do": {"comment"}, "user": {login}, "body": {body}})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK || resp.Request.URL.RawQuery != "" {
			t.Fatalf("comment %q: %s at %s", body, resp.Status, resp.Request.URL)
		}
	}
	pageShows(t, page, `Try it yourself`, `idp / preview`, `Preview is committed`, `(?s)neutral.*Committed · payments-api`, `\(in 3 days\)`, `href="https://payments-api-pr-3-[0-9a-f]+\.preview\.example\.com"`)
	comment("alice", "/idp extend 24h")
	pageShows(t, page, `/idp extend 24h`, `🚀`, `\(in 4 days\)`)
	comment("mallory", "/idp destroy")
	pageShows(t, page, `mallory \(read\)`, `@mallory`, `was not run: it needs write permission`)
	comment("alice", "so says mallory <script>alert(1)</script><img src=x onerror=alert(2)> [here](javascript:alert(3))")
	for _, alive := range []string{"<script>alert", "onerror", "javascript:"} {
		if strings.Contains(pageShows(t, page, `so says mallory`), alive) {
			t.Errorf("%q is alive on the page", alive)
		}
	}
	comment("alice", "/idp destroy")
	pageShows(t, page, `Preview removed`, `inactive`)
	cancel()
	if status := <-ended; status != exitOK || stderr.String() != "" {
		t.Errorf("it ended with %d and %q", status, stderr.String())
	}
	if _, err := http.Get(page); err == nil {
		t.Error("its pages are still there")
	}
	gone(t, tmp)
}

// What idp writes for pages reads well in a terminal, in colour or without.
func TestReadable(t *testing.T) {
	t.Parallel()
	markdown := "<!-- idp:preview v1 -->\n### 📦 Committed\n\n| service | state | url |\n|---|---|---|\n| api | 📦 up | [api.example.com](https://api.example.com) |\n| worker | – | |\n\n" +
		"- " + strings.Repeat("word ", 22) + "end\n\n<details><summary>More</summary>\n\n`/idp help`\n\n</details>\n"
	want := "📦 Committed\n\nservice   state   url\napi       📦 up   https://api.example.com\nworker    –\n\n" +
		"- " + strings.TrimSpace(strings.Repeat("word ", 19)) + "\n  word word word end\n\n▾ More\n\n`/idp help`"
	if diff := cmp.Diff(want, readable(markdown, false)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want = strings.Replace(strings.Replace(want, "📦 Committed", "\x1b[1m📦 Committed\x1b[0m", 1), "service   state   url", "\x1b[1mservice   state   url\x1b[0m", 1)
	if diff := cmp.Diff(want, readable(markdown, true)); diff != "" {
		t.Errorf("in colour (-want +got):\n%s", diff)
	}
}
