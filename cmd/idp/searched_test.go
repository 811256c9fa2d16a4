package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops/figure"
)

// unsearched is what has a test write where nobody looks for secrets: into folders, logs, and
// what keeps the output of a program that runs in the test itself.
var unsearched = regexp.MustCompile(`\.TempDir\(\)|\b(MkdirTemp|CreateTemp)\(|\bslog\.DiscardHandler\b|\bslog\.New(Text|JSON)Handler\(&|` +
	`(=|<-|return) run\([^)]|\bstd(out|err): +&|\btestscript\.Run\(`)

// unwatched are the packages whose tests no one searches, and why: they may neither be given
// a secret nor write a file.
var unwatched = map[string]string{
	"bot/access":                    "a pure decision",
	"bot/github/githubtest/openapi": "compares requests with a description",
	"cmd/threats":                   "a table",
	"gitops":                        "names",
	"gitops/address":                "addresses",
	"gitops/adopt":                  "a pure filter of objects",
	"gitops/fault":                  "errors",
	"gitops/figure":                 "numbers",
	"gitops/inplace":                "edits of a text",
	"gitops/manifests":              "texts of objects",
	"gitops/onboard":                "texts of files",
	"gitops/platform":               "a parser, which is given names of secrets alone",
	"gitops/policy":                 "a pure decision",
	"gitops/spec":                   "a parser, which is given names of secrets alone",
	"previews/drift":                "a pure comparison",
}

// elsewhere are files of tests that write somewhere else, and who searches that.
var elsewhere = map[string]string{
	"cmd/idp/scenario_test.go":     "a scenario's folder is searched by its end, which knows its secrets",
	"cmd/idp/searched_test.go":     "it writes nothing: it names what is looked for",
	"cmd/idp/watched_test.go":      "it is what searches",
	"gitops/secret/secret_test.go": "it looks by itself for its secret in all that it prints",
}

// TestTestsAreSearched holds every package to having what its tests write searched for
// secrets: by a TestMain of secrettest.Main, in folders of secrettest.Dir, and logs and
// outputs of secrettest.Logger and secrettest.Writer.
func TestTestsAreSearched(t *testing.T) {
	t.Parallel()
	searched := 0
	for _, p := range listPackages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		if len(p.TestGoFiles)+len(p.XTestGoFiles) == 0 || name == "gitops/secret/secrettest" {
			continue
		}
		files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(name), "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		texts := map[string]string{}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			texts[path.Join(name, filepath.Base(file))] = string(text)
		}
		wrong := unsearchedIn(name, texts)
		for _, line := range wrong {
			t.Error(line)
		}
		if unwatched[name] == "" && len(wrong) == 0 {
			searched++
		}
	}
	figure.Tell(t, "the tests of %d packages are searched for secrets, those of %d need not be: they are given none, and write nothing", searched, len(unwatched))
}

// unsearchedIn returns what a package's tests would write unsearched, one line each.
func unsearchedIn(name string, texts map[string]string) (wrong []string) {
	main := false
	for file, text := range texts {
		main = main || strings.Contains(text, "secrettest.Main(")
		if call := unsearched.FindString(text); call != "" && elsewhere[file] == "" {
			wrong = append(wrong, fmt.Sprintf("%s has %s: secrettest.Dir, secrettest.Logger and secrettest.Writer are searched, in cmd/idp searchedRun, newWatchedLog and searchedScripts", file, call))
		}
		if unwatched[name] != "" && strings.Contains(text, module+"gitops/secret\"") {
			wrong = append(wrong, fmt.Sprintf("%s has secrets: %s is not harmless (%s)", file, name, unwatched[name]))
		}
	}
	switch {
	case !main && unwatched[name] == "":
		wrong = append(wrong, name+" has no TestMain with secrettest.Main, which searches what its tests print")
	case main && unwatched[name] != "":
		wrong = append(wrong, name+" is searched: it need not stand among the harmless")
	}
	return wrong
}

// TestUnsearchedAreFound is what TestTestsAreSearched would say.
func TestUnsearchedAreFound(t *testing.T) {
	t.Parallel()
	const main = "os.Exit(secrettest.Main(m))\n"
	for text, want := range map[string]int{
		main: 0, main + "secrettest.Dir(t)": 0, "": 1,
		main + "t.TempDir()": 1, main + "os.MkdirTemp(dir, x)": 1, main + "os.CreateTemp(dir, x)": 1, main + "slog.New(slog.DiscardHandler)": 1,
		main + "slog.NewTextHandler(&out, nil)": 1, main + "slog.NewJSONHandler(secrettest.Writer(t, x, &out), nil)": 0,
		main + "status := run(t.Context(), args)": 1, main + "go func() { ended <- run(ctx, x) }()": 1, main + "return run(ctx, x)": 1,
		main + "first := run()": 0, main + "s.run(ctx, x)": 0, main + "func (s *signing) run(ctx, x)": 0, main + "got := searchedRun(ctx, t)": 0,
		main + "&program{stdout: &out}": 1, main + "&program{stderr:  &out}": 1, main + "&program{stdout: out}": 0, main + "testscript.Run(t, p)": 1, main + "testscript.RunT(t, p)": 0,
	} {
		if wrong := unsearchedIn("bot", map[string]string{"bot/x_test.go": text}); len(wrong) != want {
			t.Errorf("%q: %q", text, wrong)
		}
	}
	for text, want := range map[string]int{"": 0, main: 1, `"` + module + `gitops/secret"`: 1, "b.TempDir()": 1} {
		if wrong := unsearchedIn("gitops/spec", map[string]string{"gitops/spec/x_test.go": text}); len(wrong) != want {
			t.Errorf("%q: %q", text, wrong)
		}
	}
}
