package secrettest

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// stream searches what is written to it, and passes it on.
type stream struct {
	search *Search
	where  string
	to     io.Writer
	leak   func(finding string)

	mu   sync.Mutex
	tail []byte // the end of what was written, which a mark may have begun in
	told []string
}

// Write passes on what is written before it is searched.
func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.to.Write(p)
	text := slices.Concat(s.tail, p)
	s.search.each(text, func(mark string, at int) {
		if !slices.Contains(s.told, mark) {
			s.told = append(s.told, mark)
			s.leak(finding(s.where, text, at))
		}
	})
	s.tail = text[max(len(text)-s.search.longest+1, 0):]
	return n, err
}

// Named is a test, or a script of one.
type Named interface{ Name() string }

// Writer searches what is written to it, by the name of the test, and passes it on to to.
func Writer(t Named, what string, to io.Writer) io.Writer {
	count.logs.Add(1)
	return &stream{search: everywhere(), where: what + " of " + t.Name(), to: to, leak: leak}
}

// Logger returns a log that takes everything, keeps nothing and is searched.
func Logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(Writer(t, "the log", io.Discard), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Requests is Search.Requests, by the name of the test.
func Requests(t Named, peer http.Handler) http.Handler {
	return everywhere().Requests("a request of "+t.Name(), leak, peer)
}

// Requests searches what a peer is sent, address and body, before it has the peer answer,
// and tells each secret that it finds. The header, by which one says who one is, is the
// place for a secret, and the question to GitHub of whom a token is has it in its body.
func (s *Search) Requests(where string, found func(finding string), peer http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the sender is gone
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if !AsksForOwner(r) {
			count.requests.Add(1)
			for _, finding := range s.Text(where, slices.Concat([]byte(r.Method+" "+r.URL.String()+"\n"), body)) {
				found(finding)
			}
		}
		peer.ServeHTTP(w, r)
	})
}

// Text searches what somebody was answered or told.
func Text(t testing.TB, what string, text []byte) {
	t.Helper()
	count.requests.Add(1)
	for _, where := range everywhere().Text(what+" of "+t.Name(), text) {
		t.Error(where)
	}
}

// AsksForOwner says that a request asks GitHub whom the token in its body is of.
func AsksForOwner(r *http.Request) bool {
	return strings.HasPrefix(strings.TrimPrefix(r.URL.Path, "/api/v3"), "/applications/")
}
