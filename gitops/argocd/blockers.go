package argocd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Blocker is an object that is to be deleted and is still there.
type Blocker struct {
	// Kind and Name name the object. Finalizers are what keeps it, empty where
	// nothing does but its own contents.
	Kind, Name string
	Finalizers []string
	// Since is when its deletion was asked for.
	Since time.Time
	// Message is what Kubernetes says of a namespace's contents, "" of other objects.
	Message string
}

// String says in words what blocks: "finalizer example.com/backup on
// PersistentVolumeClaim data-0".
func (b Blocker) String() string {
	object := b.Kind + " " + b.Name
	switch {
	case b.Message != "":
		return object + ": " + b.Message
	case len(b.Finalizers) == 0:
		return object
	case len(b.Finalizers) == 1:
		return "finalizer " + b.Finalizers[0] + " on " + object
	}
	return "finalizers " + strings.Join(b.Finalizers, ", ") + " on " + object
}

// live is the part of a live object that is read.
type live struct {
	metav1.ObjectMeta `json:"metadata"`
	Status            struct {
		Conditions []corev1.NamespaceCondition `json:"conditions"`
	} `json:"status"`
}

// maxAsked bounds how many objects of an Application are asked about.
const maxAsked = 40

// Blockers returns the objects of an Application that are being deleted and are
// still there, those with finalizers first: why an Application that is deleted does
// not go. ErrNotFound where it has gone. Objects that nobody sees but Kubernetes, such as
// those that a controller made, are told by their namespace.
func (c *Client) Blockers(ctx context.Context, application string) ([]Blocker, error) {
	app, err := c.objects(ctx, application)
	if err != nil {
		return nil, err
	}
	var out []Blocker
	for _, r := range app.Status.Resources[:min(len(app.Status.Resources), maxAsked)] {
		object, err := c.live(ctx, application, r)
		if err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			continue // it is gone, and Argo CD words that as it words a fault
		}
		if object.DeletionTimestamp == nil {
			continue
		}
		b := Blocker{Kind: r.Kind, Name: r.Name, Finalizers: object.Finalizers, Since: object.DeletionTimestamp.UTC()}
		for _, condition := range object.Status.Conditions {
			if condition.Status == corev1.ConditionTrue && remains(condition.Type) {
				b.Message = oneLine(condition.Message)
			}
		}
		out = append(out, b)
	}
	slices.SortStableFunc(out, func(a, b Blocker) int { return b.weight() - a.weight() })
	return out, nil
}

// weight orders blockers by how much they explain.
func (b Blocker) weight() int {
	switch {
	case len(b.Finalizers) > 0:
		return 2
	case b.Message != "":
		return 1
	}
	return 0
}

// remains tells the conditions that name what is left in a namespace. The last of
// them, finalizers, explains the one before it, contents.
func remains(t corev1.NamespaceConditionType) bool {
	return t == corev1.NamespaceContentRemaining || t == corev1.NamespaceFinalizersRemaining || t == corev1.NamespaceDeletionContentFailure
}

// managed are the objects that an Application lists.
type managed struct {
	Status struct {
		Resources []managedObject `json:"resources"`
	} `json:"status"`
}

type managedObject struct {
	Group, Version, Kind, Namespace, Name string
}

func (c *Client) objects(ctx context.Context, application string) (managed, error) {
	var app managed
	if err := c.get(ctx, "application", "api/v1/applications/"+url.PathEscape(application), nil, &app); err != nil {
		return app, fmt.Errorf("get application %s: %w", application, err)
	}
	return app, nil
}

// live reads an object of an Application from the cluster, by way of Argo CD.
func (c *Client) live(ctx context.Context, application string, o managedObject) (live, error) {
	var object live
	if err := c.manifest(ctx, application, o, &object); err != nil {
		return live{}, err
	}
	if object.Name == "" {
		return live{}, errors.New("the object has no name")
	}
	return object, nil
}

// manifest decodes a live object of an Application.
func (c *Client) manifest(ctx context.Context, application string, o managedObject, into any) error {
	var answer struct{ Manifest string }
	query := url.Values{
		"group": {o.Group}, "version": {o.Version}, "kind": {o.Kind}, "namespace": {o.Namespace}, "resourceName": {o.Name},
	}
	path := "api/v1/applications/" + url.PathEscape(application) + "/resource"
	if err := c.get(ctx, "resource", path, query, &answer); err != nil {
		return fmt.Errorf("get %s %s: %w", o.Kind, o.Name, err)
	}
	if err := json.Unmarshal([]byte(answer.Manifest), into); err != nil {
		return fmt.Errorf("read %s %s: %w", o.Kind, o.Name, err)
	}
	return nil
}
