package policy

import (
	"slices"
	"time"
)

// Lifetime is how long the policy max_ttl of the starter set lets a preview live that is
// there already; its zero value bounds nothing.
type Lifetime struct {
	// Policy is its title, Max the longest from the last push, 0 without a bound.
	Policy string
	Max    time.Duration
	// NoPin says that none may be pinned.
	NoPin bool
	// Warns says that what goes beyond is told and passes.
	Warns bool
}

// Lifetime returns what holds for extending and pinning. Only new deployments wait for
// policies that are broken: without knowing them nothing is kept from living on.
func (s *Set) Lifetime() Lifetime {
	if s.broken != nil {
		return Lifetime{}
	}
	for _, r := range s.rules {
		if r.id == "max_ttl" {
			return Lifetime{Policy: r.name, Max: s.settings.maxTTL, NoPin: s.settings.noPin, Warns: r.warns}
		}
	}
	return Lifetime{} // it is off
}

// Registries are those that the platform team lets images come from, or folders of them
// such as "ghcr.io/acme"; none where any may be used, or nobody knows.
func (s *Set) Registries() []string {
	if s.broken != nil {
		return nil
	}
	return slices.Clone(s.settings.registries)
}
