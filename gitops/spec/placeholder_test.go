package spec

import (
	"slices"
	"testing"
)

func TestExpand(t *testing.T) {
	t.Parallel()
	preview := Vars{SHA: "a1b2c3d4", ShortSHA: "a1b2c3d", PR: "42", Env: "pr-42", Host: "web.example.com", Owner: "acme", Repo: "shop", Service: "web"}
	staging := Vars{Env: "staging"}
	for _, test := range []struct {
		vars     Vars
		in, want string
	}{
		{preview, "ghcr.io/{owner}/{repo}/{service}:{sha}", "ghcr.io/acme/shop/web:a1b2c3d4"},
		{preview, "{short_sha} {pr} {env} https://{host}/", "a1b2c3d 42 pr-42 https://web.example.com/"},
		{preview, "{pr}{pr}", "4242"},
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
	for _, name := range placeholders {
		if _, ok := (Vars{}).value(name); !ok {
			t.Errorf("{%s} has no value", name)
		}
	}
}

func TestCheckImage(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"ghcr.io/{owner}/{repo}:{sha}", "nginx", "localhost:5000/a/{service}:pr-{pr}"} {
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
