package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/idp-bot/idp/previews"
)

const (
	peerInterval = 15 * time.Second
	peerTimeout  = 10 * time.Second
)

// peers watches what idp depends on and answers /readyz. A webhook needs only the
// database: the answer is 200 while that answers, whatever else is unreachable, because an event that is stored is not lost. The other peers are
// named in the answer, and in the log when they come and go.
type peers struct {
	now   func() time.Time
	log   *slog.Logger
	store func(context.Context) error
	ping  map[string]func(context.Context) error

	mu     sync.Mutex
	status map[string]peerStatus
}

// peerStatus is one peer as /readyz shows it.
type peerStatus struct {
	Reachable bool      `json:"reachable"`
	Since     time.Time `json:"since"`
	Error     string    `json:"error,omitempty"`
}

func newPeers(m *Main) *peers {
	p := &peers{now: m.now, log: m.log, store: m.store.Ping, status: map[string]peerStatus{}, ping: map[string]func(context.Context) error{
		"github": m.github.Ping,
		"gitops": m.gitops.Ping,
	}}
	if m.platform != m.gitops {
		p.ping["platform"] = m.platform.Ping
	}
	for _, a := range m.argocds {
		p.ping[strings.TrimSpace("argocd "+a.name)] = func(ctx context.Context) error { _, err := a.client.Ping(ctx); return err }
	}
	return p
}

// loop asks every peer at intervals.
func (p *peers) loop() previews.Loop {
	return previews.Loop{Name: "peers", Step: p.step, Idle: peerInterval, Log: p.log}
}

func (p *peers) step(ctx context.Context) (bool, error) {
	var asked sync.WaitGroup
	for name, ping := range p.ping {
		asked.Go(func() {
			asking, cancel := context.WithTimeout(ctx, peerTimeout)
			defer cancel()
			// Being stopped says nothing of the peer.
			if err := ping(asking); ctx.Err() == nil {
				p.note(ctx, name, err)
			}
		})
	}
	asked.Wait()
	return false, nil
}

// note records what a peer answered and logs when that changed.
func (p *peers) note(ctx context.Context, name string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old, known := p.status[name]
	status := peerStatus{Reachable: err == nil, Since: old.Since}
	if err != nil {
		status.Error = err.Error()
	}
	if !known || old.Reachable != status.Reachable {
		status.Since = p.now().UTC()
		switch {
		case err != nil:
			p.log.WarnContext(ctx, "peer is unreachable; its work waits", "peer", name, "error", err)
		case known:
			p.log.InfoContext(ctx, "peer is reachable again", "peer", name)
		}
	}
	p.status[name] = status
}

// readiness is the answer of /readyz.
type readiness struct {
	Ready    bool                  `json:"ready"`
	Database string                `json:"database"`
	Peers    map[string]peerStatus `json:"peers"`
	// Unreachable names the peers whose work waits.
	Unreachable []string `json:"unreachable"`
}

// ServeHTTP answers GET /readyz.
func (p *peers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := readiness{Ready: true, Database: "ok", Peers: map[string]peerStatus{}, Unreachable: []string{}}
	if err := p.store(r.Context()); err != nil {
		p.log.Warn("database is not ready", "error", err)
		answer.Ready, answer.Database = false, "not ready"
	}
	p.mu.Lock()
	for name, status := range p.status {
		// What went wrong may name internal hosts: it stands in the log.
		status.Error = ""
		answer.Peers[name] = status
		if !status.Reachable {
			answer.Unreachable = append(answer.Unreachable, name)
		}
	}
	p.mu.Unlock()
	sort.Strings(answer.Unreachable)
	w.Header().Set("Content-Type", "application/json")
	if !answer.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(answer)
}
