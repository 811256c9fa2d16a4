package argocd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
)

const (
	// Account is idp's account of Argo CD; role is the role it has.
	Account = "idp"
	role    = "role:idp"
	// SyncAccount is the service account that idp's Applications are synced as.
	SyncAccount = "idp-sync"
	// namespacePrefix begins the name of every namespace that idp asks for, and of
	// none else.
	namespacePrefix = "idp-"
)

// BootstrapOptions say what the platform team wants of Bootstrap.
type BootstrapOptions struct {
	// Class is the server's own; Classes are those that the platform folder declares.
	// All of them have one Argo CD.
	Class   platform.Class
	Classes []platform.Class
	// Root is the name of the Application that syncs the ApplicationSets of classes that
	// name no other.
	Root string
	// Kinds are "apiVersion/kind" of everything that idp may have synced, as
	// adopt.Committed returns them. The kinds of a class's base objects are let in beside
	// them, where that class's environments are.
	Kinds []string
	// Impersonate turns sync impersonation on, for all of Argo CD: every other
	// project has to name service accounts of its own first.
	Impersonate bool
	// Logs lets idp's account read logs, for the lines that a failure is told with.
	Logs bool
}

// part is one object of the bootstrap and why it is there.
type part struct {
	why    string
	object any
}

// Bootstrap returns what the platform team applies once, as YAML documents with
// comments: a root Application for each GitOps repository, the projects that fence
// what idp's Applications may be, idp's account of Argo CD, the service account that
// they are synced as, and an admission policy that keeps it within idp's namespaces.
// It is pure and byte-stable. Applying it server-side leaves what others have in Argo
// CD's ConfigMaps alone.
func Bootstrap(o BootstrapOptions) ([]byte, error) {
	fences, err := fencesOf(o)
	if err != nil {
		return nil, fmt.Errorf("bootstrap: %w", err)
	}
	namespaced, cluster, err := groupKinds(slices.Concat(o.Kinds, o.objectKinds("")))
	if err != nil {
		return nil, fmt.Errorf("bootstrap: %w", err)
	}
	account, binding := syncAccount(o)
	policy, policyBinding := admissionPolicy(o)
	var parts []part
	for _, r := range fences.roots {
		parts = append(parts,
			part{"The root: it syncs the lists of environments, each an ApplicationSet, and may have nothing else.", rootProject(o, r)},
			part{"Only what changed is applied: with hundreds of lists anything else takes seconds.", rootApplication(o, r)})
	}
	for _, f := range fences.projects {
		own, cluster, err := groupKinds(slices.Concat(o.Kinds, o.objectKinds(f.name)))
		if err != nil {
			return nil, fmt.Errorf("bootstrap: %w", err)
		}
		parts = append(parts, part{"What an environment may be made of, from where, and where it may go.", project(o, f, own, cluster)})
	}
	parts = append(parts, []part{
		{"idp's account of Argo CD. Make its token with: argocd account generate-token --account " + Account, accountSettings(o)},
		{accountMay(o), accountPolicy(o)},
		{"Environments are synced as this service account where sync impersonation is on.", account},
		{"What it may write: the kinds that idp renders. And what it may read besides: Argo CD shows idp pods, their logs\n# and events with this account's eyes.", syncClusterRole(namespaced, cluster)},
		{"", binding},
		{"And where: in namespaces that are idp's by name and by label. Nothing else is let through, whatever Git says.", policy},
		{"", policyBinding},
	}...)
	var out bytes.Buffer
	out.WriteString("# What idp needs of a cluster, once. Apply it with:\n#   idp bootstrap | kubectl apply --server-side --field-manager idp-bootstrap -f -\n")
	for _, p := range parts {
		content, err := marshalPlain(p.object)
		if err != nil {
			return nil, fmt.Errorf("bootstrap: %w", err)
		}
		out.WriteString("---\n")
		if p.why != "" {
			out.WriteString("# " + p.why + "\n")
		}
		out.Write(content)
	}
	return out.Bytes(), nil
}

// objectKinds are the kinds of the base objects of the classes that have a project, of all
// for "".
func (o BootstrapOptions) objectKinds(project string) []string {
	var kinds []string
	for _, class := range append([]platform.Class{o.Class}, o.Classes...) {
		if project == "" || class.Project == project {
			kinds = append(kinds, class.ObjectKinds()...)
		}
	}
	slices.Sort(kinds)
	return kinds
}

// groupKinds sorts kinds into those of a namespace and those of the cluster.
func groupKinds(kinds []string) (namespaced, cluster []metav1.GroupKind, err error) {
	for _, kind := range kinds {
		cut := strings.LastIndexByte(kind, '/')
		if cut < 0 {
			return nil, nil, fmt.Errorf("kind %q is not like apps/v1/Deployment", kind)
		}
		group, _, hasGroup := strings.Cut(kind[:cut], "/")
		if !hasGroup {
			group = ""
		}
		gk := metav1.GroupKind{Group: group, Kind: kind[cut+1:]}
		switch {
		case gk == (metav1.GroupKind{Kind: "Namespace"}):
			cluster = append(cluster, gk)
		case !slices.Contains(namespaced, gk):
			namespaced = append(namespaced, gk)
		}
	}
	return namespaced, cluster, nil
}

func meta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app.kubernetes.io/part-of": gitops.ManagedBy}}
}

func argoType(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: kind}
}

// inCluster is the API server of the cluster that Argo CD itself runs on.
const inCluster = "https://kubernetes.default.svc"

func rootProject(o BootstrapOptions, r root) any {
	return v1alpha1.AppProject{
		TypeMeta: argoType("AppProject"), ObjectMeta: meta(o.Class.ArgoCDNamespace, r.name),
		Spec: v1alpha1.AppProjectSpec{
			Description:                "idp's lists of environments",
			SourceRepos:                []string{r.repoURL},
			Destinations:               []v1alpha1.ApplicationDestination{{Server: inCluster, Namespace: o.Class.ArgoCDNamespace}},
			NamespaceResourceWhitelist: []metav1.GroupKind{{Group: v1alpha1.SchemeGroupVersion.Group, Kind: "ApplicationSet"}},
			DestinationServiceAccounts: []v1alpha1.ApplicationDestinationServiceAccount{{
				Server: inCluster, Namespace: o.Class.ArgoCDNamespace, DefaultServiceAccount: SyncAccount,
			}},
		},
	}
}

func rootApplication(o BootstrapOptions, r root) any {
	return v1alpha1.Application{
		TypeMeta: argoType("Application"), ObjectMeta: meta(o.Class.ArgoCDNamespace, r.name),
		Spec: v1alpha1.ApplicationSpec{
			Project: r.name,
			Source: &v1alpha1.ApplicationSource{
				RepoURL: r.repoURL, TargetRevision: r.branch, Path: gitops.ApplicationSetsDir,
				Directory: &v1alpha1.ApplicationSourceDirectory{Recurse: true},
			},
			Destination: v1alpha1.ApplicationDestination{Server: inCluster, Namespace: o.Class.ArgoCDNamespace},
			SyncPolicy: &v1alpha1.SyncPolicy{
				// An empty folder is the state before the first preview.
				Automated:   &v1alpha1.SyncPolicyAutomated{Prune: true, SelfHeal: true, AllowEmpty: true},
				SyncOptions: v1alpha1.SyncOptions{"ApplyOutOfSyncOnly=true"},
				// Argo CD looks at no newer commit while it tries a bad one again, by default for
				// minutes: nobody's preview would come or go.
				Retry: &v1alpha1.RetryStrategy{Limit: 2, Backoff: &v1alpha1.Backoff{Duration: "2s", Factor: ptr(int64(2)), MaxDuration: "10s"}},
			},
		},
	}
}

// shown are the kinds that come of what idp renders. Argo CD shows of an Application only
// what its project lets in: without them nobody sees which pod fails. The service account
// that it syncs as cannot write them.
var shown = []metav1.GroupKind{
	{Group: "apps", Kind: "ReplicaSet"}, {Kind: "Pod"}, {Group: v1alpha1.SchemeGroupVersion.Group, Kind: "AnalysisRun"},
}

func project(o BootstrapOptions, f fence, namespaced, cluster []metav1.GroupKind) any {
	return v1alpha1.AppProject{
		TypeMeta: argoType("AppProject"), ObjectMeta: meta(o.Class.ArgoCDNamespace, f.name),
		Spec: v1alpha1.AppProjectSpec{
			Description:                "environments that idp makes",
			SourceRepos:                []string{f.repoURL},
			Destinations:               []v1alpha1.ApplicationDestination{{Server: f.server, Namespace: namespacePrefix + "*"}},
			ClusterResourceWhitelist:   cluster,
			NamespaceResourceWhitelist: append(slices.Clone(namespaced), shown...),
			DestinationServiceAccounts: []v1alpha1.ApplicationDestinationServiceAccount{{
				Server: f.server, Namespace: namespacePrefix + "*", DefaultServiceAccount: o.Class.ArgoCDNamespace + ":" + SyncAccount,
			}},
		},
	}
}

func accountSettings(o BootstrapOptions) any {
	data := map[string]string{"accounts." + Account: "apiKey"}
	if o.Impersonate {
		data["application.sync.impersonation.enabled"] = "true"
	}
	return configMap(o, "argocd-cm", data)
}

// accountPolicy has a key of its own beside the platform team's policy.csv, which
// Argo CD reads as well.
func accountPolicy(o BootstrapOptions) any {
	policy := "p, " + role + ", applications, get, */*, allow\n"
	if o.Logs {
		policy += "p, " + role + ", logs, get, */*, allow\n"
	}
	return configMap(o, "argocd-rbac-cm", map[string]string{"policy.idp.csv": policy + "g, " + Account + ", " + role + "\n"})
}

// accountMay says what the account's rights are. Argo CD before 3 lets whoever may get an
// Application read its logs, unless server.rbac.log.enforce.enable is set.
func accountMay(o BootstrapOptions) string {
	if o.Logs {
		return "It may look at Applications and read the logs of their pods, and nothing more."
	}
	return "It may look at Applications, and nothing more. With --logs it may read their pods' logs, to show the last lines of what fails."
}

func configMap(o BootstrapOptions, name string, data map[string]string) any {
	return corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Namespace: o.Class.ArgoCDNamespace, Name: name}, Data: data,
	}
}

func syncAccount(o BootstrapOptions) (account, binding any) {
	account = corev1.ServiceAccount{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"}, ObjectMeta: meta(o.Class.ArgoCDNamespace, SyncAccount),
		AutomountServiceAccountToken: ptr(false),
	}
	binding = rbacv1.ClusterRoleBinding{
		TypeMeta: metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRoleBinding"}, ObjectMeta: meta("", SyncAccount),
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: SyncAccount},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: o.Class.ArgoCDNamespace, Name: SyncAccount}},
	}
	return account, binding
}

func syncClusterRole(namespaced, cluster []metav1.GroupKind) any {
	byGroup := map[string][]string{v1alpha1.SchemeGroupVersion.Group: {"applicationsets"}}
	for _, kind := range slices.Concat(namespaced, cluster) {
		byGroup[kind.Group] = append(byGroup[kind.Group], plural(kind.Kind))
	}
	groups := make([]string, 0, len(byGroup))
	for group := range byGroup {
		groups = append(groups, group)
	}
	slices.Sort(groups)
	var rules []rbacv1.PolicyRule
	for _, group := range groups {
		slices.Sort(byGroup[group])
		rules = append(rules, rbacv1.PolicyRule{
			APIGroups: []string{group}, Resources: slices.Compact(byGroup[group]),
			Verbs: []string{"get", "list", "watch", "create", "update", "patch", "delete"},
		})
	}
	for _, seen := range []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"events", "pods", "pods/log"}},
		{APIGroups: []string{"apps"}, Resources: []string{"replicasets"}},
		{APIGroups: []string{v1alpha1.SchemeGroupVersion.Group}, Resources: []string{"analysisruns"}},
	} {
		seen.Verbs = []string{"get", "list", "watch"}
		rules = append(rules, seen)
	}
	return rbacv1.ClusterRole{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"},
		ObjectMeta: meta("", SyncAccount), Rules: rules,
	}
}

// plural is the resource of a kind. Kubernetes' own rule does for every kind that
// idp renders.
func plural(kind string) string {
	name := strings.ToLower(kind)
	switch {
	case strings.HasSuffix(name, "s"):
		return name + "es"
	case strings.HasSuffix(name, "y"):
		return strings.TrimSuffix(name, "y") + "ies"
	}
	return name + "s"
}

// admissionPolicy keeps the service account within namespaces that are idp's by
// name and by label, and to ApplicationSets that are idp's beside Argo CD.
func admissionPolicy(o BootstrapOptions) (policy, binding any) {
	user := fmt.Sprintf("system:serviceaccount:%s:%s", o.Class.ArgoCDNamespace, SyncAccount)
	labelled := func(of string) string {
		return fmt.Sprintf("%s.metadata.?labels[?'%s'].orValue('') == '%s'", of, gitops.LabelManagedBy, gitops.ManagedBy)
	}
	anything := admissionv1.NamedRuleWithOperations{RuleWithOperations: admissionv1.RuleWithOperations{
		Operations: []admissionv1.OperationType{admissionv1.OperationAll},
		Rule:       admissionv1.Rule{APIGroups: []string{"*"}, APIVersions: []string{"*"}, Resources: []string{"*"}, Scope: ptr(admissionv1.AllScopes)},
	}}
	policy = admissionv1.ValidatingAdmissionPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "ValidatingAdmissionPolicy"},
		ObjectMeta: meta("", SyncAccount),
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			FailurePolicy:    ptr(admissionv1.Fail),
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{anything}},
			MatchConditions:  []admissionv1.MatchCondition{{Name: "synced-for-idp", Expression: "request.userInfo.username == '" + user + "'"}},
			Variables: []admissionv1.Variable{
				{Name: "isNamespace", Expression: "request.resource.group == '' && request.resource.resource == 'namespaces'"},
				{Name: "within", Expression: "namespaceObject != null && " + labelled("namespaceObject")},
				{Name: "ours", Expression: "(object == null || " + labelled("object") + ") && (oldObject == null || " + labelled("oldObject") + ")"},
			},
			Validations: []admissionv1.Validation{
				{
					Expression: "!variables.isNamespace || request.name.startsWith('" + namespacePrefix + "') && variables.ours",
					Message:    "idp may create, change and delete only namespaces whose name begins with " + namespacePrefix + " and that are labelled " + gitops.LabelManagedBy + "=" + gitops.ManagedBy,
				},
				{
					Expression: "variables.isNamespace || request.namespace.startsWith('" + namespacePrefix + "') && variables.within" +
						" || request.namespace == '" + o.Class.ArgoCDNamespace + "' && request.resource.resource == 'applicationsets' && variables.ours",
					Message: "idp may write only in namespaces whose name begins with " + namespacePrefix + " and that are labelled " + gitops.LabelManagedBy + "=" + gitops.ManagedBy,
				},
			},
		},
	}
	binding = admissionv1.ValidatingAdmissionPolicyBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "ValidatingAdmissionPolicyBinding"},
		ObjectMeta: meta("", SyncAccount),
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: SyncAccount, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		},
	}
	return policy, binding
}

// marshalPlain is an object as a person would write it: without its status and
// what the API server fills in.
func marshalPlain(object any) ([]byte, error) {
	raw, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("marshal: %w", err)
	}
	var tree map[string]any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return nil, fmt.Errorf("read what was marshalled: %w", err)
	}
	delete(tree, "status")
	if meta, ok := tree["metadata"].(map[string]any); ok {
		delete(meta, "creationTimestamp")
	}
	return yaml.Marshal(tree)
}
