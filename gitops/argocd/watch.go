package argocd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/idp-bot/idp/gitops"
)

const (
	// relistEvery is how often everything is listed again while the stream is open:
	// Argo CD drops events to those who read too slowly, and says nothing of it.
	relistEvery = 3 * time.Minute
	// minReconnect and maxReconnect bound the pause before the stream is opened again.
	minReconnect = 200 * time.Millisecond
	maxReconnect = 15 * time.Second
	// maxEvent is the largest event that is read, in bytes.
	maxEvent = maxResponse
)

// selector are the Applications that idp's ApplicationSets make.
const selector = gitops.LabelManagedBy + "=" + gitops.ManagedBy

// Watch keeps what Argo CD sees of all of idp's Applications, from its stream of
// events and a list at intervals. Between losing the stream and having listed
// everything again it knows nothing, and says so: what it kept may be old.
type Watch struct {
	client  *Client
	changed func(application string)
	log     *slog.Logger

	mu   sync.Mutex
	live bool
	apps map[string]watched
	// newest is the newest version of anything that was read since it is live.
	newest int64
}

// watched is an Application and the version of it that was read.
type watched struct {
	Application
	version int64
}

// Watch returns a watch that does nothing until Run. Changed is called, from Run, with
// the name of every Application that is new, changed or gone, and must not block.
func (c *Client) Watch(changed func(application string), log *slog.Logger) *Watch {
	return &Watch{client: c, changed: changed, log: log}
}

// Application returns what is known of an Application: ErrNotFound where there is
// none. It is known only while live.
func (w *Watch) Application(name string) (app Application, live bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.live {
		return Application{}, false, nil
	}
	known, ok := w.apps[name]
	if !ok {
		return Application{}, true, fmt.Errorf("application %s: %w", name, ErrNotFound)
	}
	return known.Application, true, nil
}

// Newest returns the newest version, as Kubernetes counts, of all that is known; it
// is known only while live.
func (w *Watch) Newest() (version int64, live bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.newest, w.live
}

// Run watches until ctx ends. Argo CD being away is no error: it is asked again,
// after pauses that grow.
func (w *Watch) Run(ctx context.Context) {
	pause := minReconnect
	for ctx.Err() == nil {
		began := time.Now()
		err := w.follow(ctx)
		w.forget()
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > maxReconnect {
			pause = minReconnect
		}
		level := slog.LevelDebug // said once, not with every try
		if pause == minReconnect {
			level = slog.LevelInfo
		}
		w.log.Log(ctx, level, "the watch on Argo CD ended and begins again", "error", err, "pause", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, maxReconnect)
	}
}

// forget drops what may be old by the time that the stream is open again.
func (w *Watch) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.live, w.apps, w.newest = false, nil, 0
}

// follow opens the stream, lists everything, and takes in events until either
// fails. Argo CD answers the stream with its first event only; what came and went
// before it did is listed then.
func (w *Watch) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := w.client.stream(ctx)
	relist := time.NewTicker(relistEvery)
	defer relist.Stop()
	for {
		if err := w.list(ctx); err != nil {
			return err
		}
		if err := w.take(s, relist.C); err != nil {
			return fmt.Errorf("watch applications: %w", err)
		}
	}
}

// take takes events in until everything is to be listed again.
func (w *Watch) take(s *stream, relist <-chan time.Time) error {
	for {
		select {
		case event := <-s.events:
			w.note(event)
		case err := <-s.ended:
			return err
		case <-s.opened:
			s.opened = nil
			return nil
		case <-relist:
			return nil
		}
	}
}

// list makes what is known what Argo CD lists now, but for what an event has told
// that is newer: of several API servers, the one that lists may lag behind.
func (w *Watch) list(ctx context.Context) error {
	var answer struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
		Items []application `json:"items"`
	}
	query := url.Values{"selector": {selector}}
	if err := w.client.get(ctx, "list", "api/v1/applications", query, &answer); err != nil {
		return fmt.Errorf("list applications: %w", err)
	}
	listed := make(map[string]watched, len(answer.Items))
	for i := range answer.Items {
		listed[answer.Items[i].Metadata.Name] = answer.Items[i].watched()
	}
	w.mu.Lock()
	before := w.apps
	for name, known := range before {
		if app, ok := listed[name]; ok && app.version != 0 && app.version < known.version {
			listed[name] = known
		}
	}
	w.live, w.apps = true, listed
	w.newest = max(w.newest, counted(answer.Metadata.ResourceVersion))
	for _, app := range listed {
		w.newest = max(w.newest, app.version)
	}
	w.mu.Unlock()
	for name, app := range listed {
		if before[name].version != app.version {
			w.changed(name)
		}
	}
	for name := range before {
		if _, ok := listed[name]; !ok {
			w.changed(name)
		}
	}
	return nil
}

// note takes one event in. One that is older than what is known says nothing.
func (w *Watch) note(e event) {
	app, name := e.Application.watched(), e.Application.Metadata.Name
	w.mu.Lock()
	w.newest = max(w.newest, app.version)
	known, ok := w.apps[name]
	news := !ok || app.version == 0 || app.version > known.version || e.Type == deleted
	switch {
	case e.Type == deleted && (!ok || app.version >= known.version):
		delete(w.apps, name)
	case news && e.Type != deleted:
		w.apps[name] = app
	}
	w.mu.Unlock()
	if news {
		w.changed(name)
	}
}

// watched is an Application with its version.
func (a *application) watched() watched {
	return watched{Application: a.summary(), version: counted(a.Metadata.ResourceVersion)}
}

// counted is a resourceVersion as the number that etcd counts; 0 where none is given,
// which makes every event news.
func counted(version string) int64 {
	n, err := strconv.ParseInt(version, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// event is one line of the stream.
type event struct {
	Type        string      `json:"type"`
	Application application `json:"application"`
}

// deleted is the type of the event that an Application is gone.
const deleted = "DELETED"

// stream is Argo CD's stream of events, which may not have answered yet.
type stream struct {
	events chan event
	// opened is closed when it has answered; ended says why it ended.
	opened chan struct{}
	ended  chan error
}

// stream asks for the stream of events, which ends with ctx or with the
// connection. What it has read by then may be lost.
func (c *Client) stream(ctx context.Context) *stream {
	s := &stream{events: make(chan event), opened: make(chan struct{}), ended: make(chan error, 1)}
	opened := s.opened
	go func() { s.ended <- c.readStream(ctx, s.events, func() { close(opened) }) }()
	return s
}

func (c *Client) readStream(ctx context.Context, out chan<- event, opened func()) error {
	u := *c.root.JoinPath("api/v1/stream/applications")
	u.RawQuery = url.Values{"selector": {selector}}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	c.authorize(request)
	started := time.Now()
	response, err := c.streaming.Do(request)
	if err != nil {
		c.metrics.observe("watch", "error", time.Since(started))
		return err
	}
	defer func() { _ = response.Body.Close() }()
	c.metrics.observe("watch", statusClass(response.StatusCode), time.Since(started))
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(response.Body, maxDetail))
		return c.refusal(response.StatusCode, body)
	}
	opened()
	return c.read(ctx, response.Body, out)
}

// read decodes the stream, a JSON object a line.
func (c *Client) read(ctx context.Context, body io.Reader, out chan<- event) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 64<<10), maxEvent)
	for lines.Scan() {
		var line struct {
			Result *event
			Error  *struct{ Message string }
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return fmt.Errorf("read event: %w", err)
		}
		if line.Error != nil {
			return errors.New(c.clean(line.Error.Message))
		}
		if line.Result == nil {
			continue
		}
		select {
		case out <- *line.Result:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read event: %w", err)
	}
	return io.ErrUnexpectedEOF
}
