package render

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/spec"
)

// web is a plain preview of one service.
func web(t testing.TB) Input {
	t.Helper()
	return preview(t, []byte("service:\n  name: web\n  migrate: {command: [migrate]}\n"))
}

func mustRender(t testing.TB, in Input) map[string]string {
	t.Helper()
	files, err := Environment(in)
	if err != nil {
		t.Fatal(err)
	}
	return byName(in.Ref, files)
}

func byName(ref gitops.EnvironmentRef, files []gitops.File) map[string]string {
	out := map[string]string{}
	for _, f := range files {
		out[strings.TrimPrefix(f.Path, ref.Dir()+"/")] = string(f.Content)
	}
	return out
}

// changed names the files that differ.
func changed(a, b map[string]string) []string {
	var out []string
	for name := range maps.Keys(a) {
		if a[name] != b[name] {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// A pull request's merge has to be known; of a declared environment it is the commit itself.
func TestMergeInImages(t *testing.T) {
	t.Parallel()
	merge := strings.Repeat("f", 40)
	for name, test := range map[string]struct {
		in         Input
		merge      string
		want, told string
	}{
		"known":                   {web(t), merge, "a:" + merge + "-" + testSHA, "a:" + merge + "-" + testSHA},
		"not known":               {web(t), "", "", "a:{merge_sha}-" + testSHA},
		"declared":                {staging(t), "", "a:" + testSHA + "-" + testSHA, "a:" + testSHA + "-" + testSHA},
		"never of a declared one": {staging(t), merge, "a:" + testSHA + "-" + testSHA, "a:" + testSHA + "-" + testSHA},
	} {
		test.in.MergeSHA = test.merge
		svc := spec.Service{Name: "web", Kind: spec.Web, Image: "a:{merge_sha}-{sha}"}
		got, err := ImageReference(test.in, svc)
		if test.want != "" && (err != nil || got != test.want) || test.want == "" && fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%s: %q (%v), want %q", name, got, err, test.want)
		}
		if told := ImageName(test.in, svc); told != test.told {
			t.Errorf("%s: people are told %q, want %q", name, told, test.told)
		}
	}
	in := web(t)
	in.MergeSHA = merge
	if got, err := ImageReference(in, spec.Service{Name: "web", Image: "a:sha-{short_merge_sha}"}); err != nil || got != "a:sha-fffffff" {
		t.Errorf("short: %q (%v)", got, err)
	}
}

func TestWhatChangesWithWhat(t *testing.T) {
	t.Parallel()
	before := mustRender(t, web(t))
	for _, test := range []struct {
		name   string
		change func(*Input)
		want   []string
	}{
		{"an extension restarts nothing", func(in *Input) { in.ExpiresAt = in.ExpiresAt.Add(24 * time.Hour); in.Generation++ },
			[]string{"environment.yaml", "manifests/namespace.yaml"}},
		{"a pin restarts nothing", func(in *Input) { in.ExpiresAt = time.Time{} },
			[]string{"environment.yaml", "manifests/namespace.yaml"}},
		{"a push migrates but keeps pods of the same digest", func(in *Input) { in.SHA = strings.Repeat("f", 40) },
			[]string{"environment.yaml", "manifests/namespace.yaml", "manifests/web-migrate-job.yaml"}},
		{"a rename changes no name", func(in *Input) { in.FullName = "new/name" },
			[]string{"environment.yaml", "manifests/namespace.yaml"}},
		{"fractions of seconds and zones are nothing", func(in *Input) {
			in.ExpiresAt = in.ExpiresAt.Add(time.Millisecond).In(time.FixedZone("x", 3600))
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			in := web(t)
			test.change(&in)
			if diff := cmp.Diff(test.want, changed(before, mustRender(t, in))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMigrationName(t *testing.T) {
	t.Parallel()
	name := func(change func(*Input)) string {
		in := web(t)
		change(&in)
		job := mustRender(t, in)["manifests/web-migrate-job.yaml"]
		_, rest, _ := strings.Cut(job, "\n  name: ")
		name, _, _ := strings.Cut(rest, "\n")
		return name
	}
	plain := name(func(*Input) {})
	for what, change := range map[string]func(*Input){
		"command":  func(in *Input) { in.Spec.Services[0].Migrate.Command = []string{"other"} },
		"image":    func(in *Input) { in.Images["web"] = "registry.example.com/other" + testDigest },
		"revision": func(in *Input) { in.SHA = strings.Repeat("f", 40) },
	} {
		if name(change) == plain {
			t.Errorf("another %s has the same job %s, which cannot be changed", what, plain)
		}
	}
	if other := name(func(in *Input) { in.ExpiresAt = time.Time{} }); other != plain {
		t.Errorf("a pin runs the migration again: %s, %s", plain, other)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*Input)
		code   fault.Code
		want   string
	}{
		{"replicas", func(in *Input) { in.Spec.Services[0].Replicas = 4 }, fault.Denied,
			"service web asks for 4 replicas, at most 3 are allowed"},
		{"quota", func(in *Input) { in.Spec.Services[0].Resources.Limits.CPU = "6" }, fault.Denied,
			"pr-42 may have 4 CPU in all, and needs 12 CPU for web"},
		{"request above limit", func(in *Input) {
			in.Spec.Services[0].Resources = spec.Resources{Requests: spec.ResourceList{CPU: "2"}, Limits: spec.ResourceList{CPU: "1"}}
		}, fault.Invalid, "service web: resources: cpu: the request of 2 is more than the limit of 1"},
		{"image", func(in *Input) { in.Images = nil; in.Spec.Services[0].Image = "Not An Image" }, fault.Invalid,
			`service web: "Not An Image" is no image reference`},
		{"hosts", func(in *Input) {
			in.Class.HostTemplate = "{env}-{hash}.{zone}"
			in.Spec.Services = append(in.Spec.Services, spec.Service{Name: "api", Kind: spec.Web, Port: 80})
			in.Images["api"] = "api"
		}, fault.Conflict, "services api and web would share the host pr-42-ebed978359.preview.example.com"},
		{"all at once", func(in *Input) {
			in.Spec.Services[0].Replicas = 4
			in.Spec.Services = append(in.Spec.Services, spec.Service{Name: "api", Kind: spec.Web, Port: 80, Replicas: 9})
		}, fault.Denied, "service web asks for 4 replicas, at most 3 are allowed; service api asks for 9 replicas, at most 3 are allowed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			in := web(t)
			test.change(&in)
			files, err := Environment(in)
			f, ok := errors.AsType[*fault.Error](err)
			if !ok || f.Code != test.code || f.Message != test.want || files != nil {
				t.Errorf("got %v with %d files, want %s: %s", err, len(files), test.code, test.want)
			}
		})
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Input){
		"no spec":       func(in *Input) { in.Spec = nil },
		"short sha":     func(in *Input) { in.SHA = "a1b2c3d" },
		"option as sha": func(in *Input) { in.SHA = "--upload-pack=" },
		"parent folder": func(in *Input) { in.Ref.Repo = ".." },
		"separator":     func(in *Input) { in.Ref.Owner = "a/b" },
		"git's folder":  func(in *Input) { in.Ref.Repo = ".git" },
		"upper case":    func(in *Input) { in.Ref.Owner = "Acme" },
		"no repository": func(in *Input) { in.Ref.RepositoryID = 0 },
		"full name":     func(in *Input) { in.FullName = "a/b/c" },
		"not utf-8":     func(in *Input) { in.HeadRef = "\xff" },
		"class":         func(in *Input) { in.Class.Quota.CPU = "lots" },
	} {
		in := web(t)
		change(&in)
		if _, err := Environment(in); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestLongServiceNamesKeepTheirOwnHosts(t *testing.T) {
	t.Parallel()
	in := web(t)
	declared(&in, strings.Repeat("e", 40))
	prefix := strings.Repeat("s", 39)
	in.Spec = &spec.Spec{Services: []spec.Service{{Name: prefix + "a", Kind: spec.Web}, {Name: prefix + "b", Kind: spec.Web}}}
	hosts := Hosts(in)
	if a, b := hosts[prefix+"a"], hosts[prefix+"b"]; a == b || !strings.Contains(a, in.Ref.Hash()) {
		t.Errorf("hosts %s and %s", a, b)
	}
}

func TestComplete(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ request, limit, wantRequest, wantLimit string }{
		{"100m", "", "100m", "500m"},
		{"2", "", "2", "2"},
		{"", "1", "50m", "1"},
		{"", "20m", "20m", "20m"},
		{"100m", "1", "100m", "1"},
	} {
		in := web(t)
		svc := in.Spec.Services[0]
		svc.Resources = spec.Resources{Requests: spec.ResourceList{CPU: test.request}, Limits: spec.ResourceList{CPU: test.limit}}
		got, err := requirementsOf(svc, in.Class.Quota)
		if err != nil {
			t.Fatal(err)
		}
		if r, l := got.Requests.Cpu().String(), got.Limits.Cpu().String(); r != test.wantRequest || l != test.wantLimit {
			t.Errorf("request %q, limit %q: got %s and %s, want %s and %s", test.request, test.limit, r, l, test.wantRequest, test.wantLimit)
		}
	}
}
