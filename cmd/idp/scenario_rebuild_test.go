package main

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/idp-bot/idp/previews/storetest/postgrestest"
)

var lost atomic.Int64

// lose stops the bot and gives it an empty database of the same kind.
func (p *play) lose(ts *testscript.TestScript, _ []string) {
	ts.Check(p.world.stopBot())
	n := lost.Add(1)
	database := "sqlite://" + filepath.Join(p.dir, fmt.Sprintf("new-%d.db", n))
	if isPostgres(p.world.cfg.DatabaseURL.Reveal()) {
		url, drop, err := postgrestest.New(fmt.Sprintf("new_%d", n))
		ts.Check(err)
		p.drops = append(p.drops, drop)
		database = url
	}
	ts.Check(p.world.reconfigure(map[string]string{"IDP_DATABASE_URL": database}))
}

// rebuild does what "idp rebuild" does, and prints what that prints.
func (p *play) rebuild(ts *testscript.TestScript, args []string) {
	facts, err := rebuild(p.ctx, p.world.cfg, rebuildOptions{
		dryRun: slices.Contains(args, "--dry-run"), merge: slices.Contains(args, "--merge"),
		by: "ops", log: slog.New(slog.NewTextHandler(p.log, nil)), now: p.clock.now,
	})
	var told strings.Builder
	if err == nil {
		told.WriteString(facts.table().render(false))
		err = facts.err()
	}
	if err != nil {
		printError(&told, false, notRebuilt(err))
	}
	_, err = fmt.Fprint(ts.Stdout(), p.plain(told.String()))
	ts.Check(err)
}
