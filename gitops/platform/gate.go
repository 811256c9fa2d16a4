package platform

import "slices"

// Gate is what asks who somebody is before a preview answers them. Both empty and not Public
// is a Gate that lets everybody through.
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

// securityPolicy is a kind that stands before HTTPRoutes without a filter of theirs: it names
// them itself.
const securityPolicy = "SecurityPolicy"

// Open says whether whoever knows the host of a preview of the class gets in, with nobody
// having said that this is meant.
func (c Class) Open() bool { return !c.Guarded() && (c.Gate == nil || !c.Gate.Public) }

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
	return len(gate.Filters) > 0 || c.givesPreviews(func(o BaseObject) bool { return o.Kind == securityPolicy })
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
// of it.
func (p Platform) OfPreviews(base Class) Class {
	own := p.Classes[base.Name]
	base.Objects, base.Gate = own.Objects, own.Gate
	return base
}
