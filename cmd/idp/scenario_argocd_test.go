package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

func (p *play) argocd(ts *testscript.TestScript, args []string) {
	server := p.world.argocd
	if server == nil {
		ts.Fatalf(`there is no Argo CD: "start argocd"`)
	}
	word := func(i int) string {
		if i >= len(args) {
			ts.Fatalf("argocd %s: something is missing", args[0])
		}
		return args[i]
	}
	switch args[0] {
	case "sync":
		ts.Check(server.Sync(p.ctx, p.applicationName(ts, word(1))))
	case "fail":
		ts.Check(server.Fail(p.ctx, p.applicationName(ts, word(1)), word(2)))
	case "health":
		ts.Check(server.SetHealth(p.applicationName(ts, word(1)), word(2), strings.Join(args[3:], " ")))
	case "hold":
		ts.Check(server.Hold(p.applicationName(ts, word(1)), word(2), word(3)))
	case "away", "back":
		server.SetAway(args[0] == "away")
	case "refreshed":
		fmt.Fprintln(ts.Stdout(), strings.Join(server.TakeRefreshed(), "\n"))
	default:
		ts.Fatalf("no such thing: argocd %s", args[0])
	}
}

// applicationName is that of a pull request's preview, of a part of a declared
// environment (pr/staging.web), or of the root, or "all".
func (p *play) applicationName(ts *testscript.TestScript, name string) string {
	switch name {
	case "all":
		return name
	case "root":
		return p.world.cfg.ArgoCDRoot
	}
	env, err := p.environment(ts, name)
	ts.Check(err)
	return env.Ref.Name()
}

// heard says that the bot knows what Argo CD has told, unless that is away or the bot
// does without it. What is gone by the time that it listens it knows by its absence.
func (p *play) heard() bool {
	if p.world.argocd == nil || p.world.main.watch == nil {
		return true
	}
	told, away := p.world.argocd.Told()
	newest, live := p.world.main.watch.Newest()
	return away && !live || !away && live && newest >= told
}

// observing lets the bot say to Argo CD, and ask it, what is to be said and asked,
// and says whether something came of it. Argo CD being away is part of a story.
func (p *play) observing(ctx context.Context) (string, error) {
	main := p.world.main
	if main.refreshes != nil {
		if _, err := main.refreshes.step(ctx); err != nil {
			return "refreshes", err
		}
	}
	if !p.heard() {
		return "the watch on Argo CD", nil
	}
	_, _ = main.observer.Step(ctx)
	unreported, err := main.store.Unreported(ctx, p.clock.now(), 1)
	if err != nil || len(unreported) > 0 {
		return "reports", err
	}
	return "", nil
}
