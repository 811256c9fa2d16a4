// Command threats runs the tests that stand for what idp promises about its security,
// and prints a Markdown table of each threat with its tests and their figures. It ends
// with status 1 where one failed or did not run. Those that take a cluster run with
// -cluster, which builds it where it is not built yet.
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
	results, err := run(ctx, *cluster, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
	}
	table, met := report(results, *cluster)
	fmt.Print(table)
	if err != nil || !met {
		stop()
		os.Exit(1)
	}
}

// outcome is what became of one test.
type outcome struct {
	passed bool
	figure string
}

// event is a line of "go test -json".
type event struct {
	Action, Package, Test, Output, Key, Value string
}

// run runs every proof, a package after the other, and returns what came of each. What
// the tests print goes to out where they fail.
func run(ctx context.Context, cluster bool, out io.Writer) (map[proof]outcome, error) {
	results := map[proof]outcome{}
	for _, pkg := range packages() {
		if err := runPackage(ctx, results, pkg, false, out); err != nil {
			return results, err
		}
	}
	if cluster {
		return results, runPackage(ctx, results, "cmd/idp", true, out)
	}
	return results, nil
}

// runPackage runs the proofs of a package that take a cluster, or the others.
func runPackage(ctx context.Context, results map[proof]outcome, pkg string, cluster bool, out io.Writer) error {
	args := []string{"test", "-json", "-count=1", "-timeout=60m", "-run", pattern(pkg, cluster)}
	if cluster {
		args = append(args, "-tags=e2e")
	}
	test := exec.CommandContext(ctx, "go", append(args, "./"+pkg)...)
	test.Stderr = out
	pipe, err := test.StdoutPipe()
	if err != nil {
		return err
	}
	if err := test.Start(); err != nil {
		return err
	}
	err = gather(results, pkg, pipe, out)
	if failed := test.Wait(); err == nil && failed != nil {
		err = fmt.Errorf("the tests of %s: %w", pkg, failed)
	}
	return err
}

func packages() []string {
	var out []string
	for _, t := range threats {
		for _, p := range t.Proofs {
			if !slices.Contains(out, p.Package) {
				out = append(out, p.Package)
			}
		}
	}
	slices.Sort(out)
	return out
}

// pattern is -run for the proofs of a package that take a cluster, or for the others: it
// goes level by level.
func pattern(pkg string, cluster bool) string {
	var levels [2][]string
	for _, t := range threats {
		for _, p := range t.Proofs {
			if p.Package != pkg || p.cluster() != cluster {
				continue
			}
			top, sub, nested := strings.Cut(p.Test, "/")
			if !slices.Contains(levels[0], top) {
				levels[0] = append(levels[0], top)
			}
			if nested {
				levels[1] = append(levels[1], sub)
			}
		}
	}
	out := "^(" + strings.Join(levels[0], "|") + ")$"
	if len(levels[1]) > 0 {
		out += "/^(" + strings.Join(levels[1], "|") + ")$"
	}
	return out
}

// gather reads what the tests of a package say.
func gather(results map[proof]outcome, pkg string, from io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 16<<20)
	figures, printed := map[string]string{}, map[string][]string{}
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("read what go test says of %s: %w", pkg, err)
		}
		switch e.Action {
		case "output":
			printed[e.Test] = append(printed[e.Test], e.Output)
		case "attr":
			if e.Key == figure.Key {
				figures[e.Test] = e.Value
			}
		case "pass", "fail":
			results[proof{pkg, e.Test}] = outcome{passed: e.Action == "pass", figure: figures[e.Test]}
			if e.Action == "fail" {
				fmt.Fprint(out, strings.Join(printed[e.Test], ""))
			}
			delete(printed, e.Test)
		}
	}
	return lines.Err()
}

// report is the table of what was found; met says that every threat has a proof that told
// a figure, and every proof passed, but for those that take a cluster where none is there.
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
				found, told = append(found, "takes a cluster: -cluster"), true
			case !ran:
				met, found = false, append(found, "**did not run**")
			case !o.passed:
				met, found = false, append(found, "**failed**")
			case o.figure != "":
				found, told = append(found, o.figure), true
			default:
				found = append(found, "passed")
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
