package load

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/previews/store"
	"github.com/idp-bot/idp/previews/store/floor"
)

const (
	// turns is how often idp and its floors take turns.
	turns = 5
	// insertBatch is how many rows the floor inserts at a time.
	insertBatch = 256
)

// webhooks is W1: signed webhooks over many connections, each acknowledged once it is on the
// disk, while idp works through them; against a server that checks the signature and stores
// nothing, and against the same rows inserted in batches.
func webhooks(ctx context.Context, r *run) (rows []Row, err error) {
	s, err := r.open(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	bare := httptest.NewServer(checking(s.secret))
	defer bare.Close()
	inserts, err := s.inserter(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, inserts.Close()) }()
	stop := r.profile(s, "all")
	watch := watchMemory(s.program.PID())
	var acks []time.Duration
	var own, echo, raw time.Duration
	inserted := 0
	for i := range turns {
		n := r.Webhooks*(i+1)/turns - r.Webhooks*i/turns
		_, took, err := s.flood(ctx, bare.URL, r.Connections, n, r.Payload)
		if err != nil {
			return nil, err
		}
		echo += took
		each, took, err := s.flood(ctx, s.program.Address(), r.Connections, n, r.Payload)
		if err != nil {
			return nil, err
		}
		acks, own = append(acks, each...), own+took
		rows, took, err := inserts.Insert(ctx, insertBatch)
		if err != nil {
			return nil, err
		}
		inserted, raw = inserted+rows, raw+took
		watch.mark()
	}
	if err := stop(); err != nil {
		return nil, err
	}
	stored, err := s.stored(ctx)
	if err != nil {
		return nil, err
	}
	early, late, err := watch.end()
	if err != nil {
		return nil, err
	}
	slower, which := perSecond(r.Webhooks, echo), "net/http with the HMAC alone"
	if inserts := perSecond(inserted, raw); inserts.Value < slower.Value {
		slower, which = inserts, "the same rows inserted in batches"
	}
	what := fmt.Sprintf("%d webhooks of %d bytes, %d connections, a third to be worked on", r.Webhooks, r.Payload, r.Connections)
	return []Row{
		atLeast(what+", against "+which, perSecond(r.Webhooks, own), slower, 0.5),
		beside("net/http with the HMAC alone against rows inserted in batches", perSecond(r.Webhooks, echo), perSecond(inserted, raw)),
		within("acknowledged, p99", milliseconds(quantile(acks, 0.99)), 50),
		atMost("memory in the second half against the first, the most of each", late, early, 1.25),
		exactly("webhooks on the disk", stored, r.Webhooks),
		exactly("rows inserted by the floor", inserted, r.Webhooks),
	}, nil
}

// stored counts the deliveries in the database.
func (s *site) stored(ctx context.Context) (int, error) {
	all, err := s.store.Deliveries(ctx, "", 1_000_000)
	return len(all), err
}

// checking is a server that does with a webhook what cannot be left out.
func checking(secret string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !hmac.Equal([]byte(githubtest.Sign(secret, body)), []byte(r.Header.Get("X-Hub-Signature-256"))) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	})
}

// inserter copies what is stored into a second database.
func (s *site) inserter(ctx context.Context) (*floor.Inserter, error) {
	file := filepath.Join(s.Disk, "floor.db")
	fresh, err := store.Open(ctx, store.Options{URL: "sqlite://" + file})
	if err != nil {
		return nil, err
	}
	if err := fresh.Close(); err != nil {
		return nil, err
	}
	return floor.NewInserter(s.DatabaseFile(), file)
}

// flood sends n webhooks over so many connections, and returns how long each took, and all.
func (s *site) flood(ctx context.Context, url string, connections, n, size int) ([]time.Duration, time.Duration, error) {
	requests := make([]*http.Request, n)
	for i := range requests {
		name, body, err := event(s.Installation.ID(), i, size)
		if err != nil {
			return nil, 0, err
		}
		if requests[i], err = delivery(url, s.secret, name, body); err != nil {
			return nil, 0, err
		}
	}
	took := make([]time.Duration, n)
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for range connections {
		group.Go(func() error {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				sent := time.Now()
				if err := send(s.client, requests[i].WithContext(ctx)); err != nil {
					return err
				}
				took[i] = time.Since(sent)
			}
			return nil
		})
	}
	err := group.Wait()
	return took, time.Since(began), err
}

// event is one that GitHub sends to a busy organisation, of at least so many bytes: a third
// say that a workflow has ended, which idp looks into, and the others that a check began,
// which is nothing to it.
func event(installation int64, n, size int) (name string, payload []byte, err error) {
	if n%3 == 0 {
		payload, err = worked(installation, n, size)
		return "workflow_run", payload, err
	}
	payload, err = payloadOf(installation, n, size, "created", "check_run", map[string]any{"id": n + 1, "name": "build", "head_sha": commitOf(n)})
	return "check_run", payload, err
}

// worked is the payload of a workflow that has ended, at a commit that no preview is of.
func worked(installation int64, n, size int) ([]byte, error) {
	return payloadOf(installation, n, size, "completed", "workflow_run", map[string]any{"name": "CI", "head_sha": commitOf(n), "conclusion": "success"})
}

func commitOf(n int) string { return fmt.Sprintf("%040x", n+1) }

func payloadOf(installation int64, n, size int, action, about string, object any) ([]byte, error) {
	type user struct {
		ID    int    `json:"id"`
		Login string `json:"login"`
		URL   string `json:"html_url"`
	}
	var users []user
	for i := 0; i*80 < size; i++ {
		users = append(users, user{n + i, fmt.Sprintf("somebody-%d", n+i), fmt.Sprintf("https://github.com/somebody-%d", n+i)})
	}
	return json.Marshal(map[string]any{
		"action": action, about: object, "installation": map[string]any{"id": installation}, "assignees": users, "sender": users[0],
		"repository": map[string]any{"id": 1000 + n%50, "name": "web", "owner": map[string]any{"id": 1, "login": "acme"}},
	})
}

// memoryWatch looks at a process's memory.
type memoryWatch struct {
	pid   int
	stop  chan struct{}
	ended sync.WaitGroup

	mu    sync.Mutex
	peaks []float64 // of each turn
	err   error
}

// watchMemory looks until end is called.
func watchMemory(pid int) *memoryWatch {
	m := &memoryWatch{pid: pid, stop: make(chan struct{}), peaks: []float64{0}}
	m.ended.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			m.look()
			select {
			case <-tick.C:
			case <-m.stop:
				return
			}
		}
	})
	return m
}

func (m *memoryWatch) look() {
	is, err := resident(m.pid)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = errors.Join(m.err, err)
	m.peaks[len(m.peaks)-1] = max(m.peaks[len(m.peaks)-1], is.Value)
}

// mark says that a turn is over.
func (m *memoryWatch) mark() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.peaks = append(m.peaks, 0)
}

// end returns the most memory in the first half of the turns, and in the second.
func (m *memoryWatch) end() (early, late Figure, err error) {
	close(m.stop)
	m.ended.Wait()
	early.Unit, late.Unit = "MB", "MB"
	half := len(m.peaks) / 2
	for i, peak := range m.peaks {
		if i < half {
			early.Value = max(early.Value, peak)
		} else {
			late.Value = max(late.Value, peak)
		}
	}
	return early, late, m.err
}
