package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/policy"
	"github.com/idp-bot/idp/previews"
)

// compareSetup is a service of a declared environment that is in Git at replicas 1, and
// what compares it.
func compareSetup(t *testing.T) (comparing, previews.Environment) {
	t.Helper()
	class := platform.Class{
		Name: "durable", Zone: "apps.example.com", HostTemplate: "{service}-{env}-{hash}.{zone}", PodSecurity: "restricted",
		Quota: platform.Quota{CPU: "4", Memory: "8Gi", EphemeralStorage: "20Gi", Pods: 20, MaxReplicas: 3, DefaultCPURequest: "50m", DefaultCPU: "500m", DefaultMemoryRequest: "128Mi", DefaultMem: "512Mi", DefaultEphemeral: "1Gi"},
	}
	render := renderer(oneClass(class))
	ref := gitops.EnvironmentRef{RepositoryID: 1, Owner: "acme", Repo: "web", ID: "staging", Service: "web"}
	image := previews.Image{Service: "web", Reference: "ghcr.io/acme/web:v1", Digest: "sha256:" + strings.Repeat("a", 64)}
	row := previews.Environment{
		Ref: ref, Owner: "acme", Repo: "web", Wanted: previews.Present, Generation: 1, SHA: strings.Repeat("1", 40), Class: "durable",
		Spec: []byte("service:\n  name: web\n"), Images: []previews.Image{image}, Tree: "77", AppliedCommit: strings.Repeat("c", 40), Deployed: &previews.Deployed{},
	}
	inGit, err := render(row)
	if err != nil {
		t.Fatal(err)
	}
	return comparing{
		images: func(context.Context, previews.Environment) ([]previews.Image, error) {
			return []previews.Image{image}, nil
		},
		render: func(_ context.Context, env previews.Environment) (previews.Rendered, error) {
			files, err := render(env)
			return previews.Rendered{Files: files}, err
		},
		files: func(_ context.Context, _ previews.Environment, commit, dir string) ([]gitops.File, error) {
			if commit != row.AppliedCommit || dir != ref.ManifestsDir() {
				t.Errorf("%s of %s is read", dir, commit)
			}
			return below(inGit, dir), nil
		},
		failed: func(previews.Environment, error) {},
	}, row
}

// Another commit and generation of the same manifests change nothing.
func TestCompareNothing(t *testing.T) {
	t.Parallel()
	c, row := compareSetup(t)
	row.SHA, row.Generation = strings.Repeat("2", 40), 7
	if got := c.compare(t.Context(), row); len(got.Changes) > 0 || got.Unknown != "" {
		t.Errorf("it changes %+v", got)
	}
}

func TestCompareChanged(t *testing.T) {
	t.Parallel()
	c, row := compareSetup(t)
	row.Spec = []byte("service:\n  name: web\n  replicas: 2\n")
	got := c.compare(t.Context(), row)
	if len(got.Changes) != 1 || got.Changes[0].Object != "Deployment web" || !strings.Contains(got.Changes[0].Diff, "\n-  replicas: 1\n+  replicas: 2\n") {
		t.Errorf("it changes %+v", got)
	}
}

// One that was never committed is all new, and nothing is read of it.
func TestCompareNew(t *testing.T) {
	t.Parallel()
	c, row := compareSetup(t)
	row.Tree, row.AppliedCommit = "", ""
	if got := c.compare(t.Context(), row); len(got.Changes) != 2 || strings.Contains(got.Changes[0].Diff, "\n-") {
		t.Errorf("it changes %+v", got)
	}
}

// An image that is not there yet is shown by its name, and nothing else differs for it.
func TestCompareWithoutImage(t *testing.T) {
	t.Parallel()
	c, row := compareSetup(t)
	c.images = func(context.Context, previews.Environment) ([]previews.Image, error) {
		return []previews.Image{{Service: "web", Reference: "ghcr.io/acme/web:v2", Missing: "not in the registry"}}, nil
	}
	got := c.compare(t.Context(), row)
	if len(got.Missing) != 1 || len(got.Changes) != 1 {
		t.Fatalf("it changes %+v", got)
	}
	changed := 0
	for line := range strings.Lines(got.Changes[0].Diff) {
		if strings.HasPrefix(line, "+ ") || strings.HasPrefix(line, "- ") {
			changed++
		}
	}
	if changed != 2 || !strings.Contains(got.Changes[0].Diff, "image: ghcr.io/acme/web:v2\n") {
		t.Errorf("the diff is\n%s", got.Changes[0].Diff)
	}
}

// What went wrong is said in words for people, and the rest goes to the log.
func TestCompareUnknown(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"it is too much (ask for less)": fault.Newf(fault.Denied, "it is too much").WithHint("ask for less"),
		"it took too long":              context.DeadlineExceeded,
		"finds the reason in idp's log": errors.New("fatal: not a git repository: /var/lib/idp"),
	} {
		c, row := compareSetup(t)
		heard := error(nil)
		c.failed = func(_ previews.Environment, err error) { heard = err }
		c.files = func(context.Context, previews.Environment, string, string) ([]gitops.File, error) { return nil, err }
		got := c.compare(t.Context(), row)
		if !strings.Contains(got.Unknown, want) || strings.Contains(got.Unknown, "/var/lib") || !errors.Is(heard, err) {
			t.Errorf("%v is told as %q, and logged as %v", err, got.Unknown, heard)
		}
	}
}

// Policies are asked about the objects as they will be committed, an image that is not
// there yet by a digest and not by its tag; about what goes back they are not asked.
func TestCompareJudges(t *testing.T) {
	t.Parallel()
	c, row := compareSetup(t)
	const source = "package main\n\ndeny contains sprintf(\"%s by its tag\", [image]) if {\n\tsome container in input.spec.template.spec.containers\n\timage := container.image\n\tnot contains(image, \"@sha256:\")\n}\n\nwarn contains \"a service\" if input.kind == \"Service\"\n"
	set := policy.Compile(t.Context(), []gitops.File{{Path: policy.Dir + "/own.rego", Content: []byte(source)}})
	c.judge = func(ctx context.Context, would previews.Environment, files []gitops.File) policy.Verdict {
		return set.Objects(ctx, policy.Rendered{Files: files, Manifests: would.Ref.ManifestsDir(), Environment: policy.Environment{CPU: "1", Memory: "1Gi"}})
	}
	said := func() (denied, warned int) {
		got := c.compare(t.Context(), row)
		if got.Verdict.Broken != nil || got.Unknown != "" {
			t.Fatalf("%+v", got)
		}
		for _, f := range got.Verdict.Denied {
			if f.Rule == "main.deny" {
				denied++
			}
		}
		return denied, len(got.Verdict.Warned)
	}
	if denied, warned := said(); denied != 0 || warned != 1 {
		t.Errorf("with its digest: %d denials, %d warnings", denied, warned)
	}
	image := previews.Image{Service: "web", Reference: "ghcr.io/acme/web:v2", Missing: "not in the registry"}
	c.images = func(context.Context, previews.Environment) ([]previews.Image, error) {
		return []previews.Image{image}, nil
	}
	if denied, _ := said(); denied != 0 {
		t.Errorf("before it is built: %d denials", denied)
	}
	image.Missing = "" // the image check is off: it is committed by its tag
	if denied, _ := said(); denied != 1 {
		t.Errorf("by its tag: %d denials", denied)
	}
	row.Deployed.Current.Kind = previews.ReleaseRollback
	if denied, warned := said(); denied != 0 || warned != 0 {
		t.Errorf("gone back to: %d denials, %d warnings", denied, warned)
	}
}
