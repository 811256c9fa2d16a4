package argocd

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"github.com/argoproj/gitops-engine/pkg/health"
	synccommon "github.com/argoproj/gitops-engine/pkg/sync/common"
	"github.com/google/go-cmp/cmp"
	"github.com/idp-bot/idp/gitops/secret"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var testToken = secrettest.New("argocd")

// fake is an Argo CD with some Applications. It answers as the real one does:
// 403 for what is not there.
type fake struct {
	mu        sync.Mutex
	apps      map[string]v1alpha1.Application
	refreshed map[string]string
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name, isApp := strings.CutPrefix(r.URL.Path, "/argo/api/v1/applications/")
	switch {
	case r.Method != http.MethodGet:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case r.URL.Path == "/argo/api/version":
		fmt.Fprint(w, `{"Version":"v2.14.21+abc","BuildDate":"2026-01-01"}`)
	case !isApp:
		w.WriteHeader(http.StatusNotFound)
	case r.Header.Get("Authorization") != "Bearer "+testToken:
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"error":"invalid session","code":16,"message":"invalid session: token `+testToken+`"}`)
	default:
		app, ok := f.apps[name]
		if !ok {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"error":"permission denied","code":7,"message":"permission denied"}`)
			return
		}
		if kind := r.URL.Query().Get("refresh"); kind != "" {
			f.refreshed[name] = kind
		}
		_ = json.NewEncoder(w).Encode(app)
	}
}

func setup(t *testing.T, apps ...v1alpha1.Application) (*fake, *Client) {
	t.Helper()
	f := &fake{apps: map[string]v1alpha1.Application{}, refreshed: map[string]string{}}
	for _, app := range apps {
		f.apps[app.Name] = app
	}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	client, err := New(Options{URL: server.URL + "/argo/", Token: secret.New(testToken)})
	if err != nil {
		t.Fatal(err)
	}
	return f, client
}

func TestPing(t *testing.T) {
	t.Parallel()
	_, client := setup(t)
	version, err := client.Ping(t.Context())
	if err != nil || version != "v2.14.21+abc" {
		t.Errorf("got %q, %v", version, err)
	}
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	f, client := setup(t, v1alpha1.Application{ObjectMeta: metav1.ObjectMeta{Name: "idp-web-pr-1"}})
	if err := client.Refresh(t.Context(), "idp-web-pr-1"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"idp-web-pr-1": "normal"}, f.refreshed); diff != "" {
		t.Error(diff)
	}
	if err := client.Refresh(t.Context(), "idp-web-pr-2"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestApplication(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	healthy := v1alpha1.Application{
		ObjectMeta: metav1.ObjectMeta{Name: "healthy", Namespace: "argocd"},
		Status: v1alpha1.ApplicationStatus{
			Sync:           v1alpha1.SyncStatus{Status: v1alpha1.SyncStatusCodeSynced, Revision: "c2"},
			Health:         v1alpha1.HealthStatus{Status: health.HealthStatusHealthy},
			ReconciledAt:   &metav1.Time{Time: at},
			History:        v1alpha1.RevisionHistories{{Revision: "c0"}, {Revision: "c1"}},
			OperationState: &v1alpha1.OperationState{Phase: synccommon.OperationSucceeded, Message: "successfully synced (all tasks run)", SyncResult: &v1alpha1.SyncOperationResult{Revision: "c2"}},
			Conditions:     []v1alpha1.ApplicationCondition{{Type: v1alpha1.ApplicationConditionExcludedResourceWarning, Message: "noise"}},
		},
	}
	degraded := v1alpha1.Application{
		ObjectMeta: metav1.ObjectMeta{Name: "degraded"},
		Status: v1alpha1.ApplicationStatus{
			Sync:   v1alpha1.SyncStatus{Status: v1alpha1.SyncStatusCodeSynced, Revision: "c2"},
			Health: v1alpha1.HealthStatus{Status: health.HealthStatusDegraded},
			Resources: []v1alpha1.ResourceStatus{
				{Kind: "Service", Name: "web", Health: &v1alpha1.HealthStatus{Status: health.HealthStatusHealthy}},
				{Kind: "Deployment", Name: "web", Health: &v1alpha1.HealthStatus{Status: health.HealthStatusDegraded, Message: "Deployment \"web\" exceeded\nits progress deadline"}},
				{Kind: "Namespace", Name: "idp-web"},
			},
		},
	}
	progressing := v1alpha1.Application{
		ObjectMeta: metav1.ObjectMeta{Name: "progressing"},
		Status: v1alpha1.ApplicationStatus{
			Sync:   v1alpha1.SyncStatus{Status: v1alpha1.SyncStatusCodeSynced, Revision: "c2"},
			Health: v1alpha1.HealthStatus{Status: health.HealthStatusProgressing},
			Resources: []v1alpha1.ResourceStatus{
				{Kind: "Deployment", Name: "web", Health: &v1alpha1.HealthStatus{Status: health.HealthStatusProgressing, Message: "0 of 1 updated replicas are available"}},
			},
		},
	}
	failed := v1alpha1.Application{
		ObjectMeta: metav1.ObjectMeta{Name: "failed", DeletionTimestamp: &metav1.Time{Time: at}},
		Status: v1alpha1.ApplicationStatus{
			Sync:           v1alpha1.SyncStatus{Status: v1alpha1.SyncStatusCodeOutOfSync, Revision: "c3"},
			Health:         v1alpha1.HealthStatus{Status: health.HealthStatusMissing},
			History:        v1alpha1.RevisionHistories{{Revision: "c1"}},
			OperationState: &v1alpha1.OperationState{Phase: synccommon.OperationFailed, Message: "one or more objects failed to apply"},
		},
	}
	broken := v1alpha1.Application{
		ObjectMeta: metav1.ObjectMeta{Name: "broken"},
		Status: v1alpha1.ApplicationStatus{
			Sync:       v1alpha1.SyncStatus{Status: v1alpha1.SyncStatusCodeUnknown},
			Health:     v1alpha1.HealthStatus{Status: health.HealthStatusUnknown},
			Conditions: []v1alpha1.ApplicationCondition{{Type: v1alpha1.ApplicationConditionComparisonError, Message: "app path does not exist"}},
		},
	}
	_, client := setup(t, healthy, degraded, progressing, failed, broken)
	for _, want := range []Application{
		{Name: "healthy", Namespace: "argocd", Sync: "Synced", Revision: "c2", Health: "Healthy", OperationPhase: "Succeeded",
			OperationRevision: "c2", OperationMessage: "successfully synced (all tasks run)", SyncedRevision: "c2", ReconciledAt: at},
		{Name: "degraded", Sync: "Synced", Revision: "c2", Health: "Degraded", SyncedRevision: "c2",
			Message: `Deployment web: Deployment "web" exceeded its progress deadline`},
		{Name: "progressing", Sync: "Synced", Revision: "c2", Health: "Progressing", SyncedRevision: "c2",
			Message: "Deployment web: 0 of 1 updated replicas are available"},
		{Name: "failed", Sync: "OutOfSync", Revision: "c3", Health: "Missing", OperationPhase: "Failed", SyncedRevision: "c1", Deleting: true,
			OperationMessage: "one or more objects failed to apply", Message: "one or more objects failed to apply",
			Error: "one or more objects failed to apply"},
		{Name: "broken", Sync: "Unknown", Health: "Unknown", Message: "app path does not exist", Error: "app path does not exist"},
	} {
		got, err := client.Application(t.Context(), want.Name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", want.Name, diff)
		}
	}
	if _, err := client.Application(t.Context(), "absent"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// TestAnswersThatAreNone: whatever stands where Argo CD should gives an error
// that says so, in time and without the token.
func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		is      error
		want    string
	}{
		{"not found", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, ErrNotFound, "answered 404"},
		{"token refused", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(401)
			fmt.Fprintf(w, `{"message":"bad %s"}`, r.Header.Get("Authorization"))
		}, ErrUnauthorized, "bad Bearer [redacted]"},
		{"html", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, nil, "read answer"},
		{"proxy error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502); fmt.Fprint(w, "<html>") }, nil, "answered 502"},
		{"truncated", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{"metadata":`)
		}, nil, "unexpected EOF"},
		{"endless", func(w http.ResponseWriter, _ *http.Request) {
			chunk := strings.Repeat(" ", 1<<20)
			for range 20 {
				if _, err := fmt.Fprint(w, chunk); err != nil {
					return
				}
			}
		}, nil, "larger than"},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://other.example/login", http.StatusFound)
		}, nil, "answered 302"},
		{"long message", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			fmt.Fprintf(w, `{"message":"%s"}`, strings.Repeat("é\\n", 10000))
		}, nil, "…"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(test.handler)
			t.Cleanup(server.Close)
			client, err := New(Options{URL: server.URL, Token: secret.New(testToken)})
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.Application(t.Context(), "web")
			if err == nil || !strings.Contains(err.Error(), test.want) || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("got %v", err)
			}
			if err != nil && (strings.Contains(err.Error(), testToken) || len(err.Error()) > 1000) {
				t.Errorf("error says too much: %.2000s", err)
			}
		})
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	client, err := New(Options{URL: server.URL, Timeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Refresh(t.Context(), "web"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestCA(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"Version":"v3"}`) }))
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	trusting, err := New(Options{URL: server.URL, CA: ca})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trusting.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	strict, err := New(Options{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := strict.Ping(t.Context()); err == nil {
		t.Error("a certificate of nobody's is trusted")
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{
		{URL: ""}, {URL: "argocd.example.com"}, {URL: "ftp://argocd.example.com"}, {URL: "https://a:b@argocd.example.com"},
		{URL: "https://argocd.example.com", CA: []byte("no pem")},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	registry := prometheus.NewRegistry()
	metrics, err := NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	client, err := New(Options{URL: server.URL, Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	_ = client.Refresh(t.Context(), "web") // counted whatever it says
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	secrettest.Text(t, "the metrics", fmt.Append(nil, families))
	got := map[string]string{}
	for _, family := range families {
		for _, metric := range family.Metric {
			for _, label := range metric.Label {
				got[family.GetName()+" "+label.GetName()] = label.GetValue()
			}
		}
	}
	want := map[string]string{
		"idp_argocd_requests_total operation":           "refresh",
		"idp_argocd_requests_total status":              "4xx",
		"idp_argocd_request_duration_seconds operation": "refresh",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
