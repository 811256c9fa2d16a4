package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/idp-bot/idp/gitops/argocd/argocdtest"
)

// besideArgoCD is an Argo CD beside the first, and the file with the token that it wants.
type besideArgoCD struct {
	server           *argocdtest.Server
	token, tokenFile string
}

// startBeside starts an Argo CD that follows a GitOps repository beside the first.
func (p *play) startBeside(ts *testscript.TestScript, name string) {
	token := randomHex(32)
	file := filepath.Join(p.dir, "argocd-"+strings.ReplaceAll(name, "/", "-"))
	ts.Check(os.WriteFile(file, []byte(token+"\n"), 0o600))
	server, err := argocdtest.Start(argocdtest.Options{Token: token, Root: "idp-root", Repository: p.served[name], Branch: branch, Now: p.clock.now})
	ts.Check(err)
	ts.Defer(func() { ts.Check(server.Close()) })
	p.beside[name] = besideArgoCD{server, token, file}
}

// secrets are those that the bot was given, at any time.
func (p *play) secrets() []string {
	own := p.world.secrets()
	for _, beside := range p.beside {
		own = append(own, beside.token)
	}
	return own
}

// operators are the files with secrets that operators put down.
func (p *play) operators() []string {
	var files []string
	for _, beside := range p.beside {
		files = append(files, beside.tokenFile)
	}
	return files
}

func (p *play) argocd(ts *testscript.TestScript, args []string) {
	server := p.world.argocd
	if args[0] == "of" && len(args) > 2 {
		beside, ok := p.beside[args[1]]
		if !ok {
			ts.Fatalf("no Argo CD follows %s", args[1])
		}
		server, args = beside.server, args[2:]
	}
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
	case "live":
		ts.Check(server.SetLive(p.applicationName(ts, word(1)), ts.ReadFile(word(2))))
	case "logs":
		if word(1) == "denied" {
			server.DenyLogs(true)
			break
		}
		ts.Check(server.SetLogs(p.applicationName(ts, word(1)), word(2), ts.ReadFile(word(3))))
	case "drift":
		ts.Check(server.SetDrift(p.applicationName(ts, word(1)), strings.Join(args[2:], " ")))
	case "hold":
		ts.Check(server.Hold(p.applicationName(ts, word(1)), word(2), word(3)))
	case "theirs":
		url := p.world.gitops.URL
		if len(args) > 3 {
			url = args[3]
		}
		server.Add(word(1), url, word(2))
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
	return env.Application()
}

// heard says that the bot knows what each Argo CD has told, unless that is away or the bot
// does without it. What is gone by the time that it listens it knows by its absence.
func (p *play) heard() bool {
	for _, a := range p.world.main.argocds {
		server := p.world.argocd
		for _, beside := range p.beside {
			if beside.server.URL() == a.name {
				server = beside.server
			}
		}
		if a.watch == nil {
			continue
		}
		told, away := server.Told()
		if newest, live := a.watch.Newest(); away && live || !away && (!live || newest < told) {
			return false
		}
	}
	return true
}

// observing lets the bot say to Argo CD, and ask it, what is to be said and asked,
// and says whether something came of it. Argo CD being away is part of a story.
func (p *play) observing(ctx context.Context) (string, error) {
	main := p.world.main
	for _, a := range main.argocds {
		if a.refreshes == nil {
			continue
		}
		if _, err := a.refreshes.step(ctx); err != nil {
			return "refreshes", err
		}
	}
	if !p.heard() {
		return "the watch on Argo CD", nil
	}
	proposers := main.lanes.all()
	for _, proposer := range proposers {
		_, _ = proposer.Step(ctx)
	}
	if lanes, err := main.store.Lanes(ctx); err != nil || len(lanes) > len(proposers) {
		return "proposals", err
	}
	for _, observer := range main.observers {
		_, _ = observer.Step(ctx)
	}
	unreported, err := main.store.Unreported(ctx, p.clock.now(), 1)
	if err != nil || len(unreported) > 0 && !main.cfg.observes() {
		return "reports", err
	}
	return "", nil
}

// standInGateway answers at every host alike.
type standInGateway struct {
	mu       sync.Mutex
	status   int // 0 breaks the connection
	location string
}

func (g *standInGateway) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.status == 0 {
		panic(http.ErrAbortHandler)
	}
	if g.location != "" {
		w.Header().Set("Location", g.location)
	}
	w.WriteHeader(g.status)
}

func (p *play) setGateway(ts *testscript.TestScript, args []string) {
	p.gateway.mu.Lock()
	defer p.gateway.mu.Unlock()
	p.gateway.status, p.gateway.location = 0, strings.Join(args[1:], "")
	switch args[0] {
	case "drop":
	case "ok":
		p.gateway.status = http.StatusOK
	default:
		status, err := strconv.Atoi(args[0])
		ts.Check(err)
		p.gateway.status = status
	}
}
