package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/cluster"
)

// seesPullSecret looks whether previews that are there have the Secret that images are pulled
// with.
func (x *examination) seesPullSecret(ctx context.Context) {
	name := x.previewClass().ImagePullSecret
	if name == "" {
		x.skip(checkPulling, "image_pull_secret is not set: the nodes have to be able to pull the images by themselves", "")
		return
	}
	if x.seesStore(ctx, name) {
		return
	}
	spaces, err := cluster.List[corev1.Namespace](ctx, x.kube, kubeNamespaces, gitops.LabelManagedBy+"="+gitops.ManagedBy)
	if err != nil {
		x.unseenOf(checkPulling, err)
		return
	}
	if len(spaces) == 0 {
		x.skip(checkPulling, "there is no preview yet whose namespace could have it", "kubectl get secrets -A --field-selector metadata.name="+name)
		return
	}
	var without []string
	for _, space := range spaces[:min(len(spaces), 20)] {
		var secret metav1.PartialObjectMetadata
		err := x.kube.Get(ctx, kubeSecrets, space.Name, name, &secret)
		if err != nil && !errors.Is(err, cluster.ErrNotFound) {
			x.unseenOf(checkPulling, err)
			return
		}
		if err != nil {
			without = append(without, space.Name)
		}
	}
	if len(without) > 0 {
		x.fail(checkPulling, fmt.Sprintf("Secret %s is not in %s", name, strings.Join(without, ", ")),
			"have it copied into every namespace with label "+gitops.LabelManagedBy+"="+gitops.ManagedBy+", or made there by an ExternalSecret among the objects of the class")
		return
	}
	x.ok(checkPulling, "Secret %s is in the namespaces of previews", name)
}

// seesStore looks whether the store is there that an ExternalSecret among the class's objects
// makes the Secret from; false where none makes it, or its store is the namespace's own.
func (x *examination) seesStore(ctx context.Context, name string) (done bool) {
	made, store, version := x.storeOf(name)
	if store == "" {
		return false
	}
	group, _, _ := strings.Cut(version, "/")
	_, version, _ = strings.Cut(version, "/")
	var found struct {
		Status struct {
			Conditions []metav1.Condition `json:"conditions"`
		} `json:"status"`
	}
	err := x.kube.Get(ctx, schema.GroupVersionResource{Group: group, Version: version, Resource: "clustersecretstores"}, "", store, &found)
	of := fmt.Sprintf("ClusterSecretStore %s, which ExternalSecret %s makes Secret %s from,", store, made, name)
	switch {
	case errors.Is(err, cluster.ErrNotFound):
		x.fail(checkPulling, of+" is not there", "make it, or name another in that ExternalSecret; External Secrets has to be installed")
	case err != nil:
		x.unseenOf(checkPulling, err)
	default:
		if why := unmet(found.Status.Conditions, "Ready"); why != "" {
			x.fail(checkPulling, of+" does not work: "+why, "kubectl describe clustersecretstore "+store+" says more")
			return true
		}
		x.ok(checkPulling, "%s is ready", of)
	}
	return true
}

// storeOf is the ExternalSecret that makes a Secret for previews, with its ClusterSecretStore
// and its apiVersion.
func (x *examination) storeOf(secret string) (made, store, version string) {
	for _, file := range x.previewClass().Objects {
		for _, object := range file.Objects {
			var external struct {
				Spec struct {
					SecretStoreRef struct{ Kind, Name string }
					Target         struct{ Name string }
				}
			}
			if object.Kind != "ExternalSecret" || json.Unmarshal(object.Content, &external) != nil || cmp.Or(external.Spec.Target.Name, object.Name) != secret {
				continue
			}
			if of := external.Spec.SecretStoreRef; of.Kind == "ClusterSecretStore" {
				return object.Name, of.Name, object.APIVersion
			}
		}
	}
	return "", "", ""
}
