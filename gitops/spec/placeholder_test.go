package spec

import (
	"slices"
	"testing"
)

func TestExpand(t *testing.T) {
	t.Parallel()
	preview := Vars{SHA: "a1b2c3d4", ShortSHA: "a1b2c3d", PR: "42", MergeSHA: "0f1e2d3c", ShortMergeSHA: "0f1e2d3", Env: "pr-42", Host: "web.example.com", Owner: "acme", Repo: "shop", Service: "web"}
	staging := Vars{Env: "staging"}
	for _, test := range []struct {
		vars     Vars
		in, want string
	}{
		{preview, "ghcr.io/{owner}/{repo}/{service}:{sha}", "ghcr.io/acme/shop/web:a1b2c3d4"},
		{preview, "{short_sha} {pr} {env} https://{host}/", "a1b2c3d 42 pr-42 https://web.example.com/"},
		{preview, "{pr}{pr}", "4242"},
		{preview, "{merge_sha} {short_merge_sha}", "0f1e2d3c 0f1e2d3"},
		{staging, "[{pr}] {env}", "[] staging"},
		{preview, `{"sha": "{sha}"}`, `{"sha": "a1b2c3d4"}`},
		{preview, `\{sha} \{id}`, "{sha} {id}"},
		{preview, "${sha} ${HOME} {{sha}} {{ .sha }} {{{sha}}}", "${sha} ${HOME} {{sha}} {{ .sha }} {{{sha}}}"},
		{preview, "{unknown} {2,3} {} {", "{unknown} {2,3} {} {"},
		{Vars{SHA: "{pr}", PR: "1"}, "{sha}", "{pr}"}, // values are not expanded again
	} {
		if got := test.vars.Expand(test.in); got != test.want {
			t.Errorf("Expand(%q) = %q, want %q", test.in, got, test.want)
		}
	}
}

func TestPlaceholders(t *testing.T) {
	t.Parallel()
	got := Placeholders(`{sha} {pr} {sha} {host} \{repo} ${owner} {{env}} {other}`)
	if want := []string{"host", "pr", "sha"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Every placeholder that Parse takes is one that Expand replaces.
func TestEveryPlaceholderHasAValue(t *testing.T) {
	t.Parallel()
	for _, name := range imagePlaceholders {
		if _, ok := (Vars{}).value(name); !ok {
			t.Errorf("{%s} has no value", name)
		}
	}
}

// What names an image tells whether the pull request's merge has to be known, and whether
// another commit's image can be found by the same template.
func TestTemplates(t *testing.T) {
	t.Parallel()
	for template, want := range map[string][2]bool{ // of a merge, of a commit
		"ghcr.io/{owner}/{repo}:{sha}":          {false, true},
		"ghcr.io/{owner}/{service}:{merge_sha}": {true, true},
		"ghcr.io/a/b:sha-{short_merge_sha}":     {true, true},
		"ghcr.io/a/b:pr-{pr}-{short_sha}":       {false, false},
		"ghcr.io/a/b:{env}-{merge_sha}":         {true, false},
		"ghcr.io/a/b:latest":                    {false, false},
		"ghcr.io/a/b:\\{merge_sha}":             {false, false},
	} {
		if got := [2]bool{OfMerge(template), OfCommit(template)}; got != want {
			t.Errorf("%s: %v, want %v", template, got, want)
		}
	}
}

func TestTouched(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		of    Service
		files []string
		want  bool
	}{
		"its folder":             {Service{Path: "services/api"}, []string{"README.md", "services/api/main.go"}, true},
		"a longer name":          {Service{Path: "services/api"}, []string{"services/api-docs/main.go"}, false},
		"the folder, as a link":  {Service{Path: "services/api"}, []string{"services/api"}, true},
		"another folder":         {Service{Path: "services/api"}, []string{"services/web/main.go"}, false},
		"a glob":                 {Service{Path: "services/api", Paths: []string{"libs/**", "go.mod"}}, []string{"go.mod"}, true},
		"a folder as a glob":     {Service{Paths: []string{"./libs"}}, []string{"libs/a/b.go"}, true},
		"none of its globs":      {Service{Paths: []string{"*.go"}}, []string{"cmd/main.go"}, false},
		"nothing":                {Service{Path: "services/api"}, nil, false},
		"nothing, and no folder": {Service{}, nil, true},
	} {
		if got := test.of.Touched(test.files); got != test.want {
			t.Errorf("%s: %t, want %t", name, got, test.want)
		}
	}
}

func TestCheckImage(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"ghcr.io/{owner}/{repo}:{sha}", "nginx", "localhost:5000/a/{service}:pr-{pr}", "ghcr.io/a/b:sha-{short_merge_sha}"} {
		if err := CheckImage(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "ghcr.io/{org}/x", "ghcr.io/X", "https://ghcr.io/x", " nginx", "${repo}"} {
		if err := CheckImage(bad); err == nil {
			t.Errorf("CheckImage(%q) took it", bad)
		}
	}
}

func TestNear(t *testing.T) {
	t.Parallel()
	keys := []string{"name", "team", "path", "image", "port", "replicas", "healthcheck", "mountPath", "ignoreLabels", "on_error_rate"}
	for word, want := range map[string]string{
		"taem": "team", "imgae": "image", "HealthCheck": "healthcheck", "health_check": "healthcheck", "mount_path": "mountPath",
		"onErrorRate": "on_error_rate", "replica": "replicas", "ports": "port", "helthchek": "healthcheck",
		"flavour": "", "x": "", "": "", "test": "", "host": "",
	} {
		if got := near(word, keys); got != want {
			t.Errorf("near(%q) = %q, want %q", word, got, want)
		}
	}
}
