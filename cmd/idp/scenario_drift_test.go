package main

import (
	"fmt"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// drift does what "idp drift" does and prints what that prints, or lets the bot look.
func (p *play) drift(ts *testscript.TestScript, args []string) {
	if len(args) > 0 && args[0] == "mend" {
		ts.Check(p.world.main.drift.look(p.ctx))
		p.settle(ts)
		return
	}
	found, err := (&program{stderr: p.log, env: p.world.env}).findDrift(p.ctx, p.world.cfg, p.clock.now)
	ts.Check(err)
	facts, lines := driftFactsOf(found)
	var told strings.Builder
	for _, row := range lines.rows {
		told.WriteString(strings.Join(row[:4], " | ") + "\n")
	}
	if err := drifted(facts); err != nil {
		printError(&told, false, err)
	}
	_, err = fmt.Fprint(ts.Stdout(), p.plain(told.String()))
	ts.Check(err)
}
