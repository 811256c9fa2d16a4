package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/idp-bot/idp/gitops/argocd"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/secret"
	"github.com/idp-bot/idp/previews"
)

// argoCD is an Argo CD: what asks it, listens to it, and tells it of commits. Each is
// worked by itself, so that one that is away holds up no other.
type argoCD struct {
	// name is what rows call it: "" for the server's own, else url.
	name string
	// url is the root of its API.
	url    string
	client *argocd.Client
	now    func() time.Time

	// The rest is made where idp follows commits, and nil elsewhere.
	watch     *argocd.Watch
	refreshes *refresher
}

// openArgoCDs prepares the server's own Argo CD and those that classes may name; none where
// the configuration names none.
func openArgoCDs(cfg *Config, now func() time.Time, registry prometheus.Registerer) ([]*argoCD, error) {
	if cfg.ArgoCDURL == "" {
		return nil, nil
	}
	own := &argoCD{url: strings.TrimRight(cfg.ArgoCDURL, "/"), now: now}
	out := []*argoCD{own}
	tokens := []secret.String{cfg.ArgoCDToken}
	for _, pair := range cfg.ArgoCDTokenFiles {
		address, file, _ := cutTokenFile(pair)
		token, err := tokenIn(file)
		if err != nil {
			return nil, fmt.Errorf("read argocd_token_files: %w", err)
		}
		name := strings.TrimRight(address, "/")
		out, tokens = append(out, &argoCD{name: name, url: name, now: now}), append(tokens, token)
	}
	metrics, err := argocd.NewMetrics(registry)
	if err != nil {
		return nil, err
	}
	for i, a := range out {
		if a.client, err = argocd.New(argocd.Options{URL: a.url, Token: tokens[i], Metrics: metrics}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// tokenIn reads a file with a token.
func tokenIn(file string) (secret.String, error) {
	content, err := os.ReadFile(file)
	return secret.New(strings.TrimSpace(string(content))), err
}

// argoCDsBeside are the roots of the APIs of the Argo CDs that classes may name.
func (c *Config) argoCDsBeside() []string {
	var out []string
	for _, pair := range c.ArgoCDTokenFiles {
		address, _, _ := cutTokenFile(pair)
		out = append(out, strings.TrimRight(address, "/"))
	}
	return out
}

// argoCDNamed returns the Argo CD that rows call so; nil where the configuration has none of
// that name.
func (m *Main) argoCDNamed(name string) *argoCD {
	for _, a := range m.argocds {
		if a.name == name {
			return a
		}
	}
	return nil
}

// follow makes what follows commits in every Argo CD. Where there is none at all, what was
// followed until now is let go of.
func (m *Main) follow(took prometheus.ObserverVec) {
	observer := func(of func(previews.Environment) bool) *previews.Observer {
		return &previews.Observer{
			Store: m.store, Of: of, Contains: m.lanes.contains, Timeout: m.cfg.RolloutTimeout,
			TimeoutOf: func(e previews.Environment) time.Duration { return e.RolloutTimeout },
			Took:      took, Changed: m.wake.all, Now: m.now, Log: m.log,
		}
	}
	if len(m.argocds) == 0 || m.cfg.observes() {
		m.observe(observer(nil), previews.NewSignal())
		return
	}
	m.handler.Logs = m.logs
	for _, a := range m.argocds {
		told := &tidings{names: map[string]bool{}, wake: previews.NewSignal()}
		log := m.log
		if a.name != "" {
			log = log.With("argocd", a.name)
		}
		a.watch = a.client.Watch(told.add, log)
		a.refreshes = newRefresher(m.rootOf, a.client.Refresh, m.failed("refresh"), log)
		o := observer(func(e previews.Environment) bool { return e.ArgoCD == a.name })
		o.Look = m.looking(a)
		o.See, o.Moved, o.Blockers = a.see, told.take, a.blockers
		o.Theirs = func(ctx context.Context, env previews.Environment) (previews.Seen, error) {
			return m.theirs(ctx, a, env)
		}
		m.observe(o, told.wake)
		m.own = append(m.own, a.refreshes.loop())
		m.loops = append(m.loops, a.refreshes.overdueLoop(a.name, m.store.Syncing, m.now))
	}
	m.observe(m.forgotten(observer), previews.NewSignal())
}

func (m *Main) observe(o *previews.Observer, wake previews.Signal) {
	m.observers = append(m.observers, o)
	m.observations = append(m.observations, o.Loop(wake))
}

// forgotten is the observer of what is in an Argo CD that the configuration has no more: it
// cannot be asked, and what it has is not gone for that.
func (m *Main) forgotten(observer func(func(previews.Environment) bool) *previews.Observer) *previews.Observer {
	o := observer(func(e previews.Environment) bool { return m.argoCDNamed(e.ArgoCD) == nil })
	o.See = func(context.Context, string) (previews.Seen, error) {
		return previews.Seen{}, errors.New("the Argo CD that it is in is named by no item of argocd_token_files any more")
	}
	o.Theirs = func(ctx context.Context, env previews.Environment) (previews.Seen, error) {
		return o.See(ctx, env.Application())
	}
	o.Blockers = func(context.Context, string) (string, error) { return "", nil }
	return o
}

// following runs the observers and what they listen to, until ctx ends.
func (m *Main) following(ctx context.Context) {
	var running sync.WaitGroup
	for _, a := range m.argocds {
		if a.watch != nil {
			running.Go(func() { a.watch.Run(ctx) })
		}
	}
	for _, loop := range m.observations {
		running.Go(func() { loop.Run(ctx) })
	}
	running.Wait()
}

// refresh has each Argo CD look at what a commit changed of what is in it.
func (m *Main) refresh(changed []previews.Environment) {
	for _, a := range m.argocds {
		theirs := slices.DeleteFunc(slices.Clone(changed), func(e previews.Environment) bool { return e.ArgoCD != a.name })
		if a.refreshes != nil && len(theirs) > 0 {
			a.refreshes.changed(theirs)
		}
	}
}

// applicationURL is the page of an environment's Application; "" where its Argo CD is not
// known.
func (m *Main) applicationURL(env previews.Environment, class platform.Class) string {
	a := m.argoCDNamed(env.ArgoCD)
	if a == nil {
		return ""
	}
	return a.url + "/applications/" + url.PathEscape(class.ArgoCDNamespace) + "/" + env.Application()
}
