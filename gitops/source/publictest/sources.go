package publictest

import "github.com/idp-bot/idp/gitops/spec"

// sums are the modules' sums, as go.sum has them.
var sums = map[string]string{
	"github.com/argoproj/argo-cd/v2@v2.14.21":                               "h1:Ux50vfMUITW+Y+6GAYgQlZbr6WHE5ogiLg9OxxvP9EA=",
	"github.com/argoproj/argo-rollouts@v1.8.3":                              "h1:blbtQva4IK9r6gFh+dWkCrLnFdPOWiv9ubQYu36qeaA=",
	"github.com/bitnami-labs/sealed-secrets@v0.40.0":                        "h1:rvCP35JL8ZV5LNA2SrwNR6iLyoM3ulrSFWN0lBtYEYI=",
	"github.com/cert-manager/approver-policy@v0.28.0":                       "h1:tZNWjYkGd5+Cs9qflP4xkzml5pWTserC4AEWI9omPZA=",
	"github.com/cert-manager/cert-manager@v1.21.2":                          "h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68=",
	"github.com/cert-manager/trust-manager@v0.25.0":                         "h1:nGtkHH9wEacI5uACdsq8wqCKWsCw1PMrwHPJcrUFUXA=",
	"github.com/chaos-mesh/chaos-mesh@v0.9.1-0.20260902003049-47411975a8cb": "h1:0TeWmCELKreoLAXuoPaO2qpJe73foDgOoyU3fdKQN4A=",
	"github.com/dapr/dapr@v1.14.0":                                          "h1:SIQsNX1kH31JRDIS4k8IZ6eomM/BAcOP844PhQIT+BQ=",
	"github.com/envoyproxy/gateway@v1.9.1":                                  "h1:vAVp6/AlBXJ1aOhp1mxL7fNEzVEfjADUguUhm2wzxQY=",
	"github.com/external-secrets/external-secrets@v1.3.2":                   "h1:u2J8RjlHIeF0oZCqtl92adI/uZWUwOesJIDkfql6LqQ=",
	"github.com/fluxcd/flagger@v1.36.1":                                     "h1:X2PumtNwZz9YSGaOtZLFm2zAKLgHhFkbNv8beg7ifyc=",
	"github.com/kedacore/keda/v2@v2.21.0":                                   "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=",
	"github.com/kubecost/cost-analyzer-helm-chart@v2.3.4+incompatible":      "h1:0Wbb8bi8CqB8PLoQ020krhLifIYSFbdYkJjHCDiim6w=",
	"github.com/kyverno/kyverno@v1.19.1":                                    "h1:/MkgFii3/VlQfKR1JpC9tVwNNVNQTt2S4U6qCsafsTU=",
	"github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c":             "h1:/qdoYujxF5MBLDMVLeiYJ/7fBa1HikX39Dvzb9Ji8pA=",
	"github.com/open-policy-agent/gatekeeper/v3@v3.23.1":                    "h1:njHTm0SJ6ZEhhEgmQTpJKTGQbc99fSs4hGiEp1OIKck=",
	"github.com/projectcontour/contour@v1.33.8":                             "h1:QoOfwqWws+CVRFpsRC2+f1DmB5IdurtyUtepIsiWfE0=",
	"github.com/prometheus-operator/prometheus-operator@v0.85.0":            "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
	"github.com/stefanprodan/podinfo@v1.8.1-0.20250910200901-e86405a8674e":  "h1:ikpMMm5HbQT/1DehrPM+Lpwk3WAw/1Hg540eR+jsXus=",
	"go.universe.tf/metallb@v0.16.2":                                        "h1:RCSAGoZmqcvTg0e56+Okbwz8iTuQVX30JpKX5mYEPUM=",
	"k8s.io/ingress-nginx@v0.0.0-20240708192948-52c50467d67d":               "h1:tZui5g6S4GO1hxLm6yrEoIXLkl4QfeGytlmZqZ+DmdQ=",
	"sigs.k8s.io/descheduler@v0.36.0":                                       "h1:fBemfJD1RhmbsdH94lKwGMOwQcbsrw67A5IK2c2fANA=",
	"sigs.k8s.io/external-dns@v0.18.0":                                      "h1:JFzFpbmRRP6zs/sNOQvdhDfhfx2hXzlf67Wgb5IOTRQ=",
	"sigs.k8s.io/gateway-api@v1.2.1":                                        "h1:fZZ/+RyRb+Y5tGkwxFKuYuSRQHu9dZtbjenblleOLHM=",
	"sigs.k8s.io/kueue@v0.17.0":                                             "h1:7hzb38M4eKGzYW+CFv2s1L+swzzacUCHOCXxZmAV90I=",
	"sigs.k8s.io/metrics-server@v0.9.0":                                     "h1:nlqqZ2H0Xfko8eJC/1qaNVVT17hu4rxndkOi22KTZ4w=",
}

const (
	argocd      = "github.com/argoproj/argo-cd/v2@v2.14.21"
	rollouts    = "github.com/argoproj/argo-rollouts@v1.8.3"
	approver    = "github.com/cert-manager/approver-policy@v0.28.0"
	certManager = "github.com/cert-manager/cert-manager@v1.21.2"
	trust       = "github.com/cert-manager/trust-manager@v0.25.0"
	chaosMesh   = "github.com/chaos-mesh/chaos-mesh@v0.9.1-0.20260902003049-47411975a8cb"
	contour     = "github.com/projectcontour/contour@v1.33.8"
	dapr        = "github.com/dapr/dapr@v1.14.0"
	descheduler = "sigs.k8s.io/descheduler@v0.36.0"
	envoy       = "github.com/envoyproxy/gateway@v1.9.1"
	externalDNS = "sigs.k8s.io/external-dns@v0.18.0"
	external    = "github.com/external-secrets/external-secrets@v1.3.2"
	flagger     = "github.com/fluxcd/flagger@v1.36.1"
	gatekeeper  = "github.com/open-policy-agent/gatekeeper/v3@v3.23.1"
	gatewayAPI  = "sigs.k8s.io/gateway-api@v1.2.1"
	ingress     = "k8s.io/ingress-nginx@v0.0.0-20240708192948-52c50467d67d"
	keda        = "github.com/kedacore/keda/v2@v2.21.0"
	kubecost    = "github.com/kubecost/cost-analyzer-helm-chart@v2.3.4+incompatible"
	kueue       = "sigs.k8s.io/kueue@v0.17.0"
	kyverno     = "github.com/kyverno/kyverno@v1.19.1"
	metallb     = "go.universe.tf/metallb@v0.16.2"
	metrics     = "sigs.k8s.io/metrics-server@v0.9.0"
	minio       = "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c"
	podinfo     = "github.com/stefanprodan/podinfo@v1.8.1-0.20250910200901-e86405a8674e"
	prometheus  = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
	sealed      = "github.com/bitnami-labs/sealed-secrets@v0.40.0"
)

// chart is a Helm chart with nothing but its own values.
func chart(name, module, path string) Source {
	return Source{Name: name, Module: module, Source: spec.Source{Kind: spec.Helm, Path: path}}
}

// with gives a chart values.
func (s Source) with(values ...spec.Value) Source {
	s.Values = values
	return s
}

// file gives a chart a file of values.
func (s Source) file(path string) Source {
	s.ValuesFiles = []string{path}
	return s
}

// refused says why a source does not render, here and with its own program.
func (s Source) refused(why string) Source {
	s.Refused = why
	return s
}

// alone says why a source is refused here and only here.
func (s Source) alone(why string) Source {
	s.Refused, s.Alone = why, true
	return s
}

// byChance says that a source renders otherwise each time.
func (s Source) byChance() Source {
	s.Chance = true
	return s
}

func overlay(name, module, path string) Source {
	return Source{Name: name, Module: module, Source: spec.Source{Kind: spec.Kustomize, Path: path}}
}

// Sources are all of them.
func Sources() []Source {
	return []Source{
		chart("approver-policy", approver, "deploy/charts/approver-policy"),
		chart("argo-minio", argocd, "util/helm/testdata/minio"),
		chart("argo-redis", argocd, "util/helm/testdata/redis").byChance(),
		chart("cert-manager", certManager, "deploy/charts/cert-manager").with(spec.Value{Key: "crds.enabled", Text: "true"}),
		chart("chaos-mesh", chaosMesh, "helm/chaos-mesh").byChance(),
		chart("cost-analyzer", kubecost, "cost-analyzer").byChance(),
		chart("dapr", dapr, "charts/dapr"),
		chart("descheduler", descheduler, "charts/descheduler"),
		chart("external-dns", externalDNS, "charts/external-dns"),
		chart("external-secrets", external, "deploy/charts/external-secrets").refused("dependency bitwarden-sdk-server of the chart is not in its charts folder"),
		chart("flagger", flagger, "charts/flagger"),
		chart("flagger-grafana", flagger, "charts/grafana"),
		chart("flagger-loadtester", flagger, "charts/loadtester"),
		chart("flagger-podinfo", flagger, "charts/podinfo").byChance(),
		chart("gatekeeper", gatekeeper, "charts/gatekeeper"),
		chart("gateway-addons", envoy, "charts/gateway-addons-helm").refused("dependency prometheus of the chart is not in its charts folder"),
		chart("gateway-crds", envoy, "charts/gateway-crds-helm").with(spec.Value{Key: "crds.envoyGateway.enabled", Text: "true"}),
		chart("ingress-nginx", ingress, "charts/ingress-nginx"),
		chart("kueue", kueue, "charts/kueue"),
		chart("kyverno", kyverno, "charts/kyverno").refused("dependency kyverno-api of the chart is not in its charts folder"),
		chart("kyverno-policies", kyverno, "charts/kyverno-policies"),
		chart("metallb", metallb, "charts/metallb"),
		chart("metrics-server", metrics, "charts/metrics-server"),
		chart("minio", minio, "helm/minio").byChance(),
		chart("podinfo", podinfo, "charts/podinfo").file("charts/podinfo/values-prod.yaml").byChance(),
		chart("sealed-secrets", sealed, "helm/sealed-secrets"),
		chart("trust-manager", trust, "deploy/charts/trust-manager"),

		overlay("argo-cd-core", argocd, "manifests/core-install"),
		overlay("argo-cd-ha", argocd, "manifests/ha/namespace-install"),
		overlay("argo-rollouts", rollouts, "manifests/cluster-install"),
		overlay("contour-render", contour, "examples/render"),
		overlay("descheduler-cronjob", descheduler, "kubernetes/cronjob"),
		overlay("flagger-kubernetes", flagger, "kustomize/kubernetes"),
		overlay("gateway-api", gatewayAPI, "config/crd"),
		overlay("gatekeeper-dev", gatekeeper, "config/overlays/dev").refused("manager_image_patch.yaml' doesn't exist"),
		overlay("ingress-nginx-kind", ingress, "hack/manifest-templates/provider/kind").refused("resources manifest.yaml is not in the repository"),
		overlay("keda", keda, "config/default"),
		overlay("kueue-default", kueue, "config/default"),
		overlay("metrics-server-ha", metrics, "manifests/overlays/release-ha"),
		overlay("metrics-server-ha-1.21", metrics, "manifests/overlays/release-ha-1.21+").alone("a path is made of letters"),
		overlay("metrics-server-release", metrics, "manifests/overlays/release"),
		overlay("podinfo-dev", podinfo, "deploy/overlays/dev"),
		overlay("podinfo-production", podinfo, "deploy/overlays/production"),
		overlay("prometheus-operator", prometheus, ""),
	}
}
