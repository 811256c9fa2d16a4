package webhooks

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops/secret"
	"github.com/idp-bot/idp/previews/store"
)

var opened = []byte(`{"action":"opened","number":42,"installation":{"id":7},"repository":{"id":9},"pull_request":{"number":42}}`)

func TestStoredBeforeAnswered(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	h, rows := setup(t, Options{Now: func() time.Time { return at }})

	if w := send(t, h, delivery("pull_request", someGUID, opened)); w.Code != 202 || w.Body.String() != "stored\n" {
		t.Fatalf("first: %d %q", w.Code, w.Body)
	}
	if w := send(t, h, delivery("pull_request", someGUID, opened)); w.Code != 202 || w.Body.String() != "duplicate\n" {
		t.Fatalf("again: %d %q", w.Code, w.Body)
	}
	d := rows.rows[someGUID]
	if d.Event != "pull_request" || d.Action != "opened" || d.InstallationID != 7 || d.RepositoryID != 9 || d.PR != 42 ||
		!bytes.Equal(d.Payload, opened) || !d.ReceivedAt.Equal(at) {
		t.Errorf("stored %+v", d)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	mac := hmac.New(sha1.New, []byte(newSecret))
	mac.Write(opened)
	sha1Signature := "sha1=" + hex.EncodeToString(mac.Sum(nil))
	long := bytes.Repeat([]byte(" "), 5000)
	for name, test := range map[string]struct {
		body   []byte
		change func(*http.Request)
		status int
	}{
		"get":      {change: func(r *http.Request) { r.Method = http.MethodGet }, status: 405},
		"unsigned": {change: func(r *http.Request) { r.Header.Del("X-Hub-Signature-256") }, status: 401},
		"sha1 only": {change: func(r *http.Request) {
			r.Header.Del("X-Hub-Signature-256")
			r.Header.Set("X-Hub-Signature", sha1Signature)
		}, status: 401},
		"sha1 in its place": {change: func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", sha1Signature) }, status: 401},
		"other secret":      {change: func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", sign(newSecret+"x", opened)) }, status: 401},
		"empty secret":      {change: func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", sign("", opened)) }, status: 401},
		"no prefix":         {change: func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", sign(newSecret, opened)[7:]) }, status: 401},
		"short signature":   {change: func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", "sha256=") }, status: 401},
		"form":              {change: func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, status: 415},
		"no type":           {change: func(r *http.Request) { r.Header.Del("Content-Type") }, status: 415},
		"no guid":           {change: func(r *http.Request) { r.Header.Del("X-GitHub-Delivery") }, status: 400},
		"odd guid":          {change: func(r *http.Request) { r.Header.Set("X-GitHub-Delivery", "{72d3162e-cc78-11e3-81ab-4c9367dc095}") }, status: 400},
		"no event":          {change: func(r *http.Request) { r.Header.Del("X-GitHub-Event") }, status: 400},
		"odd event":         {change: func(r *http.Request) { r.Header.Set("X-GitHub-Event", "pull request") }, status: 400},
		"the sweep's":       {change: func(r *http.Request) { r.Header.Set("X-GitHub-Event", bot.SweepEvent) }, status: 400},
		"not json":          {body: []byte(`{"action":`), status: 400},
		"not an object":     {body: []byte(`[1]`), status: 400},
		"empty":             {body: []byte{}, status: 400},
		"too large":         {body: long, status: 413},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, rows := setup(t, Options{MaxBody: 4096})
			body := test.body
			if body == nil {
				body = opened
			}
			r := delivery("pull_request", someGUID, body)
			if test.change != nil {
				test.change(r)
			}
			w := send(t, h, r)
			if w.Code != test.status {
				t.Errorf("answered %d %q, want %d", w.Code, w.Body, test.status)
			}
			if len(rows.rows) != 0 {
				t.Errorf("stored %d rows", len(rows.rows))
			}
		})
	}
}

// Both secrets are good while one is rotated; anything in hexadecimal is.
func TestRotation(t *testing.T) {
	t.Parallel()
	h, rows := setup(t, Options{})
	for i, signature := range []string{sign(oldSecret, opened), sign(newSecret, opened), "sha256=" + strings.ToUpper(sign(oldSecret, opened)[7:])} {
		r := delivery("pull_request", fmt.Sprintf("72d3162e-cc78-11e3-81ab-%012d", i), opened)
		r.Header.Set("X-Hub-Signature-256", signature)
		if w := send(t, h, r); w.Code != 202 {
			t.Errorf("%d: answered %d", i, w.Code)
		}
	}
	if len(rows.rows) != 3 {
		t.Errorf("stored %d", len(rows.rows))
	}
}

func TestNotStored(t *testing.T) {
	t.Parallel()
	h, rows := setup(t, Options{})
	rows.fail = errors.New("disk full")
	w := send(t, h, delivery("pull_request", someGUID, opened))
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "disk") {
		t.Errorf("answered %d %v %q", w.Code, w.Header(), w.Body)
	}
}

func TestNoStartWithoutSecret(t *testing.T) {
	t.Parallel()
	for name, secrets := range map[string][]secret.String{
		"none":          nil,
		"empty":         {secret.New("")},
		"short":         {secret.New(newSecret[:31])},
		"one of two":    {secret.New(newSecret), secret.New("x")},
		"absent of two": {secret.New(newSecret), {}},
	} {
		_, err := New(Options{Secrets: secrets, Inbox: &inbox{}})
		if err == nil {
			t.Errorf("%s: started", name)
		} else if strings.Contains(err.Error(), newSecret[:31]) {
			t.Errorf("%s: the error shows the secret", name)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	h, _ := setup(t, Options{Registerer: registry})
	send(t, h, delivery("pull_request", someGUID, opened))
	send(t, h, delivery("pull_request", someGUID, opened))
	send(t, h, delivery("some_new_event", "72d3162e-cc78-11e3-81ab-000000000001", opened))
	forged := delivery("pull_request", someGUID, opened)
	forged.Header.Set("X-Hub-Signature-256", sign("x", opened))
	send(t, h, forged)
	w := send(t, promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{
		`idp_deliveries_total{event="other",result="stored"} 1`,
		`idp_deliveries_total{event="pull_request",result="duplicate"} 1`,
		`idp_deliveries_total{event="pull_request",result="stored"} 1`,
		`idp_deliveries_total{event="unverified",result="forged"} 1`,
		`idp_ack_seconds_count 3`,
	} {
		if !strings.Contains(w.Body.String(), line+"\n") {
			t.Errorf("no %s in\n%s", line, w.Body)
		}
	}
}

// endless sends zeros until it is stopped.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	return len(p), nil
}

// Large bodies that are under way leave room for the usual ones, and none is
// read beyond the limit.
func TestBodiesShareMemory(t *testing.T) {
	t.Parallel()
	b := newBodies()
	var releases []func()
	busy := 0
	for range 16 {
		source := &endless{}
		_, release, err := b.read(io.LimitReader(source, 8<<20), 8<<20)
		releases = append(releases, release)
		if errors.Is(err, errBusy) {
			busy++
		} else if err != nil {
			t.Fatal(err)
		}
		if source.read > 16<<20 {
			t.Errorf("read %d bytes", source.read)
		}
		small, done, err := b.read(strings.NewReader("usual"), -1)
		if err != nil || string(small) != "usual" {
			t.Fatalf("usual body: %q, %v", small, err)
		}
		done()
	}
	if busy == 0 || busy == 16 {
		t.Errorf("%d of 16 bodies of 8 MiB were refused", busy)
	}
	for _, release := range releases {
		release()
	}
	if !b.left.TryAcquire(allBodies) {
		t.Error("memory was not given back")
	}
}

func TestOverTCP(t *testing.T) {
	t.Parallel()
	h, rows := setup(t, Options{})
	listener, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer(h)
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	url := "http://" + listener.Addr().String() + "/webhooks/github"

	r := delivery("pull_request", someGUID, opened)
	again, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(opened))
	if err != nil {
		t.Fatal(err)
	}
	again.Header = r.Header
	resp, err := http.DefaultClient.Do(again)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 202 || len(rows.rows) != 1 {
		t.Errorf("answered %d, stored %d", resp.StatusCode, len(rows.rows))
	}

	// A body without an end is cut off at the limit.
	attack, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, &endless{})
	if err != nil {
		t.Fatal(err)
	}
	attack.Header = r.Header
	if resp, err := http.DefaultClient.Do(attack); err == nil {
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("endless body: answered %d", resp.StatusCode)
		}
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if err := <-stopped; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

// What can mean nothing is kept, and nothing is to be done about it; what may mean something
// is decided by its whole payload.
func TestMeaninglessIsDoneOnceStored(t *testing.T) {
	t.Parallel()
	h, rows := setup(t, Options{})
	for i, c := range []struct {
		event, action string
		done          bool
	}{
		{"pull_request", "opened", false}, {"pull_request", "assigned", true}, {"check_run", "created", true}, {"check_run", "completed", false},
		{"issue_comment", "created", false}, {"issue_comment", "edited", true}, {"ping", "", true}, {"star", "created", true},
	} {
		guid := fmt.Sprintf("00000000-0000-4000-8000-%012d", i)
		if w := send(t, h, delivery(c.event, guid, fmt.Appendf(nil, `{"action":%q,"repository":{"id":9}}`, c.action))); w.Code != 202 || w.Body.String() != "stored\n" {
			t.Fatalf("%s.%s: %d %q", c.event, c.action, w.Code, w.Body)
		}
		d := rows.rows[guid]
		if done := d.State == store.DeliveryDone; done != c.done || done != (d.Result != "") {
			t.Errorf("%s.%s is stored as %+v", c.event, c.action, d)
		}
	}
}
