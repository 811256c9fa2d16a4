package measure

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// What is timed, in the words of the report.
const (
	handHealthy       = "by hand: push → Healthy"
	idpHealthy        = "idp: webhook → Healthy"
	idpSaid           = "idp: webhook → check says healthy"
	handHealthyAtOnce = "by hand, at once in one commit: push → Healthy"
	idpHealthyAtOnce  = "idp, at once: webhook → Healthy"
	idpSaidAtOnce     = "idp, at once: webhook → check says healthy"
	idpGone           = "idp: closed together → namespace gone"
	handGone          = "by hand: removed together → namespace gone"
	idpGoneAtOnce     = "idp, at once: closed → namespace gone"
	handGoneAtOnce    = "by hand, at once in one commit: removed → namespace gone"
	deployHealthy     = "idp: /idp deploy by canary → Healthy"
	deploySaid        = "idp: /idp deploy by canary → check says healthy"
	idpExpired        = "idp: expired → namespace gone"
	handDeleted       = "by hand: Application deleted → namespace gone"
	hookedHealthy     = "generator, with webhook: event → Healthy"
	polledHealthy     = "generator, without webhook: event → Healthy"
)

// Who asks GitHub, in the words of the report.
const (
	byIDP    = "idp"
	byHooked = "generator, with webhook"
	byPolled = "generator, without webhook"
)

// The targets of what idp adds to what is pushed by hand.
const (
	targetP50 = Seconds(1 * time.Second)
	targetP99 = Seconds(2 * time.Second)
)

// Seconds is a time that is read as seconds.
type Seconds time.Duration

func seconds(s float64) Seconds { return Seconds(s * float64(time.Second)) }

func (s Seconds) String() string { return fmt.Sprintf("%.2fs", time.Duration(s).Seconds()) }

// MarshalJSON writes a number of seconds.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, time.Duration(s).Seconds(), 'f', 3, 64), nil
}

// Report is what a run measured; its names in JSON are a contract. Times are seconds.
type Report struct {
	Machine Machine `json:"machine"`
	Options Said    `json:"options"`
	Times   []Time  `json:"times"`
	Adds    []Added `json:"adds"`
	// Pauses is the sum of the pauses that a canary declares; 0 where none was deployed.
	Pauses   Seconds    `json:"pauses"`
	Links    []Links    `json:"links"`
	Requests []Requests `json:"requests"`
	// Ahead compares idp with the generator; nil where that was not measured.
	Ahead []Ahead `json:"ahead,omitempty"`
}

// Machine is where it was measured.
type Machine struct {
	Cores  int    `json:"cores"`
	System string `json:"system"`
	Go     string `json:"go"`
	ArgoCD string `json:"argocd"`
}

// Said is what was asked for.
type Said struct {
	PRs          int     `json:"prs"`
	AtOnce       int     `json:"atOnce"`
	Repositories []int   `json:"repositories"`
	Deploys      int     `json:"deploys"`
	Expiries     int     `json:"expiries"`
	Generator    bool    `json:"generator"`
	Poll         Seconds `json:"poll"`
}

func (o Options) said() Said {
	return Said{
		PRs: o.PRs, AtOnce: o.AtOnce, Repositories: slices.Clone(o.Repositories), Deploys: o.Deploys, Expiries: o.Expiries,
		Generator: o.Generator, Poll: Seconds(o.Poll),
	}
}

// Time is how long one thing took, so many times.
type Time struct {
	What         string  `json:"what"`
	Repositories int     `json:"repositories"`
	Count        int     `json:"count"`
	P50          Seconds `json:"p50"`
	P99          Seconds `json:"p99"`
	Max          Seconds `json:"max"`
	// Least tells of what cannot be: a clock that began too late.
	Least Seconds `json:"least"`
}

// Added is what idp adds, one by one, to the median of what is pushed by hand.
type Added struct {
	What         string  `json:"what"`
	Repositories int     `json:"repositories"`
	P50          Seconds `json:"p50"`
	P99          Seconds `json:"p99"`
	P50Met       bool    `json:"p50Met"`
	P99Met       bool    `json:"p99Met"`
}

// Links are the means that idp itself recorded, by link.
type Links struct {
	Repositories int                `json:"repositories"`
	Mean         map[string]Seconds `json:"mean"`
}

// Requests are those to GitHub's API, for each pull request.
type Requests struct {
	Who          string `json:"who"`
	Repositories int    `json:"repositories"`
	PRs          int    `json:"prs"`
	// Reads ask for something, Unchanged of them were answered 304, which costs nothing
	// of the hourly budget; Writes say something; Tokens are the App's own.
	Reads     int `json:"reads"`
	Unchanged int `json:"unchanged"`
	Writes    int `json:"writes"`
	Tokens    int `json:"tokens"`
	// Routes are all of them by method and route, to find what asks too much.
	Routes map[string]int `json:"routes"`
}

// Ahead says whether idp is ahead of the generator in something.
type Ahead struct {
	In        string `json:"in"`
	Of        string `json:"of"`
	IDP       string `json:"idp"`
	Generator string `json:"generator"`
	Ahead     bool   `json:"ahead"`
}

// timeOf sums times up.
func timeOf(what string, repositories int, took []time.Duration) Time {
	sorted := slices.Sorted(slices.Values(took))
	at := func(share float64) Seconds {
		if len(sorted) == 0 {
			return 0
		}
		return Seconds(sorted[max(0, int(math.Ceil(share*float64(len(sorted))))-1)])
	}
	return Time{What: what, Repositories: repositories, Count: len(took), P50: at(0.5), P99: at(0.99), Max: at(1), Least: at(0)}
}

// time finds what was timed.
func (r *Report) time(what string, repositories int) (Time, bool) {
	at := slices.IndexFunc(r.Times, func(t Time) bool { return t.What == what && t.Repositories == repositories })
	if at < 0 {
		return Time{}, false
	}
	return r.Times[at], true
}

func (r *Report) requests(who string) (Requests, bool) {
	at := slices.IndexFunc(r.Requests, func(q Requests) bool { return q.Who == who })
	if at < 0 {
		return Requests{}, false
	}
	return r.Requests[at], true
}

// conclude compares what was measured.
func (r *Report) conclude() {
	for _, n := range r.Options.Repositories {
		floor, ok := r.time(handHealthy, n)
		if !ok {
			continue
		}
		for _, what := range []string{idpHealthy, idpSaid} {
			if t, ok := r.time(what, n); ok {
				a := Added{What: what, Repositories: n, P50: t.P50 - floor.P50, P99: t.P99 - floor.P50}
				a.P50Met, a.P99Met = a.P50 <= targetP50, a.P99 <= targetP99
				r.Adds = append(r.Adds, a)
			}
		}
	}
	ours, ok := r.time(idpHealthy, r.Options.Repositories[0])
	asked, askedToo := r.requests(byIDP)
	if !ok || !askedToo {
		return
	}
	for _, other := range []struct{ who, what string }{{byHooked, hookedHealthy}, {byPolled, polledHealthy}} {
		theirs, ok := r.time(other.what, ours.Repositories)
		theirsAsked, askedToo := r.requests(other.who)
		if !ok || !askedToo {
			continue
		}
		r.Ahead = append(r.Ahead,
			Ahead{"time to Healthy, p50", other.who, ours.P50.String(), theirs.P50.String(), ours.P50 < theirs.P50},
			Ahead{"time to Healthy, p99", other.who, ours.P99.String(), theirs.P99.String(), ours.P99 < theirs.P99},
			Ahead{"reads of GitHub per pull request", other.who, asked.each(asked.Reads), theirsAsked.each(theirsAsked.Reads),
				asked.perPR(asked.Reads) < theirsAsked.perPR(theirsAsked.Reads)},
		)
	}
}

func (q Requests) perPR(n int) float64 { return float64(n) / float64(q.PRs) }

func (q Requests) each(n int) string { return fmt.Sprintf("%.1f", q.perPR(n)) }

// JSON prints the report for programs.
func (r *Report) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

// Table prints the report for people.
func (r *Report) Table(w io.Writer) error {
	p := &printer{out: tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)}
	p.text(
		fmt.Sprintf("Measured on %s, %s, %s, Argo CD %s.", plural(r.Machine.Cores, "core", "cores"), r.Machine.System, r.Machine.Go, r.Machine.ArgoCD),
		"idp runs as a process with its paces off: gitops_pushes_per_minute and github_writes_per_minute are 0, and reap_schedule is @every "+reapEvery.String()+".",
		"Real: Kubernetes, Argo CD, Argo Rollouts, git over HTTP, idp. Stand-ins: GitHub, the image registry, and pods, which kwok says are ready at once. Images are there before the pull request.",
		"By hand: the files that idp commits for a preview, renamed, pushed with plain git (timed from the push), and Argo CD's root refreshed.",
	)
	p.times(r)
	p.adds(r)
	p.links(r)
	p.requests(r)
	p.ahead(r)
	if err := p.out.Flush(); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	return nil
}

// printer prints tables with text between them.
type printer struct{ out *tabwriter.Writer }

// text ends a table: what comes next has columns of its own.
func (p *printer) text(lines ...string) {
	for _, line := range lines {
		fmt.Fprintln(p.out, line)
	}
	_ = p.out.Flush() // an error stays, and the last Flush returns it
}

func (p *printer) row(cells ...any) {
	texts := make([]string, len(cells))
	for i, cell := range cells {
		texts[i] = fmt.Sprint(cell)
	}
	fmt.Fprintln(p.out, strings.Join(texts, "\t"))
}

func (p *printer) times(r *Report) {
	p.text("")
	p.row("TIME", "REPOSITORIES", "COUNT", "P50", "P99", "MAX")
	for _, t := range r.Times {
		p.row(t.What, t.Repositories, t.Count, t.P50, t.P99, t.Max)
	}
	if r.Pauses > 0 {
		p.text("", fmt.Sprintf("The canary's declared pauses are %s in all.", r.Pauses))
	}
}

func (p *printer) adds(r *Report) {
	p.text("")
	p.row("IDP ADDS TO THE MEDIAN BY HAND", "REPOSITORIES", "P50", "≤ "+targetP50.String(), "P99", "≤ "+targetP99.String())
	for _, a := range r.Adds {
		p.row(a.What, a.Repositories, a.P50, met(a.P50Met), a.P99, met(a.P99Met))
	}
}

func met(so bool) string {
	if so {
		return "met"
	}
	return "not met"
}

func (p *printer) links(r *Report) {
	p.text("")
	header := []any{"IDP'S OWN LINKS, MEAN", "REPOSITORIES"}
	for _, link := range linkNames {
		header = append(header, strings.ToUpper(link))
	}
	p.row(header...)
	for _, l := range r.Links {
		cells := []any{"one by one", l.Repositories}
		for _, link := range linkNames {
			cells = append(cells, l.Mean[link])
		}
		p.row(cells...)
	}
}

func (p *printer) requests(r *Report) {
	p.text("")
	p.row("REQUESTS TO GITHUB PER PULL REQUEST", "REPOSITORIES", "READS", "OF THEM 304", "WRITES", "TOKENS")
	for _, q := range r.Requests {
		p.row(q.Who, q.Repositories, q.each(q.Reads), q.each(q.Unchanged), q.each(q.Writes), q.each(q.Tokens))
	}
	p.text("", "idp's writes are its check, comment and deployment, which the generator has none of.")
}

func (p *printer) ahead(r *Report) {
	if len(r.Ahead) == 0 {
		return
	}
	p.text("")
	p.row("IDP AND THE GENERATOR", "BESIDE", "IDP", "GENERATOR", "IDP IS")
	for _, a := range r.Ahead {
		is := "behind"
		if a.Ahead {
			is = "ahead"
		}
		p.row(a.In, a.Of, a.IDP, a.Generator, is)
	}
	p.text("", fmt.Sprintf("Without a webhook the generator asks every %s; its pull requests are opened evenly over that time. It leaves namespaces behind.", time.Duration(r.Options.Poll)))
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
