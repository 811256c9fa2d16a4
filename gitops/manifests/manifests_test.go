package manifests

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/gitops"
)

func file(name, content string) gitops.File {
	return gitops.File{Path: "environments/acme/web/staging.web/manifests/" + name, Content: []byte(content)}
}

func deployment(replicas string) string {
	return "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: " + replicas + "\n"
}

const service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n"

func TestCompare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		from, to []gitops.File
		want     []Difference
	}{
		{"nothing", nil, nil, nil},
		{"the same in another order", []gitops.File{file("a.yaml", deployment("1")), file("b.yaml", service)}, []gitops.File{file("b.yaml", service), file("a.yaml", deployment("1"))}, nil},
		{"changed", []gitops.File{file("a.yaml", deployment("1")), file("b.yaml", service)}, []gitops.File{file("a.yaml", deployment("2")), file("b.yaml", service)}, []Difference{
			{Changed, "Deployment web", "--- a.yaml\n+++ a.yaml\n@@ -3,4 +3,4 @@\n metadata:\n   name: web\n spec:\n-  replicas: 1\n+  replicas: 2\n"},
		}},
		{"added", nil, []gitops.File{file("b.yaml", service)}, []Difference{
			{Added, "Service web", "--- /dev/null\n+++ b.yaml\n@@ -0,0 +1,4 @@\n+apiVersion: v1\n+kind: Service\n+metadata:\n+  name: web\n"},
		}},
		{"removed", []gitops.File{file("b.yaml", service)}, nil, []Difference{
			{Removed, "Service web", "--- b.yaml\n+++ /dev/null\n@@ -1,4 +0,0 @@\n-apiVersion: v1\n-kind: Service\n-metadata:\n-  name: web\n"},
		}},
		{"no manifest any more", []gitops.File{file("c.yaml", "{")}, nil, []Difference{
			{Removed, "c.yaml", "--- c.yaml\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-{\n\\ No newline at end of file\n"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, Compare(c.from, c.to)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// The first line of a file must not be taken for the diff's own.
func TestCompareKeepsContent(t *testing.T) {
	t.Parallel()
	got := Compare([]gitops.File{file("a.yaml", "diff a b\n")}, []gitops.File{file("a.yaml", "diff a c\n")})
	if len(got) != 1 || !strings.Contains(got[0].Diff, "-diff a b\n+diff a c\n") {
		t.Errorf("differences %+v", got)
	}
}
