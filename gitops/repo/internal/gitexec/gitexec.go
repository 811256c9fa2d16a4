// Package gitexec runs git processes for packages repo and gittest.
//
// It owns how a process is started: with an environment built from an allow-list
// (no user or system configuration, no prompts, C locale), in a process group of
// its own that is killed whole when its time is up, and with its standard error
// kept in bounded memory. There is no shell anywhere. A process that is not
// declared a network process cannot open a connection, so that a partial clone
// never fetches behind the caller's back.
//
// A Git is safe for concurrent use. It never logs and never sees credentials
// other than as environment variables that its caller hands it.
package gitexec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"
)

const (
	// maxStdout bounds what Run keeps in memory, in bytes.
	maxStdout = 256 << 20
	// maxStderr bounds the part of standard error that is kept, in bytes.
	maxStderr = 64 << 10
	// grace is how long a process group has to end after it was asked to.
	grace = 3 * time.Second
)

// ErrOutputTooLarge is returned by Run when standard output exceeds 256 MiB.
var ErrOutputTooLarge = errors.New("output of git too large")

// Git starts git processes on one repository.
type Git struct {
	// Dir becomes GIT_DIR; "" for commands that need no repository.
	Dir string
	// Home becomes HOME: an existing folder in which there is no configuration.
	Home string
	// Timeout bounds each process that states none; 0 means two minutes.
	Timeout time.Duration
}

// Command is one git process.
type Command struct {
	// Args follow "git" on the command line; Args[0] is the subcommand.
	Args  []string
	Stdin io.Reader
	// Env is added to the environment, "KEY=value".
	Env []string
	// Network allows http, https, ssh and file transports.
	Network bool
	// Timeout in place of Git.Timeout when above 0.
	Timeout time.Duration
	// MaxStdout cuts standard output to that many bytes, silently, when above 0.
	MaxStdout int
}

// Error is a git process that ended badly.
type Error struct {
	// Op is the subcommand, the only part of the command line that is kept.
	Op string
	// ExitCode is -1 when the process did not end by itself.
	ExitCode int
	// Stdout and Stderr are what it wrote, neither scrubbed nor to be trusted.
	Stdout, Stderr string
	// Err is nil for a process that ended by itself: else the context's error, or
	// why it could not be started or read from.
	Err error
}

// Error tells the operation and how it ended, without what git wrote: that may
// hold anything the remote sent.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("git %s: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("git %s: exit status %d", e.Op, e.ExitCode)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Run runs c to its end and returns its standard output. A process that ends
// with another status than 0 or is killed gives an *Error.
func (g Git) Run(ctx context.Context, c Command) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, g.timeout(c))
	defer cancel()
	out := &capped{max: maxStdout, strict: true}
	if c.MaxStdout > 0 {
		out = &capped{max: c.MaxStdout}
	}
	stderr := &capped{max: maxStderr}
	cmd := g.command(ctx, c)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, out, stderr
	err := cmd.Run()
	killGroup(cmd)
	if out.over && out.strict {
		return nil, fmt.Errorf("git %s: %w", c.Args[0], ErrOutputTooLarge)
	}
	if err != nil {
		return nil, failure(ctx, c, cmd, err, out.buf.String(), stderr.buf.String())
	}
	return out.buf.Bytes(), nil
}

func (g Git) timeout(c Command) time.Duration {
	switch {
	case c.Timeout > 0:
		return c.Timeout
	case g.Timeout > 0:
		return g.Timeout
	}
	return 2 * time.Minute
}

func (g Git) command(ctx context.Context, c Command) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", c.Args...)
	cmd.Dir = g.Home
	cmd.Env = append(Environment(g.Dir, g.Home, c.Network), c.Env...)
	cmd.WaitDelay = grace
	ownGroup(cmd)
	return cmd
}

func failure(ctx context.Context, c Command, cmd *exec.Cmd, err error, stdout, stderr string) error {
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("git is not installed: %w", err)
	}
	e := &Error{Op: c.Args[0], ExitCode: -1, Stdout: stdout, Stderr: stderr, Err: ctx.Err()}
	if cmd.ProcessState != nil {
		e.ExitCode = cmd.ProcessState.ExitCode()
	}
	var exit *exec.ExitError
	if e.Err == nil && !errors.As(err, &exit) {
		e.Err = err
	}
	return e
}

// Process is a git process that the caller talks to while it runs.
type Process struct {
	Stdin  io.WriteCloser
	Stdout io.Reader

	ctx    context.Context
	cancel context.CancelFunc
	cmd    *exec.Cmd
	spec   Command
	stderr *capped
}

// Start starts c with pipes; the caller must call Wait or Kill.
func (g Git) Start(ctx context.Context, c Command) (*Process, error) {
	ctx, cancel := context.WithTimeout(ctx, g.timeout(c))
	p := &Process{ctx: ctx, cancel: cancel, cmd: g.command(ctx, c), spec: c, stderr: &capped{max: maxStderr}}
	p.cmd.Stderr = p.stderr
	stdin, err := p.cmd.StdinPipe()
	if err == nil {
		p.Stdin = stdin
		p.Stdout, err = p.cmd.StdoutPipe()
	}
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, failure(ctx, c, p.cmd, err, "", "")
	}
	return p, nil
}

// Wait closes standard input and waits for the process to end. All of Stdout
// must have been read.
func (p *Process) Wait() error {
	defer p.cancel()
	// A process that has gone already makes closing fail; Wait tells why.
	_ = p.Stdin.Close()
	err := p.cmd.Wait()
	killGroup(p.cmd)
	if err != nil {
		return failure(p.ctx, p.spec, p.cmd, err, "", p.stderr.buf.String())
	}
	return nil
}

// Kill ends the process and everything it started. It returns nil unless the
// process had ended badly by itself, or its context had ended, before the call.
func (p *Process) Kill() error {
	before := p.ctx.Err()
	p.cancel()
	err := p.Wait()
	var e *Error
	if errors.As(err, &e) && (before != nil || e.ExitCode > 0) {
		e.Err = before
		return e
	}
	return nil
}

// capped keeps the first max bytes and swallows the rest.
type capped struct {
	buf    bytes.Buffer
	max    int
	strict bool
	over   bool
}

func (w *capped) Write(b []byte) (int, error) {
	room := w.max - w.buf.Len()
	if room < len(b) {
		w.over = true
		if w.strict {
			return 0, ErrOutputTooLarge
		}
		w.buf.Write(b[:max(room, 0)])
		return len(b), nil
	}
	return w.buf.Write(b)
}
