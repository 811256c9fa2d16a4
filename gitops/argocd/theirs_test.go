package argocd

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestReads: an Application that does not read a file would be healthy at a commit that
// changed nothing for it.
func TestReads(t *testing.T) {
	t.Parallel()
	const gitops = "https://github.com/acme/gitops.git"
	for _, c := range []struct {
		name, spec, kind, file string
		source                 int
		why                    string
	}{
		{"below its path", `{"source": {"repoURL": "https://github.com/acme/gitops", "path": "apps/web", "targetRevision": "main"}}`, "Directory", "apps/web/x.yaml", 0, ""},
		{"the whole repository", `{"source": {"repoURL": "git@github.com:Acme/gitops.git", "path": "."}}`, "Directory", "apps/web/x.yaml", 0, ""},
		{"over ssh", `{"source": {"repoURL": "ssh://git@github.com/acme/gitops", "path": "apps", "targetRevision": "HEAD"}}`, "Directory", "apps/web/x.yaml", 0, ""},
		{"beside its path", `{"source": {"repoURL": "https://github.com/acme/gitops", "path": "apps/web"}}`, "Directory", "apps/web2/x.yaml", 0, "does not read apps/web2/x.yaml: it reads apps/web"},
		{"another repository", `{"source": {"repoURL": "https://github.com/acme/other", "path": "apps"}}`, "Directory", "apps/x.yaml", 0, "does not read the repository that apps/x.yaml is in: it reads https://github.com/acme/other"},
		{"another branch", `{"source": {"repoURL": "https://github.com/acme/gitops", "path": "apps", "targetRevision": "v1.2"}}`, "Directory", "apps/x.yaml", 0, "follows v1.2, and apps/x.yaml is changed on branch main"},
		{"the branch in full", `{"source": {"repoURL": "https://github.com/acme/gitops", "path": "apps", "targetRevision": "refs/heads/main"}}`, "Directory", "apps/x.yaml", 0, ""},
		{"the base of an overlay", `{"source": {"repoURL": "https://github.com/acme/gitops", "path": "apps/web/overlays/staging"}}`, "Kustomize", "apps/web/base/kustomization.yaml", 0, ""},
		{"no base of an overlay", `{"source": {"repoURL": "https://github.com/acme/gitops", "path": "apps/web"}}`, "Kustomize", "other/kustomization.yaml", 0, "does not read other/kustomization.yaml"},
		{"values beside a chart", `{"source": {"repoURL": "https://github.com/acme/gitops", "path": "charts/web", "helm": {"valueFiles": ["../../envs/staging.yaml"]}}}`, "Helm", "envs/staging.yaml", 0, ""},
		{"values from the root", `{"source": {"repoURL": "https://github.com/acme/gitops", "path": "charts/web", "helm": {"valueFiles": ["/envs/staging.yaml"]}}}`, "Helm", "envs/staging.yaml", 0, ""},
		{"values that it does not name", `{"source": {"repoURL": "https://github.com/acme/gitops", "path": "charts/web", "helm": {"valueFiles": ["values.yaml"]}}}`, "Helm", "envs/prod.yaml", 0, "does not read envs/prod.yaml"},
		{"values of a chart from elsewhere", `{"sources": [{"repoURL": "registry.example.com/charts", "chart": "web", "helm": {"valueFiles": ["$values/envs/staging.yaml"]}}, {"repoURL": "https://github.com/acme/gitops", "ref": "values", "targetRevision": "main"}]}`, "", "envs/staging.yaml", 1, ""},
		{"other values of a chart from elsewhere", `{"sources": [{"repoURL": "registry.example.com/charts", "chart": "web", "helm": {"valueFiles": ["$values/envs/prod.yaml"]}}, {"repoURL": "https://github.com/acme/gitops", "ref": "values"}]}`, "", "envs/staging.yaml", 1, "does not read envs/staging.yaml"},
		{"no source", `{}`, "", "x.yaml", 0, "does not read the repository"},
	} {
		var a application
		if err := json.Unmarshal([]byte(`{"spec": `+c.spec+`, "status": {"sourceType": "`+c.kind+`"}}`), &a); err != nil {
			t.Fatal(err)
		}
		i, why := a.reads(Place{URLs: []string{"", gitops}, Branch: "main", File: c.file})
		if (why == "") != (c.why == "") || !strings.Contains(why, c.why) || why == "" && i != c.source {
			t.Errorf("%s: source %d, %q, want %d, %q", c.name, i, why, c.source, c.why)
		}
	}
}

// TestRevisionsOfSeveralSources: of a chart from elsewhere with values from Git, the commits
// are those of Git.
func TestRevisionsOfSeveralSources(t *testing.T) {
	t.Parallel()
	var a application
	err := json.Unmarshal([]byte(`{"spec": {"sources": [{"chart": "web"}, {"ref": "values"}]}, "status": {
		"sync": {"status": "Synced", "revisions": ["1.2.3", "c0ffee"]}, "history": [{"revisions": ["1.2.2", "b0ffee"]}],
		"operationState": {"phase": "Failed", "syncResult": {"revisions": ["1.2.3", "d0ffee"]}}}}`), &a)
	if err != nil {
		t.Fatal(err)
	}
	a.pick(1)
	got := a.summary()
	if got.Revision != "c0ffee" || got.SyncedRevision != "c0ffee" || got.OperationRevision != "d0ffee" || a.Status.History[0].Revision != "b0ffee" {
		t.Errorf("the revisions are %+v", got)
	}
}
