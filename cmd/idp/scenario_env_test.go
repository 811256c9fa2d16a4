package main

import (
	"fmt"
	"slices"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/idp-bot/idp/previews/store"
)

// envs does what "idp env" does beside the bot, by the scenario's clock, and prints what that
// prints.
func (p *play) envs(ts *testscript.TestScript, args []string) {
	out, told := newWatchedLog(ts), newWatchedLog(ts)
	beside := &program{stdout: out, stderr: told, env: map[string]string{}}
	err := p.envBeside(ts, beside, args)
	status := exitOK
	if err != nil {
		status = exitStatus(err)
		printError(told, false, err)
	}
	_, err = fmt.Fprintf(ts.Stdout(), "%s%sstatus %d\n", p.plain(out.String()), p.plain(told.String()), status)
	ts.Check(err)
}

func (p *play) envBeside(ts *testscript.TestScript, beside *program, args []string) error {
	s, now := p.world.main.store, p.clock.now()
	flags := args[1:]
	switch args[0] {
	case "list":
		rows, err := s.Environments(p.ctx, store.Filter{})
		ts.Check(err)
		facts, lines := listed(rows, envFilter{all: slices.Contains(flags, "--all")}, now)
		return printAs(formatTable, beside, facts, lines)
	case "remove":
		r := removal{repo: flags[0], id: flags[1], confirm: slices.Contains(flags, "--confirm")}
		facts, err := r.run(p.ctx, s, "ops", now)
		if err != nil {
			return err
		}
		if err := printAs(formatTable, beside, facts, facts.lines()); err != nil {
			return err
		}
		return beside.tell("%s", facts.next())
	}
	p.fatal(ts, "envs has no %s", args[0])
	return nil
}

func printAs(f format, to *program, facts any, lines table) error {
	return f.print(to.stdout, false, facts, lines)
}
