package argocd

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Lacking says what an AppProject, as the cluster has it, does not let in that environments of
// the class need: the repository, the destination and each kind, as Bootstrap has them. have is
// the object's JSON.
func Lacking(o BootstrapOptions, have []byte) ([]string, error) {
	var project v1alpha1.AppProject
	if err := json.Unmarshal(have, &project); err != nil {
		return nil, fmt.Errorf("read the AppProject: %w", err)
	}
	namespaced, cluster, err := groupKinds(slices.Concat(o.Kinds, o.objectKinds(o.Class.Project)))
	if err != nil {
		return nil, err
	}
	var out []string
	if !project.IsSourcePermitted(v1alpha1.ApplicationSource{RepoURL: o.Class.RepoURL}) {
		out = append(out, "source repository "+o.Class.RepoURL)
	}
	to := v1alpha1.ApplicationDestination{Server: o.Class.DestinationServer, Namespace: namespacePrefix + "repo-pr-1-0123456789"}
	may, err := project.IsDestinationPermitted(to, func(string) ([]*v1alpha1.Cluster, error) { return nil, nil })
	if err != nil {
		return nil, fmt.Errorf("ask the AppProject for its destinations: %w", err)
	}
	if !may {
		out = append(out, fmt.Sprintf("destination %s, namespaces %s*", to.Server, namespacePrefix))
	}
	for _, gk := range cluster {
		if !project.IsGroupKindPermitted(schema.GroupKind(gk), false) {
			out = append(out, "kind "+gk.Kind)
		}
	}
	for _, gk := range namespaced {
		if !project.IsGroupKindPermitted(schema.GroupKind(gk), true) {
			out = append(out, "kind "+gk.Kind)
		}
	}
	return out, nil
}
