package main

import (
	"fmt"

	"github.com/rogpeppe/go-internal/testscript"
)

// rerender does what "idp rerender" does beside the bot, and prints what that prints.
func (p *play) rerender(ts *testscript.TestScript, args []string) {
	out, told := newWatchedLog(ts), newWatchedLog(ts)
	beside := &program{stdout: out, stderr: told, env: map[string]string{}}
	cmd := newRerender(beside)
	ts.Check(cmd.ParseFlags(args))
	flags := rerenderFlags{}
	for name, to := range map[string]any{"dry-run": &flags.dryRun, "summary": &flags.summary, "repo": &flags.repo, "class": &flags.class, "at-most": &flags.atMost} {
		_, err := fmt.Sscan(cmd.Flag(name).Value.String()+" ", to)
		if err != nil && cmd.Flag(name).Value.String() != "" {
			ts.Check(err)
		}
	}
	status := exitOK
	facts, err := beside.rerender(p.ctx, p.world.cfg, flags, "ops", p.clock.now)
	if err == nil {
		err = beside.printRerendered(facts)
	}
	if err != nil {
		status = exitStatus(err)
		printError(told, false, err)
	}
	_, err = fmt.Fprintf(ts.Stdout(), "%s%sstatus %d\n", p.plain(out.String()), p.plain(told.String()), status)
	ts.Check(err)
}
