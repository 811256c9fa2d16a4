package platform

import (
	"encoding/json"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/spec"
)

// Gate is what asks who somebody is before a preview answers them. Both empty and not Public
// is a Gate that nobody gets through.
type Gate struct {
	// Public says that previews are for everybody on purpose.
	Public bool `json:",omitempty"`
	// Filters stand before all others on every rule of a preview's HTTPRoutes.
	Filters []Filter `json:",omitempty"`
	// Annotations are on every Ingress of a preview, over all others.
	Annotations map[string]string `json:",omitempty"`
}

// Filter is an object of a preview's namespace that an HTTPRoute's filter refers to.
type Filter struct{ Group, Kind, Name string }

// Closed says whether previews of the class have no route into them from the gateway, and so
// no address: nothing asks who somebody is, and nobody said that they are for everybody.
func (c Class) Closed() bool { return !c.Guarded() && (c.Gate == nil || !c.Gate.Public) }

// WhyClosed says why previews of a closed class have no address.
const WhyClosed = "nobody has said how previews are guarded, so no route leads into them"

// HowToOpen says how previews of a closed class come to have an address.
func (c Class) HowToOpen() string {
	key := "access.filters"
	if c.Routing.Kind == Ingress {
		key = "access.annotations"
	}
	return "name in " + key + " of " + c.File() + " what has the gateway ask who somebody is, or say that previews are for everybody: access: public there, or preview_access: public in idp's configuration"
}

// File is where the platform folder declares the class.
func (c Class) File() string { return ClassesDir + "/" + c.Name + ".yaml" }

// Guarded says whether something stands in front of previews of the class. What only guards
// routes of another kind does not.
func (c Class) Guarded() bool {
	gate := c.Gate
	if gate == nil {
		gate = &Gate{}
	}
	if c.Routing.Kind == Ingress {
		return len(gate.Annotations) > 0
	}
	return len(gate.Filters) > 0 || c.givesPreviews(guardsRoutes)
}

// guardsRoutes says whether an object is a SecurityPolicy that asks who somebody is on every
// HTTPRoute of its namespace, without a filter of theirs, by the label that idp puts on each:
// one that goes by a name or a label that a chart may choose is no gate.
func guardsRoutes(o BaseObject) bool {
	var policy struct {
		Spec struct {
			APIKeyAuth, Authorization, BasicAuth, ExtAuth, JWT, OIDC json.RawMessage

			TargetSelectors []struct {
				Kind             string
				MatchLabels      map[string]string
				MatchExpressions []json.RawMessage
			}
		}
	}
	if o.Kind != "SecurityPolicy" || json.Unmarshal(o.Content, &policy) != nil {
		return false
	}
	s := policy.Spec
	asks := slices.ContainsFunc([]json.RawMessage{s.APIKeyAuth, s.Authorization, s.BasicAuth, s.ExtAuth, s.JWT, s.OIDC}, func(m json.RawMessage) bool { return m != nil })
	for _, to := range s.TargetSelectors {
		ours := maps.Equal(to.MatchLabels, map[string]string{gitops.LabelManagedBy: gitops.ManagedBy})
		if asks && to.Kind == "HTTPRoute" && ours && len(to.MatchExpressions) == 0 {
			return true
		}
	}
	return false
}

// givesPreviews says whether previews have an object of the class whoever's code they run.
func (c Class) givesPreviews(is func(BaseObject) bool) bool {
	for _, t := range []Trust{TrustMember, TrustBot, TrustFork} {
		if !slices.ContainsFunc(c.Objects, func(o BaseObjects) bool { return o.GivenTo(t) && slices.ContainsFunc(o.Objects, is) }) {
			return false
		}
	}
	return true
}

// OfPreviews is the class of previews: base, which is the server's, with the base objects and
// the gate that the platform folder declares for the class of its name, and nothing else
// of it. Where that says nothing of a gate, the server's counts.
func (p Platform) OfPreviews(base Class) Class {
	if own, ok := p.Classes[base.Name]; ok {
		base.Objects, base.Gate = own.Objects, own.Gate
	}
	return base
}

// NotOfPreviews says, in a sentence without its full stop, which keys of the file of the class
// of previews previews do not have from there, "" where there are none. base is the server's.
func NotOfPreviews(files []gitops.File, base Class) string {
	name := path.Join(ClassesDir, base.Name+".yaml")
	at := slices.IndexFunc(files, func(f gitops.File) bool { return f.Path == name })
	if at < 0 {
		return ""
	}
	var file classFile
	doc := spec.Decode(name, files[at].Content, &file)
	var keys []string
	for _, field := range reflect.VisibleFields(reflect.TypeFor[classFile]()) {
		key := field.Tag.Get("json")
		if key != "objects" && key != "access" && doc.Given(key) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return ""
	}
	return strings.Join(keys, ", ") + " of " + name + " hold for long-lived environments of the class alone: previews take them from the server's configuration, by the same names"
}
