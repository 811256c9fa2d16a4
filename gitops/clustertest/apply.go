package clustertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// fieldManager is who objects are applied as.
const fieldManager = "clustertest"

// Client returns a client of the API server with a bearer token; AdminToken where
// it is "".
func (c *Cluster) Client(token string) (dynamic.Interface, error) {
	return dynamic.NewForConfig(c.restConfig(token))
}

func (c *Cluster) restConfig(token string) *rest.Config {
	if token == "" {
		token = c.AdminToken
	}
	return &rest.Config{Host: c.APIServer, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{Insecure: true}, QPS: 200, Burst: 400}
}

// Apply applies YAML documents, server side and by force, as whoever made the cluster.
func (c *Cluster) Apply(ctx context.Context, documents []byte) error {
	return c.apply(ctx, documents, metav1.PatchOptions{FieldManager: fieldManager, Force: new(true)})
}

// ApplyAs applies YAML documents as "kubectl apply --server-side --field-manager BY"
// does: what belongs to somebody else is a conflict.
func (c *Cluster) ApplyAs(ctx context.Context, by string, documents []byte) error {
	return c.apply(ctx, documents, metav1.PatchOptions{FieldManager: by})
}

// Check has the API server put YAML documents to all its rules, and change nothing.
func (c *Cluster) Check(ctx context.Context, documents []byte) error {
	return c.apply(ctx, documents, metav1.PatchOptions{
		FieldManager: fieldManager, Force: new(true), DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
	})
}

// Warnings is Check that returns what the API server warns of, too.
func (c *Cluster) Warnings(ctx context.Context, documents []byte) ([]string, error) {
	heard := &warnings{}
	config := c.restConfig("")
	config.WarningHandler = heard
	objects, err := Decode(documents)
	if err != nil {
		return nil, err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	for _, object := range objects {
		mapping, err := c.mapping(object.GroupVersionKind())
		if err != nil {
			return nil, fmt.Errorf("look up %s: %w", title(object), err)
		}
		content, err := object.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("check %s: %w", title(object), err)
		}
		_, err = client.Resource(mapping.Resource).Namespace(object.GetNamespace()).Patch(ctx, object.GetName(), types.ApplyPatchType, content, metav1.PatchOptions{
			FieldManager: fieldManager, Force: new(true), DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
		})
		if err != nil {
			return heard.all, fmt.Errorf("check %s: %w", title(object), err)
		}
	}
	return heard.all, nil
}

// warnings keeps what the API server warns of; one request at a time.
type warnings struct{ all []string }

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(_ int, _, text string) { w.all = append(w.all, text) }

func (c *Cluster) apply(ctx context.Context, documents []byte, o metav1.PatchOptions) error {
	objects, err := Decode(documents)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if err := c.applyObject(ctx, object, o); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) applyObject(ctx context.Context, object *unstructured.Unstructured, o metav1.PatchOptions) error {
	resource, err := c.Resource(object.GroupVersionKind(), object.GetNamespace())
	if err != nil {
		return err
	}
	content, err := object.MarshalJSON()
	if err != nil {
		return fmt.Errorf("apply %s: %w", title(object), err)
	}
	_, err = resource.Patch(ctx, object.GetName(), types.ApplyPatchType, content, o)
	if err != nil {
		return fmt.Errorf("apply %s: %w", title(object), err)
	}
	return nil
}

// Resource returns the objects of a kind in a namespace, which is "" for kinds
// that have none.
func (c *Cluster) Resource(kind schema.GroupVersionKind, namespace string) (dynamic.ResourceInterface, error) {
	return c.ResourceAs("", kind, namespace)
}

// ResourceAs is Resource for whoever has a bearer token; the admin's where it is "".
func (c *Cluster) ResourceAs(token string, kind schema.GroupVersionKind, namespace string) (dynamic.ResourceInterface, error) {
	client, err := c.Client(token)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	mapping, err := c.mapping(kind)
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", kind, err)
	}
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return client.Resource(mapping.Resource), nil
	}
	return client.Resource(mapping.Resource).Namespace(namespace), nil
}

// mapping finds the resource of a kind. A kind that is not known is asked for again:
// it may be new.
func (c *Cluster) mapping(kind schema.GroupVersionKind) (*meta.RESTMapping, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mapper == nil {
		asking, err := discovery.NewDiscoveryClientForConfig(c.restConfig(""))
		if err != nil {
			return nil, fmt.Errorf("make a client: %w", err)
		}
		c.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(asking))
	}
	mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) {
		c.mapper.Reset()
		mapping, err = c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	}
	return mapping, err
}

// applyDir applies the documents of the named kind in a folder's YAML files.
func (c *Cluster) applyDir(ctx context.Context, dir, kind string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no YAML files in %s: %w", dir, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read what to apply: %w", err)
		}
		if !bytes.Contains(content, []byte("kind: "+kind)) {
			continue
		}
		if err := c.Apply(ctx, content); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
	}
	return nil
}

// Decode reads a stream of YAML documents.
func Decode(documents []byte) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	reader := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(documents), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := reader.Decode(object)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read an object: %w", err)
		}
		if len(object.Object) > 0 {
			out = append(out, object)
		}
	}
}

func title(object *unstructured.Unstructured) string {
	return object.GetKind() + " " + object.GetNamespace() + "/" + object.GetName()
}

func (c *Cluster) nodeReady(ctx context.Context) error {
	resource, err := c.Resource(corev1.SchemeGroupVersion.WithKind("Node"), "")
	if err != nil {
		return err
	}
	object, err := resource.Get(ctx, "fake", metav1.GetOptions{})
	if err != nil {
		return err
	}
	var found corev1.Node
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &found); err != nil {
		return err
	}
	for _, condition := range found.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
			return nil
		}
	}
	return errors.New("it has no condition Ready")
}

// knowsCRDs says that the kinds of Argo CD, Argo Rollouts, the Gateway API and the External
// Secrets Operator are served and described: the description comes later, and kwok ends without it.
func (c *Cluster) knowsCRDs(context.Context) error {
	asking, err := discovery.NewDiscoveryClientForConfig(c.restConfig(""))
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	described, err := asking.OpenAPIV3().Paths()
	if err != nil {
		return fmt.Errorf("list what is described: %w", err)
	}
	for _, kind := range []schema.GroupVersionKind{
		{Group: "argoproj.io", Version: "v1alpha1", Kind: "Application"},
		{Group: "argoproj.io", Version: "v1alpha1", Kind: "Rollout"},
		{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "HTTPRoute"},
		{Group: "external-secrets.io", Version: "v1", Kind: "ExternalSecret"},
	} {
		if _, err := c.Resource(kind, ""); err != nil {
			return err
		}
		if _, ok := described["apis/"+kind.GroupVersion().String()]; !ok {
			return fmt.Errorf("%s is not described yet", kind.GroupVersion())
		}
	}
	return nil
}
