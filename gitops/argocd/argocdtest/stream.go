package argocdtest

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/idp-bot/idp/gitops"
)

// maxBehind is how many events a subscriber may be behind before it loses some, as
// in Argo CD.
const maxBehind = 1000

// subscriber reads the stream of events.
type subscriber struct {
	selector labels.Selector
	events   chan v1alpha1.ApplicationWatchEvent
}

// publish gives every Application that changed since the last call a new version,
// and tells the subscribers. It is called with the lock held, after each change.
func (s *Server) publish() {
	for name, app := range s.apps {
		version := app.ResourceVersion
		app.ResourceVersion = ""
		content, err := json.Marshal(app.Application)
		app.ResourceVersion = version
		if err != nil || string(content) == s.published[name] {
			continue // what was decoded from JSON can be encoded again
		}
		kind := watch.Modified
		if s.published[name] == "" {
			kind = watch.Added
		}
		s.published[name] = string(content)
		s.changes++
		app.ResourceVersion = strconv.FormatInt(s.changes, 10)
		s.tell(kind, app)
	}
	for name := range s.published {
		if s.apps[name] != nil {
			continue
		}
		var gone application
		if err := json.Unmarshal([]byte(s.published[name]), &gone.Application); err != nil {
			continue // as above
		}
		delete(s.published, name)
		s.changes++
		gone.ResourceVersion = strconv.FormatInt(s.changes, 10)
		s.tell(watch.Deleted, &gone)
	}
}

// Told returns the version of the newest event about an Application that idp's
// ApplicationSets made, and whether anybody can hear of it.
func (s *Server) Told() (version int64, away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.told, s.away
}

func (s *Server) tell(kind watch.EventType, app *application) {
	if app.Labels[gitops.LabelManagedBy] == gitops.ManagedBy {
		s.told = s.changes
	}
	for sub := range s.subscribers {
		if !sub.selector.Matches(labels.Set(app.Labels)) {
			continue
		}
		select {
		case sub.events <- v1alpha1.ApplicationWatchEvent{Type: kind, Application: *app.DeepCopy()}:
		default:
		}
	}
}

// stream sends every Application as added, and then what changes. As Argo CD does,
// it answers with its first event.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	selector, err := labels.Parse(r.URL.Query().Get("selector"))
	if err != nil {
		refuse(w, http.StatusBadRequest, 3, err.Error())
		return
	}
	sub := &subscriber{selector: selector, events: make(chan v1alpha1.ApplicationWatchEvent, maxBehind)}
	s.mu.Lock()
	gone := s.gone
	s.subscribers[sub] = true
	for _, name := range s.names() {
		if app := s.apps[name]; selector.Matches(labels.Set(app.Labels)) {
			sub.events <- v1alpha1.ApplicationWatchEvent{Type: watch.Added, Application: *app.DeepCopy()}
		}
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.subscribers, sub)
	}()
	w.Header().Set("Content-Type", "application/json")
	lines := json.NewEncoder(w)
	for {
		select {
		case event := <-sub.events:
			if err := lines.Encode(map[string]any{"result": event}); err != nil {
				return
			}
			w.(http.Flusher).Flush()
		case <-gone:
			panic(http.ErrAbortHandler)
		case <-r.Context().Done():
			return
		}
	}
}
