package argocdtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"github.com/argoproj/gitops-engine/pkg/health"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

// cluster is what is live of an Application, beyond the objects that it synced.
type cluster struct {
	// objects are by "Kind name".
	objects map[string]*unstructured.Unstructured
	events  []corev1.Event
	// logs are by the Pod's name.
	logs map[string][]string
}

// document is where one YAML document ends and the next begins.
var document = regexp.MustCompile(`(?m)^---$`)

// SetLive says what the cluster has of an Application, in YAML documents: objects with
// their status, in place of those of their kind and name, and Events. Owners are found by
// kind and name. What becomes of the Application's health follows from theirs. A Rollout
// takes the place of the Deployment of its name.
func (s *Server) SetLive(name, documents string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	app, ok := s.apps[name]
	if !ok {
		return fmt.Errorf("there is no Application %s", name)
	}
	for _, text := range document.Split(documents, -1) {
		if err := app.setLive(text); err != nil {
			return fmt.Errorf("read %q: %w", text, err)
		}
	}
	s.reconciled(app)
	s.publish()
	return nil
}

func (a *application) setLive(text string) error {
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &object.Object); err != nil {
		return err
	}
	if object.GetNamespace() == "" {
		object.SetNamespace(a.Name)
	}
	if object.GetKind() == "Event" {
		var event corev1.Event
		if err := yaml.Unmarshal([]byte(text), &event); err != nil {
			return err
		}
		a.live.events = append(a.live.events, event)
		return nil
	}
	key := object.GetKind() + " " + object.GetName()
	object.SetUID(types.UID(uid(key)))
	if a.live.objects == nil {
		a.live.objects = map[string]*unstructured.Unstructured{}
	}
	a.live.objects[key] = object
	if len(object.GetOwnerReferences()) > 0 {
		return nil
	}
	found, err := healthOf(object)
	if err != nil {
		return err
	}
	a.manage(object, found)
	return nil
}

// manage makes an object one of those that the Application lists.
func (a *application) manage(object *unstructured.Unstructured, found *v1alpha1.HealthStatus) {
	gvk := object.GroupVersionKind()
	resources := slices.DeleteFunc(a.Status.Resources, func(r v1alpha1.ResourceStatus) bool {
		return r.Name == object.GetName() && (r.Kind == gvk.Kind || r.Kind == "Deployment" && gvk.Kind == "Rollout")
	})
	a.Status.Resources = append(resources, v1alpha1.ResourceStatus{
		Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind, Name: object.GetName(), Namespace: object.GetNamespace(),
		Status: v1alpha1.SyncStatusCodeSynced, Health: found,
	})
	worst := health.HealthStatusHealthy
	for _, r := range a.Status.Resources {
		if r.Health != nil && health.IsWorse(worst, r.Health.Status) {
			worst = r.Health.Status
		}
	}
	a.Status.Health.Status = worst
}

// healthOf is what Argo CD makes of an object's status: for what comes with Kubernetes
// its own code tells, for Argo Rollouts' what its scripts do.
func healthOf(object *unstructured.Unstructured) (*v1alpha1.HealthStatus, error) {
	phase, _, _ := unstructured.NestedString(object.Object, "status", "phase")
	message, _, _ := unstructured.NestedString(object.Object, "status", "message")
	switch object.GetKind() {
	case "Rollout", "AnalysisRun":
		status := health.HealthStatusCode(phase)
		if mapped, ok := map[string]health.HealthStatusCode{
			"Paused": health.HealthStatusSuspended, "Failed": health.HealthStatusDegraded, "Error": health.HealthStatusDegraded,
			"Successful": health.HealthStatusHealthy, "Running": health.HealthStatusProgressing, "Inconclusive": health.HealthStatusUnknown,
		}[phase]; ok {
			status = mapped
		}
		return &v1alpha1.HealthStatus{Status: status, Message: message}, nil
	}
	found, err := health.GetResourceHealth(object, nil)
	if err != nil || found == nil {
		return nil, err
	}
	return &v1alpha1.HealthStatus{Status: found.Status, Message: found.Message}, nil
}

// SetLogs says what a Pod of an Application wrote.
func (s *Server) SetLogs(name, pod, text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	app, ok := s.apps[name]
	if !ok {
		return fmt.Errorf("there is no Application %s", name)
	}
	if app.live.logs == nil {
		app.live.logs = map[string][]string{}
	}
	app.live.logs[pod] = strings.Split(strings.TrimRight(text, "\n"), "\n")
	return nil
}

// DenyLogs takes the right to read logs from the token, or gives it back.
func (s *Server) DenyLogs(denied bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logsDenied = denied
}

// SetDrift says that an object of an Application was changed by hand, or, with "",
// that all are as in Git again.
func (s *Server) SetDrift(name, object string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	app, ok := s.apps[name]
	if !ok {
		return fmt.Errorf("there is no Application %s", name)
	}
	app.Status.Sync.Status = v1alpha1.SyncStatusCodeSynced
	for i, r := range app.Status.Resources {
		app.Status.Resources[i].Status = v1alpha1.SyncStatusCodeSynced
		if r.Kind+" "+r.Name == object {
			app.Status.Resources[i].Status, app.Status.Sync.Status = v1alpha1.SyncStatusCodeOutOfSync, v1alpha1.SyncStatusCodeOutOfSync
		}
	}
	s.reconciled(app)
	s.publish()
	return nil
}

func uid(key string) string { return "uid-" + strings.ToLower(strings.ReplaceAll(key, " ", "-")) }

// nodes is an Application's resource tree.
func (a *application) nodes() []v1alpha1.ResourceNode {
	nodes := []v1alpha1.ResourceNode{}
	for _, r := range a.Status.Resources {
		if key := r.Kind + " " + r.Name; a.live.objects[key] == nil {
			nodes = append(nodes, v1alpha1.ResourceNode{
				ResourceRef: v1alpha1.ResourceRef{Group: r.Group, Version: r.Version, Kind: r.Kind, Namespace: r.Namespace, Name: r.Name, UID: uid(key)},
				Health:      r.Health,
			})
		}
	}
	for _, key := range sorted(a.live.objects) {
		nodes = append(nodes, a.node(a.live.objects[key]))
	}
	return nodes
}

func (a *application) node(object *unstructured.Unstructured) v1alpha1.ResourceNode {
	gvk, created := object.GroupVersionKind(), object.GetCreationTimestamp()
	n := v1alpha1.ResourceNode{
		ResourceRef: v1alpha1.ResourceRef{
			Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind, Namespace: object.GetNamespace(), Name: object.GetName(), UID: string(object.GetUID()),
		},
		CreatedAt: &created,
	}
	n.Health, _ = healthOf(object) // it was put to it when it was set
	for _, owner := range object.GetOwnerReferences() {
		n.ParentRefs = append(n.ParentRefs, v1alpha1.ResourceRef{
			Kind: owner.Kind, Namespace: object.GetNamespace(), Name: owner.Name, UID: uid(owner.Kind + " " + owner.Name),
		})
	}
	for _, annotation := range []string{"deployment.kubernetes.io/revision", "rollout.argoproj.io/revision"} {
		if revision := object.GetAnnotations()[annotation]; revision != "" {
			n.Info = []v1alpha1.InfoItem{{Name: "Revision", Value: "Rev:" + revision}}
		}
	}
	return n
}

// about has a request for an Application answered with the lock held.
func (s *Server) about(answer func(http.ResponseWriter, *http.Request, *application)) http.HandlerFunc {
	return s.authorized(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		app, ok := s.apps[r.PathValue("name")]
		if !ok {
			refuse(w, http.StatusForbidden, 7, "permission denied")
			return
		}
		answer(w, r, app)
	})
}

func (s *Server) tree(w http.ResponseWriter, _ *http.Request, app *application) {
	answer(w, http.StatusOK, v1alpha1.ApplicationTree{Nodes: app.nodes()})
}

func (s *Server) events(w http.ResponseWriter, r *http.Request, app *application) {
	q := r.URL.Query()
	at := slices.IndexFunc(app.nodes(), func(n v1alpha1.ResourceNode) bool {
		return n.UID == q.Get("resourceUID") && n.Name == q.Get("resourceName") && n.Namespace == q.Get("resourceNamespace")
	})
	if at < 0 {
		refuse(w, http.StatusBadRequest, 3, q.Get("resourceName")+" not found as part of application "+app.Name)
		return
	}
	n, list := app.nodes()[at], corev1.EventList{Items: []corev1.Event{}}
	for _, e := range app.live.events {
		if e.InvolvedObject.Kind == n.Kind && e.InvolvedObject.Name == n.Name {
			list.Items = append(list.Items, e)
		}
	}
	answer(w, http.StatusOK, list)
}

// logs answers with an object a line. What keeps it from the logs is a line as well,
// of no pod, and so is their end.
func (s *Server) logs(w http.ResponseWriter, r *http.Request, app *application) {
	if s.logsDenied {
		answer(w, http.StatusForbidden, map[string]any{"error": map[string]any{
			"grpc_code": 7, "http_code": http.StatusForbidden, "http_status": "Forbidden", "message": "permission denied: logs, get, default/" + app.Name,
		}})
		return
	}
	pod := r.PathValue("pod")
	lines, ok := app.live.logs[pod]
	entries := []map[string]any{}
	if tail, err := strconv.Atoi(r.URL.Query().Get("tailLines")); err == nil && tail > 0 {
		lines = lines[max(0, len(lines)-tail):]
	}
	for _, line := range lines {
		entries = append(entries, s.entry(pod, line, false))
	}
	if !ok {
		entries = append(entries, s.entry("", `container "`+r.URL.Query().Get("container")+`" in pod "`+pod+`" is waiting to start`, false))
	}
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	for _, e := range append(entries, s.entry("", "", true)) {
		_ = encoder.Encode(map[string]any{"result": e}) // whoever asked may be gone
	}
}

func (s *Server) entry(pod, content string, last bool) map[string]any {
	at := s.options.Now().UTC()
	return map[string]any{"content": content, "timeStamp": at.Format(time.RFC3339), "last": last, "timeStampStr": at.Format(time.RFC3339Nano), "podName": pod}
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
