package main

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/spec"
)

// resume starts the bot again.
func (p *play) resume(ts *testscript.TestScript, args []string) {
	env := settings(args)
	for key, value := range env {
		env[key] = p.filled(value)
	}
	ts.Check(p.world.reconfigure(env))
	ts.Check(p.world.start(p.ctx))
}

// settings are the variables of "IDP_KEY=VALUE…".
func settings(args []string) map[string]string {
	env := map[string]string{}
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		env[key] = value
	}
	return env
}

func (p *play) image(ts *testscript.TestScript, args []string) {
	alias, _, named := strings.Cut(args[0], "@")
	if named && p.pulls[alias] == nil && len(args) > 1 {
		ts.Check(p.world.pushImage(p.ctx, args[1], p.sha(ts, "{"+args[0]+"}"))) // of a branch
		return
	}
	pr := p.pull(ts, alias)
	name, sha := strings.ToLower(p.home(ts, pr).FullName()), pr.HeadSHA()
	if named {
		sha = p.sha(ts, "{"+args[0]+"}")
	}
	if len(args) > 1 {
		name = args[1]
	}
	if repository, tag, tagged := strings.Cut(name, ":"); tagged {
		name, sha = repository, tag
	}
	ts.Check(p.world.pushImage(p.ctx, name, sha))
}

func (p *play) index(ts *testscript.TestScript, args []string) {
	pr := p.pull(ts, args[0])
	ref, err := name.ParseReference(fmt.Sprintf("%s/%s:%s", p.world.registryAddr, strings.ToLower(p.home(ts, pr).FullName()), pr.HeadSHA()), name.Insecure)
	ts.Check(err)
	var index v1.ImageIndex = empty.Index
	for _, arg := range args[1:] {
		of, err := v1.ParsePlatform(arg)
		ts.Check(err)
		image, err := random.Image(64, 1)
		ts.Check(err)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: of}})
	}
	ts.Check(remote.WriteIndex(ref, index, remote.WithContext(p.ctx)))
}

func (p *play) hold(*testscript.TestScript, []string) {
	p.holding = true
	p.world.github.HoldDeliveries()
}

func (p *play) release(ts *testscript.TestScript, args []string) {
	p.holding = false
	if len(args) == 0 {
		p.world.github.StopHolding()
		return
	}
	if args[0] == "none" {
		args = []string{"-1"}
	}
	var order []int
	for _, arg := range args {
		i, err := strconv.Atoi(arg)
		ts.Check(err)
		order = append(order, i)
	}
	p.world.github.Release(order...)
	p.world.github.StopHolding()
}

func (p *play) fault(ts *testscript.TestScript, args []string) {
	times, err := strconv.Atoi(args[3])
	ts.Check(err)
	f := githubtest.Fault{Method: strings.ReplaceAll(args[1], "*", ""), Path: args[2], Times: times}
	switch args[0] {
	case "drop":
		f.Drop, f.AfterEffect = true, true
	case "html":
		f.HTML, f.Status = true, 502
	default:
		f.Status, err = strconv.Atoi(args[0])
		ts.Check(err)
	}
	if len(args) > 4 {
		f.RetryAfter, err = time.ParseDuration(args[4])
		ts.Check(err)
	}
	p.world.github.Inject(f)
}

// redeliver sends again what did not arrive at the first attempt, or everything.
func (p *play) redeliver(ts *testscript.TestScript, args []string) {
	for _, d := range p.world.app.Deliveries() {
		if d.Status != "OK" || len(args) > 0 {
			ts.Check(p.world.app.Redeliver(d.ID))
		}
	}
}

func (p *play) gitops(ts *testscript.TestScript, args []string) {
	if args[0] == "github" {
		r := p.world.github.Repository(gitopsRepository)
		r.Mirror(p.world.gitops)
		p.repos[gitopsRepository] = r
		return
	}
	if len(args) < 2 {
		ts.Fatalf("gitops %s wants more words", args[0])
	}
	if args[0] == "also" {
		p.gitopsAlso(ts, args[1])
		if len(args) > 2 && args[2] == "argocd" {
			p.startBeside(ts, args[1])
		}
		return
	}
	var edit gittest.Edit
	to := p.world.gitops
	switch args[0] {
	case "put":
		to = p.gitopsNamed(ts, args[3:])
		edit = gittest.Edit{Message: "Change by hand", Put: []gitops.File{{Path: args[1], Content: p.withRegistry([]byte(p.filled(p.trustedRoot(ts, ts.ReadFile(args[2])))))}}}
	case "remove":
		edit = gittest.Edit{Message: "Remove by hand", Remove: []string{args[1]}}
	case "link":
		edit = gittest.Edit{Message: "Link by hand", Links: map[string]string{args[1]: args[2]}}
	case "during":
		p.whilePushing(ts, args[1:])
		return
	case "refuse", "drop":
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		if args[0] == "drop" {
			p.world.gitops.DropPushAnswers(n)
			return
		}
		p.world.gitops.RefusePushes(n, strings.Join(args[2:], " "))
		return
	default:
		ts.Fatalf("no such thing: gitops %s", args[0])
	}
	_, err := to.Commit(p.ctx, branch, edit)
	ts.Check(err)
}

// gitopsRoot is what the URLs of GitOps repositories begin with.
func (p *play) gitopsRoot() string {
	return strings.TrimSuffix(p.world.gitops.URL, "/"+gitopsRepository+".git")
}

// gitopsAlso makes one more GitOps repository, as the platform team would for a class.
func (p *play) gitopsAlso(ts *testscript.TestScript, name string) {
	served, err := p.world.git.Create(p.ctx, name)
	ts.Check(err)
	r := p.world.github.AddRepository(name, githubtest.RepositoryOptions{Private: true})
	r.Mirror(served)
	p.repos[name], p.served[name] = r, served
	_, err = served.Commit(p.ctx, branch, gittest.Edit{Message: "Begin"})
	ts.Check(err)
}

// whilePushing does a command, and has the bot handle what comes of it, after the
// next push came in and before git gets it.
func (p *play) whilePushing(ts *testscript.TestScript, command []string) {
	done := make(chan struct{})
	p.during = done
	var once sync.Once
	p.world.gitops.BeforePush(func() {
		once.Do(func() {
			defer close(done)
			perform(p, ts, command[0], command[1:])
			if err := p.handled(p.ctx); err != nil {
				p.t.Log("during a push: ", err)
			}
		})
	})
}

// handled waits until every webhook is delivered and decided about.
func (p *play) handled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := p.world.github.WaitDeliveries(ctx); err != nil {
			return err
		}
		depth, err := p.world.main.store.QueueDepth(ctx)
		if err != nil || depth == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (p *play) advance(ts *testscript.TestScript, args []string) {
	d, err := spec.ParseDuration(args[0])
	ts.Check(err)
	p.clock.advance(d)
	if p.world.main != nil {
		p.world.main.wake.all()
	}
}

func (p *play) reap(ts *testscript.TestScript, _ []string) {
	ts.Check(p.world.main.reap(p.ctx))
	p.settle(ts)
}

func (p *play) operator(ts *testscript.TestScript, args []string) {
	var err error
	switch {
	case args[0] == "pause" && len(args) == 2:
		_, err = p.world.main.store.Pause(p.ctx, "ops", args[1])
	case args[0] == "resume":
		_, err = p.world.main.store.Resume(p.ctx, "ops")
	default:
		ts.Fatalf("operator %v: expected pause REASON, or resume", args)
	}
	ts.Check(err)
	p.world.main.wake.all()
}

func (p *play) sweep(ts *testscript.TestScript, _ []string) {
	ts.Check(p.world.main.sweep(p.ctx))
	p.settle(ts)
}

func (p *play) confirm(ts *testscript.TestScript, _ []string) {
	ts.Check(p.world.main.store.ConfirmBreaker(p.ctx, "the scenario"))
}

// await waits for a line of the log, each line once.
func (p *play) await(ts *testscript.TestScript, args []string) {
	wanted, err := regexp.Compile(args[0])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		log := p.log.String()
		if at := wanted.FindStringIndex(log[p.awaited:]); at != nil {
			p.awaited += at[1]
			return
		}
		select {
		case <-ctx.Done():
			p.fatal(ts, "nothing in the log matches %s", wanted)
		case <-tick.C:
		}
	}
}

// faultyRegistry answers requests for images with a status of its own while it is
// told to. Pushes by CI go through.
type faultyRegistry struct{ status atomic.Int64 }

func (f *faultyRegistry) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := int(f.status.Load())
		if status != 0 && (r.Method == http.MethodGet || r.Method == http.MethodHead) && strings.Contains(r.URL.Path, "/manifests/") {
			w.WriteHeader(status)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (p *play) setRegistry(ts *testscript.TestScript, args []string) {
	status := 0
	if args[0] != "ok" {
		var err error
		status, err = strconv.Atoi(args[0])
		ts.Check(err)
	}
	p.registry.status.Store(int64(status))
}

// filled is a file of the platform team's with what only the play knows: where GitOps
// repositories are, and GitHub's ids of the others.
func (p *play) filled(text string) string {
	words := []string{"$GITOPS", p.gitopsRoot()}
	for name, r := range p.repos {
		words = append(words, "{id:"+name+"}", strconv.FormatInt(r.ID(), 10))
	}
	for name, a := range p.beside {
		words = append(words, "{argocd:"+name+"}", a.server.URL(), "{argocd token:"+name+"}", a.server.URL()+"="+a.tokenFile)
	}
	return strings.NewReplacer(words...).Replace(text)
}
