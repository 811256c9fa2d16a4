package campaign

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/cmd/internal/stage"
)

// edge is what GitHub's webhooks reach first, as a load balancer would be: it hands each
// to a replica that serves, and keeps the ledger of what was answered with 2xx. On the
// way a delivery may meet what a network does to it: it comes late, and twice.
type edge struct {
	http     *http.Server
	url      string
	client   *http.Client
	replicas []*stage.Program
	secret   string
	watch    *watch
	// answered is called with the moment "ack", after idp answered 2xx and before GitHub
	// hears of it.
	answered func()

	mu     sync.Mutex
	random *rand.Rand
	next   int
	// late and twice are how probable a delay and a second delivery are; longest is the
	// longest delay.
	late, twice float64
	longest     time.Duration
	acked       map[string]bool
	poison      map[string]bool
	seen        []message
	// sent, refused and again count deliveries, those that were not acknowledged and
	// those that came once more.
	sent, refused, again int
	echoes               sync.WaitGroup
}

// message is a delivery as it came.
type message struct {
	header http.Header
	body   []byte
}

func newEdge(secret string, watch *watch, replicas []*stage.Program, random *rand.Rand, answered func()) (*edge, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for webhooks: %w", err)
	}
	e := &edge{
		url: "http://" + listener.Addr().String() + "/webhooks/github", secret: secret, watch: watch, replicas: replicas, random: random, answered: answered,
		// Shorter than GitHub's ten seconds, so that the ledger is never behind GitHub's.
		client: &http.Client{Timeout: 9 * time.Second}, acked: map[string]bool{}, poison: map[string]bool{},
	}
	e.http = &http.Server{Handler: e, ReadHeaderTimeout: patience}
	go func() { _ = e.http.Serve(listener) }() // it ends with close
	return e, nil
}

func (e *edge) close() error {
	err := e.http.Close()
	e.echoes.Wait()
	return err
}

// disturb sets what deliveries meet from now on.
func (e *edge) disturb(late, twice float64, longest time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.late, e.twice, e.longest = late, twice, longest
}

// fate draws what one delivery meets.
func (e *edge) fate() (delay time.Duration, twice bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.random.Float64() < e.late {
		delay = time.Duration(e.random.Int64N(int64(e.longest)))
	}
	return delay, e.random.Float64() < e.twice
}

// ServeHTTP is what GitHub talks to.
func (e *edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // GitHub hung up
	}
	m := message{r.Header.Clone(), body}
	e.mu.Lock()
	e.seen = append(e.seen, m)
	e.mu.Unlock()
	delay, twice := e.fate()
	if err := stage.Pause(r.Context(), delay); err != nil {
		return
	}
	status := e.forward(r.Context(), m)
	if twice {
		e.echo(m)
	}
	w.WriteHeader(status)
}

// forward hands a delivery to a replica, and returns the answer for GitHub.
func (e *edge) forward(ctx context.Context, m message) int {
	to := e.choose()
	status := http.StatusBadGateway
	if to != "" {
		status = e.post(ctx, to, m)
	}
	e.mu.Lock()
	e.sent++
	ok := status >= 200 && status < 300
	if ok {
		e.acked[m.header.Get("X-GitHub-Delivery")] = true
	} else {
		e.refused++
	}
	e.mu.Unlock()
	if ok && e.answered != nil {
		e.answered()
	}
	return status
}

func (e *edge) post(ctx context.Context, to string, m message) int {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(m.body))
	if err != nil {
		return http.StatusBadGateway
	}
	request.Header = m.header.Clone()
	response, err := e.client.Do(request)
	if err != nil {
		return http.StatusBadGateway
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(response.Body) // what came, where idp was killed meanwhile
	e.watch.text("an answer to a webhook", fmt.Append(nil, response.Header, string(answer)))
	return response.StatusCode
}

// choose returns where the next replica that serves takes webhooks; one that is paused
// takes connections, too, and never answers.
func (e *edge) choose() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	for range e.replicas {
		r := e.replicas[e.next%len(e.replicas)]
		e.next++
		if address := r.Address(); address != "" {
			return address
		}
	}
	return ""
}

// echo sends a delivery once more, by itself.
func (e *edge) echo(m message) {
	e.mu.Lock()
	e.again++
	e.mu.Unlock()
	e.echoes.Go(func() { e.forward(context.Background(), m) })
}

// replay sends an old delivery once more: under its GUID, or under another one, as
// somebody would who has recorded it. It says whether there was one.
func (e *edge) replay(anew bool) bool {
	e.mu.Lock()
	if len(e.seen) == 0 {
		e.mu.Unlock()
		return false
	}
	m := e.seen[e.random.IntN(len(e.seen))]
	e.mu.Unlock()
	if anew {
		m.header = m.header.Clone()
		m.header.Set("X-GitHub-Delivery", uuid.NewString())
	}
	e.echo(m)
	return true
}

// poisoned sends a signed delivery that cannot be handled, whatever is tried, until it is
// taken.
func (e *edge) poisoned(ctx context.Context, installation, repository int64, pr int) error {
	// The sender of a pull request's event is an object.
	body := fmt.Appendf(nil, `{"action":"opened","number":%d,"installation":{"id":%d},"repository":{"id":%d},"sender":"poison"}`, pr, installation, repository)
	guid := uuid.NewString()
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set("X-GitHub-Event", "pull_request")
	header.Set("X-GitHub-Delivery", guid)
	header.Set("X-Hub-Signature-256", githubtest.Sign(e.secret, body))
	e.mu.Lock()
	e.poison[guid] = true
	e.mu.Unlock()
	return stage.Until(ctx, 100*time.Millisecond, func() (bool, error) {
		return e.forward(ctx, message{header, body}) < 300, nil
	})
}

// ledger is what was acknowledged, and which of it is poison.
func (e *edge) ledger() []Sent {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []Sent
	for guid := range e.acked {
		out = append(out, Sent{GUID: guid, Poisoned: e.poison[guid]})
	}
	return out
}
