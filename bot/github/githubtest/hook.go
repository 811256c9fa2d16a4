package githubtest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// deliveryTimeout is how long a webhook's receiver may take
// (docs.github.com, "Handling webhook deliveries").
const deliveryTimeout = 10 * time.Second

// keepDeliveries is how long a delivery is listed and may be sent again
// (docs.github.com, "Redelivering webhooks").
const keepDeliveries = 3 * 24 * time.Hour

// delivery is one attempt to deliver an event to an App.
type delivery struct {
	app          *App
	id           int64
	guid         string
	event        string
	action       string
	installation int64
	repository   int64
	payload      []byte
	redelivery   bool
	at           time.Time
	done         bool
	duration     time.Duration
	status       string
	code         int
	request      http.Header
	response     http.Header
	answer       string
}

// hookQueue is what waits to be delivered. The server's mutex guards it.
type hookQueue struct {
	holding  bool
	held     []*delivery
	waiting  []*delivery
	inFlight int
	stopped  bool
	changed  chan struct{} // closed and replaced at every change
	cancel   context.CancelFunc
}

func (q *hookQueue) init() { q.changed = make(chan struct{}) }

func (q *hookQueue) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

func (q *hookQueue) idle() bool { return q.stopped || len(q.waiting) == 0 && q.inFlight == 0 }

// enqueue makes a delivery of an event, unless the App has no webhook.
func (s *Server) enqueue(i *Installation, e event, payload object) {
	if i.app.webhookURL == "" {
		return
	}
	d := &delivery{
		app: i.app, id: s.nextID(), guid: uuid.NewString(), event: e.name, action: e.action,
		installation: i.id, payload: mustJSON(payload), at: s.now(),
	}
	if e.repo != nil {
		d.repository = e.repo.id
	}
	if s.hooks.holding {
		s.hooks.held = append(s.hooks.held, d)
		return
	}
	s.send(d)
}

// send hands a delivery to the workers and lists it.
func (s *Server) send(d *delivery) {
	d.app.deliveries = append(d.app.deliveries, d)
	s.hooks.waiting = append(s.hooks.waiting, d)
	s.hooks.wake()
}

// again is another attempt at the same event, under the same GUID.
func (s *Server) again(d *delivery, redelivery bool) *delivery {
	return &delivery{
		app: d.app, id: s.nextID(), guid: d.guid, event: d.event, action: d.action, installation: d.installation,
		repository: d.repository, payload: d.payload, redelivery: redelivery, at: s.now(),
	}
}

func (s *Server) startDeliveries() {
	ctx, cancel := context.WithCancel(context.Background())
	s.mu.Lock()
	s.hooks.cancel = cancel
	s.mu.Unlock()
	for range max(1, s.opts.DeliveryWorkers) {
		s.workers.Go(func() { s.deliverAll(ctx) })
	}
}

func (s *Server) stopDeliveries() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks.stopped = true
	s.hooks.cancel()
	s.hooks.wake()
}

// deliverAll takes one delivery after the other until the server closes.
func (s *Server) deliverAll(ctx context.Context) {
	client := &http.Client{Timeout: deliveryTimeout}
	for {
		d := s.take(ctx)
		if d == nil {
			return
		}
		s.deliver(ctx, client, d)
	}
}

func (s *Server) take(ctx context.Context) *delivery {
	for {
		s.mu.Lock()
		if len(s.hooks.waiting) > 0 && ctx.Err() == nil {
			d := s.hooks.waiting[0]
			s.hooks.waiting = s.hooks.waiting[1:]
			s.hooks.inFlight++
			s.mu.Unlock()
			return d
		}
		changed := s.hooks.changed
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// deliver sends one and notes how it went.
func (s *Server) deliver(ctx context.Context, client *http.Client, d *delivery) {
	s.mu.Lock()
	url, secret := d.app.webhookURL, d.app.webhookSecret
	s.mu.Unlock()
	began := time.Now()
	header := d.header(secret)
	code, answer, response, err := post(ctx, client, url, header, d.payload)

	s.mu.Lock()
	defer s.mu.Unlock()
	d.done, d.duration, d.request, d.response, d.answer = true, time.Since(began), header, response, answer
	d.code, d.status = code, outcome(code, err)
	s.opts.Logf("GitHub: delivered %s %s %s → %d %s", d.event, d.action, d.guid, d.code, d.status)
	s.hooks.inFlight--
	s.hooks.wake()
}

// header is what GitHub sends with a delivery
// (docs.github.com, "Webhook events and payloads": delivery headers).
func (d *delivery) header(secret string) http.Header {
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set("Accept", "*/*")
	h.Set("User-Agent", "GitHub-Hookshot/"+d.guid[:7])
	h.Set("X-GitHub-Event", d.event)
	h.Set("X-GitHub-Delivery", d.guid)
	h.Set("X-GitHub-Hook-ID", formatID(d.app.id))
	h.Set("X-GitHub-Hook-Installation-Target-Type", "integration")
	h.Set("X-GitHub-Hook-Installation-Target-ID", formatID(d.app.id))
	if secret != "" {
		h.Set("X-Hub-Signature-256", Sign(secret, d.payload))
	}
	return h
}

// Sign returns the X-Hub-Signature-256 of a payload: "sha256=" and the HMAC in
// hexadecimal.
func Sign(secret string, payload []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(payload)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func post(ctx context.Context, client *http.Client, url string, header http.Header, body []byte) (int, string, http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, "", nil, fmt.Errorf("make the delivery: %w", err)
	}
	request.Header = header.Clone()
	response, err := client.Do(request)
	if err != nil {
		return 0, "", nil, fmt.Errorf("deliver: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	return response.StatusCode, string(answer), response.Header, err
}

// outcome is the delivery's status in GitHub's words.
func outcome(code int, err error) string {
	switch {
	case code >= 200 && code < 300:
		return "OK"
	case errors.Is(err, context.DeadlineExceeded) || err != nil && strings.Contains(err.Error(), "Client.Timeout"):
		return "timed out"
	case err != nil && code == 0:
		return "failed to connect to host"
	}
	return "Invalid HTTP Response: " + formatID(int64(code))
}

// Held describes a delivery that is held back.
type Held struct {
	GUID, Event, Action string
	Payload             []byte
}

// HoldDeliveries keeps every event from now on until it is released.
func (s *Server) HoldDeliveries() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks.holding = true
}

// HeldDeliveries lists what is held back, in the order it happened.
func (s *Server) HeldDeliveries() []Held {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []Held{}
	for _, d := range s.hooks.held {
		out = append(out, Held{GUID: d.guid, Event: d.event, Action: d.action, Payload: d.payload})
	}
	return out
}

// Release delivers held events, named by their index in HeldDeliveries, in the
// order given; an index given twice is delivered twice under one GUID. What is
// not named is lost, as an event that GitHub never generated: it is in no list.
// Holding goes on. Without arguments everything is delivered in order.
func (s *Server) Release(order ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.hooks.held
	s.hooks.held = nil
	if len(order) == 0 {
		for i := range held {
			order = append(order, i)
		}
	}
	var sent []int
	for _, i := range order {
		if i < 0 || i >= len(held) {
			continue
		}
		if slices.Contains(sent, i) {
			s.send(s.again(held[i], false))
			continue
		}
		sent = append(sent, i)
		s.send(held[i])
	}
}

// StopHolding delivers what is held, in order, and everything from now on.
func (s *Server) StopHolding() {
	s.mu.Lock()
	s.hooks.holding = false
	s.mu.Unlock()
	s.Release()
}
