package githubtest_test

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot/github/githubtest"
)

var nextLink = regexp.MustCompile(`<([^>]+)>; rel="next"`)

func TestPagination(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pr := w.open("feature")
	for range 7 {
		if _, err := pr.Comment("alice", "more"); err != nil {
			t.Fatal(err)
		}
	}
	token, url := w.token(""), "/repos/acme/web/issues/1/comments?per_page=3"
	seen, pages := map[int64]bool{}, 0
	for url != "" {
		got := w.do("GET", url, token, "", 200)
		var page []struct{ ID int64 }
		got.decode(&page)
		for _, c := range page {
			seen[c.ID] = true
		}
		pages++
		link := got.header.Get("Link")
		if wantFirst := pages > 1; strings.Contains(link, `rel="first"`) != wantFirst || strings.Contains(link, `rel="prev"`) != wantFirst {
			t.Errorf("page %d links %s", pages, link)
		}
		url = ""
		if m := nextLink.FindStringSubmatch(link); m != nil {
			url = m[1]
		}
	}
	if pages != 3 || len(seen) != 7 {
		t.Errorf("%d comments on %d pages, want 7 on 3", len(seen), pages)
	}
	if got := w.do("GET", "/repos/acme/web/issues/1/comments?page=9", token, "", 200); string(got.body) != "[]" {
		t.Errorf("beyond the last page: %s", got.body)
	}
}

func TestConditionalReadIsFree(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.open("feature")
	token := w.token("")
	first := w.do("GET", "/repos/acme/web/pulls/1", token, "", 200)
	used := first.header.Get("X-RateLimit-Used")
	again := w.do("GET", "/repos/acme/web/pulls/1", token, "", 304, "If-None-Match", first.header.Get("ETag"))
	if len(again.body) != 0 || again.header.Get("X-RateLimit-Used") != used {
		t.Errorf("304 with %d bytes and %s requests used, was %s", len(again.body), again.header.Get("X-RateLimit-Used"), used)
	}
	w.repo.Commit("feature", map[string]string{"b": "b\n"})
	w.do("GET", "/repos/acme/web/pulls/1", token, "", 200, "If-None-Match", first.header.Get("ETag"))
}

func TestPrimaryLimit(t *testing.T) {
	t.Parallel()
	w := setup(t, func(o *githubtest.Options) { o.Limits = &githubtest.Limits{PerHour: 2} })
	token := w.token("")
	w.do("GET", "/repos/acme/web", token, "", 200)
	w.do("GET", "/repos/acme/web", token, "", 200)
	refused := w.do("GET", "/repos/acme/web", token, "", 403)
	reset, err := strconv.ParseInt(refused.header.Get("X-RateLimit-Reset"), 10, 64)
	if err != nil || refused.header.Get("X-RateLimit-Remaining") != "0" {
		t.Fatalf("%v %v", err, refused.header)
	}
	w.do("GET", "/rate_limit", token, "", 200)
	w.clock.advance(time.Unix(reset, 0).Sub(w.clock.Now()))
	w.do("GET", "/repos/acme/web", w.token(""), "", 200)
}

func TestContentLimitOpensBan(t *testing.T) {
	t.Parallel()
	limits := githubtest.GitHubLimits()
	w := setup(t, func(o *githubtest.Options) { o.Limits = &limits })
	w.open("feature")
	token := w.token("")
	for range limits.ContentPerMinute {
		w.do("POST", "/repos/acme/web/issues/1/comments", token, `{"body":"x"}`, 201)
	}
	refused := w.do("POST", "/repos/acme/web/issues/1/comments", token, `{"body":"x"}`, 403)
	if refused.header.Get("Retry-After") != "60" || !strings.Contains(string(refused.body), "secondary rate limit") {
		t.Errorf("%v %s", refused.header, refused.body)
	}
	w.do("GET", "/repos/acme/web", token, "", 403)
	if n := w.server.BannedRequests(); n != 1 {
		t.Errorf("%d requests inside the ban, want 1", n)
	}
	w.clock.advance(time.Minute)
	w.do("POST", "/repos/acme/web/issues/1/comments", token, `{"body":"x"}`, 201)
}

func TestRenameRedirects(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.open("feature")
	token := w.token("")
	if err := w.repo.Rename("alice", "site"); err != nil {
		t.Fatal(err)
	}
	moved := w.do("GET", "/repos/acme/web/pulls/1?x=1", token, "", 301)
	if want := w.server.URL() + "repositories/" + itoa(w.repo.ID()) + "/pulls/1?x=1"; moved.header.Get("Location") != want {
		t.Errorf("redirects to %s, want %s", moved.header.Get("Location"), want)
	}
	w.do("GET", moved.header.Get("Location"), token, "", 200)
	kept := w.do("POST", "/repos/acme/web/issues/1/comments", token, `{"body":"x"}`, 307)
	w.do("POST", kept.header.Get("Location"), token, `{"body":"x"}`, 201)
	w.do("GET", "/repos/acme/web", "", "", 404) // private: not even that it moved
	w.do("GET", "/repos/acme/web/installation", w.jwt(nil), "", 301)

	if err := w.repo.Transfer("alice", "globex"); err != nil {
		t.Fatal(err)
	}
	w.do("GET", "/repos/acme/site", token, "", 404) // beyond the installation now
	if w.repo.FullName() != "globex/site" {
		t.Error(w.repo.FullName())
	}
	w.repo.Delete("alice")
	w.do("GET", "/repositories/"+itoa(w.repo.ID()), token, "", 404)
}

func TestContents(t *testing.T) {
	t.Parallel()
	w := setup(t)
	long := strings.Repeat("0123456789", 20) + "\n"
	sha := w.repo.Commit("a/b", map[string]string{"dir/long file.txt": long, "README.md": ""})
	token := w.token(`{"permissions":{"contents":"read"}}`)
	var file struct{ Content, Encoding, SHA string }
	w.do("GET", "/repos/acme/web/contents/dir/long%20file.txt?ref=a/b", token, "", 200).decode(&file)
	text, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(file.Content, "\n", ""))
	if err != nil || string(text) != long || file.Encoding != "base64" {
		t.Errorf("%v %q", err, text)
	}
	w.do("GET", "/repos/acme/web/contents/README.md?ref="+sha, token, "", 404)
	w.do("GET", "/repos/acme/web/contents/README.md?ref="+sha[:8], token, "", 404)
	w.do("GET", "/repos/acme/web/contents/README.md?ref=nowhere", token, "", 404)
	w.do("GET", "/repos/acme/web/branches/a%2Fb", token, "", 200)
	w.do("GET", "/repos/acme/web/commits/nowhere", token, "", 422)
	raw := w.do("GET", "/repos/acme/web/contents/README.md", token, "", 200, "Accept", "application/vnd.github.raw+json")
	if string(raw.body) != "# web\n" {
		t.Errorf("raw: %q", raw.body)
	}
}

func TestCommitsStayInTheirNetwork(t *testing.T) {
	t.Parallel()
	w := setup(t)
	other := w.server.AddRepository("acme/other", githubtest.RepositoryOptions{Private: true, Files: map[string]string{"secret": "x"}})
	w.do("GET", "/repos/acme/web/commits/"+other.Branch("main"), w.token(""), "", 422)
	fork := w.repo.Fork("mallory")
	sha := fork.Commit("evil", map[string]string{"a": "b"})
	w.do("GET", "/repos/acme/web/commits/"+sha, w.token(""), "", 200)
}

func TestPermission(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.server.AddUser("stranger")
	for login, role := range map[string]string{"m": "maintain", "t": "triage", "r": "read", "a": "admin"} {
		w.repo.Grant(login, role)
	}
	token := w.token("")
	for login, want := range map[string]string{"alice": "write/write", "m": "write/maintain", "t": "read/triage", "r": "read/read", "a": "admin/admin", "stranger": "none/none"} {
		var got struct {
			Permission string
			RoleName   string `json:"role_name"`
		}
		w.do("GET", "/repos/acme/web/collaborators/"+login+"/permission", token, "", 200).decode(&got)
		if got.Permission+"/"+got.RoleName != want {
			t.Errorf("%s: %+v, want %s", login, got, want)
		}
	}
	w.do("GET", "/repos/acme/web/collaborators/nobody/permission", token, "", 404)
}

func TestFaults(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pr := w.open("feature")
	token := w.token("")
	comments := strings.TrimSuffix(w.server.URL(), "/") + "/repos/acme/web/issues/1/comments"
	post := func() (*http.Response, error) {
		request, err := http.NewRequest("POST", comments, strings.NewReader(`{"body":"x"}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", token)
		return http.DefaultClient.Do(request)
	}

	w.server.Inject(githubtest.Fault{Method: "POST", Path: "/repos/*/*/issues/**", Times: 1, Status: 502, HTML: true})
	if got := w.do("POST", "/repos/acme/web/issues/1/comments", token, `{"body":"x"}`, 502); !strings.Contains(string(got.body), "Unicorn") {
		t.Errorf("%s", got.body)
	}
	w.server.Inject(githubtest.Fault{Method: "POST", Times: 1, Drop: true})
	if response, err := post(); err == nil {
		response.Body.Close()
		t.Error("a dropped request was answered")
	}
	if n := len(pr.Comments()); n != 0 {
		t.Errorf("%d comments, want none: nothing took effect", n)
	}
	w.server.Inject(githubtest.Fault{Method: "POST", Times: 1, Drop: true, AfterEffect: true})
	if response, err := post(); err == nil {
		response.Body.Close()
		t.Error("a dropped request was answered")
	}
	if n := len(pr.Comments()); n != 1 {
		t.Errorf("%d comments, want the one whose answer was lost", n)
	}
	w.server.Inject(githubtest.Fault{Method: "POST", Times: 1, Truncate: true})
	response, err := post()
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.ReadAll(response.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("half an answer read with %v", err)
	}
	remove := w.server.Inject(githubtest.Fault{Status: 429, RetryAfter: 30 * time.Second, Secondary: true})
	if got := w.do("GET", "/repos/acme/web", token, "", 429); got.header.Get("Retry-After") != "30" {
		t.Error(got.header)
	}
	remove()
	w.do("GET", "/repos/acme/web", token, "", 429)
	w.clock.advance(30 * time.Second)
	w.do("GET", "/repos/acme/web", token, "", 200)
	if n := w.server.BannedRequests(); n != 1 {
		t.Errorf("%d banned requests, want 1", n)
	}
}

func TestFaultProbabilityRepeats(t *testing.T) {
	t.Parallel()
	run := func() string {
		w := setup(t, func(o *githubtest.Options) { o.Seed = 7 })
		w.server.Inject(githubtest.Fault{Path: "/rate_limit", Probability: 0.5, Status: 500})
		out := ""
		for range 20 {
			out += itoa(int64(w.do("GET", "/rate_limit", "", "", 0).status)) + " "
		}
		return out
	}
	first := run()
	if first != run() || !strings.Contains(first, "200") || !strings.Contains(first, "500") {
		t.Error(first)
	}
}

func TestHeldAnswer(t *testing.T) {
	t.Parallel()
	w := setup(t)
	until := make(chan struct{})
	w.server.Inject(githubtest.Fault{Path: "/rate_limit", Until: until, Times: 1})
	answered := make(chan int)
	go func() { answered <- w.do("GET", "/rate_limit", "", "", 0).status }()
	w.do("GET", "/users/acme", "", "", 200) // others go on
	select {
	case status := <-answered:
		t.Fatalf("answered %d while held", status)
	default:
	}
	close(until)
	if status := <-answered; status != 200 {
		t.Error(status)
	}
}
