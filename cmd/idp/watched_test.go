package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// searchedRun is run, with what it prints searched for secrets.
func searchedRun(ctx context.Context, t secrettest.Named, args []string, stdin io.Reader, stdout, stderr io.Writer, env []string) int {
	return run(ctx, args, stdin, secrettest.Writer(t, "what idp prints", stdout), secrettest.Writer(t, "what idp prints as errors", stderr), env)
}

// watchedLog is a log, or what a program prints: it is searched for secrets as it comes,
// kept, and can be waited for. It may be written concurrently.
type watchedLog struct {
	searched io.Writer

	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{}
}

func newWatchedLog(t secrettest.Named) *watchedLog {
	l := &watchedLog{changed: make(chan struct{})}
	l.searched = secrettest.Writer(t, "what idp says", &l.text)
	return l
}

func (l *watchedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.searched.Write(p)
}

// String is all that was written until now.
func (l *watchedLog) String() string {
	text, _ := l.now()
	return text
}

// now is all that was written, and what is closed once there is more.
func (l *watchedLog) now() (text string, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String(), l.changed
}

// await waits until the log matches, and returns the groups of the first match. The
// demo's last chapter gets longer the slower the machine is, hence its patience.
func (l *watchedLog) await(t *testing.T, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	late := time.After(2 * patience)
	for {
		text, changed := l.now()
		if match := re.FindStringSubmatch(text); match != nil {
			return match
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("no %q in the log:\n%s", pattern, text)
		}
	}
}

// searchedScripts is a test of scripts: what they and their commands print is searched for
// secrets, whether it is shown or not.
type searchedScripts struct{ *testing.T }

// Run plays a script.
func (s searchedScripts) Run(name string, play func(testscript.T)) {
	s.T.Run(name, func(t *testing.T) { play(searchedScripts{t}) })
}

// Verbose has a script tell all that was printed: otherwise it leaves out what went well.
func (searchedScripts) Verbose() bool { return true }

// Log is told what a script printed, at its end.
func (s searchedScripts) Log(args ...any) {
	s.Helper()
	secrettest.Text(s.T, "a script", []byte(fmt.Sprint(args...)))
	s.T.Log(args...)
}
