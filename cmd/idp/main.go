// Command idp is a GitHub App that gives each pull request a preview
// environment through GitOps, and takes it away again.
//
// This package is the edge to the shell and nothing more: one file per
// subcommand, config.go the only reader of configuration. Data goes to standard
// output; progress, logs and errors to standard error; how it went to the exit
// status (exit.go). Everything is wired here from values that are passed on; no
// package below reads flags, the environment or the working directory's files on
// its own.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	// The first signal asks for an orderly end; stop restores the default, so that
	// the second one ends the program at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
}

// run is the whole program but for the process: it runs the command that args
// name and returns the exit status. env holds "KEY=value" as os.Environ does.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env []string) int {
	p := &program{stdin: stdin, stdout: stdout, stderr: stderr, env: environment(env)}
	root := newRoot(p)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	return p.exit(ctx, err)
}

// program is what every subcommand is given of the process it runs in.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            map[string]string

	// started is set once a command's arguments were accepted and it runs: errors
	// before that are errors of usage.
	started bool
}

// environment makes a map of "KEY=value" pairs; of a repeated key the last wins.
func environment(pairs []string) map[string]string {
	out := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		if key, value, ok := strings.Cut(pair, "="); ok {
			out[key] = value
		}
	}
	return out
}
