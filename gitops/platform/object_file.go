package platform

import (
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/spec"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	kjson "sigs.k8s.io/json"
)

// maxObjects is how many objects one file, and one class, may have.
const maxObjects = 50

// objectFile is a file of platform/objects that was read. lines are where its objects
// begin; configMaps and secrets are the names of those that come of it.
type objectFile struct {
	path                string
	objects             []BaseObject
	lines               []int
	configMaps, secrets []string
}

// loadObjectFiles reads the folder of base objects, each file once whoever names it.
func loadObjectFiles(files []gitops.File) (map[string]*objectFile, spec.Errors) {
	out := map[string]*objectFile{}
	var errs spec.Errors
	for _, f := range files {
		if path.Dir(f.Path) != ObjectsDir || strings.HasPrefix(path.Base(f.Path), ".") {
			continue
		}
		if stem, isYAML := strings.CutSuffix(f.Path, ".yaml"); !isYAML {
			errs = append(errs, misnamed(f.Path, strings.TrimSuffix(stem, path.Ext(stem))+".yaml"))
			continue
		}
		file, wrong := loadObjectFile(f)
		out[f.Path], errs = file, append(errs, wrong...)
	}
	return out, errs
}

func loadObjectFile(f gitops.File) (*objectFile, spec.Errors) {
	trees, whole := spec.Trees(f.Path, f.Content)
	out := &objectFile{path: f.Path}
	if len(trees) == 0 || len(trees) > maxObjects {
		whole.Report("", spec.KindLimit, "the file has %d objects: expected 1 to %d", len(trees), maxObjects)
	}
	for _, t := range trees[:min(len(trees), maxObjects)] {
		if o, ok := readObject(t); ok {
			out.add(o, t.Line(""))
		}
	}
	return out, whole.Errors()
}

func (f *objectFile) add(o readBase, line int) {
	f.objects, f.lines = append(f.objects, o.BaseObject), append(f.lines, line)
	switch {
	case o.makes != "":
		f.secrets = append(f.secrets, o.makes)
	case o.Kind == "ConfigMap":
		f.configMaps = append(f.configMaps, o.Name)
	}
}

// readBase is a base object, and the name of the Secret that it makes.
type readBase struct {
	BaseObject
	makes string
}

// readObject holds one document to what a base object may be, and reports what is wrong.
func readObject(t spec.Tree) (readBase, bool) {
	root, isMap := t.Value.(map[string]any)
	if !isMap {
		t.Report("", spec.KindType, "expected a Kubernetes object")
		return readBase{}, false
	}
	kind, ok := kindOf(t, root)
	if !ok {
		return readBase{}, false
	}
	o := readBase{BaseObject: BaseObject{APIVersion: kind.apiVersion, Kind: kind.kind, Secret: kind.secret}}
	o.Name = checkMetadata(t, root)
	checkKeys(t, kind.keys, "", "", t.Value)
	content, err := json.Marshal(t.Value)
	if err != nil {
		t.Report("", spec.KindType, "the object cannot be read: %s", err)
		return o, false
	}
	o.Content = content
	typed := kind.blank()
	checkType(t, content, typed)
	if made, is := typed.(*externalSecret); is {
		o.makes = made.makes()
		checkExternalSecret(t, made)
	}
	checkService(t, typed)
	_, gates := typed.(*gateObject)
	if gates {
		checkGate(t, root)
	}
	if o.Secret == "" && !gates && usesSecret(root["spec"]) {
		o.Secret = "uses a secret"
	}
	return o, o.Name != ""
}

// kindOf is the row of an object's kind.
func kindOf(t spec.Tree, root map[string]any) (objectKind, bool) {
	apiVersion, _ := root["apiVersion"].(string)
	kind, _ := root["kind"].(string)
	i := slices.IndexFunc(objectKinds, func(k objectKind) bool { return k.apiVersion == apiVersion && k.kind == kind })
	switch why := refusedKinds[kind]; {
	case i >= 0:
		return objectKinds[i], true
	case kind == "" || apiVersion == "":
		t.Report("", spec.KindMissing, "apiVersion or kind is missing: expected a Kubernetes object")
	case why != "":
		t.Report("kind", spec.KindChoice, "a %s is no base object: %s", kind, why)
	default:
		t.Report("kind", spec.KindChoice, "%s of %s is no base object: expected one of (%s)", kind, apiVersion, kindNames())
	}
	return objectKind{}, false
}

func kindNames() string {
	names := make([]string, len(objectKinds))
	for i, k := range objectKinds {
		names[i] = k.apiVersion + " " + k.kind
	}
	return strings.Join(names, ", ")
}

// checkMetadata returns the object's name, "" where that is none.
func checkMetadata(t spec.Tree, root map[string]any) string {
	metadata, _ := root["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)
	if len(validation.IsDNS1123Label(name)) > 0 {
		t.Report("metadata.name", spec.KindFormat, `metadata.name %q is no name: expected at most 63 lower-case letters, digits and "-"`, name)
		name = ""
	}
	if t.Given("metadata.namespace") {
		t.ReportKey("metadata.namespace", spec.KindUnknownKey, "metadata.namespace is idp's to set: each environment has a namespace of its own")
	}
	for key := range metadata {
		if at := spec.Join("metadata", key); !slices.Contains([]string{"name", "namespace", "labels", "annotations"}, key) {
			t.ReportKey(at, spec.KindUnknownKey, "%s is not taken of a base object: expected name, labels or annotations", at)
		}
	}
	for _, at := range []string{"metadata.labels", "metadata.annotations", "spec.template.metadata.labels", "spec.template.metadata.annotations"} {
		checkMarks(t, at, root)
	}
	return name
}

// reserved are the beginnings of labels and annotations that decide whose an object is, and
// what Argo CD does with it.
var reserved = []string{gitops.LabelManagedBy, "idp.dev/", "argocd.argoproj.io/", "pod-security.kubernetes.io/", "kubectl.kubernetes.io/"}

// checkMarks refuses labels and annotations that are not the platform team's to set here.
func checkMarks(t spec.Tree, at string, root map[string]any) {
	var block any = root
	for key := range strings.SplitSeq(at, ".") {
		fields, _ := block.(map[string]any)
		block = fields[key]
	}
	marks, _ := block.(map[string]any)
	for key := range marks {
		if i := slices.IndexFunc(reserved, func(prefix string) bool { return strings.HasPrefix(key, prefix) }); i >= 0 {
			t.ReportKey(spec.Join(at, key), spec.KindUnknownKey, "%s is not to be set here: what begins with %s is idp's or Argo CD's", key, reserved[i])
		}
	}
}

// checkKeys refuses every key that its block may not have. at is where the value stands,
// field the same with "[]" for each item of a list.
func checkKeys(t spec.Tree, allowed map[string][]string, at, field string, value any) {
	switch value := value.(type) {
	case map[string]any:
		keys, bounded := allowed[field]
		for key, child := range value {
			if bounded && !slices.Contains(keys, key) {
				t.ReportKey(spec.Join(at, key), spec.KindUnknownKey, "%s is not taken of a base object: expected %s", spec.Join(at, key), strings.Join(keys, ", "))
				continue
			}
			checkKeys(t, allowed, spec.Join(at, key), spec.Join(field, key), child)
		}
	case []any:
		for i, child := range value {
			checkKeys(t, allowed, spec.Index(at, i), field+"[]", child)
		}
	}
}

// unknownField is how Kubernetes' own strict reader names one.
var unknownField = regexp.MustCompile(`^unknown field "(.*)"$`)

// checkType reads the object as the API server would, and reports what it has not.
func checkType(t spec.Tree, content []byte, into any) {
	strict, err := kjson.UnmarshalStrict(content, into)
	if err != nil {
		t.Report("", spec.KindType, "not a valid object: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	for _, one := range strict {
		found := unknownField.FindStringSubmatch(one.Error())
		switch {
		case found == nil:
			t.Report("", spec.KindUnknownKey, "%s", one)
		case t.OK(found[1]): // one with an error has been told of
			t.ReportKey(found[1], spec.KindUnknownKey, "Kubernetes knows no field %s here", found[1])
		}
	}
}

// usesSecret says whether a Secret is named anywhere below a value.
func usesSecret(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		for key, child := range value {
			if slices.Contains([]string{"secretKeyRef", "secretRef", "secret"}, key) || usesSecret(child) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(value, usesSecret)
	}
	return false
}

// checkExternalSecret holds what it makes to go with it: when an environment is trusted
// less than before, its secrets have to leave the namespace.
func checkExternalSecret(t spec.Tree, e *externalSecret) {
	if policy := e.Spec.Target.CreationPolicy; policy != "" && policy != "Owner" {
		t.Report("spec.target.creationPolicy", spec.KindChoice, "creationPolicy %q would leave the Secret behind when the ExternalSecret goes: expected Owner", policy)
	}
	if name := e.Spec.Target.Name; name != "" && len(validation.IsDNS1123Subdomain(name)) > 0 {
		t.Report("spec.target.name", spec.KindFormat, "%q is no name of a Secret", name)
	}
}

// checkService keeps a Service within the cluster.
func checkService(t spec.Tree, typed any) {
	s, is := typed.(*corev1.Service)
	if !is {
		return
	}
	if s.Spec.Type != "" && s.Spec.Type != corev1.ServiceTypeClusterIP {
		t.Report("spec.type", spec.KindChoice, "a base object is reached within its environment alone: expected type ClusterIP, not %s", s.Spec.Type)
	}
	if ip := s.Spec.ClusterIP; ip != "" && ip != corev1.ClusterIPNone {
		t.Report("spec.clusterIP", spec.KindChoice, "many environments have this Service: expected clusterIP None, not %s", ip)
	}
}

// checkGate refuses what would hand a visitor's password or token on to the code behind it.
func checkGate(t spec.Tree, root map[string]any) {
	block, _ := root["spec"].(map[string]any)
	for _, kind := range []string{"basicAuth", "digestAuth"} {
		auth, is := block[kind].(map[string]any)
		if is && root["kind"] != "SecurityPolicy" && auth["removeHeader"] != true {
			t.Report(spec.Join("spec", kind), spec.KindConflict, "%s without removeHeader: true hands the visitor's password on to the preview's code", kind)
		}
	}
	if oidc, _ := block["oidc"].(map[string]any); oidc["forwardAccessToken"] == true {
		t.Report("spec.oidc.forwardAccessToken", spec.KindConflict, "forwardAccessToken hands the visitor's token on to the preview's code: leave it out")
	}
}
