package measure

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops"
)

var update = flag.Bool("update", false, "write the goldens")

func TestTimeOf(t *testing.T) {
	t.Parallel()
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[99-i] = time.Duration(i+1) * time.Second
	}
	for _, c := range []struct {
		name                  string
		took                  []time.Duration
		p50, p99, most, least Seconds
	}{
		{"none", nil, 0, 0, 0, 0},
		{"one", hundred[:1], Seconds(100 * time.Second), Seconds(100 * time.Second), Seconds(100 * time.Second), Seconds(100 * time.Second)},
		{"a hundred", hundred, Seconds(50 * time.Second), Seconds(99 * time.Second), Seconds(100 * time.Second), Seconds(time.Second)},
		{"twenty", hundred[80:], Seconds(10 * time.Second), Seconds(20 * time.Second), Seconds(20 * time.Second), Seconds(time.Second)},
	} {
		want := Time{What: c.name, Repositories: 3, Count: len(c.took), P50: c.p50, P99: c.p99, Max: c.most, Least: c.least}
		if diff := cmp.Diff(want, timeOf(c.name, 3, c.took)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// figures is a report as a run has it before it is concluded.
func figures() *Report {
	s := func(seconds ...float64) (out []time.Duration) {
		for _, one := range seconds {
			out = append(out, time.Duration(one*float64(time.Second)))
		}
		return out
	}
	return &Report{
		Machine: Machine{Cores: 2, System: "linux/amd64", Go: "go1.26", ArgoCD: "3.5"},
		Options: Said{PRs: 2, AtOnce: 3, Repositories: []int{1, 100}, Deploys: 1, Expiries: 1, Generator: true, Poll: Seconds(time.Minute)},
		Times: []Time{
			timeOf(handHealthy, 1, s(2, 2.5)), timeOf(idpHealthy, 1, s(2.4, 3.9)), timeOf(idpSaid, 1, s(2.5, 4.1)),
			timeOf(hookedHealthy, 1, s(2.45, 2.46)), timeOf(polledHealthy, 1, s(20, 61)),
			timeOf(handHealthy, 100, s(3, 3)), timeOf(idpHealthy, 100, s(4.2, 4.3)), timeOf(idpSaid, 100, s(4.3, 4.4)),
		},
		Pauses:   Seconds(10 * time.Second),
		Links:    []Links{{Repositories: 1, Mean: map[string]Seconds{"committed": seconds(0.5), "total": seconds(2.5)}}},
		Requests: []Requests{{Who: byIDP, Repositories: 1, PRs: 2, Reads: 10, Writes: 22, Tokens: 1}, {Who: byHooked, Repositories: 1, PRs: 2, Reads: 2}, {Who: byPolled, Repositories: 1, PRs: 2, Reads: 12}},
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	r := figures()
	r.conclude()
	var out strings.Builder
	if err := r.Table(&out); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "report.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Error(diff)
	}
	out.Reset()
	if err := r.JSON(&out); err != nil {
		t.Fatal(err)
	}
	var read struct {
		Times []struct{ P50 float64 }
		Adds  []struct{ P50Met, P99Met bool }
	}
	if err := json.Unmarshal([]byte(out.String()), &read); err != nil || read.Times[0].P50 != 2 || len(read.Adds) != 4 || !read.Adds[0].P50Met || read.Adds[2].P50Met {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestReadLinks(t *testing.T) {
	t.Parallel()
	read := func(text string) links {
		l, err := readLinks(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	before := read("idp_ready_seconds_sum{link=\"image\"} 1\nidp_ready_seconds_count{link=\"image\"} 2\n")
	after := read("# HELP x\nidp_ready_seconds_bucket{link=\"image\",le=\"1\"} 4\nidp_ready_seconds_sum{link=\"image\"} 4\nidp_ready_seconds_count{link=\"image\"} 4\n" +
		"idp_ready_seconds_sum{link=\"synced\"} 0.5\nidp_ready_seconds_count{link=\"synced\"} 1\n")
	want := map[string]Seconds{"image": seconds(1.5), "synced": seconds(0.5)}
	if diff := cmp.Diff(want, after.since(before)); diff != "" {
		t.Error(diff)
	}
	if _, err := readLinks(strings.NewReader("idp_ready_seconds_sum{link=\"image\"} many\n")); err == nil {
		t.Error("what is no number is read as one")
	}
}

func TestRenamed(t *testing.T) {
	t.Parallel()
	like := gitops.EnvironmentRef{RepositoryID: 42, Owner: org, Repo: "web-1", ID: "pr-1"}
	h := &hand{like: like}
	to := h.next()
	text := strings.Join([]string{like.ManifestsDir(), like.Name(), like.Host("{service}-{env}-{hash}.{zone}", "web", "example.com")}, "\n")
	want := strings.Join([]string{to.ManifestsDir(), to.Name(), to.Host("{service}-{env}-{hash}.{zone}", "web", "example.com")}, "\n")
	if diff := cmp.Diff(want, h.renamed(text, to)); diff != "" {
		t.Error(diff)
	}
	if again := h.next(); again.Name() == to.Name() {
		t.Errorf("two are %s", again.Name())
	}
}

func TestCountRequests(t *testing.T) {
	t.Parallel()
	s := githubtest.New(githubtest.Options{})
	app := s.AddApp(githubtest.AppOptions{})
	installation := app.Install(org, githubtest.InstallOptions{})
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	s.AddRepository(org+"/web", githubtest.RepositoryOptions{Private: true})
	token := installation.Token()
	if !s.TokenAllows(token, org+"/web", "contents", "read") {
		t.Error("the token may read nothing")
	}
	const route = "/repos/{owner}/{repo}"
	ours := "installation:" + itoa(installation.ID())
	got := countRequests([]githubtest.Request{
		{Method: "GET", Route: route, Credential: ours, Status: 200}, {Method: "GET", Route: route, Credential: ours, Status: 304},
		{Method: "PATCH", Route: route, Credential: ours, Status: 200},
		{Method: "POST", Credential: "app:" + itoa(app.ID()), Route: "/app/installations/{installation_id}/access_tokens", Status: 201},
		{Method: "GET", Credential: "installation:1", Status: 200},
	}, app, installation)
	want := Requests{Reads: 2, Unchanged: 1, Writes: 1, Tokens: 1, Routes: map[string]int{
		"GET " + route: 2, "PATCH " + route: 1, "POST /app/installations/{installation_id}/access_tokens": 1,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	good := func() Options {
		return Options{PRs: 1, AtOnce: 1, Repositories: []int{1, 2}, Pause: time.Second, Poll: time.Second}
	}
	if err := good().Check(); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		says   string
		change func(*Options)
	}{
		{"--prs 0: expected 1 to 200", func(o *Options) { o.PRs = 0 }},
		{"--at-once 1000", func(o *Options) { o.AtOnce = 1000 }},
		{"--repos []", func(o *Options) { o.Repositories = nil }},
		{"--repos [2 1]", func(o *Options) { o.Repositories = []int{2, 1} }},
		{"--repos 0", func(o *Options) { o.Repositories = []int{0, 1} }},
		{"--pause 0s", func(o *Options) { o.Pause = 0 }},
		{"--poll 1h0m0s", func(o *Options) { o.Poll = time.Hour }},
	} {
		o := good()
		c.change(&o)
		if err := o.Check(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v, want %q", err, c.says)
		}
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
