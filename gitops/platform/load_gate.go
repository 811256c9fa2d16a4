package platform

import (
	"maps"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops/spec"
	"k8s.io/apimachinery/pkg/util/validation"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

const (
	// public is the word that stands in the place of a gate.
	public = "public"
	// maxAnnotations is how many annotations a gate may have, maxAnnotation how many bytes one.
	maxAnnotations, maxAnnotation = 20, 4096
)

// loadGate reads what stands in front of previews, and reports what is wrong with it.
// previews says that the class is theirs.
func (f *classFile) loadGate(doc *spec.Document, previews bool, objects []BaseObjects) *Gate {
	const at = "access"
	switch {
	case !doc.OK(at) || f.Access == nil:
		return nil
	case !previews:
		doc.ReportKey(at, spec.KindConflict, "access is for previews alone, and no preview has this class: put it into the file of the server's class")
		return nil
	case doc.Word(at) == public:
		return &Gate{Public: true}
	case len(f.Access.Filters)+len(f.Access.Annotations) == 0:
		if doc.Given("access.filters") && !doc.OK("access.filters") {
			return nil // reported
		}
		doc.Report(at, spec.KindConflict, "access has no filters and no annotations: write %s where previews are for everybody", public)
		return nil
	}
	gate := &Gate{Annotations: f.Access.Annotations}
	for i, block := range f.Access.Filters {
		if block == nil {
			continue // reported
		}
		filter := Filter(*block)
		checkFilter(doc, spec.Index("access.filters", i), filter, objects)
		if slices.Contains(gate.Filters, filter) {
			doc.Report(spec.Index("access.filters", i), spec.KindDuplicate, "%s %s is given twice", filter.Kind, filter.Name)
		}
		gate.Filters = append(gate.Filters, filter)
	}
	checkAnnotations(doc, f.Access.Annotations)
	return gate
}

// checkFilter holds a filter to names, and to an object that is there whoever's code a
// preview runs, where the class brings it: without it a gateway answers nothing.
func checkFilter(doc *spec.Document, at string, f Filter, objects []BaseObjects) {
	if key := spec.Join(at, "group"); doc.OK(key) {
		switch {
		case len(validation.IsDNS1123Subdomain(f.Group)) > 0:
			doc.Report(key, spec.KindFormat, "group %q is no API group, such as traefik.io", f.Group)
		case f.Group == gatewayv1.GroupName:
			doc.Report(key, spec.KindFormat, "group %s has no filters of this type: expected the gateway's own, such as traefik.io", f.Group)
		}
	}
	if key := spec.Join(at, "kind"); doc.OK(key) && len(validation.IsDNS1035Label(strings.ToLower(f.Kind))) > 0 {
		doc.Report(key, spec.KindFormat, "kind %q is no kind, such as Middleware", f.Kind)
	}
	key := spec.Join(at, "name")
	if !doc.OK(key) {
		return
	}
	if len(validation.IsDNS1123Subdomain(f.Name)) > 0 {
		doc.Report(key, spec.KindFormat, "name %q is no name (lower case letters, digits, - and .)", f.Name)
	}
	is := func(o BaseObject) bool {
		return strings.HasPrefix(o.APIVersion, f.Group+"/") && o.Kind == f.Kind && o.Name == f.Name
	}
	brought := slices.ContainsFunc(objects, func(o BaseObjects) bool { return slices.ContainsFunc(o.Objects, is) })
	if brought && !(Class{Objects: objects}).givesPreviews(is) {
		doc.Report(key, spec.KindConflict, "not every preview has %s %s, and without it the gateway answers nothing: give it to %s, %s and %s",
			f.Kind, f.Name, TrustMember, TrustBot, TrustFork)
	}
}

// checkAnnotations refuses what is no annotation, and what would do more than guard.
func checkAnnotations(doc *spec.Document, annotations map[string]string) {
	const at = "access.annotations"
	if n := len(annotations); n > maxAnnotations {
		doc.Report(at, spec.KindLimit, "%s has %d entries: expected at most %d", at, n, maxAnnotations)
		return
	}
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		field, lower := spec.Join(at, key), strings.ToLower(key)
		i := slices.IndexFunc(reserved, func(prefix string) bool { return strings.HasPrefix(lower, prefix) })
		switch {
		case len(validation.IsQualifiedName(lower)) > 0:
			doc.ReportKey(field, spec.KindFormat, "%q is no annotation's key, such as nginx.ingress.kubernetes.io/auth-url", key)
		case strings.HasSuffix(lower, "-snippet") || strings.HasSuffix(lower, "-snippets"):
			doc.ReportKey(field, spec.KindChoice, "%s is not taken: it injects configuration into the controller, for everybody", key)
		case i >= 0:
			doc.ReportKey(field, spec.KindChoice, "%s is not to be set here: what begins with %s is idp's or Argo CD's", key, reserved[i])
		case len(annotations[key]) > maxAnnotation:
			doc.Report(field, spec.KindRange, "%s has %d bytes: expected at most %d", key, len(annotations[key]), maxAnnotation)
		}
	}
}
