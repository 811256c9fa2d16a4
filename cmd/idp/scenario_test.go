package main

import (
	"context"
	"crypto/rsa"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/bot/github/githubtest/openapi"
	"github.com/idp-bot/idp/gitops/provenance/provenancetest"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews/storetest/postgrestest"
)

// TestScenarios plays testdata/scenarios: people act on the stand-in GitHub, its
// webhooks go to the bot that "idp serve" runs, and what comes of it is looked at
// where people see it: the GitOps repository, the comment, the check run and the
// deployment. See testdata/scenarios/README.md for the commands.
func TestScenarios(t *testing.T) {
	t.Parallel()
	testscript.RunT(searchedScripts{t}, scenarios(*update, func(env *testscript.Env) error { return setUpPlay(env, nil) }))
}

// TestScenariosPostgres plays the same scenarios with the bot on PostgreSQL, and holds
// it to the same words.
func TestScenariosPostgres(t *testing.T) {
	t.Parallel()
	if !postgrestest.Wanted() {
		t.Skipf("SKIPPED, for it takes as long again as TestScenarios: %s=1 go test ./cmd/idp -run TestScenariosPostgres", postgrestest.Variable)
	}
	var played atomic.Int64
	testscript.RunT(searchedScripts{t}, scenarios(false, func(env *testscript.Env) error {
		database, drop, err := postgrestest.New(fmt.Sprint("scenario_", played.Add(1)))
		if err != nil {
			return err
		}
		env.Defer(func() {
			if err := drop(); err != nil {
				env.T().Fatal(err)
			}
		})
		return setUpPlay(env, map[string]string{"IDP_DATABASE_URL": database})
	}))
}

func scenarios(rewrite bool, setup func(*testscript.Env) error) testscript.Params {
	return testscript.Params{
		Dir:                filepath.Join("..", "..", "testdata", "scenarios"),
		UpdateScripts:      rewrite,
		RequireUniqueNames: true,
		Setup:              setup,
		Cmds:               playCommands(),
	}
}

// patience is how long a test waits for one thing to happen: far longer than it
// takes, since everything runs at once and machines are slow.
const patience = time.Minute

// noon is when every scenario begins: a Monday.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// play is one scenario being played.
type play struct {
	t         testscript.T
	ctx       context.Context
	dir       string
	settings  map[string]string
	world     *world
	clock     *stoppedClock
	log       *watchedLog
	sent      outgoing
	validator *openapi.Validator
	registry  *faultyRegistry
	gateway   *standInGateway
	repos     map[string]*githubtest.Repository
	served    map[string]*gittest.Repository // the GitOps repositories beside the first
	beside    map[string]besideArgoCD        // the Argo CDs beside the first, by the repository that they follow
	pulls     map[string]*githubtest.PullRequest
	branches  map[string]string // of pull requests, by alias
	cis       map[string]*githubtest.CI
	sigstore  *provenancetest.Sigstore
	// during ends when what a scenario does in the middle of a push is done; nil
	// when nothing is to be done.
	during chan struct{}
	// holding says that the scenario holds webhooks back.
	holding bool
	// awaited is how far into the log "await" has read.
	awaited int
	// drops give back the databases that a scenario made, once it was looked into them.
	drops []func() error
	// known are the commits of pull requests, by SHA, as the script calls them.
	known map[string]string
}

// stoppedClock moves only when a scenario says so.
type stoppedClock struct {
	mu sync.Mutex
	at time.Time
}

func (c *stoppedClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *stoppedClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// sharedKey is one App key for all scenarios, whose making would take as long as
// a scenario.
var sharedKey = func() func() (*rsa.PrivateKey, []byte, error) {
	type made struct {
		key *rsa.PrivateKey
		pem []byte
	}
	once := sync.OnceValues(func() (made, error) {
		key, pem, err := githubtest.GenerateKey()
		return made{key, pem}, err
	})
	return func() (*rsa.PrivateKey, []byte, error) {
		m, err := once()
		return m.key, m.pem, err
	}
}()

type playKey struct{}

// setUpPlay prepares a scenario; settings are the bot's beside those that every
// scenario has.
func setUpPlay(env *testscript.Env, settings map[string]string) error {
	schema, err := openapi.Shared()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "idp-scenario-")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &play{
		t: env.T(), ctx: ctx, dir: dir, settings: settings, clock: &stoppedClock{at: noon}, log: newWatchedLog(env.T().(searchedScripts)), validator: schema.NewValidator(),
		registry: &faultyRegistry{}, gateway: &standInGateway{status: http.StatusServiceUnavailable}, repos: map[string]*githubtest.Repository{}, served: map[string]*gittest.Repository{}, beside: map[string]besideArgoCD{}, pulls: map[string]*githubtest.PullRequest{},
		branches: map[string]string{}, cis: map[string]*githubtest.CI{}, known: map[string]string{},
	}
	env.Values[playKey{}] = p
	for _, name := range []string{"REGISTRY", "GITOPS"} {
		env.Setenv(name, "$"+name) // for start, resume and folders to fill in
	}
	gateway := httptest.NewServer(p.gateway)
	env.Setenv("GATEWAY", gateway.Listener.Addr().String())
	env.Defer(func() {
		defer cancel()
		gateway.Close()
		p.end()
		for _, drop := range p.drops {
			if err := drop(); err != nil {
				env.T().Fatal(err)
			}
		}
	})
	return nil
}

// end closes the world and holds the scenario to what every one must keep:
// requests and answers as GitHub describes them, no request while GitHub said to
// wait, no secret in anything that the bot wrote.
func (p *play) end() {
	defer func() { _ = os.RemoveAll(p.dir) }()
	if p.world == nil {
		return
	}
	banned := p.world.github.BannedRequests()
	broken, err := p.world.leaks(p.ctx, secrettest.For(p.secrets()...), p.log.String(), &p.sent, p.operators()...)
	if err != nil {
		broken = append(broken, fmt.Sprintf("it is not known whether it tells secrets: %v", err))
	}
	if err := p.world.close(); err != nil {
		p.t.Log("close: ", err)
	}
	broken = append(broken, p.validator.Violations()...)
	if banned > 0 {
		broken = append(broken, fmt.Sprintf("%d requests were sent while GitHub said to wait", banned))
	}
	if len(broken) > 0 {
		p.t.Fatal(strings.Join(broken, "\n"))
	}
}

// start makes the world and starts the bot.
func (p *play) start(ts *testscript.TestScript, args []string) {
	env := map[string]string{
		// Paces are kept on a real clock, which a scenario would wait for.
		"IDP_GITOPS_PUSHES_PER_MINUTE": "0", "IDP_GITHUB_WRITES_PER_MINUTE": "0",
		// Schedules run on a real clock; a scenario reaps and sweeps when it says so.
		"IDP_REAP_SCHEDULE": "@every 24h", "IDP_SWEEP_SCHEDULE": "@every 24h",
	}
	withArgoCD := len(args) > 0 && args[0] == "argocd"
	if withArgoCD {
		args = args[1:]
	}
	maps.Copy(env, p.settings)
	maps.Copy(env, settings(args))
	var err error
	p.world, err = newWorld(p.ctx, worldOptions{
		dir: p.dir, now: p.clock.now, env: env, argocd: withArgoCD, github: func(next http.Handler) http.Handler { return p.sent.record(p.validator.Middleware(next)) }, registry: p.registry.wrap, key: sharedKey,
		log: slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	ts.Check(err)
	ts.Check(p.world.start(p.ctx))
}

// settle waits until everything that was told has been done and said.
func (p *play) settle(ts *testscript.TestScript) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	tick := time.NewTicker(15 * time.Millisecond)
	defer tick.Stop()
	for quiet := 0; quiet < 2; {
		if err := p.world.github.WaitDeliveries(ctx); err != nil {
			p.fatal(ts, "webhooks are not delivered: %v", err)
		}
		busy, err := p.busy(ctx)
		if err != nil {
			p.fatal(ts, "settle: %v", err)
		}
		if quiet++; busy != "" {
			quiet = 0
		}
		select {
		case <-ctx.Done():
			p.fatal(ts, "does not settle: %s", busy)
		case <-tick.C:
		}
	}
}

// busy says what is still to be done, "" when nothing is.
func (p *play) busy(ctx context.Context) (string, error) {
	if p.during != nil {
		select {
		case <-p.during:
			p.during = nil
		default:
			return "a push that something is to happen during", nil
		}
	}
	if p.world.main == nil {
		return "", nil
	}
	if what, err := p.world.busy(ctx); err != nil || what != "" {
		return what, err
	}
	return p.observing(ctx)
}

// fatal ends the scenario with the bot's log.
func (p *play) fatal(ts *testscript.TestScript, format string, args ...any) {
	ts.Logf("the bot's log:\n%s", p.log.String())
	ts.Fatalf(format, args...)
}

// remember gives a commit the name that outputs show instead of its SHA.
func (p *play) remember(alias, sha string) {
	if _, known := p.known[sha]; !known {
		n := 1
		for _, name := range p.known {
			if strings.HasPrefix(name, alias+"@") && !strings.HasPrefix(name, alias+"@merge") {
				n++
			}
		}
		p.known[sha] = alias + "@" + strconv.Itoa(n)
	}
}

// rememberMerges gives the merges that GitHub has tried of each pull request their names.
func (p *play) rememberMerges() {
	for alias, pr := range p.pulls {
		for i, sha := range pr.TestMerges() {
			if _, known := p.known[sha]; !known { // it may have become the real one
				p.known[sha] = alias + "@merge" + strconv.Itoa(i+1)
			}
		}
	}
}

var (
	anySHA    = regexp.MustCompile(`\b[0-9a-f]{40}\b`)
	anyShort  = regexp.MustCompile(`\b[0-9a-f]{7}\b`)
	anyRun    = regexp.MustCompile(`/actions/runs/\d+`)
	anyDigest = regexp.MustCompile(`sha256:[0-9a-f]{12,64}`)
)

// plain replaces in an output what differs between two runs.
func (p *play) plain(text string) string {
	text = strings.NewReplacer(p.world.registryAddr, "registry.test", p.world.git.URL, "http://git.test", p.world.github.HTMLURL(), "http://github.test").Replace(text)
	p.rememberMerges()
	text = anyDigest.ReplaceAllString(text, "DIGEST")
	text = anyRun.ReplaceAllString(text, "/actions/runs/N")
	for sha, name := range p.known {
		text = strings.ReplaceAll(text, sha, name)
		text = strings.ReplaceAll(text, sha[:7], name)
	}
	text = anySHA.ReplaceAllString(text, "COMMIT")
	return anyShort.ReplaceAllString(text, "COMMIT")
}
