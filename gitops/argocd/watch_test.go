package argocd_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/argocd"
	"github.com/idp-bot/idp/gitops/argocd/argocdtest"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// watching is a watch on a stand-in that has one Application, "web".
var token = secrettest.New("argocd")

type watching struct {
	*testing.T
	server  *argocdtest.Server
	repo    *gittest.Repository
	watch   *argocd.Watch
	changed chan string
}

const appSet = `apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: list}
spec:
  generators: [{list: {elements: [%s]}}]
`

func newWatching(t *testing.T) *watching {
	t.Helper()
	git, err := gittest.Start(t.Context(), secrettest.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = git.Close() })
	w := &watching{T: t, changed: make(chan string, 1000)}
	if w.repo, err = git.Create(t.Context(), "acme/gitops"); err != nil {
		t.Fatal(err)
	}
	w.server, err = argocdtest.Start(argocdtest.Options{Token: token, Root: "root", Repository: w.repo, Branch: "main", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.server.Close() })
	w.list(`{"name": "web", "path": "environments/web"}`)
	client, err := argocd.New(argocd.Options{URL: w.server.URL(), Token: secret.New(token)})
	if err != nil {
		t.Fatal(err)
	}
	w.watch = client.Watch(func(name string) { w.changed <- name }, secrettest.Logger(t))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); w.watch.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	return w
}

// list commits an ApplicationSet with some elements, and has it synced.
func (w *watching) list(elements string) {
	w.Helper()
	_, err := w.repo.Commit(w.Context(), "main", gittest.Edit{Message: "List", Put: []gitops.File{
		{Path: "applicationsets/list.yaml", Content: fmt.Appendf(nil, appSet, elements)},
		{Path: "environments/web/a.yaml", Content: []byte("kind: Deployment\nmetadata: {name: web}\n")},
	}})
	if err == nil {
		err = w.server.Sync(w.Context(), "all")
	}
	if err != nil {
		w.Fatal(err)
	}
}

// until waits until what is known of an Application is as wanted.
func (w *watching) until(name string, what func(app argocd.Application, live bool, err error) bool) {
	w.Helper()
	late := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		app, live, err := w.watch.Application(name)
		if what(app, live, err) {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			w.Fatalf("of %s is known, live %v: %+v, %v", name, live, app, err)
		}
	}
}

func health(want string) func(argocd.Application, bool, error) bool {
	return func(app argocd.Application, live bool, err error) bool {
		return live && err == nil && app.Health == want
	}
}

func absent(_ argocd.Application, live bool, err error) bool {
	return live && errors.Is(err, argocd.ErrNotFound)
}

// A watch knows what is there, what changes and what goes.
func TestWatch(t *testing.T) {
	t.Parallel()
	w := newWatching(t)
	w.until("web", health("Progressing"))
	if err := w.server.SetHealth("web", "Healthy", ""); err != nil {
		t.Fatal(err)
	}
	w.until("web", health("Healthy"))
	w.until("other", absent)
	w.list(`{"name": "other", "path": "environments/web"}`)
	w.until("other", health("Progressing"))
	w.until("web", func(app argocd.Application, live bool, err error) bool { return live && err == nil && app.Deleting })
	w.list(`{"name": "other", "path": "environments/web"}`)
	w.until("web", absent)
	told := map[string]bool{}
	for len(w.changed) > 0 {
		told[<-w.changed] = true
	}
	if !told["web"] || !told["other"] || told["root"] {
		t.Errorf("told of %v", told)
	}
}

// While Argo CD is away nothing is known, and afterwards everything is, what went
// meanwhile included.
func TestWatchAway(t *testing.T) {
	t.Parallel()
	w := newWatching(t)
	w.until("web", health("Progressing"))
	w.server.SetAway(true)
	w.until("web", func(_ argocd.Application, live bool, _ error) bool { return !live })
	w.list("")
	w.list("")
	w.server.SetAway(false)
	w.until("web", absent)
	w.list(`{"name": "web", "path": "environments/web"}`)
	w.until("web", health("Progressing"))
}

// What a stream sends that is late, twice or no event makes nothing worse.
func TestWatchOddStreams(t *testing.T) {
	t.Parallel()
	app := func(kind, version, health string) string {
		return fmt.Sprintf(`{"result":{"type":%q,"application":{"metadata":{"name":"web","resourceVersion":%q},"status":{"health":{"status":%q}}}}}`, kind, version, health)
	}
	for name, test := range map[string]struct {
		lines []string
		want  string // health, or "absent"
		early bool   // sent at once, so that what is listed then is older
	}{
		"an older event":                      {[]string{app("MODIFIED", "4", "Degraded")}, "Healthy", false},
		"the same again":                      {[]string{app("ADDED", "5", "Healthy")}, "Healthy", false},
		"a newer event":                       {[]string{app("MODIFIED", "6", "Degraded")}, "Degraded", false},
		"a newer event, and a list that lags": {[]string{app("MODIFIED", "6", "Degraded")}, "Degraded", true},
		"an older end":                        {[]string{app("DELETED", "4", "Healthy")}, "Healthy", false},
		"an end":                              {[]string{app("DELETED", "7", "Healthy")}, "absent", false},
		"an empty line":                       {[]string{`{}`, app("MODIFIED", "6", "Degraded")}, "Degraded", false},
		"unknown fields":                      {[]string{`{"result":{"type":"BOOKMARK","application":{"metadata":{"name":"x"},"spec":{"a":[1]}}}}`, app("MODIFIED", "6", "Degraded")}, "Degraded", false},
		"an error, and back":                  {[]string{`{"error":{"message":"too slow"}}`}, "Healthy", false},
		"no JSON, and back":                   {[]string{`<html>`}, "Healthy", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var streams, lists atomic.Int64
			listed := make(chan struct{}) // for the second time, as it is once the stream answers
			mux := http.NewServeMux()
			mux.HandleFunc("GET /api/v1/applications", func(rw http.ResponseWriter, _ *http.Request) {
				if lists.Add(1) == 2 {
					defer close(listed)
				}
				_, _ = fmt.Fprint(rw, `{"metadata":{"resourceVersion":"5"},"items":[{"metadata":{"name":"web","resourceVersion":"5"},"status":{"health":{"status":"Healthy"}}}]}`)
			})
			mux.HandleFunc("GET /api/v1/stream/applications", func(rw http.ResponseWriter, r *http.Request) {
				if streams.Add(1) == 1 {
					rw.WriteHeader(http.StatusOK)
					rw.(http.Flusher).Flush()
					if !test.early {
						<-listed
					}
					for _, line := range append(test.lines, `{"result":{"type":"ADDED","application":{"metadata":{"name":"last"}}}}`) {
						_, _ = fmt.Fprintln(rw, line)
					}
					rw.(http.Flusher).Flush()
				}
				<-r.Context().Done()
			})
			server := httptest.NewServer(mux)
			t.Cleanup(server.Close)
			client, err := argocd.New(argocd.Options{URL: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			w := &watching{T: t, watch: client.Watch(func(string) {}, secrettest.Logger(t))}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { defer close(ended); w.watch.Run(ctx) }()
			t.Cleanup(func() { stop(); <-ended })
			w.until("last", func(_ argocd.Application, live bool, err error) bool {
				return live && lists.Load() > 1 && (test.early || err == nil || streams.Load() > 1) // all is read, or the stream is another
			})
			if test.want == "absent" {
				w.until("web", absent)
			} else {
				w.until("web", health(test.want))
			}
			if app, live, err := w.watch.Application("web"); test.want == "Healthy" && !health("Healthy")(app, live, err) {
				t.Errorf("%+v, %v, %v", app, live, err)
			}
		})
	}
}
