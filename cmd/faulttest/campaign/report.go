package campaign

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// Report is what a campaign came to; its names are a contract.
type Report struct {
	Seed   uint64  `json:"seed"`
	Rounds []Round `json:"rounds"`
	// Totals are the sums of the rounds, by database and together.
	Totals []Total       `json:"totals"`
	Took   time.Duration `json:"took"`
	// Searched says how much was searched for secrets.
	Searched string `json:"searched"`
}

// Round is one round.
type Round struct {
	Seed     uint64         `json:"seed"`
	Database Database       `json:"database"`
	Faults   []string       `json:"faults"`
	Events   int            `json:"events"`
	Figures  map[string]int `json:"figures"`
	Took     time.Duration  `json:"took"`
	// Violations are what did not hold, Error what kept it from being played; both are
	// empty where all is well.
	Violations []Violation `json:"violations,omitempty"`
	Error      string      `json:"error,omitempty"`
	// Left is the folder of a round that failed, Says the end of its logs.
	Left string `json:"left,omitempty"`
	Says string `json:"says,omitempty"`
}

// Total is a sum of rounds.
type Total struct {
	Of     string         `json:"of"`
	Rounds int            `json:"rounds"`
	Events int            `json:"events"`
	Broken int            `json:"broken"`
	Failed int            `json:"failed"`
	Sums   map[string]int `json:"sums"`
}

// figures counts what happens in a round.
type figures struct {
	mu     sync.Mutex
	counts map[string]int
}

func (f *figures) add(what string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[what] += n
}

func (f *figures) all() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.counts)
}

// conclude sums the rounds up.
func (r *Report) conclude(took time.Duration) {
	r.Took, r.Searched = took, secrettest.Searched().String()
	slices.SortFunc(r.Rounds, func(a, b Round) int { return int(a.Seed) - int(b.Seed) })
	for _, of := range []Database{SQLite, Postgres, ""} {
		t := Total{Of: string(of), Sums: map[string]int{}}
		if of == "" {
			t.Of = "both"
		}
		for _, round := range r.Rounds {
			if of != "" && round.Database != of {
				continue
			}
			t.Rounds++
			t.Events += round.Events
			t.Broken += len(round.Violations)
			if round.Error != "" {
				t.Failed++
			}
			for what, n := range round.Figures {
				t.Sums[what] += n
			}
		}
		r.Totals = append(r.Totals, t)
	}
}

// Held says that every round was played and that every invariant held after it.
func (r *Report) Held() bool {
	return len(r.Rounds) > 0 && !slices.ContainsFunc(r.Rounds, func(round Round) bool { return round.Error != "" || len(round.Violations) > 0 })
}

// line is a round in one line, with what is wrong below it.
func (r Round) line() string {
	verdict := "held"
	if r.Error != "" || len(r.Violations) > 0 {
		verdict = "BROKEN"
	}
	line := fmt.Sprintf("%s  seed %d  %-8s  %s  %d events, %d kills, %d stops  %s", verdict, r.Seed, r.Database, strings.Join(r.Faults, "+"),
		r.Events, r.Figures["kills"], r.Figures["stops"], r.Took.Round(100*time.Millisecond))
	if len(r.Violations) > 0 {
		line += "\n" + summary(r.Violations)
	}
	if r.Error != "" {
		line += "\nerror: " + r.Error
	}
	if r.Left != "" {
		line += "\n" + r.Says + "\nleft in " + r.Left
	}
	return line
}

// JSON writes the report for programs.
func (r *Report) JSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// Text writes the report for people.
func (r *Report) Text(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	names := map[string]bool{}
	header := "\t"
	for _, t := range r.Totals {
		header += t.Of + "\t"
		for what := range t.Sums {
			names[what] = true
		}
	}
	fmt.Fprintln(table, strings.ToUpper(header))
	row := func(what string, of func(Total) int) {
		fmt.Fprint(table, what, "\t")
		for _, t := range r.Totals {
			fmt.Fprint(table, of(t), "\t")
		}
		fmt.Fprintln(table)
	}
	row("rounds", func(t Total) int { return t.Rounds })
	row("events", func(t Total) int { return t.Events })
	for _, what := range slices.Sorted(maps.Keys(names)) {
		row(what, func(t Total) int { return t.Sums[what] })
	}
	row("rounds that could not be played", func(t Total) int { return t.Failed })
	row("violations", func(t Total) int { return t.Broken })
	if err := table.Flush(); err != nil {
		return err
	}
	broken := map[string]int{}
	for _, round := range r.Rounds {
		for _, v := range round.Violations {
			broken[v.Invariant]++
		}
	}
	fmt.Fprintln(w)
	for _, i := range invariants {
		verdict := "held"
		if n := broken[i.Name]; n > 0 {
			verdict = fmt.Sprintf("broken %d times", n)
		}
		fmt.Fprintf(w, "%-8s  %s: %s\n", i.Name, i.Says, verdict)
	}
	_, err := fmt.Fprintf(w, "\n%s\nseeds %d to %d, %s\n", r.Searched, r.Seed, r.Seed+uint64(max(0, len(r.Rounds)-1)), r.Took.Round(time.Second))
	return err
}
