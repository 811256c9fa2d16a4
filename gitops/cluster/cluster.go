// Package cluster reads what previews stand on in a Kubernetes cluster, for whoever examines
// an installation. It gets and lists, and never writes: no dry-run, no review of access.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

var (
	// ErrNotFound is for an object that is not there, or a kind that the cluster does not know.
	ErrNotFound = errors.New("it is not there")
	// ErrForbidden is for what the kubeconfig's user may not read.
	ErrForbidden = errors.New("the kubeconfig's user may not read it")
)

// Reader reads one cluster. It may be used by several at once.
type Reader struct {
	objects dynamic.Interface
	kinds   discovery.DiscoveryInterface
}

// Open returns what reads the cluster of a kubeconfig's context, "" for its current one. It
// asks the cluster nothing. Requests that are no GET are refused before they are sent.
func Open(kubeconfig, contextName string) (*Reader, error) {
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig}, &clientcmd.ConfigOverrides{CurrentContext: contextName})
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	config.WarningHandler = rest.NoWarnings{}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return readOnly{next} })
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("use the kubeconfig: %w", err)
	}
	kinds, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("use the kubeconfig: %w", err)
	}
	return New(objects, kinds), nil
}

// New returns what reads by the clients.
func New(objects dynamic.Interface, kinds discovery.DiscoveryInterface) *Reader {
	return &Reader{objects: objects, kinds: kinds}
}

// readOnly refuses what would write.
type readOnly struct{ next http.RoundTripper }

// RoundTrip sends a GET on.
func (r readOnly) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet {
		return nil, fmt.Errorf("%s %s: this only reads", req.Method, req.URL.Path)
	}
	return r.next.RoundTrip(req)
}

// Object is an object as its JSON has it.
type Object map[string]any

// Get reads an object into a struct of Kubernetes' own, one with its JSON names or an Object.
// namespace is "" for an object of the cluster's.
func (r *Reader) Get(ctx context.Context, kind schema.GroupVersionResource, namespace, name string, into any) error {
	found, err := r.objects.Resource(kind).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return explained(err, "read %s %s", kind.Resource, name)
	}
	if whole, ok := into.(*Object); ok {
		*whole = found.Object
		return nil
	}
	return runtime.DefaultUnstructuredConverter.FromUnstructured(found.Object, into)
}

// maxListed bounds how many objects are looked at.
const maxListed = 500

// List returns the objects of a kind in all namespaces that a selector of labels takes, at most
// the first 500 of them; T is as for Get.
func List[T any](ctx context.Context, r *Reader, kind schema.GroupVersionResource, selector string) ([]T, error) {
	found, err := r.objects.Resource(kind).List(ctx, metav1.ListOptions{LabelSelector: selector, Limit: maxListed})
	if err != nil {
		return nil, explained(err, "list %s", kind.Resource)
	}
	out := make([]T, len(found.Items))
	for i, item := range found.Items {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(item.Object, &out[i]); err != nil {
			return nil, fmt.Errorf("read %s %s: %w", kind.Resource, item.GetName(), err)
		}
	}
	return out, nil
}

// Lacks returns those of the kinds, such as "apps/v1/Deployment", that the cluster does not
// know, in order.
func (r *Reader) Lacks(kinds []string) ([]string, error) {
	known, missing := map[string][]string{}, []string(nil)
	for _, kind := range kinds {
		version, name := cutKind(kind)
		if _, asked := known[version]; !asked {
			list, err := r.kinds.ServerResourcesForGroupVersion(version)
			if err != nil && !apierrors.IsNotFound(err) {
				return nil, explained(err, "ask for the kinds of %s", version)
			}
			known[version] = []string{}
			if list != nil {
				for _, one := range list.APIResources {
					known[version] = append(known[version], one.Kind)
				}
			}
		}
		if !slices.Contains(known[version], name) {
			missing = append(missing, kind)
		}
	}
	return missing, nil
}

func cutKind(kind string) (version, name string) {
	for i := len(kind) - 1; i >= 0; i-- {
		if kind[i] == '/' {
			return kind[:i], kind[i+1:]
		}
	}
	return "", kind
}

func explained(err error, doing string, args ...any) error {
	what := fmt.Sprintf(doing, args...)
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%s: %w: %w", what, ErrForbidden, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
