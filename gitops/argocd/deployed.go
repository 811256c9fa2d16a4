package argocd

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// DeployedElement is one Application of a declared environment: the shared part, or a
// service.
type DeployedElement struct {
	Ref   gitops.EnvironmentRef
	Class platform.Class
	// Namespace is that of the shared part, "" for Ref.Namespace().
	Namespace string
	// URL is where people find what it is of, such as the repository's page; http or
	// https, "" for none. A commit has no place here: the list changes when an
	// environment comes or goes, not with every deployment.
	URL string
}

// deployedParams are the values that one element gives to the template. Each is made
// of names that idp computed, never of text that somebody typed.
type deployedParams struct {
	Name        string `json:"name"`
	Namespace   string `json:"namespace"`
	Path        string `json:"path"`
	Environment string `json:"environment"`
	Service     string `json:"service"`
	URL         string `json:"url"`
}

// DeployedApplicationSet returns the file that lists a repository's declared
// environments at gitops.DeployedApplicationSet: for each class in use an
// ApplicationSet "<name>-<class>" with the elements of that class, sorted. All
// classes are of one GitOps repository, the one that the file is committed to. With
// no elements the file holds nothing but a comment.
//
// An element that is gone, a list that is gone and an Application that is gone leave
// running what runs: these environments go by a person's hand.
func DeployedApplicationSet(repositoryID int64, repo string, elements []DeployedElement) (gitops.File, error) {
	file, name := gitops.DeployedApplicationSet(repositoryID, repo)
	byClass := map[string][]DeployedElement{}
	for _, e := range elements {
		byClass[e.Class.Name] = append(byClass[e.Class.Name], e)
	}
	var out bytes.Buffer
	out.WriteString("# The long-lived environments of repository " + strconv.FormatInt(repositoryID, 10) + ".\n")
	for _, class := range slices.Sorted(maps.Keys(byClass)) {
		content, err := deployedSet(name+"-"+class, repositoryID, byClass[class])
		if err != nil {
			return gitops.File{}, fmt.Errorf("render application set %s-%s: %w", name, class, err)
		}
		out.WriteString("---\n")
		out.Write(content)
	}
	if err := listedOnce(elements); err != nil {
		return gitops.File{}, fmt.Errorf("render application set %s: %w", name, err)
	}
	return gitops.File{Path: file, Content: out.Bytes()}, nil
}

// deployedSet lists elements of one class.
func deployedSet(name string, repositoryID int64, elements []DeployedElement) ([]byte, error) {
	class := elements[0].Class
	if err := checkLiterals(class); err != nil {
		return nil, err
	}
	if len(validation.IsDNS1123Label(class.Name)) > 0 {
		return nil, fmt.Errorf("class name %q is no DNS label", class.Name)
	}
	list, err := deployedElements(repositoryID, class, elements)
	if err != nil {
		return nil, err
	}
	return marshal(newSet(name, repositoryID, class, list, deployedTemplate(repositoryID, class), v1alpha1.ApplicationSetSyncPolicy{
		// With "create-update" no Application goes when its element does, and with
		// "preserve" none takes its objects with it when it goes with its list.
		PreserveResourcesOnDeletion: true,
		ApplicationsSync:            ptr(v1alpha1.ApplicationsSyncPolicyCreateUpdate),
	}))
}

// deployedTemplate is the Application of one element.
func deployedTemplate(repositoryID int64, class platform.Class) v1alpha1.ApplicationSetTemplate {
	appLabels := labels(repositoryID)
	appLabels[gitops.KeyClass] = class.Name
	appLabels[gitops.LabelEnvironment] = "{{ .environment }}"
	appLabels[gitops.LabelName] = "{{ .service }}"
	return v1alpha1.ApplicationSetTemplate{
		ApplicationSetTemplateMeta: v1alpha1.ApplicationSetTemplateMeta{
			Name:   "{{ .name }}",
			Labels: appLabels,
			Annotations: map[string]string{
				v1alpha1.AnnotationKeyManifestGeneratePaths: generatePaths,
				gitops.KeyURL: "{{ .url }}",
			},
		},
		Spec: applicationSpec(class, deployedSyncPolicy()),
	}
}

// deployedSyncPolicy is that of previews but for the retries: the first sync of a
// service may run before the shared part has made the namespace, which takes seconds.
// They end within the minute, for they repeat the revision that failed.
func deployedSyncPolicy() *v1alpha1.SyncPolicy {
	policy := syncPolicy()
	policy.Retry = &v1alpha1.RetryStrategy{
		Limit:   5,
		Backoff: &v1alpha1.Backoff{Duration: "2s", Factor: ptr(int64(2)), MaxDuration: "15s"},
	}
	return policy
}

// deployedElements are the elements sorted by environment, the shared part before its
// services, as the list generator reads them.
func deployedElements(repositoryID int64, class platform.Class, elements []DeployedElement) ([]apiextensionsv1.JSON, error) {
	elements = slices.Clone(elements)
	slices.SortFunc(elements, func(a, b DeployedElement) int {
		return cmp.Or(cmp.Compare(a.Ref.ID, b.Ref.ID), cmp.Compare(a.Ref.Service, b.Ref.Service), cmp.Compare(a.Ref.Name(), b.Ref.Name()))
	})
	list := make([]apiextensionsv1.JSON, 0, len(elements))
	for _, e := range elements {
		if !reflect.DeepEqual(e.Class, class) {
			return nil, fmt.Errorf("%s has another class %s", e.Ref, class.Name)
		}
		p, err := e.params(repositoryID)
		if err != nil {
			return nil, err
		}
		raw, err := json.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("marshal element %s: %w", p.Name, err)
		}
		list = append(list, apiextensionsv1.JSON{Raw: raw})
	}
	return list, nil
}

// deployedPath is gitops.EnvironmentRef.ManifestsDir of a declared environment.
var deployedPath = regexp.MustCompile(`^environments/[a-z0-9_.-]+/[a-z0-9_.-]+/[a-z0-9-]+(\.[a-z0-9-]+)?/manifests$`)

func (e DeployedElement) params(repositoryID int64) (deployedParams, error) {
	namespace := e.Namespace
	if namespace == "" {
		namespace = e.Ref.Namespace()
	}
	p := deployedParams{
		Name: e.Ref.Name(), Namespace: namespace, Path: e.Ref.ManifestsDir(),
		Environment: e.Ref.Shared().Name(), Service: cmp.Or(e.Ref.Service, e.Ref.ID), URL: e.URL,
	}
	switch {
	case e.Ref.RepositoryID != repositoryID:
		return p, fmt.Errorf("%s is of repository %d, not %d", e.Ref, e.Ref.RepositoryID, repositoryID)
	case spec.CheckEnvironment(e.Ref.ID) != "":
		return p, fmt.Errorf("%s is no declared environment", e.Ref)
	case len(validation.IsDNS1123Label(p.Service)) > 0 || len(validation.IsDNS1123Label(p.Name)) > 0:
		return p, fmt.Errorf("%q or %q is no DNS label", p.Service, p.Name)
	case !deployedPath.MatchString(p.Path) || path.Clean(p.Path) != p.Path:
		return p, fmt.Errorf("%q is no path of an environment", p.Path)
	case len(validation.IsDNS1123Label(namespace)) > 0 || !strings.HasPrefix(namespace, namespacePrefix):
		return p, fmt.Errorf("%q is no namespace of idp", namespace)
	}
	return p, checkURL(e.URL)
}

// listedOnce refuses an Application that two lists, or one twice, would make.
func listedOnce(elements []DeployedElement) error {
	seen := map[string]bool{}
	for _, e := range elements {
		if name := e.Ref.Name(); seen[name] {
			return fmt.Errorf("environment %s is listed twice", name)
		} else {
			seen[name] = true
		}
	}
	return nil
}
