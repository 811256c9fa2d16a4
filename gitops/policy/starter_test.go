package policy

import (
	"slices"
	"strings"
	"testing"
)

// TestStarterSet runs the tests of the starter set, of which each policy has some.
func TestStarterSet(t *testing.T) {
	t.Parallel()
	tests, err := Test(t.Context(), nil, true)
	if err != nil {
		t.Fatal(err)
	}
	tested := map[string]bool{}
	for _, one := range tests {
		if !one.Passed {
			t.Errorf("%s:%d: %s: %v", one.File, one.Line, one.Name, one.Err)
		}
	}
	source := ""
	for _, f := range allStarterFiles() {
		if isTest(f.Path) {
			source += string(f.Content)
		}
	}
	for _, name := range starterNames() {
		tested[name] = strings.Contains(source, name+".deny")
		if !tested[name] {
			t.Errorf("nothing tests policy %s", name)
		}
	}
}

// TestTests runs the tests of a platform team: one that passes, one that fails, and one
// that errs, beside policies that use the settings and the starter set's library.
func TestTests(t *testing.T) {
	t.Parallel()
	tests, err := Test(t.Context(), files("a.rego", `package main

import data.starter.lib

deny contains "too many" if count(lib.containers) > data.settings.max_previews.repository
`, "a_test.rego", `package main_test

import data.main

test_passes if count(main.deny) == 0 with input as {"kind": "Pod", "spec": {"containers": []}}

test_fails if count(main.deny) == 1

test_errs if to_number("x") == 1
`, "settings.yaml", "max_previews: {repository: 1}\n"), false)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, one := range tests {
		got = append(got, one.Name)
		if one.Passed != (one.Name == "test_passes") || !strings.HasSuffix(one.File, "a_test.rego") || one.Line == 0 {
			t.Errorf("%+v", one)
		}
	}
	if !slices.Equal(got, []string{"test_passes", "test_fails", "test_errs"}) {
		t.Errorf("ran %v", got)
	}
	if _, err := Test(t.Context(), files("a_test.rego", "package main\n\ntest_x if nonsense(1)\n"), false); err == nil || !strings.Contains(err.Error(), Dir+"/a_test.rego:3:") {
		t.Errorf("a broken test: %v", err)
	}
}
