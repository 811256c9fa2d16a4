package campaign

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// door is the way of one replica to the GitOps repository. It knows which commits that
// replica has pushed, which the repository itself does not tell, and it can hold a push
// back, as a network does that is slow.
type door struct {
	http  *http.Server
	url   string
	proxy *httputil.ReverseProxy

	mu sync.Mutex
	// away says that nothing is let through.
	away bool
	// life names the present life of the replica; pushed is by whom each commit was
	// offered.
	life   string
	pushed map[string]string
	held   chan struct{}
	// holding is called when a push is held.
	holding func()
}

func newDoor(target string) (*door, error) {
	to, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for git: %w", err)
	}
	d := &door{url: "http://" + listener.Addr().String(), pushed: map[string]string{}}
	d.proxy = &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ErrorLog: log.New(io.Discard, "", 0),
		// An answer that breaks off has to break off here, too.
		FlushInterval: -1,
	}
	d.http = &http.Server{Handler: d, ReadHeaderTimeout: patience, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = d.http.Serve(listener) }() // it ends with close
	return d, nil
}

func (d *door) close() error {
	d.release()
	return d.http.Close()
}

// hold holds the next push back until release, and calls then once it is there.
func (d *door) hold(then func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held, d.holding = make(chan struct{}), then
}

// release lets go what is held.
func (d *door) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.held != nil {
		close(d.held)
		d.held, d.holding = nil, nil
	}
}

// ServeHTTP is what the replica's git talks to.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	away := d.away
	d.mu.Unlock()
	if away {
		http.Error(w, "out of order", http.StatusServiceUnavailable)
		return
	}
	if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/git-receive-pack") {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // git was killed
		}
		r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
		if d.note(body) {
			// It is under way, whatever became of who sent it.
			r = r.WithContext(context.WithoutCancel(r.Context()))
		}
	}
	d.proxy.ServeHTTP(w, r)
}

// note writes down which commits a push offers, and holds it where that is asked for; it
// says whether it did.
func (d *door) note(body []byte) (wasHeld bool) {
	commits := offered(body)
	d.mu.Lock()
	for _, sha := range commits {
		d.pushed[sha] = d.life
	}
	held, then := d.held, d.holding
	if len(commits) == 0 {
		held = nil
	}
	d.holding = nil
	d.mu.Unlock()
	if held == nil {
		return false
	}
	if then != nil {
		then()
	}
	<-held
	return true
}

// offered are the new commits of a push's commands: pkt-lines of "old new ref" until a
// flush; see gitprotocol-pack(5).
func offered(body []byte) []string {
	var out []string
	for len(body) >= 4 {
		n, err := strconv.ParseUint(string(body[:4]), 16, 16)
		if err != nil || n < 4 || int(n) > len(body) {
			return out
		}
		line := string(body[4:n])
		line, _, _ = strings.Cut(line, "\x00")
		if words := strings.Fields(line); len(words) == 3 {
			out = append(out, words[1])
		}
		body = body[n:]
	}
	return out
}

// shut lets nothing through, or again.
func (d *door) shut(away bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.away = away
}

// begin says that a new life of the replica begins.
func (d *door) begin(life string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.life = life
}

// commits are those that the replica has ever offered, by its life.
func (d *door) commits() map[string]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.pushed)
}
