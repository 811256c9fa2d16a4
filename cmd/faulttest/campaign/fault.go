package campaign

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// fault is something that is done to idp, or to what it works with.
type fault struct {
	name, says string
	// only is the database that it can be played on, "" for both; replicas is how many it
	// takes, 0 for one or two; disk the size of the filesystem that it fills, "" for none.
	only     Database
	replicas int
	disk     string
	// alone says that nothing else is played with it.
	alone bool
	// shares is how often a round is about it, among the others; 0 is 1. beside says that
	// rounds about others may have it too.
	shares int
	beside bool
	// bounded says that run ends by itself once it has done enough; else it goes on until
	// ctx ends. Either way it leaves everything as it found it.
	bounded bool
	run     func(ctx context.Context, r *round, random *rand.Rand) error
	// impossible says why it cannot be played; "" where it can.
	impossible string
}

// faults are all that there are. To add one, add a row.
var faults = []fault{
	{name: "kill", says: "kill -9 at any moment, or when it answers, asks, tells or pushes", shares: 4, beside: true, bounded: true, run: kills},
	{name: "stop", says: "SIGSTOP of the replica that writes, with a push under way, until the other has taken over", only: Postgres, replicas: 2, shares: 2, bounded: true, run: stops},
	{name: "github", says: "5xx, timeouts, slow and broken answers, 429 and secondary limits", shares: 2, beside: true, run: illGitHub},
	{name: "git", says: "out of reach; pushes refused, failed, and landed with their answers lost", shares: 2, beside: true, run: illGit},
	{name: "foreign", says: "others commit between idp's read and its push", beside: true, run: foreigners},
	{name: "deliveries", says: "late, in another order, twice, and replayed", beside: true, run: oddDeliveries},
	{name: "poison", says: "signed webhooks that cannot be handled", run: poisons, bounded: true},
	{name: "postgres", says: "the server halted and started again, connections cut", only: Postgres, shares: 2, bounded: true, run: illPostgres},
	{name: "lock", says: "another process holds the lock of the database", only: SQLite, replicas: 1, bounded: true, run: locks},
	{name: "disk", says: "the disk is full", only: SQLite, replicas: 1, disk: "96m", bounded: true, run: fullDisk},
	{name: "pages", says: "pages of the database are overwritten while it is down", only: SQLite, replicas: 1, alone: true, bounded: true, run: flippedPages},
	{name: "replaced", says: "another history takes the place of the GitOps repository's branch", replicas: 1, alone: true, bounded: true, run: replacedRemote},
	{name: "argocd", says: "Argo CD does not answer, with commits under way", beside: true, run: absentArgoCD},
	{name: "clock", impossible: "no process has a clock of its own to turn: what time does is played in-process, by the scenarios and tests that advance the clock"},
}

func faultNamed(name string) (fault, bool) {
	for _, f := range faults {
		if f.name == name {
			return f, true
		}
	}
	return fault{}, false
}

// faultNames are those that can be played.
func faultNames() (names []string) {
	for _, f := range faults {
		if f.impossible == "" {
			names = append(names, f.name)
		}
	}
	return names
}

// plan is what a round is about.
type plan struct {
	seed     uint64
	database Database
	faults   []fault
	replicas int
	disk     string
	kills    int
	// followed says that there is an Argo CD.
	followed bool
}

func (p plan) names() (names []string) {
	for _, f := range p.faults {
		names = append(names, f.name)
	}
	return names
}

// plan draws a round from its seed: what it is about goes round, what is beside that is
// drawn.
func (c *campaign) plan(seed uint64) plan {
	type turn struct {
		fault    fault
		database Database
	}
	var turns []turn
	var beside []fault
	for _, f := range faults {
		if f.impossible != "" || len(c.Faults) > 0 && !slices.Contains(c.Faults, f.name) {
			continue
		}
		if f.beside {
			beside = append(beside, f)
		}
		for _, d := range databasesOf(f, c.Databases) {
			for range max(1, f.shares) {
				turns = append(turns, turn{f, d})
			}
		}
	}
	random := rand.New(rand.NewPCG(seed, 0))
	// The turns of one fault are spread, so that a short run sees many.
	rand.New(rand.NewPCG(0, 0)).Shuffle(len(turns), func(i, j int) { turns[i], turns[j] = turns[j], turns[i] })
	of := turns[seed%uint64(len(turns))]
	p := plan{seed: seed, database: of.database, faults: []fault{of.fault}, replicas: of.fault.replicas, disk: of.fault.disk, kills: c.Kills}
	if of.fault.alone {
		beside = nil
	}
	random.Shuffle(len(beside), func(i, j int) { beside[i], beside[j] = beside[j], beside[i] })
	for _, f := range beside[:min(len(beside), random.IntN(3))] {
		if f.name != of.fault.name {
			p.faults = append(p.faults, f)
		}
	}
	if p.replicas == 0 {
		p.replicas = 1
		if p.database == Postgres {
			p.replicas += random.IntN(2)
		}
	}
	p.followed = slices.Contains(p.names(), "argocd") || !of.fault.alone && random.IntN(3) == 0
	return p
}

// Describe lists the faults, a line each.
func Describe() string {
	var lines []string
	for _, f := range faults {
		says := f.says
		if f.impossible != "" {
			says = "cannot be played: " + f.impossible
		}
		lines = append(lines, fmt.Sprintf("%-10s  %s", f.name, says))
	}
	return strings.Join(lines, "\n")
}
