//go:build e2e

package main

import (
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/argocd"
	"github.com/idp-bot/idp/gitops/clustertest"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/repo/gittest"
)

// fence holds that with idp's own credentials nothing outside of its namespaces can be
// written: not with its token for Argo CD, not as the service account that Argo CD
// syncs as, and not by what is pushed to the GitOps repository.
func fence(s *scene) {
	var asked, attempted, committed int
	s.Run("the account of Argo CD", func(t *testing.T) { asked = accountOnlyReads(&scene{t, s.stage}) })
	s.Run("the service account", func(t *testing.T) { attempted = syncAccountStaysWithin(&scene{t, s.stage}) })
	s.Run("the GitOps repository", func(t *testing.T) { committed = treeStaysWithin(&scene{t, s.stage}) })
	figure.Tell(s, "with idp's credentials: %d changes through Argo CD, %d through the API server, %d objects through the GitOps repository: 0 written outside", asked, attempted, committed)
}

// accountOnlyReads: Argo CD refuses everything but looking. It returns how much that was.
func accountOnlyReads(s *scene) (asked int) {
	s.await("idp sees the root", func() error { return s.askArgoCD("/api/v1/applications/"+s.cfg.ArgoCDRoot, nil) })
	root := "/api/v1/applications/" + s.cfg.ArgoCDRoot
	resource := root + "/resource?namespace=kube-system&resourceName=x&version=v1&kind=ConfigMap&patchType=application%2Fmerge-patch%2Bjson"
	for _, ask := range []struct {
		method, path string
		body         any
	}{
		{http.MethodPost, root + "/sync", map[string]any{}},
		{http.MethodDelete, root + "?cascade=true", nil},
		{http.MethodPatch, root, map[string]any{"name": s.cfg.ArgoCDRoot, "patch": `{"spec":{"project":"default"}}`, "patchType": "merge"}},
		{http.MethodPost, root + "/rollback", map[string]any{"id": 1}},
		{http.MethodDelete, root + "/operation", nil},
		{http.MethodPost, resource, "{}"},
		{http.MethodDelete, resource, nil},
		{http.MethodPost, "/api/v1/applications", application("evil", "default")},
		{http.MethodPost, "/api/v1/projects", map[string]any{"project": map[string]any{"metadata": map[string]any{"name": "evil"}}}},
		{http.MethodPost, "/api/v1/repositories", map[string]any{"repo": "https://git.example.com/evil.git"}},
		{http.MethodPost, "/api/v1/clusters", map[string]any{"server": "https://evil.example.com", "name": "evil"}},
		{http.MethodPost, "/api/v1/account/admin/token", map[string]any{}},
		{http.MethodPut, "/api/v1/account/password", map[string]any{"name": "admin", "newPassword": "evil-evil", "currentPassword": "x"}},
	} {
		asked++
		err := s.cluster.AskArgoCD(s.ctx, s.world.cfg.ArgoCDToken.Reveal(), ask.method, ask.path, ask.body, nil)
		var refused *clustertest.ArgoCDError
		if !errors.As(err, &refused) || refused.Status != http.StatusForbidden {
			s.Errorf("%s %s: %v", ask.method, ask.path, err)
		}
	}
	var listed struct{ Items []any }
	for _, path := range []string{"/api/v1/clusters", "/api/v1/repositories"} {
		if err := s.askArgoCD(path, &listed); err == nil && len(listed.Items) > 0 {
			s.Errorf("GET %s shows %d things that are none of its business", path, len(listed.Items))
		}
	}
	return asked
}

func application(name, project string) map[string]any {
	return map[string]any{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": map[string]any{"name": name, "namespace": clustertest.ArgoCDNamespace},
		"spec": map[string]any{
			"project": project, "source": map[string]any{"repoURL": "https://git.example.com/evil.git", "path": "."},
			"destination": map[string]any{"server": "https://kubernetes.default.svc", "namespace": "kube-system"},
		},
	}
}

// syncToken makes a token of the service account that environments are synced as.
func (s *scene) syncToken() string {
	s.Helper()
	accounts := s.objects(corev1.SchemeGroupVersion.WithKind("ServiceAccount"), clustertest.ArgoCDNamespace)
	request := &unstructured.Unstructured{Object: map[string]any{}}
	request.SetGroupVersionKind(authenticationv1.SchemeGroupVersion.WithKind("TokenRequest"))
	request.SetName(argocd.SyncAccount)
	made, err := accounts.Create(s.ctx, request, metav1.CreateOptions{}, "token")
	s.must(err)
	token, _, err := unstructured.NestedString(made.Object, "status", "token")
	s.must(err)
	return token
}

// attempt is something that somebody does to one object.
type attempt struct {
	what string
	// verb is "create", "label" or "delete".
	verb   string
	object string
	// refusal is part of the reason that the API server gives; "" where it lets it be.
	refusal string
}

const ours = "labels: {" + gitops.LabelManagedBy + ": " + gitops.ManagedBy + "}"

// syncAccountStaysWithin: the API server lets the account make, change and delete idp's
// own namespaces and what is in them, and refuses the rest, each with its reason. It
// returns how much it refused.
func syncAccountStaysWithin(s *scene) (refused int) {
	const (
		byName  = "only namespaces whose name begins with idp-"
		within  = "only in namespaces whose name begins with idp-"
		notAble = "cannot"
	)
	token := s.syncToken()
	namespace := func(name, labels string) string {
		return "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + name + ", " + labels + "}\n"
	}
	configMap := func(namespace string) string {
		return "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: e2e, namespace: " + namespace + ", " + ours + "}\n"
	}
	s.must(s.cluster.Apply(s.ctx, []byte(namespace("idp-theirs", "labels: {team: theirs}"))))
	s.must(s.cluster.Apply(s.ctx, []byte(namespace("theirs", "labels: {team: theirs}"))))
	s.must(s.cluster.Apply(s.ctx, []byte(configMap("theirs"))))
	for _, a := range []attempt{
		{"a namespace of idp's", "create", namespace("idp-e2e-1", ours), ""},
		{"an object in it", "create", configMap("idp-e2e-1"), ""},
		{"changing it", "label", configMap("idp-e2e-1"), ""},
		{"deleting it", "delete", configMap("idp-e2e-1"), ""},
		{"a namespace that has another name", "create", namespace("e2e", ours), byName},
		{"a namespace without the label", "create", namespace("idp-e2e-2", "labels: {}"), byName},
		{"adopting a namespace of somebody's that has such a name", "label", namespace("idp-theirs", ""), byName},
		{"adopting kube-system", "label", namespace("kube-system", ""), byName},
		{"adopting Argo CD's namespace", "label", namespace("argocd", ""), byName},
		{"deleting somebody's namespace", "delete", namespace("idp-theirs", ""), byName},
		{"deleting kube-system", "delete", namespace("kube-system", ""), "may not be deleted"}, // Kubernetes' own word
		{"an object in default", "create", configMap("default"), within},
		{"an object in kube-system", "create", configMap("kube-system"), within},
		{"an object beside Argo CD", "create", configMap("argocd"), within},
		{"an object in somebody's namespace that has such a name", "create", configMap("idp-theirs"), within},
		{"changing somebody's object", "label", configMap("theirs"), within},
		{"deleting somebody's object", "delete", configMap("theirs"), within},
		{"taking the label off a namespace of idp's", "unlabel", namespace("idp-e2e-1", ""), byName},
		{"deleting a namespace of idp's", "delete", namespace("idp-e2e-1", ""), ""},
		{"an Application", "create", "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: evil, namespace: argocd}\nspec: {project: default}\n", notAble},
		{"a project", "create", "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: evil, namespace: argocd}\nspec: {}\n", notAble},
		{"an ApplicationSet that is not idp's", "create", "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: evil, namespace: argocd}\nspec: {generators: [], template: {metadata: {}, spec: {project: default, destination: {}}}}\n", within},
		{"a Secret", "create", "apiVersion: v1\nkind: Secret\nmetadata: {name: evil, namespace: idp-theirs}\n", notAble},
		{"a Role", "create", "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: evil, namespace: idp-theirs}\nrules: []\n", notAble},
		{"a RoleBinding", "create", "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: evil, namespace: idp-theirs}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\n", notAble},
		{"a ClusterRoleBinding", "create", "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: evil}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\n", notAble},
		{"the policy itself", "delete", "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {name: idp-sync}\n", notAble},
		{"a PersistentVolume", "create", "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: evil}\nspec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /}}\n", notAble},
		{"a pod", "create", "apiVersion: v1\nkind: Pod\nmetadata: {name: evil, namespace: idp-theirs}\nspec: {containers: [{name: evil, image: evil}]}\n", notAble},
	} {
		err := s.attempt(token, a)
		if a.refusal != "" {
			refused++
		}
		switch {
		case a.refusal == "" && err != nil:
			s.Errorf("%s is refused: %v", a.what, err)
		case a.refusal != "" && (!apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), a.refusal)):
			s.Errorf("%s: got %v, want a refusal that says %q", a.what, err, a.refusal)
		}
	}
	s.must(s.objects(namespaces, "").Delete(s.ctx, "idp-theirs", metav1.DeleteOptions{}))
	s.await("the tests' namespaces are gone", func() error {
		return errors.Join(s.absent(namespaces, "", "idp-theirs"), s.absent(namespaces, "", "idp-e2e-1"))
	})
	return refused
}

// attempt does it to the cluster with a token.
func (s *scene) attempt(token string, a attempt) error {
	s.Helper()
	objects, err := clustertest.Decode([]byte(a.object))
	s.must(err)
	object := objects[0]
	client, err := s.cluster.ResourceAs(token, object.GroupVersionKind(), object.GetNamespace())
	s.must(err)
	switch a.verb {
	case "create":
		_, err = client.Create(s.ctx, object, metav1.CreateOptions{})
	case "label":
		_, err = client.Patch(s.ctx, object.GetName(), types.MergePatchType, []byte(`{"metadata":{"labels":{"`+gitops.LabelManagedBy+`":"`+gitops.ManagedBy+`","e2e":"x"}}}`), metav1.PatchOptions{})
	case "unlabel":
		_, err = client.Patch(s.ctx, object.GetName(), types.MergePatchType, []byte(`{"metadata":{"labels":{"`+gitops.LabelManagedBy+`":null}}}`), metav1.PatchOptions{})
	case "delete":
		err = client.Delete(s.ctx, object.GetName(), metav1.DeleteOptions{})
	}
	return err
}

// treeStaysWithin: whoever has idp's push token can put anything into its folders. Argo
// CD and the API server let none of it out. It returns how many objects were tried.
func treeStaysWithin(s *scene) (objects int) {
	project, api := s.opened("fenced-project"), s.opened("fenced-api")
	project.ready()
	api.ready()
	// Each in an Application of its own, since Argo CD tries for half a minute.
	for _, evil := range []struct {
		*proposal
		content string
		why     []string
	}{
		{
			project, "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: evil, namespace: kube-system}\n---\n" +
				"apiVersion: v1\nkind: Secret\nmetadata: {name: evil, namespace: " + project.name() + "}\n---\n" +
				"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: evil}\n" +
				"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\n",
			[]string{"namespace kube-system is not permitted", "Secret is not permitted", "ClusterRoleBinding is not permitted"},
		},
		{
			api, "apiVersion: v1\nkind: Namespace\nmetadata: {name: evil-namespace, " + ours + "}\n---\n" +
				"apiVersion: v1\nkind: Namespace\nmetadata: {name: kube-system, " + ours + "}\n",
			[]string{"evil-namespace", "kube-system", "only namespaces whose name begins with idp-"},
		},
	} {
		objects += strings.Count(evil.content, "kind: ")
		row, err := evil.row()
		s.must(err)
		manifests := row.Ref.ManifestsDir() + "/evil.yaml"
		s.commit(gittest.Edit{Message: "Evil", Put: []gitops.File{{Path: manifests, Content: []byte(evil.content)}}})
		s.await("it is refused: "+evil.why[0], func() error { return s.refused(row.Ref.Name(), evil.why...) })
		s.commit(gittest.Edit{Message: "Good", Remove: []string{manifests}})
	}
	var system corev1.Namespace
	s.must(s.get(namespaces, "", "kube-system", &system))
	if system.Labels[gitops.LabelManagedBy] != "" {
		s.Errorf("kube-system is labelled %v", system.Labels)
	}
	for _, a := range []struct {
		kind            schema.GroupVersionKind
		namespace, name string
	}{
		{corev1.SchemeGroupVersion.WithKind("ServiceAccount"), "kube-system", "evil"},
		{namespaces, "", "evil-namespace"},
		{schema.GroupVersionKind{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRoleBinding"}, "", "evil"},
		{corev1.SchemeGroupVersion.WithKind("Secret"), project.name(), "evil"},
	} {
		if err := s.absent(a.kind, a.namespace, a.name); err != nil {
			s.Error(err)
		}
	}
	// The list of environments is fenced as well: no set of Applications in another
	// project, and nothing but such sets.
	s.commit(gittest.Edit{Message: "Evil: the lists", Put: []gitops.File{{
		Path: gitops.ApplicationSetsDir + "/evil.yaml", Content: []byte("apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: evil, namespace: argocd}\nspec: {}\n"),
	}}})
	s.await("Argo CD refuses a project", func() error { return s.refused(s.cfg.ArgoCDRoot, "AppProject", "not permitted in project") })
	s.commit(gittest.Edit{Message: "Good: the lists", Remove: []string{gitops.ApplicationSetsDir + "/evil.yaml"}})
	if err := s.absent(schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "AppProject"}, "argocd", "evil"); err != nil {
		s.Error(err)
	}
	for _, c := range []*proposal{project, api} {
		c.pr.Close("alice")
		c.gone("Preview removed")
	}
	return objects + 1
}

// commit commits to the GitOps repository and has Argo CD look.
func (s *scene) commit(e gittest.Edit) {
	s.Helper()
	_, err := s.gitops.Commit(s.ctx, branch, e)
	s.must(err)
}

// refused wants a sync of an Application to have failed, with all of these words.
func (s *scene) refused(application string, words ...string) error {
	var seen struct{ Status map[string]any }
	if err := s.askArgoCD("/api/v1/applications/"+application+"?refresh=normal", &seen); err != nil {
		return err
	}
	told := fmt.Sprint(seen.Status["operationState"], seen.Status["conditions"])
	for _, word := range words {
		if !strings.Contains(told, word) {
			return fmt.Errorf("%q is not in what is told of its last sync: %.1500s", word, told)
		}
	}
	return nil
}

// previewNamespaces are the namespaces that idp's previews have.
func (s *scene) previewNamespaces() iter.Seq[string] {
	return func(yield func(string) bool) {
		found, err := s.objects(namespaces, "").List(s.ctx, metav1.ListOptions{LabelSelector: gitops.LabelManagedBy + "=" + gitops.ManagedBy})
		s.must(err)
		for _, item := range found.Items {
			if !yield(item.GetName()) {
				return
			}
		}
	}
}
