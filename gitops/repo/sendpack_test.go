package repo

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/repo/internal/gitexec"
)

// seen has the services that were asked without git.
type seen struct {
	mu   sync.Mutex
	list []string
}

func (s *seen) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.list = append(s.list, req.URL.Path[strings.LastIndex(req.URL.Path, "/git-")+5:])
	s.mu.Unlock()
	return http.DefaultTransport.RoundTrip(req)
}

// all returns them, and begins anew.
func (s *seen) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.list
	s.list = nil
	return list
}

// A commit goes out in one request, with the credentials, and what others push comes in with
// two; the tip is read first once others have pushed in between.
func TestSendAndTake(t *testing.T) {
	t.Parallel()
	server, remote := serve(t)
	server.RequireToken("x-access-token", "secret")
	r := open(t, remote, func(o *Options) {
		o.Credentials = func(context.Context) (Credentials, error) { return Credentials{Password: "secret"}, nil }
	})
	s := &seen{}
	r.asker.Transport = s
	mustCommit(t, r, deploy("pr-1", "v1"))
	equalList(t, "the first", s.all(), []string{"upload-pack", "receive-pack"})
	mustCommit(t, r, deploy("pr-2", "v1"))
	equalList(t, "the second", s.all(), []string{"receive-pack"})
	mustEdit(t, remote, gittest.Edit{Put: deploy("pr-3", "v1").Files})
	mustCommit(t, r, deploy("pr-4", "v1"))
	equalList(t, "after somebody else's", s.all(), []string{"receive-pack", "upload-pack", "upload-pack", "receive-pack"})
	other := mustEdit(t, remote, gittest.Edit{Put: deploy("pr-5", "v1").Files})
	mustCommit(t, r, deploy("pr-6", "v1"))
	equalList(t, "and again", s.all(), []string{"upload-pack", "upload-pack", "receive-pack"})
	equal(t, "what the clone was told of", r.fetched(), other)
	mustCommit(t, r, deploy("pr-7", "v1"))
	mustCommit(t, r, deploy("pr-8", "v1"))
	equalList(t, "alone again", s.all(), []string{"upload-pack", "receive-pack", "receive-pack"})
	equal(t, "files", len(paths(t, remote)), 16)
	equal(t, "pushes", remote.Pushes(), 7)
	if again := open(t, remote, func(o *Options) { o.Credentials = r.opts.Credentials }); len(mustCommit(t, again, deploy("pr-9", "v1")).Conflicts) > 0 {
		t.Error("another clone finds conflicts")
	}
	fsck := gitexec.Command{Args: []string{"fsck", "--connectivity-only", "--no-dangling", "--no-progress"}}
	if out, err := r.git.Run(t.Context(), fsck); err != nil {
		t.Errorf("the clone is damaged: %s %v", out, err)
	}
}

// A clone that never read what a file was before sends its change in one request all the same.
func TestSendWithoutBlobs(t *testing.T) {
	t.Parallel()
	_, remote := serve(t)
	long := func(version string, accept ...string) Change {
		c := deploy("pr-1", version, accept...)
		c.Files[1].Content = []byte(strings.Repeat("so that the next is packed as a change of it\n", 50) + version + "\n")
		return c
	}
	first := mustCommit(t, open(t, remote), long("v1"))
	r := open(t, remote)
	s := &seen{}
	r.asker.Transport = s
	if result := mustCommit(t, r, long("v2", first.Applied[0].Tree)); len(result.Applied) != 1 {
		t.Fatalf("committed %+v", result)
	}
	equalList(t, "asked", s.all(), []string{"upload-pack", "receive-pack"})
	if r.unsendable.Load() {
		t.Error("it would ask git from now on")
	}
}

// What a remote says of a push is told as git tells it.
func TestReadReport(t *testing.T) {
	t.Parallel()
	band := func(n byte, text string) string { return packet(string(n) + text) }
	ok := packet("unpack ok\n") + packet("ok refs/heads/main\n") + "0000"
	ng := packet("unpack ok\n") + packet("ng refs/heads/main fetch first\n") + "0000"
	for name, c := range map[string]struct {
		answer, message string
		refused, unsent bool
	}{
		"taken":                 {answer: band(2, "hello\n") + band(1, ok) + "0000"},
		"in pieces":             {answer: band(1, ok[:7]) + band(1, ok[7:]) + "0000"},
		"refused":               {answer: band(1, ng) + "0000", refused: true, message: "[remote rejected] (fetch first)"},
		"refused with words":    {answer: band(2, "no s3cret\n") + band(2, "please\n") + band(1, ng) + "0000", refused: true, message: "[remote rejected] (fetch first); remote: no [redacted]; remote: please"},
		"not unpacked":          {answer: band(1, packet("unpack disk full\n")+"0000") + "0000", unsent: true},
		"another ref":           {answer: band(1, packet("unpack ok\n")+packet("ok refs/heads/other\n")+"0000") + "0000", unsent: true},
		"unpacked alone":        {answer: band(1, packet("unpack ok\n")+"0000") + "0000", unsent: true},
		"taken and not":         {answer: band(1, packet("unpack ok\n")+packet("ok refs/heads/main\n")+packet("ng refs/heads/main x\n")+"0000") + "0000", refused: true, message: "[remote rejected] (x)"},
		"it gave up":            {answer: band(3, "fatal") + "0000", unsent: true},
		"no band":               {answer: ok, unsent: true},
		"an empty packet":       {answer: "0004" + "0000", unsent: true},
		"no end":                {answer: band(1, ok), unsent: true},
		"the report has no end": {answer: band(1, packet("unpack ok\n")+packet("ok refs/heads/main\n")) + "0000", unsent: true},
		"nothing":               {answer: "", unsent: true},
		"a page":                {answer: "<html>", unsent: true},
	} {
		out, err := readReport([]byte(c.answer), "refs/heads/main", []string{"s3cret"})
		if (err != nil) != c.unsent || err != nil && !errors.Is(err, errUnsent) || out.refused != c.refused || (out.err != nil) != c.refused || out.message != c.message {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
}

// Whatever does not take or give a commit so is pushed to and fetched from with git; what
// never will is not tried again.
func TestSendElsewhere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		service string
		status  int
		answer  string
		forever bool
	}{
		"a push is moved":         {"receive-pack", http.StatusPermanentRedirect, "", true},
		"no such place to push":   {"receive-pack", http.StatusNotFound, "", true},
		"no push of yours":        {"receive-pack", http.StatusForbidden, "", false},
		"a page for a push":       {"receive-pack", http.StatusOK, "<html>", true},
		"a page for a fetch":      {"upload-pack", http.StatusOK, "<html>", true},
		"no fetch of yours":       {"upload-pack", http.StatusForbidden, "", false},
		"another kind of section": {"upload-pack", http.StatusOK, packet("acknowledgments\n") + "0000", true},
		"not a pack":              {"upload-pack", http.StatusOK, packet("packfile\n") + packet("\x01PACK") + "0000", false},
		"a fetch that failed":     {"upload-pack", http.StatusOK, packet("packfile\n") + packet("\x03no") + "0000", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, remote := setup(t)
			mustCommit(t, r, deploy("pr-0", "v1"))
			odd := &oddly{service: c.service, status: c.status, answer: c.answer}
			r.asker.Transport = odd
			for _, id := range []string{"pr-1", "pr-2"} {
				mustEdit(t, remote, gittest.Edit{Put: deploy("x"+id, "v1").Files})
				mustCommit(t, r, deploy(id, "v1"))
			}
			equal(t, "files", len(paths(t, remote)), 10)
			if (odd.asked == 1) != c.forever {
				t.Errorf("asked %d times", odd.asked)
			}
		})
	}
}

// oddly answers what goes to a service oddly, but for questions about refs.
type oddly struct {
	service, answer string
	status, asked   int
}

func (o *oddly) RoundTrip(req *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(req.URL.Path, "/git-"+o.service) || o.service == "upload-pack" && req.ContentLength < 150 {
		return http.DefaultTransport.RoundTrip(req)
	}
	o.asked++
	w := httptest.NewRecorder()
	w.WriteHeader(o.status)
	_, _ = w.WriteString(o.answer)
	return w.Result(), nil
}

// A history that went another way from a commit of before is not taken for one that went on.
func TestTakeReplaced(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	base := mustEdit(t, remote, gittest.Edit{Put: deploy("pr-0", "v1").Files})
	mustCommit(t, r, deploy("pr-1", "v1"))
	if err := remote.Point(t.Context(), "main", base); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"gone back", "another way"} {
		if what == "another way" {
			mustEdit(t, remote, gittest.Edit{Put: deploy("pr-2", "v1").Files})
		}
		if _, _, err := r.take(t.Context()); !errors.Is(err, errUntaken) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := r.Commit(t.Context(), Commit{Changes: []Change{deploy("pr-3", "v1")}}, nil); !errors.Is(err, ErrReplaced) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
