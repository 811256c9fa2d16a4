package argocdtest

import (
	"encoding/json"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// resource answers with a live object. Of an Application that is being deleted only
// those are there that something holds.
func (s *Server) resource(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	app, ok := s.apps[r.PathValue("name")]
	if !ok {
		refuse(w, http.StatusForbidden, 7, "permission denied")
		return
	}
	q := r.URL.Query()
	if object := app.live.objects[q.Get("kind")+" "+q.Get("resourceName")]; object != nil && app.DeletionTimestamp == nil {
		manifest, err := json.Marshal(object.Object)
		if err != nil {
			refuse(w, http.StatusInternalServerError, 13, err.Error())
			return
		}
		answer(w, http.StatusOK, map[string]string{"manifest": string(manifest)})
		return
	}
	for _, resource := range app.Status.Resources {
		if resource.Kind != q.Get("kind") || resource.Name != q.Get("resourceName") || resource.Namespace != q.Get("namespace") {
			continue
		}
		object := metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: resource.Name, Namespace: resource.Namespace}}
		object.Kind = resource.Kind
		finalizer, held := app.finalizers[resource.Kind+" "+resource.Name]
		if app.DeletionTimestamp != nil && !held {
			break
		}
		if held {
			object.Finalizers, object.DeletionTimestamp = []string{finalizer}, app.DeletionTimestamp
		}
		manifest, err := json.Marshal(object)
		if err != nil {
			refuse(w, http.StatusInternalServerError, 13, err.Error())
			return
		}
		answer(w, http.StatusOK, map[string]string{"manifest": string(manifest)})
		return
	}
	refuse(w, http.StatusNotFound, 5, "error getting resource: "+q.Get("kind")+" \""+q.Get("resourceName")+"\" not found")
}
