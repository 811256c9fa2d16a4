package github

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// What did not change costs nothing and is asked for all the same.
func TestUnchangedIsAskedForByETag(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pr := w.open(t, "a")
	for range 3 {
		if _, err := w.client.PullRequest(t.Context(), w.ref(), 1); err != nil {
			t.Fatal(err)
		}
	}
	notModified := 0
	for _, r := range w.server.Requests() {
		if r.Status == http.StatusNotModified {
			notModified++
		}
	}
	if notModified != 2 {
		t.Errorf("%d answers of 304, want 2", notModified)
	}
	sha := pr.Push("alice", map[string]string{"a.txt": "changed"})
	got, err := w.client.PullRequest(t.Context(), w.ref(), 1)
	if err != nil || got.HeadSHA != sha {
		t.Errorf("after a push: %s, %v, want %s", got.HeadSHA, err, sha)
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newCache(100)
	for i := range 20 {
		c.put(&cacheEntry{key: cacheKey{url: fmt.Sprint(i)}, body: make([]byte, 30)})
		// What is used stays.
		if _, ok := c.get(cacheKey{url: "0"}); !ok {
			t.Fatalf("the first is gone after %d", i)
		}
	}
	if len(c.byKey) != 3 || c.size != 90 {
		t.Errorf("keeps %d entries, %d bytes", len(c.byKey), c.size)
	}
	c.put(&cacheEntry{key: cacheKey{url: "0"}, body: make([]byte, 10)})
	if c.size != 70 {
		t.Errorf("%d bytes after a smaller answer", c.size)
	}
	if _, ok := c.get(cacheKey{scope: scope{installation: 1}, url: "0"}); ok {
		t.Error("another token's answer")
	}
	c.put(&cacheEntry{key: cacheKey{url: "huge"}, body: make([]byte, 101)})
	if c.size != 0 || len(c.byKey) != 0 {
		t.Errorf("%d bytes after one that does not fit", c.size)
	}
}

// After a 403 with Retry-After nothing leaves until then, not even for others
// of the same installation; after it everything does.
func TestRetryAfterIsObeyed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{403, 429} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			w.open(t, "a")
			if _, err := w.client.PullRequest(t.Context(), w.ref(), 1); err != nil {
				t.Fatal(err)
			}
			w.server.Inject(githubtest.Fault{Path: "/repos/**", Status: status, RetryAfter: time.Minute, Secondary: true, Times: 1})
			until := w.clock.Now().Add(time.Minute)
			ask := func() {
				_, err := w.client.Comments(t.Context(), w.ref(), 1)
				if limit, ok := errors.AsType[*RateLimited](err); !ok || !limit.RetryAt().Equal(until) {
					t.Errorf("got %v", err)
				}
			}
			ask()
			var others sync.WaitGroup
			for range 20 {
				others.Go(ask)
			}
			others.Wait()
			w.clock.advance(50 * time.Second)
			if _, err := w.client.Comments(t.Context(), w.ref(), 1); err == nil {
				t.Error("sent within the ban")
			}
			w.clock.advance(10 * time.Second)
			if _, err := w.client.Comments(t.Context(), w.ref(), 1); err != nil {
				t.Errorf("after the ban: %v", err)
			}
			if n := w.server.BannedRequests(); n != 0 {
				t.Errorf("%d requests within the ban", n)
			}
		})
	}
}

// A short limit is waited for; it then looks as if nothing had been.
func TestShortLimitIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pr := w.open(t, "a")
	w.server.Inject(githubtest.Fault{Method: "POST", Path: "/repos/**", Status: 429, RetryAfter: 3 * time.Second, Times: 2})
	if _, err := w.client.CreateComment(t.Context(), w.ref(), 1, "hello"); err != nil {
		t.Fatal(err)
	}
	if n := len(pr.Comments()); n != 1 {
		t.Errorf("%d comments", n)
	}
	if n := w.server.BannedRequests(); n != 0 {
		t.Errorf("%d requests within the ban", n)
	}
	// Not when the caller has no time for it.
	w.server.Inject(githubtest.Fault{Path: "/repos/**", Status: 429, RetryAfter: 3 * time.Second, Times: 1})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := w.client.CreateComment(ctx, w.ref(), 1, "again")
	if _, ok := errors.AsType[*RateLimited](err); !ok {
		t.Errorf("got %v", err)
	}
}

func TestLimitsWithoutRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	reset := fmt.Sprint(now.Add(20 * time.Minute).Unix())
	for name, test := range map[string]struct {
		status int
		header map[string]string
		body   string
		wait   time.Duration // 0: not a limit
	}{
		"permission":             {status: 403, body: `{"message":"Resource not accessible by integration"}`},
		"primary":                {status: 403, header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}, wait: 20 * time.Minute},
		"primary by 429":         {status: 429, header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}, wait: 20 * time.Minute},
		"secondary, no header":   {status: 403, body: `{"message":"You have exceeded a secondary rate limit."}`, wait: time.Minute},
		"429, no header":         {status: 429, wait: time.Minute},
		"secondary, some left":   {status: 403, header: map[string]string{"X-RateLimit-Remaining": "10", "X-RateLimit-Reset": reset}, body: `{"message":"secondary rate limit"}`, wait: time.Minute},
		"a date":                 {status: 429, header: map[string]string{"Retry-After": now.Add(90 * time.Second).Format(http.TimeFormat)}, wait: 90 * time.Second},
		"garbage":                {status: 429, header: map[string]string{"Retry-After": "soon"}, wait: time.Minute},
		"for ever":               {status: 429, header: map[string]string{"Retry-After": "999999999"}, wait: maxBan},
		"zero":                   {status: 429, header: map[string]string{"Retry-After": "0"}, wait: time.Second},
		"unavailable":            {status: 503, header: map[string]string{"Retry-After": "30"}, wait: 30 * time.Second},
		"unavailable, no header": {status: 503},
		"the last one":           {status: 200, header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}, wait: 20 * time.Minute},
		"the last of another":    {status: 200, header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset, "X-RateLimit-Resource": "search"}},
	} {
		rec := httptest.NewRecorder()
		for key, value := range test.header {
			rec.Header().Set(key, value)
		}
		rec.WriteHeader(test.status)
		_, _ = rec.WriteString(test.body)
		resp := rec.Result()
		b := newBudget(-1)
		refused := b.learn(resp, now)
		limit, banned := b.banned(now)
		if banned != (test.wait > 0) || banned && limit.Until.Sub(now) != test.wait || refused != (banned && test.status != 200) {
			t.Errorf("%s: refused %v, banned %v, %v", name, refused, banned, limit)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || string(body) != test.body {
			t.Errorf("%s: the body reads %q, %v", name, body, err)
		}
	}
}

// A limit that does not say for how long doubles while it lasts.
func TestUnnamedLimitBacksOff(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	b := newBudget(-1)
	for _, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 16 * time.Minute} {
		b.learn(&http.Response{StatusCode: 429, Header: http.Header{}, Body: http.NoBody}, now)
		limit, _ := b.banned(now)
		if got := limit.Until.Sub(now); got != want {
			t.Errorf("banned for %s, want %s", got, want)
		}
		now = limit.Until
	}
	b.learn(&http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, now)
	b.learn(&http.Response{StatusCode: 429, Header: http.Header{}, Body: http.NoBody}, now)
	if limit, _ := b.banned(now); limit.Until.Sub(now) != time.Minute {
		t.Errorf("after a success: %s", limit.Until.Sub(now))
	}
}

func TestGitHubFailsForAWhile(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]githubtest.Fault{
		"500": {Status: 500}, "502": {Status: 502, HTML: true}, "503": {Status: 503}, "dropped": {Drop: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			pr := w.open(t, "a")
			fault.Path, fault.Times = "/repos/**", retryTries-1
			w.server.Inject(fault)
			if _, err := w.client.PullRequest(t.Context(), w.ref(), 1); err != nil {
				t.Errorf("read: %v", err)
			}
			// Making a token may be repeated, too.
			fault.Path = "/app/**"
			w.server.Inject(fault)
			// A comment may have been written by the time of a failure: not repeated.
			fault.Path, fault.Times, fault.Method, fault.AfterEffect = "/repos/**", 1, "POST", true
			w.server.Inject(fault)
			if _, err := w.client.CreateComment(t.Context(), w.ref(), 1, "hello"); err == nil {
				t.Error("the failure is not told")
			}
			if n := len(pr.Comments()); n != 1 {
				t.Errorf("%d comments", n)
			}
		})
	}
}

func TestGitHubFailsForGood(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.open(t, "a")
	w.server.Inject(githubtest.Fault{Path: "/repos/**", Status: 502, HTML: true})
	_, err := w.client.OpenPullRequests(t.Context(), w.ref())
	answer, ok := errors.AsType[*APIError](err)
	if !ok || answer.Status != 502 || errors.Is(err, bot.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if n := w.count("GET", "/repos/{owner}/{repo}/pulls"); n != retryTries {
		t.Errorf("tried %d times", n)
	}
}

// Half of a list is no list.
func TestTruncatedListIsAnError(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for i := range 3 {
		w.open(t, fmt.Sprintf("branch%d", i))
	}
	w.server.Inject(githubtest.Fault{Path: "/repos/*/*/pulls", Truncate: true})
	if open, err := w.client.OpenPullRequests(t.Context(), w.ref()); err == nil || open != nil {
		t.Errorf("got %d pull requests, %v", len(open), err)
	}
}

// A renamed repository is followed by its former name, for reads and writes.
func TestRenameIsFollowed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pr := w.open(t, "a")
	if err := w.web.Rename("alice", "site"); err != nil {
		t.Fatal(err)
	}
	got, err := w.client.PullRequest(t.Context(), w.ref(), 1)
	if err != nil || got.Repository.Name != "site" || got.Repository.ID != w.web.ID() {
		t.Errorf("read %+v, %v", got.Repository, err)
	}
	id, err := w.client.CreateComment(t.Context(), w.ref(), 1, "hello")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.client.EditComment(t.Context(), w.ref(), id, "hello again"); err != nil {
		t.Fatal(err)
	}
	if comments := pr.Comments(); len(comments) != 1 || comments[0].Body != "hello again" {
		t.Errorf("comments %+v", comments)
	}
	all, err := w.client.Comments(t.Context(), w.ref(), 1)
	if err != nil || len(all) != 1 {
		t.Errorf("listed %d, %v", len(all), err)
	}
	if now, err := w.client.Repository(t.Context(), w.web.ID()); err != nil || now.Name != "site" || now.Owner != "acme" {
		t.Errorf("by id: %+v, %v", now, err)
	}
	if err := w.client.DeleteComment(t.Context(), w.ref(), id); err != nil || len(pr.Comments()) != 0 {
		t.Errorf("deleted: %v, left %d", err, len(pr.Comments()))
	}
}

// A token goes nowhere but to the API.
func TestRedirectElsewhereIsRefused(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	defer elsewhere.Close()
	targets := []string{elsewhere.URL + "/api/v3/x", "/outside", "//evil.example.com/api/v3/x", "https://a:b@127.0.0.1/api/v3/"}
	next := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/outside") {
			t.Error("the redirect was followed")
		}
		w.Header().Set("Location", targets[next])
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	key, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	app, err := New(Options{APIURL: server.URL + "/api/v3", AppID: 1, PrivateKey: key.pem})
	if err != nil {
		t.Fatal(err)
	}
	app.clock.wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	for next = range targets {
		if err := app.Ping(t.Context()); !errors.Is(err, errRedirect) {
			t.Errorf("%s: %v", targets[next], err)
		}
	}
}

// In any minute no more than 80 writes leave, in any hour no more than 500.
func TestPace(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	b := newBudget(githubWritesPerMinute)
	var sent []time.Time
	for now := start; now.Before(start.Add(3 * time.Hour)); now = now.Add(time.Second) {
		for range 100 {
			if delay, ok := b.reserve(bot.ForPeople, now, 0); !ok {
				if delay <= 0 {
					t.Fatal("refused without saying for how long")
				}
				break
			}
			sent = append(sent, now)
		}
	}
	for name, window := range map[string]struct {
		length time.Duration
		most   int
	}{"minute": {time.Minute, 80}, "hour": {time.Hour, 500}} {
		first, most := 0, 0
		for last := range sent {
			for sent[last].Sub(sent[first]) >= window.length {
				first++
			}
			most = max(most, last-first+1)
		}
		if most > window.most || most < window.most*9/10 {
			t.Errorf("up to %d writes in a %s, limit %d", most, name, window.most)
		}
	}
}

func TestPacedWritesAreRefusedOrWait(t *testing.T) {
	t.Parallel()
	w := setup(t, func(o *Options) { o.WritesPerMinute = 20 })
	pr := w.open(t, "a")
	refused := 0
	for i := range 30 {
		_, err := w.client.CreateComment(t.Context(), w.ref(), 1, fmt.Sprint(i))
		if limit, ok := errors.AsType[*RateLimited](err); ok {
			if limit.Reason != "pace" || !limit.Until.After(w.clock.Now()) {
				t.Errorf("limit %+v", limit)
			}
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n := len(pr.Comments()); n != 10 || refused != 20 {
		t.Errorf("%d written, %d refused", n, refused)
	}
	w.clock.advance(2 * time.Second)
	if _, err := w.client.CreateComment(t.Context(), w.ref(), 1, "waits a little"); err != nil {
		t.Error(err)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	w := setup(t, func(o *Options) { o.Registerer = registry })
	w.open(t, "a")
	for range 2 {
		if _, err := w.client.PullRequest(t.Context(), w.ref(), 1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.client.File(t.Context(), w.ref(), "a/b/c.txt", w.web.Branch("main")); !errors.Is(err, bot.ErrNotFound) {
		t.Fatal(err)
	}
	sha := w.web.Branch("main")
	if _, err := w.client.Commit(t.Context(), w.ref(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.Contains(t.Context(), w.ref(), "main", sha); err != nil {
		t.Fatal(err)
	}
	w.web.Commit("idp/x", map[string]string{"x": "x"})
	for _, body := range []string{"one", "two"} {
		if _, err := w.client.ProposeChange(t.Context(), w.ref(), bot.Change{Branch: "idp/x", Base: "main", Title: "x", Body: body}); err != nil {
			t.Fatal(err)
		}
	}
	rec := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	secrettest.Text(t, "the metrics", rec.Body.Bytes())
	for _, line := range []string{
		`idp_github_requests_total{route="GET /repos/{owner}/{repo}/pulls/{number}",status="200"} 1`,
		`idp_github_requests_total{route="GET /repos/{owner}/{repo}/pulls/{number}",status="304"} 1`,
		`idp_github_requests_total{route="GET /repos/{owner}/{repo}/contents/{path...}",status="404"} 1`,
		`idp_github_requests_total{route="POST /app/installations/{id}/access_tokens",status="201"} 2`,
		`idp_github_request_seconds_count{route="GET /repos/{owner}/{repo}/pulls/{number}"} 2`,
		`idp_github_requests_total{route="GET /repos/{owner}/{repo}/commits/{ref...}",status="200"} 1`,
		`idp_github_requests_total{route="GET /repos/{owner}/{repo}/compare/{basehead}",status="200"} 1`,
		`idp_github_requests_total{route="GET /repos/{owner}/{repo}/git/ref/{ref...}",status="200"} 1`,
		`idp_github_requests_total{route="POST /repos/{owner}/{repo}/pulls",status="201"} 1`,
		`idp_github_requests_total{route="PATCH /repos/{owner}/{repo}/pulls/{number}",status="200"} 1`,
		`idp_github_rate_remaining{resource="core"} 4991`,
		`idp_github_rate_remaining{resource="writes_minute"} 38`,
		`idp_github_rate_remaining{resource="writes_hour"} 248`,
	} {
		if !strings.Contains(rec.Body.String(), line+"\n") {
			t.Errorf("no %s in\n%s", line, rec.Body)
		}
	}
	if strings.Contains(rec.Body.String(), "acme") || strings.Contains(rec.Body.String(), `"other"`) {
		t.Errorf("labels without bound in\n%s", rec.Body)
	}
}
