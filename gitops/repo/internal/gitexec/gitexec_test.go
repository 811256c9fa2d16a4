//go:build unix

package gitexec

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// A process that is out of time takes what it started with it.
func TestTimeoutKillsGroup(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(secrettest.Dir(t), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	g := Git{Home: secrettest.Dir(t)}
	start := time.Now()
	// The grandchild holds the pipe open for as long as it lives.
	_, err := g.Run(t.Context(), Command{
		Args: []string{"-c", "alias.wait=!(exec sleep 300 <>" + pipe + ") & wait", "wait"}, Timeout: 300 * time.Millisecond,
	})
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > time.Minute {
		t.Fatalf("after %v: %v", time.Since(start), err)
	}
	if fd, err := syscall.Open(pipe, syscall.O_WRONLY|syscall.O_NONBLOCK, 0); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("somebody has the pipe open: %d, %v", fd, err)
	}
}

func TestEnvironment(t *testing.T) {
	for name, value := range map[string]string{"GIT_TRACE": "1", "GIT_DIR": "/nowhere", "GIT_CONFIG_COUNT": "1", "IDP_GITHUB_WEBHOOK_SECRET": secrettest.New("s3cret"), "LANG": "de_DE", "https_proxy": "http://proxy:1"} {
		t.Setenv(name, value)
	}
	home := secrettest.Dir(t)
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte("[alias]\n\tx = !echo ran\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := Git{Home: home}
	if out, err := g.Run(t.Context(), Command{Args: []string{"x"}}); err == nil {
		t.Errorf("the user's configuration was read: %s", out)
	}
	env := strings.Join(Environment("", home, false), "\n")
	for _, forbidden := range []string{"GIT_TRACE", "GIT_DIR", "GIT_CONFIG_COUNT", "s3cret", "LANG"} {
		if strings.Contains(env, forbidden) {
			t.Errorf("the environment holds %s", forbidden)
		}
	}
	if !strings.Contains(env, "https_proxy=http://proxy:1") {
		t.Error("the proxy is missing")
	}
}

func TestLocalProcessesReachNoRemote(t *testing.T) {
	t.Parallel()
	g := Git{Home: secrettest.Dir(t)}
	_, err := g.Run(t.Context(), Command{Args: []string{"ls-remote", "http://127.0.0.1:1/x.git"}})
	var e *Error
	if !errors.As(err, &e) || !strings.Contains(e.Stderr, "not allowed") {
		t.Errorf("got %v", err)
	}
}
