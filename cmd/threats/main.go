// Command threats runs the tests that stand for what idp promises about its security,
// and prints a Markdown table of each threat with its tests and their figures. It ends
// with status 1 where one failed or did not run, or took longer than is promised. Those
// that take a cluster run with -cluster, which builds it where it is not built yet.
//
//	go run ./cmd/threats
//	go run ./cmd/threats -cluster
//	IDP_TEST_SCALE=10 go run ./cmd/threats
//	go run ./cmd/threats -list
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

func main() {
	list := flag.Bool("list", false, "print what stands for what, and run nothing")
	cluster := flag.Bool("cluster", false, "run what takes a Kubernetes and an Argo CD too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *list {
		fmt.Print(promises())
		return
	}
	results, searched, err := run(ctx, *cluster, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
	}
	table, met := report(results, *cluster)
	fmt.Print(table, told(searched))
	if err != nil || !met {
		stop()
		os.Exit(1)
	}
}

// outcome is what became of one test, and how long what it measured took.
type outcome struct {
	passed bool
	figure string
	bounds []figure.Measured
}

// event is a line of "go test -json".
type event struct {
	Action, Package, Test, Output, Key, Value string
}

// run runs every proof, a package after the other, and returns what came of each, and how
// much of what each package's tests wrote was searched for secrets. What
// the tests print goes to out where they fail.
func run(ctx context.Context, cluster bool, out io.Writer) (map[proof]outcome, map[string]secrettest.Counts, error) {
	results, searched := map[proof]outcome{}, map[string]secrettest.Counts{}
	for _, g := range groups() {
		if g.cluster && !cluster {
			continue
		}
		if err := g.run(ctx, results, searched, out); err != nil {
			return results, searched, err
		}
	}
	return results, searched, nil
}

// group is what one run of "go test" proves: tests of a package, all with as many levels in
// their names. -run goes level by level, so that together those with two would leave out
// what is below the others: their subtests, and the seeds of a fuzz target.
type group struct {
	pkg             string
	nested, cluster bool
	tests           []string
}

// groups are those of all proofs, a package after the other, those on a cluster last.
func groups() []group {
	var out []group
	for _, t := range threats {
		for _, p := range t.Proofs {
			g := group{pkg: p.Package, nested: strings.Contains(p.Test, "/"), cluster: p.cluster()}
			i := slices.IndexFunc(out, func(o group) bool { return o.pkg == g.pkg && o.nested == g.nested && o.cluster == g.cluster })
			if i < 0 {
				i, out = len(out), append(out, g)
			}
			if !slices.Contains(out[i].tests, p.Test) {
				out[i].tests = append(out[i].tests, p.Test)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b group) int {
		if a.cluster != b.cluster {
			if a.cluster {
				return 1
			}
			return -1
		}
		return strings.Compare(a.pkg, b.pkg)
	})
	return out
}

// pattern is -run for the group.
func (g group) pattern() string {
	var tops, subs []string
	for _, test := range g.tests {
		top, sub, _ := strings.Cut(test, "/")
		if !slices.Contains(tops, top) {
			tops = append(tops, top)
		}
		subs = append(subs, sub)
	}
	out := "^(" + strings.Join(tops, "|") + ")$"
	if g.nested {
		out += "/^(" + strings.Join(subs, "|") + ")$"
	}
	return out
}

func (g group) run(ctx context.Context, results map[proof]outcome, searched map[string]secrettest.Counts, out io.Writer) error {
	args := []string{"test", "-json", "-count=1", "-timeout=60m", "-run", g.pattern()}
	if g.cluster {
		args = append(args, "-tags=e2e")
	}
	test := exec.CommandContext(ctx, "go", append(args, "./"+g.pkg)...)
	test.Stderr = out
	pipe, err := test.StdoutPipe()
	if err != nil {
		return err
	}
	if err := test.Start(); err != nil {
		return err
	}
	err = gather(results, searched, g.pkg, pipe, out)
	if failed := test.Wait(); err == nil && failed != nil {
		err = fmt.Errorf("the tests of %s: %w", g.pkg, failed)
	}
	return err
}

// gather reads what the tests of a package say, and how much of what they wrote was searched
// for secrets.
func gather(results map[proof]outcome, searched map[string]secrettest.Counts, pkg string, from io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 16<<20)
	told, printed := map[string]outcome{}, map[string][]string{}
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("read what go test says of %s: %w", pkg, err)
		}
		switch e.Action {
		case "output":
			printed[e.Test] = append(printed[e.Test], e.Output)
			if c, is := secrettest.ParseCounts(e.Output); is {
				searched[pkg] = searched[pkg].Add(c)
			}
		case "attr":
			o, err := told[e.Test].with(e.Key, e.Value)
			if err != nil {
				return fmt.Errorf("%s of %s tells %w", e.Test, pkg, err)
			}
			told[e.Test] = o
		case "pass", "fail":
			o := told[e.Test]
			o.passed = e.Action == "pass"
			results[proof{pkg, e.Test}] = o
			if e.Action == "fail" {
				fmt.Fprint(out, strings.Join(printed[e.Test], ""))
			}
			delete(printed, e.Test)
		}
	}
	return lines.Err()
}

// with is the outcome with what an attribute of the test tells; others' are passed by.
func (o outcome) with(key, value string) (outcome, error) {
	switch key {
	case figure.Key:
		o.figure = value
	case figure.BoundKey:
		m, err := figure.ParseBound(value)
		if err != nil {
			return o, err
		}
		o.bounds = append(o.bounds, m)
	}
	return o, nil
}

// result is what the table says of a proof that passed; met says that nothing took longer
// than is promised.
func (o outcome) result() (said string, met bool) {
	said, met = o.figure, true
	if said == "" {
		said = "passed"
	}
	for _, m := range o.bounds {
		if m.Missed() {
			said, met = said+"; **missed**: "+m.String(), false
		} else {
			said += "; " + m.String()
		}
	}
	return said, met
}

// report is the table of what was found; met says that every threat has a proof that told
// a figure, every proof passed, and none took longer than is promised. Those that take a cluster are not asked for where none
// is there, and the table says that they are not shown.
func report(results map[proof]outcome, cluster bool) (table string, met bool) {
	var b strings.Builder
	b.WriteString("| threat | promise | shown by | result |\n| --- | --- | --- | --- |\n")
	met = true
	for _, t := range threats {
		var tests, found []string
		told := false
		for _, p := range t.Proofs {
			tests = append(tests, "`"+p.Package+"` `"+p.Test+"`")
			switch o, ran := results[p]; {
			case !ran && p.cluster() && !cluster:
				found, told = append(found, "**not shown here**: it takes a cluster, -cluster"), true
			case !ran:
				met, found = false, append(found, "**did not run**")
			case !o.passed:
				met, found = false, append(found, "**failed**")
			default:
				said, kept := o.result()
				met, told, found = met && kept, told || o.figure != "", append(found, said)
			}
		}
		if !told && len(tests) > 0 {
			met, found = false, append(found, "**no figure**")
		}
		if len(tests) == 0 {
			met, tests, found = false, []string{"nothing yet"}, []string{"**open**"}
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", t.Name, t.Promise, strings.Join(tests, "<br>"), strings.Join(found, "<br>"))
	}
	return b.String(), met
}

// told says how much was searched for secrets while the tests ran.
func told(searched map[string]secrettest.Counts) string {
	var all secrettest.Counts
	for _, c := range searched {
		all = all.Add(c)
	}
	return fmt.Sprintf("\nOf what the tests of %d packages wrote, %s. A secret in any of it fails the package.\n", len(searched), all)
}

// promises is the table without results, for people who read rather than run.
func promises() string {
	var b strings.Builder
	b.WriteString("| threat | idp's promise | shown by |\n| --- | --- | --- |\n")
	for _, t := range threats {
		var tests []string
		for _, p := range t.Proofs {
			tests = append(tests, "`"+p.Test+"` in `"+p.Package+"`")
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", t.Name, t.Promise, strings.Join(tests, ", "))
	}
	return b.String()
}
