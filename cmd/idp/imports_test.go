package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/idp-bot/idp/"

// chain is the order of imports: a package may import those of its own tree and
// of the trees before it.
var chain = []string{"gitops", "previews", "bot", "webhooks", "cmd"}

// importers are who may import what, by the prefix of the import path: the
// packages given and those below them. Tests may import more (see pkg).
var importers = map[string][]string{
	"github.com/google/go-github/":             {"bot/github"},
	"github.com/bradleyfalzon/ghinstallation/": {"bot/github"},
	"github.com/argoproj/argo-cd/":             {"gitops/argocd"},
	"github.com/argoproj/argo-rollouts/":       {"gitops/render", "gitops/argocd"},
	"github.com/riverqueue/":                   {"previews/store"},
	"modernc.org/sqlite":                       {"previews/store"},
	"github.com/jackc/pgx/":                    {"previews/store"},
	"database/sql":                             {"previews/store"},
	"k8s.io/client-go/":                        {"gitops/clustertest"},
	"github.com/open-policy-agent/":            {"gitops/policy"},
	"github.com/coreos/go-oidc/":               {"bot/github"},
	"github.com/sigstore/":                     {"gitops/provenance"},
	"github.com/go-git/":                       {},
	"go.yaml.in/yaml/":                         {"gitops/spec", "gitops/platform", "gitops/inplace", "gitops/onboard", "cmd/idp"},
	"gopkg.in/yaml":                            {},
	"github.com/spf13/":                        {"cmd"},
	"os/exec":                                  {"gitops/repo", "gitops/source", "gitops/clustertest", "previews/storetest/postgrestest", "gitops/secret/secrettest", "cmd"},
	"helm.sh/helm/":                            {"gitops/source"},
	"sigs.k8s.io/kustomize/":                   {"gitops/source"},
	"github.com/landlock-lsm/":                 {"gitops/source"},
	module + "bot/github":                      {"bot/github", "cmd"},
}

// topLevel is all that may stand in the repository's root, dot-files aside.
var topLevel = []string{
	"cmd", "bot", "previews", "gitops", "webhooks", "testdata", "go.mod", "go.sum", "Dockerfile", "README.md", "LICENSE",
}

// pkg is what "go list" tells of a package of ours. TestImports and XTestImports
// are held to the chain alone, and may look at a library from the side.
type pkg struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
	TestGoFiles, XTestGoFiles          []string
}

func TestImportsGoOneWay(t *testing.T) {
	t.Parallel()
	packages := listPackages(t)
	if len(packages) < 10 {
		t.Fatalf("go list knows %d packages only", len(packages))
	}
	for _, p := range packages {
		from := strings.TrimPrefix(p.ImportPath, module)
		for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			to, ours := strings.CutPrefix(imported, module)
			if !ours {
				continue
			}
			if slices.Index(chain, tree(to)) > slices.Index(chain, tree(from)) {
				t.Errorf("%s imports %s, against %s", from, to, strings.Join(chain, " <- "))
			}
		}
		for _, imported := range p.Imports {
			for prefix, allowed := range importers {
				if matches(imported, prefix) && !slices.ContainsFunc(allowed, func(a string) bool { return matches(from, a) }) {
					t.Errorf("%s imports %s, which only %s may", from, imported, orElse(strings.Join(allowed, ", "), "nobody"))
				}
			}
		}
	}
}

func tree(p string) string { return strings.SplitN(p, "/", 2)[0] }

// matches reports whether p is the path, or below it; a prefix that ends in a
// slash or in the middle of a name says so itself.
func matches(p, prefix string) bool {
	return p == prefix || strings.HasPrefix(p, strings.TrimSuffix(prefix, "/")+"/") || prefix == "gopkg.in/yaml" && strings.HasPrefix(p, prefix)
}

func TestTopLevelIsFixed(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if name := entry.Name(); !strings.HasPrefix(name, ".") && !slices.Contains(topLevel, name) && tracked(t, name) {
			t.Errorf("%s is new at the top level: things go below %s", name, strings.Join(topLevel[:5], ", "))
		}
	}
	for _, p := range listPackages(t) {
		if root := tree(strings.TrimPrefix(p.ImportPath, module)); !slices.Contains(chain, root) {
			t.Errorf("package %s is in none of %s", p.ImportPath, strings.Join(chain, ", "))
		}
	}
}

// tracked reports whether git has the name; what was built beside is nobody's
// business. Outside a git checkout everything counts.
func tracked(t *testing.T, name string) bool {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "--", path.Clean(name))
	cmd.Dir = "../.."
	out, err := cmd.Output()
	return err != nil || len(out) > 0
}

// listPackages returns the module's packages.
func listPackages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports,TestGoFiles,XTestGoFiles", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var packages []pkg
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
