package measure

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// again is the pause before a watch that ended begins anew.
const again = 100 * time.Millisecond

// maxEvent is the largest event that is read, in bytes.
const maxEvent = 16 << 20

// watchAll follows Argo CD and the API server until ctx ends. Both tell of everything
// anew where a watch has to begin again.
func (w *world) watchAll(ctx context.Context) error {
	token, err := w.cluster.Session(ctx)
	if err != nil {
		return err
	}
	for _, follow := range []func(context.Context) error{
		func(ctx context.Context) error { return w.followApplications(ctx, token) },
		(&leaving{w: w, there: map[string]bool{}}).follow,
	} {
		w.watching.Go(func() {
			for ctx.Err() == nil {
				if err := follow(ctx); err != nil && ctx.Err() == nil {
					w.tell("a watch ended and begins again: %v", err)
				}
				select {
				case <-ctx.Done():
				case <-time.After(again):
				}
			}
		})
	}
	return nil
}

// application is what counts of an Application.
type application struct {
	Metadata struct{ Name string }
	Status   struct {
		Sync    struct{ Status string }
		Health  struct{ Status string }
		Summary struct{ Images []string }
	}
}

// followApplications reads Argo CD's stream of events, as anybody may who can see the
// Applications: it begins with all that there are.
func (w *world) followApplications(ctx context.Context, token string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.cluster.ArgoCD+"/api/v1/stream/applications", nil)
	if err != nil {
		return fmt.Errorf("watch Applications: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("watch Applications: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("watch Applications: Argo CD answers %s", resp.Status)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 64<<10), maxEvent)
	for lines.Scan() {
		var line struct {
			Result struct {
				Type        string
				Application application
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return fmt.Errorf("read an event of Argo CD's: %w", err)
		}
		if line.Result.Type == string(watch.Deleted) {
			w.seen.see(deleted(line.Result.Application.Metadata.Name), time.Now())
		} else {
			w.seeApplication(line.Result.Application, time.Now())
		}
	}
	return lines.Err()
}

func (w *world) seeApplication(a application, now time.Time) {
	if a.Status.Sync.Status != "Synced" || a.Status.Health.Status != "Healthy" {
		return
	}
	w.seen.see(healthy(a.Metadata.Name), now)
	for _, image := range a.Status.Summary.Images {
		w.seen.see(running(a.Metadata.Name, image), now)
	}
}

// leaving sees namespaces go.
type leaving struct {
	w     *world
	there map[string]bool
}

func (l *leaving) follow(ctx context.Context) error {
	namespaces, err := l.w.cluster.Resource(corev1.SchemeGroupVersion.WithKind("Namespace"), "")
	if err != nil {
		return fmt.Errorf("watch namespaces: %w", err)
	}
	listed, err := namespaces.List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("watch namespaces: %w", err)
	}
	gone := l.there
	l.there = map[string]bool{}
	for _, one := range listed.Items {
		l.there[one.GetName()] = true
		delete(gone, one.GetName())
	}
	for name := range gone {
		l.w.seen.see(left(name), time.Now())
	}
	events, err := namespaces.Watch(ctx, metav1.ListOptions{ResourceVersion: listed.GetResourceVersion()})
	if err != nil {
		return fmt.Errorf("watch namespaces: %w", err)
	}
	defer events.Stop()
	for event := range events.ResultChan() {
		one, ok := event.Object.(metav1.Object)
		switch {
		case !ok:
			return fmt.Errorf("watch namespaces: %v", event.Object)
		case event.Type == watch.Deleted:
			delete(l.there, one.GetName())
			l.w.seen.see(left(one.GetName()), time.Now())
		default:
			l.there[one.GetName()] = true
		}
	}
	return errors.New("the watch on namespaces ended")
}

// checkWrite is what idp sends about a check run.
type checkWrite struct {
	Name       string `json:"name"`
	HeadSHA    string `json:"head_sha"`
	Conclusion string `json:"conclusion"`
}

// seeChecks notes when requests arrive that conclude a check run with success, where the
// stand-in GitHub takes them, and when it was last asked for anything.
func (w *world) seeChecks(next http.Handler) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		w.heard.Store(time.Now().UnixNano())
		if r.Method != http.MethodPost && r.Method != http.MethodPatch || !checkRuns.MatchString(r.URL.Path) {
			next.ServeHTTP(out, r)
			return
		}
		arrived := time.Now()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(out, "the request breaks off", http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		var sent checkWrite
		answer := &recorded{ResponseWriter: out}
		next.ServeHTTP(answer, r)
		// The stand-in refuses what is no JSON.
		if json.Unmarshal(body, &sent) != nil || sent.Conclusion != "success" || answer.status/100 != 2 {
			return
		}
		var made checkWrite
		if json.Unmarshal(answer.body.Bytes(), &made) == nil {
			w.seen.see(concluded(made.HeadSHA, made.Name), arrived)
		}
	})
}

// recorded is an answer that is sent and kept.
type recorded struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (r *recorded) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorded) Write(b []byte) (int, error) {
	r.body.Write(b)
	return r.ResponseWriter.Write(b)
}
