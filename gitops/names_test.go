package gitops

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops/figure"
)

// label is a DNS-1123 label.
var label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// The forms that others rely on: what is in clusters and repositories already.
func TestNames(t *testing.T) {
	t.Parallel()
	ref := EnvironmentRef{RepositoryID: 1296269, Owner: "acme", Repo: "payments-api", ID: PreviewID(42)}
	file, set := PreviewsApplicationSet(1296269, "payments-api")
	for what, got := range map[string][2]string{
		"string":    {ref.String(), "acme/payments-api/pr-42"},
		"folder":    {ref.Dir(), "environments/acme/payments-api/pr-42"},
		"manifests": {ref.ManifestsDir(), "environments/acme/payments-api/pr-42/manifests"},
		"record":    {ref.RecordPath(), "environments/acme/payments-api/pr-42/environment.yaml"},
		"hash":      {ref.Hash(), "c9e2bd73ab"},
		"name":      {ref.Name(), "idp-payments-api-pr-42-c9e2bd73ab"},
		"set":       {set, "payments-api-dc7983b0-previews"},
		"set file":  {file, "applicationsets/payments-api-dc7983b0-previews.yaml"},
		"host":      {ref.Host("{service}-{env}-{hash}.{zone}", "api", "preview.example.com"), "api-pr-42-c9e2bd73ab.preview.example.com"},
		"own host":  {ref.Host("{service}.{env}.{repo}.{owner}.{zone}", "api", "example.com"), "api.pr-42.payments-api.acme.example.com"},
		"cut host":  {ref.Host("{service}-{env}-{hash}.{zone}", strings.Repeat("a", 60), "z"), strings.Repeat("a", 41) + "-11ee-pr-42-c9e2bd73ab.z"},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: got %q, want %q", what, got[0], got[1])
		}
	}
}

func TestNamesAreLabels(t *testing.T) {
	t.Parallel()
	tried := 0
	for _, repo := range []string{
		"a", "A", "web", "Web.UI", ".github", "_", "___", "-", "a--b", "a_b", "日本語", "ünïcode", "..", strings.Repeat("x", 100), strings.Repeat("-", 100),
		strings.Repeat("a-", 50), strings.Repeat("ab_", 30), "x" + strings.Repeat(".", 99),
	} {
		for _, id := range []string{"pr-1", "pr-999999999", "staging", "Production!", "", "é", strings.Repeat("long", 30)} {
			ref := EnvironmentRef{RepositoryID: 1<<62 + 1, Owner: "acme", Repo: repo, ID: id}
			if name := ref.Name(); !label.MatchString(name) || !strings.HasPrefix(name, "idp-") || !strings.HasSuffix(name, "-"+ref.Hash()) {
				t.Errorf("%q of %q: %q", id, repo, name)
			}
			tried++
		}
		if _, set := PreviewsApplicationSet(7, repo); !label.MatchString(set) {
			t.Errorf("application set of %q: %q", repo, set)
		}
	}
	figure.Tell(t, "%d adversarial names: each a label of DNS with its repository's hash", tried)
}

// What differs in more than its spelling has names of its own.
func TestNamesAreUnique(t *testing.T) {
	t.Parallel()
	names := map[string]string{}
	for _, ref := range []EnvironmentRef{
		{1, "a-b", "c", "pr-1", ""}, {2, "a", "b-c", "pr-1", ""}, {3, "a", "b_c", "pr-1", ""}, {4, "a", "b.c", "pr-1", ""},
		{5, "a", "b-c", "pr-1", ""}, // recreated under another id
		{1, "a-b", "c", "pr-11", ""}, {11, "a-b", "c", "pr-1", ""}, {1, "a-b", "c", "pr_1", ""},
		{1, "a-b", "c", "staging", ""}, {1, "a-b", "c", "staging", "web"}, {1, "a-b", "c", "staging-web", ""}, {1, "a-b", "c", "staging", "web-2"},
		{6, "a", strings.Repeat("x", 90) + "1", "pr-1", ""}, {7, "a", strings.Repeat("x", 90) + "2", "pr-1", ""},
	} {
		for kind, name := range map[string]string{"name": ref.Name(), "host": ref.Host("{service}-{env}-{hash}.{zone}", "web"+ref.Service, "z")} {
			if other, taken := names[kind+name]; taken {
				t.Errorf("%s and %d %s have the %s %s", other, ref.RepositoryID, ref, kind, name)
			}
			names[kind+name] = fmt.Sprint(ref.RepositoryID, " ", ref)
		}
	}
	figure.Tell(t, "%d names and hosts of environments that are spelled alike: no two are the same", len(names))
	// The owner and the repository's name are no part of it: they change.
	if a, b := (EnvironmentRef{1, "a", "web", "pr-1", ""}), (EnvironmentRef{1, "b", "web", "pr-1", ""}); a.Name() != b.Name() {
		t.Errorf("after a transfer: %s and %s", a.Name(), b.Name())
	}
}

func TestSlug(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		in   string
		max  int
		want string
	}{
		{"Web UI", 63, "web-ui"}, {"a__b..c", 63, "a-b-c"}, {"--a--", 63, "a"}, {"", 63, "x"}, {"日本", 63, "x"}, {"abc-def", 4, "abc"},
		{"abcdef", 3, "abc"}, {"a日b", 63, "a-b"}, {"İ", 63, "i"}, {"abc", 0, "x"},
	} {
		if got := Slug(test.in, test.max); got != test.want {
			t.Errorf("%q to %d: %q, want %q", test.in, test.max, got, test.want)
		}
	}
}

// Services whose names are cut keep hosts of their own.
func TestHostCut(t *testing.T) {
	t.Parallel()
	ref := EnvironmentRef{RepositoryID: 1, Owner: "acme", Repo: "web", ID: "pr-1"}
	long := strings.Repeat("service", 6)
	hosts := map[string]bool{}
	for _, service := range []string{long + "-a", long + "-b", long, long[:30]} {
		host := ref.Host("{service}-{env}-{hash}.{zone}", service, "preview.example.com")
		first, rest, _ := strings.Cut(host, ".")
		if !label.MatchString(first) || !strings.HasSuffix(first, "-pr-1-"+ref.Hash()) || rest != "preview.example.com" || hosts[host] {
			t.Errorf("%s: %s", service, host)
		}
		hosts[host] = true
	}
}

func FuzzNames(f *testing.F) {
	f.Add(int64(1), "acme", "web", "pr-1")
	f.Add(int64(-1), "A_B", "日本.", "")
	f.Add(int64(0), "", strings.Repeat("-x", 40), strings.Repeat("é-", 20))
	f.Fuzz(func(t *testing.T, id int64, owner, repo, environment string) {
		ref := EnvironmentRef{RepositoryID: id, Owner: owner, Repo: repo, ID: environment}
		if name := ref.Name(); !label.MatchString(name) || !strings.HasSuffix(name, "-"+ref.Hash()) {
			t.Errorf("%q", name)
		}
		if other := (EnvironmentRef{RepositoryID: id + 1, Owner: owner, Repo: repo, ID: environment}); other.Name() == ref.Name() {
			t.Errorf("repositories %d and %d share %q", id, id+1, ref.Name())
		}
		if _, set := PreviewsApplicationSet(id, repo); !label.MatchString(set) {
			t.Errorf("%q", set)
		}
	})
}

func FuzzHost(f *testing.F) {
	f.Add(int64(1), "web", "pr-1", "api")
	f.Add(int64(1), "web", strings.Repeat("y", 60), strings.Repeat("x", 63))
	f.Add(int64(9), "{hash}", "{zone}", "{service}{service}")
	f.Fuzz(func(t *testing.T, id int64, repo, environment, service string) {
		ref := EnvironmentRef{RepositoryID: id, Owner: "acme", Repo: repo, ID: environment}
		for _, template := range []string{"{service}-{env}-{hash}.{zone}", "{hash}-{repo}-{service}.{owner}.{zone}", "{service}.{env}-{hash}.{zone}"} {
			host := ref.Host(template, service, "preview.example.com")
			for _, part := range strings.Split(host, ".") {
				if !label.MatchString(part) {
					t.Errorf("%s: %q", template, host)
				}
			}
			if !strings.Contains(host, ref.Hash()) || !strings.HasSuffix(host, ".preview.example.com") {
				t.Errorf("%s: %q", template, host)
			}
		}
	})
}
