package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/idp-bot/idp/gitops/fault"
)

// The exit statuses. They are a contract with scripts; exitHelp documents them.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
	exitInvalid = 3
	exitDenied  = 4
	exitTimeout = 5
)

// exitHelp is the part of "idp --help" and of the README on exit statuses.
const exitHelp = `0  it worked
1  it failed
2  the command was called the wrong way
3  the input is invalid: a deploy.yaml, a configuration, an event; or what was looked at is not as it should be: an audit log, a record of an environment, drift
4  it is not allowed
5  it took too long`

// exitStatus returns the status that err, nil included, ends the program with.
func exitStatus(err error) int {
	switch fault.CodeOf(err) {
	case "":
		return exitOK
	case fault.Usage:
		return exitUsage
	case fault.Invalid:
		return exitInvalid
	case fault.Denied:
		return exitDenied
	case fault.Timeout:
		return exitTimeout
	case fault.Failure, fault.NotFound, fault.Conflict:
		// Below.
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return exitTimeout
	}
	return exitFailure
}

// detailed is an error of several lines, such as a list of problems. They are
// printed below the message, in order.
type detailed interface {
	error
	Details() []string
}

// exit prints err for a person at a terminal and returns the exit status. An
// error that came before the command ran is one of usage.
func (p *program) exit(ctx context.Context, err error) int {
	if err == nil {
		return exitOK
	}
	if !p.started && fault.CodeOf(err) == fault.Failure {
		err = fault.Wrap(nil, fault.Usage, err.Error(), `"idp --help" lists the commands`)
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = fault.Wrap(nil, fault.Failure, "interrupted", "")
	}
	printError(p.stderr, p.styled(p.stderr), err)
	return exitStatus(err)
}

// printError writes "error: …", the details if there are any, and "hint: …".
// At a terminal the whole chain is shown: whoever runs the program is its operator.
func printError(w io.Writer, style style, err error) {
	var b strings.Builder
	f, coded := errors.AsType[*fault.Error](err)
	if list, ok := errors.AsType[detailed](err); ok && coded {
		fmt.Fprintf(&b, "%s %s\n", style.bad("error:"), f.Message)
		for _, line := range list.Details() {
			fmt.Fprintf(&b, "  %s\n", line)
		}
	} else {
		fmt.Fprintf(&b, "%s %s\n", style.bad("error:"), err)
	}
	if coded && f.Hint != "" {
		fmt.Fprintf(&b, "%s %s\n", style.dim("hint:"), f.Hint)
	}
	// Standard error that cannot be written to leaves nobody to tell.
	_, _ = io.WriteString(w, b.String())
}
