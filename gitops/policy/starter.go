package policy

import (
	"embed"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/idp-bot/idp/gitops"
)

// starterFiles are the policies that are on by default, and their tests.
//
//go:embed starter/*.rego
var starterFiles embed.FS

// fixedPolicy is the one of the starter set that cannot be switched off.
const fixedPolicy = "privileged"

// Starting is a policy of the starter set.
type Starting struct {
	// Name is what the settings call it; Title and Description are its annotations.
	Name, Title, Description string
	// Level is what it does unless the settings say otherwise: deny, warn or off.
	Level string
	// Source is its Rego.
	Source string
}

// Starter returns the starter set by name.
func Starter() []Starting {
	var out []Starting
	for _, f := range starterSet() {
		name := strings.TrimSuffix(path.Base(f.Path), ".rego")
		if name == "lib" {
			continue
		}
		one := Starting{Name: name, Level: levelDeny, Source: string(f.Content)}
		if name == "owner" {
			one.Level = levelOff // previews come before a repository has named its team
		}
		module, err := parse(f)
		if err != nil {
			panic("policy: the starter set: " + err.Error()) // it is compiled in, and tested
		}
		for _, a := range module.Annotations {
			if a.Scope == "package" {
				one.Title, one.Description = a.Title, a.Description
			}
		}
		out = append(out, one)
	}
	return out
}

func starterNames() []string {
	var names []string
	for _, p := range Starter() {
		names = append(names, p.Name)
	}
	return names
}

// starterSet returns the files of the starter set without its tests.
func starterSet() []gitops.File {
	return slices.DeleteFunc(allStarterFiles(), func(f gitops.File) bool { return isTest(f.Path) })
}

func allStarterFiles() []gitops.File {
	entries, err := starterFiles.ReadDir("starter")
	if err != nil {
		panic("policy: the starter set: " + err.Error()) // it is compiled in
	}
	var out []gitops.File
	for _, entry := range entries {
		name := path.Join("starter", entry.Name())
		content, err := starterFiles.ReadFile(name)
		if err != nil {
			panic("policy: the starter set: " + err.Error())
		}
		out = append(out, gitops.File{Path: name, Content: content})
	}
	return out
}

func isTest(name string) bool { return strings.HasSuffix(name, "_test.rego") }

// starterName is the name of the policy of the starter set that a package is, "" of others.
func starterName(p *ast.Package) string {
	name, ok := strings.CutPrefix(p.Path.String(), "data.starter.")
	if !ok {
		return ""
	}
	return name
}
