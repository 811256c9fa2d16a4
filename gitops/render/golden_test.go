package render

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const (
	testSHA    = "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334"
	testDigest = "@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
)

// goldens are the cases of testdata/golden by file, with what differs from a
// plain preview.
var goldens = map[string]func(*Input){
	"example": nil, "minimal": nil, "worker": nil, "cron": nil, "migrate": nil, "multi-service": nil,
	"placeholders": nil, "volumes": nil, "tight-quota": nil, "hostile-text": nil,
	"canary-staging":        func(in *Input) { declared(in, "staging") },
	"overrides-staging":     func(in *Input) { declared(in, "staging") },
	"blue-green-production": func(in *Input) { declared(in, "production") },
	"declared": func(in *Input) {
		declared(in, "staging")
		in.Namespace = "idp-acme-payments-staging-" + in.Ref.Hash()
		in.RolloutTimeout = 20 * time.Minute
		in.Class.Quota.CPU = "16"
		judged(&in.Class)
	},
	"ingress": func(in *Input) {
		in.Class.Routing = platform.Routing{
			Kind: platform.Ingress, IngressClass: "nginx", TLSSecret: "preview-tls", ControllerNamespace: "ingress-nginx",
		}
		in.Class.ImagePullSecret = "ghcr"
	},
	"pinned": func(in *Input) {
		in.ExpiresAt = time.Time{}
		in.Author, in.HeadRef = "renovate[bot]", "renovate/{{ .name }}/a:b"
	},
	"long-names": func(in *Input) {
		in.Ref.Owner, in.Ref.Repo = strings.Repeat("o", 39), strings.Repeat("r", 100)
		in.FullName = in.Ref.Owner + "/" + in.Ref.Repo
		declared(in, "an-environment-with-a-very-long-name")
	},
	"egress-internet": func(in *Input) {
		in.Class.EgressCIDRs = []string{"0.0.0.0/0", "::/0", "10.20.0.0/16"}
		in.Class.EgressDeniedCIDRs = []string{"203.0.113.7/32"}
	},
	"base-objects": func(in *Input) { in.Class.Objects, in.Trust = exampleObjects(), platform.TrustMember },
	"base-objects-fork": func(in *Input) {
		in.Class.Objects, in.Trust = exampleObjects(), platform.TrustFork
	},
	"base-objects-staging": func(in *Input) {
		declared(in, "staging")
		in.Class.Objects, in.Trust = exampleObjects(), platform.TrustBot
	},
	"baseline-tags": func(in *Input) {
		in.Class.PodSecurity = platform.Baseline
		in.Images = nil
	},
}

// exampleObjects are the base objects of the platform package's own example: a database
// for everybody, and what makes a secret.
func exampleObjects() []platform.BaseObjects {
	archive, err := txtar.ParseFile("../platform/testdata/load/objects.txtar")
	if err != nil {
		panic(err)
	}
	var files []gitops.File
	for _, f := range archive.Files {
		files = append(files, gitops.File{Path: f.Name, Content: f.Data})
	}
	base := platform.Default()
	base.RepoURL = "https://git.example.com/acme/gitops.git"
	loaded, errs := platform.Load(files, base)
	if len(errs) > 0 {
		panic(errs.Err())
	}
	return loaded.Classes[base.Name].Objects
}

// declared turns a preview into a declared environment.
func declared(in *Input, name string) {
	in.Ref.ID, in.Environment, in.PR = name, name, 0
	in.Class.Name, in.ExpiresAt = name, time.Time{}
}

// judged gives a class a Prometheus.
func judged(class *platform.Class) {
	class.PrometheusAddress = "http://prometheus.monitoring:9090"
	class.ErrorRateQuery = `sum(rate(http_requests_total{namespace="{namespace}",service="{service}",pod=~"{service}-{canary_hash}-.*",code=~"5.."}[1m]))
/ sum(rate(http_requests_total{namespace="{namespace}",service="{service}",pod=~"{service}-{canary_hash}-.*"}[1m]))`
}

// whole renders a preview, or every part of a declared environment.
func whole(t testing.TB, in Input) []gitops.File {
	t.Helper()
	parts := []gitops.EnvironmentRef{in.Ref}
	if in.Environment != "" {
		for _, svc := range in.Spec.Services {
			parts = append(parts, in.Ref.Of(svc.Name))
		}
	}
	var files []gitops.File
	for _, ref := range parts {
		in.Ref = ref
		rendered, err := Environment(in)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, rendered...)
	}
	return files
}

// preview is a plain preview of the given spec, its images resolved.
func preview(t testing.TB, deploy []byte) Input {
	t.Helper()
	parsed, errs := spec.Parse(spec.Path, deploy)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	class := platform.Default()
	class.RepoURL = "https://git.example.com/acme/gitops.git"
	class.Zone, class.Gate = "preview.example.com", &platform.Gate{Public: true}
	in := Input{
		Ref:      gitops.EnvironmentRef{RepositoryID: 4242, Owner: "acme", Repo: "payments-api", ID: gitops.PreviewID(42)},
		FullName: "Acme/Payments-API", PR: 42, SHA: testSHA, HeadRef: "feature/login", Author: "octocat", Generation: 3,
		Spec: parsed, SpecRaw: deploy, Class: class,
		ExpiresAt: time.Date(2026, 11, 24, 18, 0, 0, 500, time.UTC),
		Images:    map[string]string{},
	}
	for _, svc := range parsed.Services {
		reference, err := ImageReference(in, svc)
		if err != nil {
			t.Fatal(err)
		}
		in.Images[svc.Name] = reference + testDigest
	}
	return in
}

func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/golden/*.txtar")
	if err != nil || len(files) != len(goldens) {
		t.Fatalf("%d golden files, %d cases, %v", len(files), len(goldens), err)
	}
	for name, change := range goldens {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join("testdata/golden", name+".txtar")
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			in := preview(t, archive.Files[0].Data)
			if change != nil {
				change(&in)
			}
			rendered := whole(t, in)
			got := txtar.Archive{Comment: archive.Comment, Files: archive.Files[:1]}
			for _, f := range rendered {
				got.Files = append(got.Files, txtar.File{Name: f.Path, Data: f.Content})
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(&got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(txtar.Format(archive)), string(txtar.Format(&got))); diff != "" {
				t.Errorf("run with -update to accept (-want +got):\n%s", diff)
			}
		})
	}
}
