package policy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/spec"
)

const (
	// maxSource and maxFiles bound the policies of a platform team, in bytes and files.
	maxSource = 1 << 20
	maxFiles  = 200
)

// Set is the starter set and the policies of the platform team, compiled. One that is
// broken answers that to every question.
type Set struct {
	broken   error
	settings settings
	rules    []rule
	store    storage.Store
	// counts says that a policy beside the starter set may look at how many previews there are.
	counts bool
	// turn is held by the evaluation that runs.
	turn chan struct{}
	// limits are what an evaluation may take.
	limits limits
}

// rule is one definition of a deny, violation or warn rule.
type rule struct {
	// id is "main.deny", name the title of its annotation or else the id.
	id, name string
	file     string
	line     int
	warns    bool
	query    rego.PreparedEvalQuery
}

// question is the name of a rule that is asked.
var question = regexp.MustCompile(`^(deny|violation|warn)(_[A-Za-z0-9_]+)?$`)

// reserved are the roots of data that are not the platform team's.
var reserved = []string{"idp", "settings", "starter"}

// Compile reads the policies among the platform folder's files, of which it looks at no
// others, and puts them beside the starter set. A mistake breaks the Set: see Err.
func Compile(ctx context.Context, files []gitops.File) *Set {
	s := &Set{turn: make(chan struct{}, 1), limits: defaultLimits}
	s.broken = s.compile(ctx, files)
	return s
}

// Broken is the Set of policies that could not be read at all.
func Broken(err error) *Set { return &Set{broken: err} }

// Err returns why the Set is broken, nil where it is not. Its text names the file, the
// line and the column.
func (s *Set) Err() error { return s.broken }

func (s *Set) compile(ctx context.Context, files []gitops.File) error {
	sources, content, err := sort(files)
	if err != nil {
		return err
	}
	var wrong spec.Errors
	if s.settings, wrong = parseSettings(content); len(wrong) > 0 {
		return wrong.Err()
	}
	modules, err := parseAll(slices.Concat(starterSet(), sources))
	if err != nil {
		return err
	}
	s.counts = counting(modules)
	rules := s.split(modules)
	compiler := ast.NewCompiler().WithCapabilities(capabilities())
	if compiler.Compile(modules); compiler.Failed() {
		return compileError(compiler.Errors)
	}
	s.store = inmem.NewFromObject(map[string]any{"settings": s.settings.document(), "idp": map[string]any{}})
	for _, r := range rules {
		if r.rule.query, err = s.prepare(ctx, compiler, r.ref); err != nil {
			return fmt.Errorf("%s:%d: %w", r.rule.file, r.rule.line, err)
		}
		s.rules = append(s.rules, r.rule)
	}
	return nil
}

// sort tells the sources among the files, and the settings; tests are for Test.
func sort(files []gitops.File) (sources []gitops.File, settings []byte, err error) {
	total := 0
	for _, f := range files {
		if !strings.HasPrefix(f.Path, Dir+"/") {
			continue
		}
		total += len(f.Content)
		switch {
		case f.Path == SettingsPath:
			settings = append([]byte{}, f.Content...)
		case f.Path == Dir+"/settings.yml", f.Path == Dir+"/settings.json":
			return nil, nil, fmt.Errorf("%s:1:1: a file of this name is not read: rename it to %s", f.Path, SettingsPath)
		case path.Ext(f.Path) == ".rego" && !isTest(f.Path):
			sources = append(sources, f)
		}
	}
	if total > maxSource || len(sources) > maxFiles {
		return nil, nil, fmt.Errorf("%s is too large: expected at most %d files of %d KiB together", Dir, maxFiles, maxSource>>10)
	}
	slices.SortFunc(sources, func(a, b gitops.File) int { return strings.Compare(a.Path, b.Path) })
	return sources, settings, nil
}

func parse(f gitops.File) (*ast.Module, error) {
	if len(bytes.TrimSpace(f.Content)) == 0 {
		return nil, fmt.Errorf("%s:1:1: the file is empty: expected a package and its rules", f.Path)
	}
	module, err := ast.ParseModuleWithOpts(f.Path, string(f.Content), ast.ParserOptions{
		ProcessAnnotation: true, Capabilities: capabilities(), RegoVersion: ast.RegoV1,
	})
	if err != nil {
		return nil, compileError(err)
	}
	return module, nil
}

func parseAll(files []gitops.File) (map[string]*ast.Module, error) {
	modules := map[string]*ast.Module{}
	for _, f := range files {
		module, err := parse(f)
		if err != nil {
			return nil, err
		}
		root := strings.Trim(module.Package.Path[1].Value.String(), `"`)
		if slices.Contains(reserved, root) && !strings.HasPrefix(f.Path, "starter/") {
			return nil, fmt.Errorf("%s:%d:1: package %s is idp's own: name it main, or after your team", f.Path, module.Package.Location.Row, root)
		}
		modules[f.Path] = module
	}
	return modules, nil
}

// asked is a rule with what it is asked by.
type asked struct {
	rule
	ref ast.Ref
}

// split gives each definition of the rules that are asked a name of its own beside that
// of the rule: what it says is then known to be its, with its annotation and its line.
func (s *Set) split(modules map[string]*ast.Module) []asked {
	var out []asked
	names := make([]string, 0, len(modules))
	for name := range modules {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		module := modules[name]
		level := levelDeny
		if starter := starterName(module.Package); starter != "" {
			level = s.settings.levels[starter]
		}
		if level == levelOff {
			continue
		}
		for i, r := range module.Rules {
			word := question.FindStringSubmatch(r.Head.Name.String())
			if word == nil || r.Default || len(r.Head.Args) > 0 {
				continue
			}
			own := r.Copy()
			key := fmt.Sprintf("%s#%d", r.Head.Name, i)
			own.Head.Name = ast.Var(key)
			own.Head.Reference = ast.Ref{ast.VarTerm(key)}
			module.Rules = append(module.Rules, own)
			out = append(out, asked{
				rule: rule{
					id: ruleID(module, r), name: title(module, r), file: name, line: r.Location.Row,
					warns: word[1] == "warn" || level == levelWarn,
				},
				ref: module.Package.Path.Append(ast.StringTerm(key)),
			})
		}
	}
	return out
}

func ruleID(module *ast.Module, r *ast.Rule) string {
	if starter := starterName(module.Package); starter != "" {
		return starter
	}
	return strings.TrimPrefix(module.Package.Path.String(), "data.") + "." + r.Head.Name.String()
}

// title is that of the rule's annotation, of the package's, or else the rule's id.
func title(module *ast.Module, r *ast.Rule) string {
	for _, a := range r.Annotations {
		if a.Title != "" {
			return a.Title
		}
	}
	for _, a := range module.Annotations {
		if a.Title != "" && (a.Scope == "package" || a.Scope == "subpackages") {
			return a.Title
		}
	}
	return ruleID(module, r)
}

func (s *Set) prepare(ctx context.Context, compiler *ast.Compiler, ref ast.Ref) (rego.PreparedEvalQuery, error) {
	return rego.New(
		rego.Compiler(compiler), rego.Store(s.store), rego.StrictBuiltinErrors(true),
		rego.GenerateJSON(result), rego.ParsedQuery(ast.NewBody(ast.NewExpr(ast.NewTerm(ref)))),
	).PrepareForEval(ctx)
}

// forbidden are the functions that are left out though they answer alike each time:
// some reach out after all, some make of a little input any amount of work. What the
// others may make at once is bounded by boundCalls.
var forbidden = []string{
	"bits.lsh", "crypto.parse_private_keys", "graph.reachable_paths", "graphql.is_valid", "graphql.parse", "graphql.parse_and_verify", "graphql.parse_query", "graphql.parse_schema",
	"graphql.schema_is_valid", "json.match_schema", "json.verify_schema", "net.cidr_expand", "opa.runtime", "providers.aws.sign_req",
	"regex.globs_match", "rego.parse_module", "strings.render_template", "trace",
}

// deterministic are those that OPA calls otherwise and that are not here: they answer
// with the time of the decision.
var deterministic = []string{"time.now_ns"}

// capabilities are what policies are written in.
func capabilities() *ast.Capabilities {
	boundCalls()
	caps := ast.CapabilitiesForThisVersion()
	caps.AllowNet = []string{}
	caps.Builtins = allowed()
	return caps
}

// allowed are the functions that policies may call.
func allowed() []*ast.Builtin {
	return slices.DeleteFunc(slices.Clone(ast.CapabilitiesForThisVersion().Builtins), func(b *ast.Builtin) bool {
		return b.Nondeterministic && !slices.Contains(deterministic, b.Name) || slices.Contains(forbidden, b.Name) ||
			strings.HasPrefix(b.Name, "io.jwt.") || strings.HasPrefix(b.Name, "crypto.x509.")
	})
}

// splitMark is what split puts behind the name of a rule.
var splitMark = regexp.MustCompile(`#[0-9]+`)

// compileError words OPA's errors as "FILE:LINE:COLUMN: message", one a line.
func compileError(err error) error {
	errs, ok := errors.AsType[ast.Errors](err)
	if !ok {
		return err
	}
	var lines []string
	for _, e := range errs {
		line := splitMark.ReplaceAllString(e.Message, "")
		if e.Location != nil {
			line = fmt.Sprintf("%s:%d:%d: %s", e.Location.File, e.Location.Row, e.Location.Col, line)
		}
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	const most = 10
	if more := len(lines) - most; more > 0 {
		lines = append(lines[:most], fmt.Sprintf("and %d more", more))
	}
	return errors.New(strings.Join(lines, "\n"))
}

// limits are the bounds of one evaluation.
type limits struct {
	timeout time.Duration
	steps   int64
	heap    uint64
}
