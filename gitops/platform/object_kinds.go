package platform

import (
	"encoding/json"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// objectKind is a kind that base objects may be of. All of them live in a namespace.
type objectKind struct {
	apiVersion, kind string
	// blank makes the type that an object of the kind has to read as, without an unknown
	// field.
	blank func() any
	// secret says what every object of the kind has to do with a secret.
	secret string
	// keys are the keys that there may be, by the field of their block with "[]" for each
	// item of a list: whatever stands in a block that is not listed here is free.
	keys map[string][]string
}

// objectKinds has one row per kind, and nothing else may be a base object.
var objectKinds = []objectKind{
	{"v1", "ConfigMap", func() any { return new(corev1.ConfigMap) }, "", map[string][]string{
		"": {"apiVersion", "kind", "metadata", "data", "binaryData", "immutable"},
	}},
	{"v1", "PersistentVolumeClaim", func() any { return new(corev1.PersistentVolumeClaim) }, "", map[string][]string{
		"":     {"apiVersion", "kind", "metadata", "spec"},
		"spec": {"accessModes", "resources", "storageClassName", "volumeMode"},
	}},
	{"v1", "Service", func() any { return new(corev1.Service) }, "", map[string][]string{
		"":     {"apiVersion", "kind", "metadata", "spec"},
		"spec": {"ports", "selector", "clusterIP", "type", "publishNotReadyAddresses", "sessionAffinity"},
	}},
	{"apps/v1", "StatefulSet", func() any { return new(appsv1.StatefulSet) }, "", workloadKeys(
		"replicas", "serviceName", "podManagementPolicy", "updateStrategy", "volumeClaimTemplates", "minReadySeconds",
	)},
	{"apps/v1", "Deployment", func() any { return new(appsv1.Deployment) }, "", workloadKeys(
		"replicas", "strategy", "minReadySeconds", "progressDeadlineSeconds",
	)},
	{"external-secrets.io/v1", "ExternalSecret", func() any { return new(externalSecret) }, makesSecret, externalSecretKeys},
	{"external-secrets.io/v1beta1", "ExternalSecret", func() any { return new(externalSecret) }, makesSecret, externalSecretKeys},
	{"traefik.io/v1alpha1", "Middleware", func() any { return new(gateObject) }, "", map[string][]string{
		"":     {"apiVersion", "kind", "metadata", "spec"},
		"spec": {"basicAuth", "chain", "digestAuth", "errors", "forwardAuth", "headers", "inFlightReq", "ipAllowList", "plugin", "rateLimit"},
	}},
	{"gateway.envoyproxy.io/v1alpha1", "SecurityPolicy", func() any { return new(gateObject) }, "", map[string][]string{
		"":     {"apiVersion", "kind", "metadata", "spec"},
		"spec": {"apiKeyAuth", "authorization", "basicAuth", "cors", "extAuth", "jwt", "oidc", "targetRef", "targetRefs", "targetSelectors"},
	}},
}

const makesSecret = "makes a secret"

// refusedKinds are kinds that somebody may try, and why they are none.
var refusedKinds = map[string]string{
	"Secret":                "it would stand in Git for everybody to read: let an ExternalSecret make it",
	"SealedSecret":          "it is sealed for one namespace, and each environment has its own: let an ExternalSecret make it",
	"SecretStore":           "the store is the cluster's: name a ClusterSecretStore in the ExternalSecret",
	"ClusterSecretStore":    "it is of the whole cluster, and a base object of one environment",
	"ClusterExternalSecret": "it is of the whole cluster, and a base object of one environment",
	"PushSecret":            "it writes to the store that it names",
}

// workloadKeys are the keys of what has pods: nothing that reaches out of the namespace or
// the container, and nothing that idp sets itself.
func workloadKeys(own ...string) map[string][]string {
	const pod = "spec.template.spec"
	keys := map[string][]string{
		"":                                     {"apiVersion", "kind", "metadata", "spec"},
		"spec":                                 append([]string{"selector", "template"}, own...),
		"spec.template":                        {"metadata", "spec"},
		"spec.template.metadata":               {"labels", "annotations"},
		"spec.volumeClaimTemplates[]":          {"apiVersion", "kind", "metadata", "spec"},
		"spec.volumeClaimTemplates[].metadata": {"name", "labels"},
		"spec.volumeClaimTemplates[].spec":     {"accessModes", "resources", "storageClassName", "volumeMode"},
		pod:                                    {"containers", "initContainers", "volumes", "securityContext", "terminationGracePeriodSeconds"},
		pod + ".securityContext":               {"runAsUser", "runAsGroup", "runAsNonRoot", "fsGroup", "fsGroupChangePolicy", "supplementalGroups"},
		pod + ".volumes[]":                     {"name", "emptyDir", "configMap", "persistentVolumeClaim", "secret"},
	}
	for _, containers := range []string{pod + ".containers[]", pod + ".initContainers[]"} {
		keys[containers] = []string{
			"name", "image", "imagePullPolicy", "command", "args", "workingDir", "env", "envFrom", "ports", "resources", "volumeMounts",
			"livenessProbe", "readinessProbe", "startupProbe", "securityContext", "restartPolicy",
		}
		keys[containers+".securityContext"] = []string{"runAsUser", "runAsGroup", "runAsNonRoot", "readOnlyRootFilesystem"}
		keys[containers+".ports[]"] = []string{"name", "containerPort", "protocol"}
		for _, probe := range []string{".livenessProbe", ".readinessProbe", ".startupProbe"} {
			keys[containers+probe+".httpGet"] = []string{"path", "port", "scheme", "httpHeaders"}
			keys[containers+probe+".tcpSocket"] = []string{"port"}
		}
	}
	return keys
}

// externalSecret is what is read of an ExternalSecret: whose types no module is needed for.
type externalSecret struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		RefreshPolicy   string          `json:"refreshPolicy"`
		RefreshInterval string          `json:"refreshInterval"`
		SecretStoreRef  json.RawMessage `json:"secretStoreRef"`
		Target          struct {
			Name           string          `json:"name"`
			CreationPolicy string          `json:"creationPolicy"`
			DeletionPolicy string          `json:"deletionPolicy"`
			Template       json.RawMessage `json:"template"`
			Immutable      bool            `json:"immutable"`
		} `json:"target"`
		Data     []json.RawMessage `json:"data"`
		DataFrom []json.RawMessage `json:"dataFrom"`
	} `json:"spec"`
}

// gateObject is what is read of the kinds that gateways ask by who somebody is. A Secret that
// one names is read by the gateway, and is none of the code's.
type gateObject struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              map[string]json.RawMessage `json:"spec"`
}

// makes is the name of the Secret that comes of it.
func (e *externalSecret) makes() string {
	if e.Spec.Target.Name != "" {
		return e.Spec.Target.Name
	}
	return e.Name
}

// externalSecretKeys leave out target.manifest, by which one makes objects of any kind.
var externalSecretKeys = map[string][]string{
	"":            {"apiVersion", "kind", "metadata", "spec"},
	"spec":        {"refreshPolicy", "refreshInterval", "secretStoreRef", "target", "data", "dataFrom"},
	"spec.target": {"name", "creationPolicy", "deletionPolicy", "template", "immutable"},
}
