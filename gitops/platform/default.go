package platform

import "time"

// Default returns the class of previews that a server has with no platform
// folder and nothing configured. Its RepoURL is empty: there is no default for
// the repository that idp writes to. The figures are those of idp's own
// configuration keys, so that either gives the same class.
func Default() Class {
	return Class{
		Name:              "preview",
		Branch:            "main",
		ArgoCDNamespace:   "argocd",
		Project:           "idp-previews",
		DestinationServer: "https://kubernetes.default.svc",
		Zone:              "preview.localhost",
		HostTemplate:      "{service}-{env}-{hash}.{zone}",
		ImageTemplate:     "ghcr.io/{owner}/{repo}:{sha}",
		Routing:           Routing{Kind: HTTPRoute, GatewayName: "previews", GatewayNamespace: "gateway"},
		PodSecurity:       Restricted,
		TTL:               72 * time.Hour,
		MaxTTL:            14 * 24 * time.Hour,
		WarnBefore:        time.Hour,
		Quota: Quota{
			CPU: "4", Memory: "8Gi", EphemeralStorage: "20Gi", Pods: 20, MaxReplicas: 3,
			DefaultCPURequest: "50m", DefaultCPU: "500m",
			DefaultMemoryRequest: "128Mi", DefaultMem: "512Mi",
			DefaultEphemeral: "1Gi",
		},
		Comment: CommentSticky,
		Logs:    ShowPrivate,
		Diffs:   ShowPrivate,
	}
}

// TrafficNamespace is the namespace that requests reach a preview from:
// ControllerNamespace, or GatewayNamespace where that is not set.
func (r Routing) TrafficNamespace() string {
	if r.ControllerNamespace == "" {
		return r.GatewayNamespace
	}
	return r.ControllerNamespace
}
