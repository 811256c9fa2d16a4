package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops/figure"
)

// caller is a connection to the public listener that is kept open.
type caller struct {
	conn   net.Conn
	answer *bufio.Reader
}

// dial connects; the kernel takes connections that idp has not taken yet.
func dial(t *testing.T, address string) *caller {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // most are closed by then
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &caller{conn, bufio.NewReader(conn)}
}

// ask has /healthz answered, and keeps the connection.
func (c *caller) ask() error {
	if _, err := fmt.Fprint(c.conn, "GET /healthz HTTP/1.1\r\nHost: idp.example.com\r\n\r\n"); err != nil {
		return err
	}
	return c.read()
}

func (c *caller) read() error {
	response, err := http.ReadResponse(c.answer, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %s", response.Status)
	}
	return nil
}

// Threat: somebody without the secret opens connections until memory or descriptors run out.
// So many are served as webhooks allows, each as often as it asks; one more is served for each
// that goes, and not before.
func TestConnectionCap(t *testing.T) {
	t.Parallel()
	const most, more, leaving = 512, 88, 8 // most is maxConns of webhooks
	public, _ := startServing(t)
	address := strings.TrimPrefix(public, "http://")
	within := make([]*caller, most)
	for i := range within {
		within[i] = dial(t, address)
		if err := within[i].ask(); err != nil {
			t.Fatalf("connection %d: %v", i+1, err)
		}
	}
	var served atomic.Int64
	came := make(chan error, more)
	for range more {
		c := dial(t, address)
		if _, err := fmt.Fprint(c.conn, "GET /healthz HTTP/1.1\r\nHost: idp.example.com\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		go func() {
			err := c.read()
			served.Add(1)
			came <- err
		}()
	}
	for i, c := range within { // there is time meanwhile to serve who is one too many
		if err := c.ask(); err != nil {
			t.Fatalf("connection %d, again: %v", i+1, err)
		}
	}
	if n := served.Load(); n > 0 {
		t.Errorf("%d were served beyond %d", n, most)
	}
	await := func(n int) {
		for range n {
			if err := <-came; err != nil {
				t.Errorf("one that came late: %v", err)
			}
		}
	}
	leave := func(who []*caller) {
		for _, c := range who {
			_ = c.conn.Close()
		}
	}
	leave(within[:leaving])
	await(leaving)
	for i, c := range within[leaving:] {
		if err := c.ask(); err != nil {
			t.Fatalf("connection %d, after some have gone: %v", i+1, err)
		}
	}
	if n := served.Load(); n != leaving {
		t.Errorf("%d went, and %d came in", leaving, n)
	}
	leave(within[leaving:])
	await(more - leaving)
	figure.Tell(t, "%d connections at once, all answered twice; %d beyond them waited, %d came in for %d that went, the others for the rest", most, more, leaving, leaving)
}
