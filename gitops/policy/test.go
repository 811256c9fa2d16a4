package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"

	"github.com/idp-bot/idp/gitops"
)

// Tested is what came of one test: a rule test_… of a file of policies.
type Tested struct {
	// Package and Name are the test's, File and Line where it stands.
	Package, Name, File string
	Line                int
	Took                time.Duration
	Passed, Skipped     bool
	// Err is why it could not be asked, nil where it could: then it failed by its own word.
	Err error
}

// Test runs the tests among the platform folder's files, beside the starter set, whose own
// it runs where own says so. data.settings is as the settings have it. The error says that
// the files are broken, in the same words as Set.Err.
func Test(ctx context.Context, files []gitops.File, own bool) ([]Tested, error) {
	sources, content, err := sort(files)
	if err != nil {
		return nil, err
	}
	settings, wrong := parseSettings(content)
	if len(wrong) > 0 {
		return nil, wrong.Err()
	}
	for _, f := range files {
		if strings.HasPrefix(f.Path, Dir+"/") && isTest(f.Path) {
			sources = append(sources, f)
		}
	}
	starter := starterSet()
	if own {
		starter = allStarterFiles()
	}
	modules, err := parseAll(slices.Concat(starter, sources))
	if err != nil {
		return nil, err
	}
	store := inmem.NewFromObject(map[string]any{"settings": settings.document(), "idp": map[string]any{}})
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return nil, err
	}
	defer store.Abort(ctx, txn)
	compiler := ast.NewCompiler().WithCapabilities(capabilities())
	results, err := tester.NewRunner().SetCompiler(compiler).SetStore(store).SetModules(modules).SetTimeout(Timeout).RunTests(ctx, txn)
	if err != nil {
		return nil, compileError(err)
	}
	var out []Tested
	for r := range results {
		t := Tested{Package: strings.TrimPrefix(r.Package, "data."), Name: r.Name, Took: r.Duration, Passed: r.Pass(), Skipped: r.Skip, Err: r.Error}
		if r.Location != nil {
			t.File, t.Line = r.Location.File, r.Location.Row
		}
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b Tested) int { return strings.Compare(a.id(), b.id()) })
	return out, ctx.Err()
}

func (t Tested) id() string { return fmt.Sprintf("%s:%09d:%s", t.File, t.Line, t.Name) }
