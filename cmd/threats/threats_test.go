package main

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

var update = flag.Bool("update", false, "write the table into SECURITY.md")

// TestProofsExist holds the table to tests that there are.
func TestProofsExist(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	for _, threat := range threats {
		if len(threat.Proofs) == 0 {
			t.Errorf("%s: nothing shows that it is met", threat.Name)
		}
		for _, p := range threat.Proofs {
			name, sub, _ := strings.Cut(p.Test, "/")
			if !declared(t, filepath.Join(root, filepath.FromSlash(p.Package)), name) {
				t.Errorf("%s: there is no test %s in %s", threat.Name, name, p.Package)
			}
			if name != "TestScenarios" {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, "testdata", "scenarios", sub+".txtar")); err != nil {
				t.Errorf("%s: %v", threat.Name, err)
			}
		}
	}
}

// declared says that a package's tests have a function.
func declared(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == name {
				return true
			}
		}
	}
	return false
}

func TestReport(t *testing.T) {
	t.Parallel()
	results := map[proof]outcome{}
	for _, threat := range threats {
		for _, p := range threat.Proofs {
			results[p] = outcome{passed: true}
		}
	}
	for _, threat := range threats { // a proof may be one of several rows
		results[threat.Proofs[0]] = outcome{passed: true, figure: "7 of 7"}
	}
	first := threats[0].Proofs
	if table, met := report(results, true); !met || !strings.Contains(table, "| 7 of 7<br>passed") {
		t.Errorf("met %v:\n%s", met, table)
	}
	results[first[0]] = outcome{passed: true}
	if table, met := report(results, true); met || strings.Count(table, "passed<br>**no figure** |") != 1 {
		t.Errorf("where all passed and none told a figure, met %v:\n%s", met, table)
	}
	results[first[0]] = outcome{passed: true, figure: "7 of 7"}
	stolen := proof{"cmd/idp", "TestEndToEnd/fence"}
	delete(results, stolen)
	if table, met := report(results, true); met || !strings.Contains(table, "**did not run**") {
		t.Errorf("with a cluster, met %v:\n%s", met, table)
	}
	if table, met := report(results, false); !met || !strings.Contains(table, "**not shown here**: it takes a cluster") {
		t.Errorf("without a cluster, met %v:\n%s", met, table)
	}
	slow := proof{"cmd/idp", "TestManyEndlessBodies"}
	results[slow] = outcome{passed: true, figure: "7 of 7", bounds: []figure.Measured{{What: "p99", Took: time.Second, Max: time.Second}}}
	if table, met := report(results, false); !met || !strings.Contains(table, "<br>7 of 7; p99 took 1s, of 1s at the most<br>") {
		t.Errorf("within its bound, met %v:\n%s", met, table)
	}
	results[slow].bounds[0].Took++
	if table, met := report(results, false); met || !strings.Contains(table, "<br>7 of 7; **missed**: p99 took 1s, of 1s at the most<br>") {
		t.Errorf("past its bound, met %v:\n%s", met, table)
	}
	results[slow] = outcome{passed: true}
	results[stolen] = outcome{passed: true}
	results[first[1]] = outcome{}
	delete(results, first[2])
	if table, met := report(results, true); met || !strings.Contains(table, "| 7 of 7<br>**failed**<br>**did not run**<br>") {
		t.Errorf("met %v:\n%s", met, table)
	}
}

// TestGather reads a figure, bounds, an outcome and what was searched.
func TestGather(t *testing.T) {
	t.Parallel()
	results, searched := map[proof]outcome{}, map[string]secrettest.Counts{}
	counts := secrettest.Counts{Folders: 1, Files: 2, Objects: 3}
	events := `{"Action":"attr","Test":"TestX","Key":"figure","Value":"7 of 7"}
{"Action":"attr","Test":"TestX","Key":"bound","Value":"{\"What\":\"p99\",\"Took\":7,\"Max\":8}"}
{"Action":"attr","Test":"TestX","Key":"bound","Value":"{\"What\":\"p50\",\"Took\":9,\"Max\":8}"}
{"Action":"attr","Test":"TestX","Key":"other","Value":"x"}
{"Action":"pass","Test":"TestX"}
{"Action":"output","Output":"PASS\n"}
{"Action":"output","Output":"` + counts.String() + `\n"}
`
	for range 2 {
		if err := gather(results, searched, "bot", strings.NewReader(events), io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	bounds := []figure.Measured{{What: "p99", Took: 7, Max: 8}, {What: "p50", Took: 9, Max: 8}}
	if got := results[proof{"bot", "TestX"}]; !got.passed || got.figure != "7 of 7" || !slices.Equal(got.bounds, bounds) {
		t.Errorf("%+v", got)
	}
	nonsense := `{"Action":"attr","Test":"TestX","Key":"bound","Value":"9ms"}`
	if err := gather(results, searched, "bot", strings.NewReader(nonsense), io.Discard); err == nil || !strings.Contains(err.Error(), `TestX of bot tells a bound that reads "9ms"`) {
		t.Errorf("a bound that is none: %v", err)
	}
	if got := told(searched); !strings.Contains(got, "the tests of 1 packages wrote, searched for secrets: 2 folders, 4 files, 6 Git objects, 0 databases") {
		t.Error(got)
	}
}

// TestSecurityIsGenerated holds the table in SECURITY.md to this one.
func TestSecurityIsGenerated(t *testing.T) {
	t.Parallel()
	const begin, end = "<!-- threats -->\n", "<!-- /threats -->"
	path := filepath.Join("..", "..", ".github", "SECURITY.md")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no table between %q and %q", path, begin, end)
	}
	want := before + begin + promises() + end + after
	if want == string(data) {
		return
	}
	if !*update {
		t.Fatalf("%s has another table; -update writes it", path)
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestGroups: every proof is in one run, and no run leaves out what is below a proof: of one
// that names no subtest all are run.
func TestGroups(t *testing.T) {
	t.Parallel()
	in := map[proof]int{}
	for _, g := range groups() {
		for _, test := range g.tests {
			in[proof{g.pkg, test}]++
			if nested := strings.Contains(test, "/"); nested != g.nested || nested != strings.Contains(g.pattern(), "/") {
				t.Errorf("%s of %s is run by %s", test, g.pkg, g.pattern())
			}
		}
	}
	for _, threat := range threats {
		for _, p := range threat.Proofs {
			if in[p] != 1 {
				t.Errorf("%s of %s is run %d times", p.Test, p.Package, in[p])
			}
		}
	}
}
