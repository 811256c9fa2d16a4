// Package argocd speaks with Argo CD, and is the only one that imports it: it
// writes the ApplicationSets that list environments (this file, deployed.go), and asks Argo
// CD's HTTP API to look again and what it sees (client.go).
//
// ApplicationSet is pure and byte-stable. The Client only ever reads: its token
// needs Argo CD's "applications, get" and nothing else. Both may be used
// concurrently. The package never writes to a cluster and never deletes through
// Argo CD: environments go when Git says so.
package argocd

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"
)

// Element is one preview of a repository.
type Element struct {
	Ref gitops.EnvironmentRef
	// URL is the pull request's address, http or https; "" where it is not known.
	// A revision has no place here: the list changes when a preview comes or goes,
	// not with every push.
	URL string
}

// params are the values that one element gives to the template. Each is made of
// names that idp computed, never of text that somebody typed.
type params struct {
	Name        string `json:"name"`
	Namespace   string `json:"namespace"`
	Path        string `json:"path"`
	PullRequest string `json:"pullRequest"`
	URL         string `json:"url"`
}

// ApplicationSet returns the file that lists a repository's previews at
// gitops.PreviewsApplicationSet, one Application per element. Everything that
// decides where an Application may write (project, cluster, repository, branch)
// is a literal from the class. With no elements the list is empty, not the file
// gone: the last preview is then removed by an edit like every other.
func ApplicationSet(repositoryID int64, repo string, class platform.Class, elements []Element) (gitops.File, error) {
	file, name := gitops.PreviewsApplicationSet(repositoryID, repo)
	if err := checkLiterals(class); err != nil {
		return gitops.File{}, fmt.Errorf("render application set %s: %w", name, err)
	}
	list, err := listElements(repositoryID, elements)
	if err != nil {
		return gitops.File{}, fmt.Errorf("render application set %s: %w", name, err)
	}
	content, err := marshal(newSet(name, repositoryID, class, list, template(repositoryID, class),
		// Without "preserve", an Application that goes takes its objects with it;
		// with "sync", one goes when its element does.
		v1alpha1.ApplicationSetSyncPolicy{
			PreserveResourcesOnDeletion: false,
			ApplicationsSync:            ptr(v1alpha1.ApplicationsSyncPolicySync),
		}))
	if err != nil {
		return gitops.File{}, fmt.Errorf("render application set %s: %w", name, err)
	}
	return gitops.File{Path: file, Content: content}, nil
}

// newSet lists Applications that are made of one template.
func newSet(name string, repositoryID int64, class platform.Class, list []apiextensionsv1.JSON,
	template v1alpha1.ApplicationSetTemplate, policy v1alpha1.ApplicationSetSyncPolicy) v1alpha1.ApplicationSet {
	return v1alpha1.ApplicationSet{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "ApplicationSet"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: class.ArgoCDNamespace, Labels: labels(repositoryID),
		},
		Spec: v1alpha1.ApplicationSetSpec{
			GoTemplate:        true,
			GoTemplateOptions: []string{"missingkey=error"},
			Generators:        []v1alpha1.ApplicationSetGenerator{{List: &v1alpha1.ListGenerator{Elements: list}}},
			Template:          template,
			SyncPolicy:        &policy,
		},
	}
}

func labels(repositoryID int64) map[string]string {
	return map[string]string{
		gitops.LabelManagedBy:  gitops.ManagedBy,
		gitops.KeyRepositoryID: strconv.FormatInt(repositoryID, 10),
	}
}

// generatePaths says, from the manifests, what is an Application's business: a push that
// changes other environments' folders is none of it. The record beside the manifests is,
// for a commit that changes nothing else to be tried by Argo CD where it skips one: what it
// compared with while it still retried an older commit, it takes for tried.
const generatePaths = ".."

// template is the Application of one preview.
func template(repositoryID int64, class platform.Class) v1alpha1.ApplicationSetTemplate {
	appLabels := labels(repositoryID)
	appLabels[gitops.KeyPullRequest] = "{{ .pullRequest }}"
	return v1alpha1.ApplicationSetTemplate{
		ApplicationSetTemplateMeta: v1alpha1.ApplicationSetTemplateMeta{
			Name:   "{{ .name }}",
			Labels: appLabels,
			Annotations: map[string]string{
				v1alpha1.AnnotationKeyManifestGeneratePaths: generatePaths,
				gitops.KeyPullRequestURL:                    "{{ .url }}",
			},
		},
		Spec: applicationSpec(class, syncPolicy()),
	}
}

// applicationSpec is the Application of one element: where it writes are literals of the
// class.
func applicationSpec(class platform.Class, policy *v1alpha1.SyncPolicy) v1alpha1.ApplicationSpec {
	return v1alpha1.ApplicationSpec{
		Project: class.Project,
		Source: &v1alpha1.ApplicationSource{
			RepoURL:        class.RepoURL,
			TargetRevision: class.Branch,
			Path:           "{{ .path }}",
			// Plain files, said outright: nothing in the folder can make Argo CD run
			// Kustomize or Helm. "recurse" because an empty "directory" is dropped.
			Directory: &v1alpha1.ApplicationSourceDirectory{Recurse: true},
		},
		Destination: v1alpha1.ApplicationDestination{
			Server: class.DestinationServer, Namespace: "{{ .namespace }}",
		},
		SyncPolicy:           policy,
		RevisionHistoryLimit: ptr(int64(2)), // Git has the history
	}
}

// syncPolicy keeps the cluster as Git says. PruneLast is not among the options on
// purpose: pruning would wait for everything to be healthy, and until then a
// crashing revision would keep its own fix from being synced. The retries end within
// half a minute for the same reason: they repeat the revision that failed, and until
// then neither a fix is synced nor what was closed taken down.
func syncPolicy() *v1alpha1.SyncPolicy {
	return &v1alpha1.SyncPolicy{
		Automated: &v1alpha1.SyncPolicyAutomated{Prune: true, SelfHeal: true},
		SyncOptions: v1alpha1.SyncOptions{
			"CreateNamespace=false", // the Namespace is a manifest, so that it is pruned
			"ApplyOutOfSyncOnly=true",
			// An object belongs to the Application that has it: another's sync fails
			// before it takes anything over.
			"FailOnSharedResource=true",
		},
		Retry: &v1alpha1.RetryStrategy{
			Limit:   3,
			Backoff: &v1alpha1.Backoff{Duration: "2s", Factor: ptr(int64(2)), MaxDuration: "10s"},
		},
	}
}

// listElements are the elements sorted by pull request, as the list generator
// reads them.
func listElements(repositoryID int64, elements []Element) ([]apiextensionsv1.JSON, error) {
	all := make([]params, 0, len(elements))
	for _, e := range elements {
		p, err := e.params(repositoryID)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b params) int {
		return cmp.Or(cmp.Compare(len(a.PullRequest), len(b.PullRequest)),
			cmp.Compare(a.PullRequest, b.PullRequest), cmp.Compare(a.Name, b.Name))
	})
	list := make([]apiextensionsv1.JSON, 0, len(all))
	for i, p := range all {
		if i > 0 && all[i-1].Name == p.Name {
			return nil, fmt.Errorf("environment %s is listed twice", p.Name)
		}
		raw, err := json.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("marshal element %s: %w", p.Name, err)
		}
		list = append(list, apiextensionsv1.JSON{Raw: raw})
	}
	return list, nil
}

func (e Element) params(repositoryID int64) (params, error) {
	number, isPreview := strings.CutPrefix(e.Ref.ID, "pr-")
	n, err := strconv.Atoi(number)
	switch {
	case e.Ref.RepositoryID != repositoryID:
		return params{}, fmt.Errorf("%s is of repository %d, not %d", e.Ref, e.Ref.RepositoryID, repositoryID)
	case !isPreview || err != nil || n <= 0 || gitops.PreviewID(n) != e.Ref.ID:
		return params{}, fmt.Errorf("%s is no preview of a pull request", e.Ref)
	}
	p := params{
		Name: e.Ref.Name(), Namespace: e.Ref.Name(), Path: e.Ref.ManifestsDir(), PullRequest: number, URL: e.URL,
	}
	return p, p.check()
}

// manifestsPath is gitops.EnvironmentRef.ManifestsDir of a preview.
var manifestsPath = regexp.MustCompile(`^environments/[a-z0-9_.-]+/[a-z0-9_.-]+/pr-[0-9]+/manifests$`)

func (p params) check() error {
	if len(validation.IsDNS1123Label(p.Name)) > 0 {
		return fmt.Errorf("%q is no DNS label", p.Name)
	}
	if !manifestsPath.MatchString(p.Path) || path.Clean(p.Path) != p.Path {
		return fmt.Errorf("%q is no path of an environment", p.Path)
	}
	return checkURL(p.URL)
}

// checkURL refuses what is no link that people may follow; "" is none at all.
func checkURL(raw string) error {
	if raw == "" {
		return nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || strings.Contains(raw, "{{") {
		return fmt.Errorf("%q is no web address", raw)
	}
	return nil
}

// checkLiterals refuses what Argo CD would take as part of the template.
func checkLiterals(class platform.Class) error {
	for _, literal := range []struct{ what, value string }{
		{"argo cd namespace", class.ArgoCDNamespace}, {"project", class.Project}, {"destination server", class.DestinationServer},
		{"repository url", class.RepoURL}, {"branch", class.Branch},
	} {
		if literal.value == "" || strings.Contains(literal.value, "{{") {
			return fmt.Errorf("class %s: %s %q is empty or holds {{", class.Name, literal.what, literal.value)
		}
	}
	return nil
}

// marshal writes the set without what its types write although nobody set it: the
// generator's own template and the status.
func marshal(set v1alpha1.ApplicationSet) ([]byte, error) {
	raw, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("marshal: %w", err)
	}
	var tree struct {
		APIVersion string                     `json:"apiVersion"`
		Kind       string                     `json:"kind"`
		Metadata   map[string]any             `json:"metadata"`
		Spec       map[string]json.RawMessage `json:"spec"`
	}
	if err := json.Unmarshal(raw, &tree); err != nil {
		return nil, fmt.Errorf("read what was marshalled: %w", err)
	}
	delete(tree.Metadata, "creationTimestamp")
	type list struct {
		Elements []apiextensionsv1.JSON `json:"elements"`
	}
	generators := []map[string]list{{"list": {Elements: set.Spec.Generators[0].List.Elements}}}
	if tree.Spec["generators"], err = json.Marshal(generators); err != nil {
		return nil, fmt.Errorf("marshal generators: %w", err)
	}
	return yaml.Marshal(tree)
}

func ptr[T any](v T) *T { return &v }
