package report

import (
	"strings"

	"github.com/idp-bot/idp/gitops/manifests"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// proposing has the pull request change its chart, in words that are not to be trusted.
func proposing() func(*Input) {
	return func(in *Input) {
		in.Environment.Source.Head = spec.Sources{{Source: spec.Source{Kind: spec.Helm, Path: "deploy/chart"}}}
		in.Environment.Source.Would = previews.Propose([]manifests.Difference{
			{Verb: manifests.Changed, Object: "ConfigMap settings", Diff: "--- configmap-settings.yaml\n+++ configmap-settings.yaml\n@@ -1,1 +1,2 @@\n a: b\n+c: \"```\"\n"},
			{Verb: manifests.Added, Object: "Deployment <b>@alice</b>", Diff: "--- /dev/null\n+++ deployment-b.yaml\n@@ -0,0 +1,1 @@\n+kind: Deployment\n"},
			{Verb: manifests.Removed, Object: "Service large", Diff: strings.Repeat("-a line\n", 10_000)},
		})
	}
}

// ofSource has its objects come from a chart of the base branch.
func ofSource(in *Input) {
	in.Environment.Source = &previews.Source{Base: oldSHA, Branch: "main", From: spec.Sources{{Source: spec.Source{Kind: spec.Helm, Path: "deploy/chart"}}}}
}

const sampleDiff = `diff --git a/environments/acme/payments-api/pr-42/manifests/deployment-worker.yaml b/environments/acme/payments-api/pr-42/manifests/deployment-worker.yaml
index 1111111..2222222 100644
--- a/environments/acme/payments-api/pr-42/manifests/deployment-worker.yaml
+++ b/environments/acme/payments-api/pr-42/manifests/deployment-worker.yaml
@@ -20,3 +20,3 @@
     containers:
-      - image: "ghcr.io/acme/worker:9f8e7d6"
+      - image: "ghcr.io/acme/worker:a1b2c3d"
         name: worker
`
