package load

import (
	"errors"
	"fmt"
	"time"
)

// Sizes say how much is done.
type Sizes struct {
	// Webhooks is how many of W1, Connections over how many connections, Payload the bytes
	// of each.
	Webhooks, Connections, Payload int
	// Burst are the pull requests of W2, in so many runs; Each is how many environments are
	// committed one by one, as people would, to compare with.
	Burst []int
	Each  int
	// Environments are how many there are in W3; Changes how many changes are made in each.
	Environments []int
	Changes      int
	// Events on Pulls pull requests are W4.
	Events, Pulls int
	// Reap of ReapOf environments are taken away in W5.
	Reap, ReapOf int
	// Singles is how many pull requests are opened one by one in W6.
	Singles int
	// Contended is how many are in W7, while somebody else pushes each ForeignEvery.
	Contended    int
	ForeignEvery time.Duration
	// IdlePreviews in IdleRepositories are W8; IdleFor is how long nothing happens.
	IdlePreviews, IdleRepositories int
	IdleFor                        time.Duration
	// NoOps is how many deliveries of W9.
	NoOps int
	// FairBurst is how many pull requests the one repository opens, FairSingles how many the
	// other does, before and meanwhile.
	FairBurst, FairSingles int
}

// Whole are the sizes that the figures are promised for.
func Whole() Sizes {
	return Sizes{
		Webhooks: 10_000, Connections: 64, Payload: 25_000,
		Burst: []int{1_000, 10_000}, Each: 50,
		Environments: []int{1_000, 10_000, 100_000}, Changes: 15,
		Events: 10_000, Pulls: 100,
		Reap: 10_000, ReapOf: 100_000,
		Singles:   100,
		Contended: 200, ForeignEvery: 200 * time.Millisecond,
		IdlePreviews: 10_000, IdleRepositories: 1_000, IdleFor: 2 * time.Minute,
		NoOps:     10_000,
		FairBurst: 5_000, FairSingles: 10,
	}
}

// Short are sizes with which each work takes seconds: that it works is seen, how fast is not.
func Short() Sizes {
	return Sizes{
		Webhooks: 300, Connections: 64, Payload: 25_000,
		Burst: []int{20}, Each: 2,
		Environments: []int{100, 300, 1_000}, Changes: 2,
		Events: 200, Pulls: 10,
		Reap: 300, ReapOf: 1_000,
		Singles:   2,
		Contended: 6, ForeignEvery: 200 * time.Millisecond,
		IdlePreviews: 40, IdleRepositories: 20, IdleFor: time.Second,
		NoOps:     200,
		FairBurst: 80, FairSingles: 1,
	}
}

func (s Sizes) check() error {
	var errs []error
	need := func(name string, is, least int) {
		if is < least {
			errs = append(errs, fmt.Errorf("--%s %d: expected %d at least", name, is, least))
		}
	}
	need("webhooks", s.Webhooks, 10)
	need("connections", s.Connections, 1)
	need("payload", s.Payload, 500)
	need("each", s.Each, 1)
	need("changes", s.Changes, 1)
	need("pulls", s.Pulls, 1)
	need("events", s.Events, s.Pulls)
	need("reap", s.Reap, 1)
	need("reap-of", s.ReapOf, s.Reap)
	need("singles", s.Singles, 1)
	need("contended", s.Contended, 1)
	need("idle-repositories", s.IdleRepositories, 1)
	need("idle-previews", s.IdlePreviews, s.IdleRepositories)
	need("no-ops", s.NoOps, 20)
	need("fair-burst", s.FairBurst, 1)
	need("fair-singles", s.FairSingles, 1)
	for _, n := range s.Burst {
		need("burst", n, 1)
	}
	for _, n := range s.Environments {
		need("environments", n, 1)
	}
	if len(s.Burst) == 0 || len(s.Environments) == 0 {
		errs = append(errs, errors.New("--burst and --environments: expected one number at least"))
	}
	return errors.Join(errs...)
}
