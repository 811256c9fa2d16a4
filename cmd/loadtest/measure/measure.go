// Package measure measures idp on a real cluster, beside what Argo CD takes for the
// same by itself, and beside Argo CD's own pull-request generator in the same run.
//
// Run starts a Kubernetes and an Argo CD (gitops/clustertest), a stand-in GitHub, a Git
// server and an image registry, and idp as the process that people run, with its paces
// off. What it sees, it sees from outside: requests as they arrive at the stand-in,
// Applications on Argo CD's stream of events, namespaces on the API server's watch. It
// judges nothing by time: it fails where something does not happen at all.
//
// One Run at a time, on loopback alone; it leaves nothing behind, whatever its context
// ends by.
package measure

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/idp-bot/idp/gitops/clustertest"
)

// Options say what to measure.
type Options struct {
	// ArgoCD is the version of Argo CD; clustertest.ArgoCD35 by default.
	ArgoCD string
	// PRs is how many pull requests are opened one by one, AtOnce how many at once; both
	// with each number of Repositories, which have a preview each by then. All are 1 at
	// least.
	PRs, AtOnce  int
	Repositories []int
	// Deploys is how often a canary is rolled out, with two pauses of Pause; Expiries how
	// many previews expire; 0 for none.
	Deploys, Expiries int
	Pause             time.Duration
	// Generator says to measure Argo CD's pull-request generator too, with a webhook and
	// without one, then asking every Poll.
	Generator bool
	Poll      time.Duration
	// Program is idp's binary; it is built where that is "".
	Program string
	// Progress, when set, is told what is done.
	Progress func(line string)
	// GitHub, when set, wraps the stand-in's API, for validation.
	GitHub func(http.Handler) http.Handler
}

// Most of what may be asked for: a machine has an end.
const (
	mostPRs          = 200
	mostRepositories = 300
	mostDeploys      = 20
	longestPause     = 5 * time.Minute
)

// Check says what cannot be measured.
func (o Options) Check() error {
	var errs []error
	within := func(what string, n, least, most int) {
		if n < least || n > most {
			errs = append(errs, fmt.Errorf("%s %d: expected %d to %d", what, n, least, most))
		}
	}
	within("--prs", o.PRs, 1, mostPRs)
	within("--at-once", o.AtOnce, 1, mostPRs)
	within("--deploys", o.Deploys, 0, mostDeploys)
	within("--expiries", o.Expiries, 0, mostDeploys)
	if len(o.Repositories) == 0 || !slices.IsSorted(o.Repositories) {
		errs = append(errs, fmt.Errorf("--repos %v: expected numbers that rise, such as 1,100", o.Repositories))
	}
	for _, n := range o.Repositories {
		within("--repos", n, 1, mostRepositories)
	}
	if o.Pause < time.Second || o.Pause > longestPause {
		errs = append(errs, fmt.Errorf("--pause %s: expected 1s to %s", o.Pause, longestPause))
	}
	if o.Poll < time.Second || o.Poll > longestPause {
		errs = append(errs, fmt.Errorf("--poll %s: expected 1s to %s", o.Poll, longestPause))
	}
	return errors.Join(errs...)
}

// Run measures.
func Run(ctx context.Context, o Options) (r *Report, err error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if o.ArgoCD == "" {
		o.ArgoCD = clustertest.ArgoCD35
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	w, err := newWorld(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	m := &measuring{world: w, report: &Report{Options: o.said()}}
	if err := m.machine(ctx); err != nil {
		return nil, err
	}
	if err := m.all(ctx); err != nil {
		return nil, err
	}
	m.report.conclude()
	return m.report, nil
}

// measuring is a run.
type measuring struct {
	*world
	report *Report
	// repositories have a preview each, the first of which is what is copied by hand.
	repositories []*repository
	hand         *hand
}

func (m *measuring) machine(ctx context.Context) error {
	m.report.Machine = Machine{Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(), ArgoCD: m.o.ArgoCD}
	return nil
}

// all measures everything: what needs no other repositories before they come.
func (m *measuring) all(ctx context.Context) error {
	for i, n := range m.o.Repositories {
		if err := m.grow(ctx, n); err != nil {
			return err
		}
		for _, measure := range []func(context.Context) error{m.oneByOne, m.atOnce} {
			if err := measure(ctx); err != nil {
				return err
			}
		}
		if i > 0 {
			continue
		}
		for _, measure := range []func(context.Context) error{m.canaries, m.expiries, m.generators} {
			if err := measure(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// grow makes repositories, until there are so many with a preview each.
func (m *measuring) grow(ctx context.Context, n int) error {
	var changes []*change
	for len(m.repositories) < n {
		r := m.newRepository(fmt.Sprintf("web-%d", len(m.repositories)+1), plain)
		m.repositories = append(m.repositories, r)
		c, err := r.prepare(ctx)
		if err != nil {
			return err
		}
		changes = append(changes, c)
	}
	began := time.Now()
	if _, _, err := openAll(ctx, changes); err != nil {
		return err
	}
	m.tell("%s with a preview each: %s", plural(n, "repository", "repositories"), time.Since(began).Round(time.Second))
	if m.hand == nil {
		var err error
		if m.hand, err = newHand(ctx, m.world, changes[0]); err != nil {
			return err
		}
	}
	return m.settle(ctx)
}

// oneByOne pushes a preview by hand and has idp make one, in turn, so that both meet
// the same cluster. All of idp's are of one repository, as are those by hand.
func (m *measuring) oneByOne(ctx context.Context) error {
	var floor, wells, saids []time.Duration
	var changes []*change
	before, err := m.links(ctx)
	if err != nil {
		return err
	}
	m.github.ForgetRequests()
	for range m.o.PRs {
		refs, began, err := m.hand.add(ctx, 1)
		if err != nil {
			return err
		}
		took, err := m.hand.healthy(ctx, refs, began)
		if err != nil {
			return err
		}
		floor = append(floor, took...)
		c, err := m.repositories[0].prepare(ctx)
		if err != nil {
			return err
		}
		if err := m.settle(ctx); err != nil { // what idp does about a push that nobody has asked about yet
			return err
		}
		well, said, err := openAll(ctx, []*change{c})
		if err != nil {
			return err
		}
		wells, saids, changes = append(wells, well...), append(saids, said...), append(changes, c)
		if err := m.settle(ctx); err != nil {
			return err
		}
	}
	n := len(m.repositories)
	m.count(byIDP, n, countRequests(m.github.Requests(), m.app, m.installation))
	m.record(handHealthy, n, floor)
	m.record(idpHealthy, n, wells)
	m.record(idpSaid, n, saids)
	after, err := m.links(ctx)
	if err != nil {
		return err
	}
	m.report.Links = append(m.report.Links, Links{Repositories: n, Mean: after.since(before)})
	return m.clear(ctx, changes, idpGone, handGone)
}

// atOnce is oneByOne for many at a time, which idp finds in as many repositories as
// there are.
func (m *measuring) atOnce(ctx context.Context) error {
	n, many := len(m.repositories), m.o.AtOnce
	refs, began, err := m.hand.add(ctx, many)
	if err != nil {
		return err
	}
	floor, err := m.hand.healthy(ctx, refs, began)
	if err != nil {
		return err
	}
	m.record(handHealthyAtOnce, n, floor)
	if err := m.clear(ctx, nil, "", handGoneAtOnce); err != nil {
		return err
	}
	changes := make([]*change, many)
	for i := range changes {
		if changes[i], err = m.repositories[i%n].prepare(ctx); err != nil {
			return err
		}
	}
	if err := m.settle(ctx); err != nil {
		return err
	}
	wells, saids, err := openAll(ctx, changes)
	if err != nil {
		return err
	}
	m.record(idpHealthyAtOnce, n, wells)
	m.record(idpSaidAtOnce, n, saids)
	return m.clear(ctx, changes, idpGoneAtOnce, "")
}

// clear takes away what a measurement made, and records how long that took: of what
// idp made, and of what was made by hand.
func (m *measuring) clear(ctx context.Context, changes []*change, ofIDP, ofHand string) error {
	if len(changes) > 0 {
		gone, err := closeAll(ctx, changes)
		if err != nil {
			return err
		}
		m.record(ofIDP, len(m.repositories), gone)
	}
	if refs := m.hand.listed; len(refs) > 0 {
		began, err := m.hand.removeAll(ctx)
		if err != nil {
			return err
		}
		gone, err := m.hand.gone(ctx, refs, began)
		if err != nil {
			return err
		}
		m.record(ofHand, len(m.repositories), gone)
	}
	return m.settle(ctx)
}

// record reports times, and tells of them.
func (m *measuring) record(what string, repositories int, took []time.Duration) {
	t := timeOf(what, repositories, took)
	m.report.Times = append(m.report.Times, t)
	m.tell("%s, %s: p50 %s, p99 %s, max %s", what, plural(repositories, "repository", "repositories"), t.P50, t.P99, t.Max)
}
