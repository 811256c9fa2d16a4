package previews

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/idp-bot/idp/gitops/figure"
)

func problems(log []Audit) (out []string) {
	var chain AuditChain
	for _, a := range log {
		if problem := chain.Check(a); problem != "" {
			out = append(out, problem)
		}
	}
	return out
}

// TestAuditChainBreaks changes a log in every way that whoever does not know the
// chain can, and wants it found.
func TestAuditChainBreaks(t *testing.T) {
	t.Parallel()
	changes := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		var chain AuditChain
		var log []Audit
		for range rapid.IntRange(3, 20).Draw(t, "entries") {
			log = append(log, chain.Append(Audit{
				At: time.Unix(0, rapid.Int64Range(0, 1<<60).Draw(t, "at")).UTC(), Actor: rapid.String().Draw(t, "actor"), ActorID: rapid.Int64().Draw(t, "id"),
				Action: string(rapid.SliceOf(rapid.Byte()).Draw(t, "action")), SHA: rapid.StringMatching("[0-9a-f]{40}").Draw(t, "sha"), Allowed: rapid.Bool().Draw(t, "allowed"),
				Reason: rapid.String().Draw(t, "reason"),
			}))
		}
		if found := problems(log); len(found) != 0 {
			t.Fatalf("an untouched log: %v", found)
		}
		for _, a := range log {
			var again Audit
			if err := json.Unmarshal(a.Line(), &again); err != nil || again.Sum() != a.Hash {
				t.Fatalf("the line of entry %d gives another hash: %s (%v)", a.Seq, a.Line(), err)
			}
		}
		i := rapid.IntRange(0, len(log)-2).Draw(t, "where")
		what := rapid.SampledFrom([]string{"alter", "forge", "drop", "swap", "insert", "time"}).Draw(t, "how")
		switch what {
		case "alter":
			log[i].Allowed = !log[i].Allowed
		case "forge": // with its own hash made right
			log[i].Reason += "!"
			log[i].Hash = log[i].Sum()
		case "drop":
			log = slices.Delete(log, i, i+1)
		case "swap":
			log[i], log[i+1] = log[i+1], log[i]
		case "insert":
			log = slices.Insert(log, i, log[i])
		case "time":
			log[i].At = log[i].At.Add(time.Nanosecond)
		}
		if len(problems(log)) == 0 {
			t.Fatal("it was not found")
		}
		changes[what]++
	})
	figure.Tell(t, "changed logs, all found: %v", changes)
}

// TestAuditProblems says what was done to which entry.
func TestAuditProblems(t *testing.T) {
	t.Parallel()
	var chain AuditChain
	var log []Audit
	for i := range 9 {
		log = append(log, chain.Append(Audit{Action: fmt.Sprint("deploy ", i)}))
	}
	altered, forged := slices.Clone(log), slices.Clone(log)
	altered[3].Action = "deploy 33"
	forged[3].Action = "deploy 33"
	forged[3].Hash = forged[3].Sum()
	for want, log := range map[string][]Audit{
		"entry 4 was altered":                         altered,
		"entry 5 does not follow the entry before it": forged,
		"entry 4 is missing":                          slices.Delete(slices.Clone(log), 3, 4),
		"entries 1 to 3 are missing":                  log[3:],
		"entry 4 is missing; entry 4 stands behind entry 5; entry 5 is missing": {log[0], log[1], log[2], log[4], log[3], log[5]},
	} {
		if got := strings.Join(problems(log), "; "); got != want {
			t.Errorf("found %q, want %q", got, want)
		}
	}
	if head, ok := ParseAuditChain(chain.String()); !ok || head != chain {
		t.Errorf("%q is read as %v", chain, head)
	}
	for _, bad := range []string{"", "1", "1 abc", "x " + chain.Hash, "0 " + chain.Hash, chain.Hash} {
		if _, ok := ParseAuditChain(bad); ok {
			t.Errorf("%q names an entry", bad)
		}
	}
}
