package bot

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/holdings"
	"github.com/idp-bot/idp/gitops/inplace"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/render"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// restorer reaches repository 1 alone.
func restorer() *Restorer {
	return &Restorer{
		Class: platform.Class{TTL: 72 * time.Hour, MaxTTL: 96 * time.Hour},
		Reach: Reach{1: {installationID: 5, repo: RepositoryRef{ID: 1, Owner: "Acme", Name: "Renamed"}}},
		Reference: func(previews.Environment, spec.Service, previews.Build) (string, error) {
			return "ghcr.io/acme/web:v1", nil
		},
		Pinned: func(reference, digest string) (string, error) {
			repository, _, _ := strings.Cut(reference, ":")
			return repository + "@" + digest, nil
		},
		Now: time.Unix(2000, 0).UTC(),
	}
}

func holding(repositoryID int64, pr int, host string) holdings.Holding {
	ref := gitops.EnvironmentRef{RepositoryID: repositoryID, Owner: "acme", Repo: "web", ID: gitops.PreviewID(pr)}
	expires := time.Unix(9000, 0).UTC()
	return holdings.Holding{
		Dir: ref.Dir(), Found: "7ree", Tree: "7ree", Commit: "c0ffee00", Tip: "deadbeef", CommittedAt: time.Unix(1000, 0).UTC(), DeployedAt: time.Unix(900, 0).UTC(),
		Record: &render.Record{
			RepositoryID: repositoryID, Owner: "acme", Repo: "web", ID: ref.ID, FullName: "acme/web", PullRequest: pr, Generation: 3, SHA: "5a", Author: "ada",
			Namespace: ref.Namespace(), Application: ref.Name(), Images: map[string]string{"web": "ghcr.io/acme/web@sha256:1"}, Hosts: map[string]string{"web": host},
			ExpiresAt: &expires, Spec: "service:\n  name: web\npreview:\n  ttl: 120h\n",
		},
	}
}

// TestRestoreSource has a part of a declared environment render what it did.
func TestRestoreSource(t *testing.T) {
	t.Parallel()
	h := holding(1, 42, "a.example.com")
	r := h.Record
	ref := gitops.EnvironmentRef{RepositoryID: 1, Owner: "acme", Repo: "web", ID: "staging", Service: "web"}
	h.Dir, r.ID, r.Service, r.Environment, r.PullRequest, r.ExpiresAt = ref.Dir(), "staging", "web", "staging", 0, nil
	r.Namespace, r.Application = ref.Namespace(), ref.Name()
	chart := spec.SourceOf{Service: "web", Source: spec.Source{Kind: spec.Helm, Path: "chart", Values: []spec.Value{{Key: "a", Text: "1"}}}}
	r.Source = &render.RecordedSource{Commit: "ba5e", Branch: "main", From: []spec.SourceOf{chart}, Taken: []string{"web.source.helm.values.a"}, Pins: map[string]string{"redis:7": "sha256:b", "busybox": "sha256:a"}}
	row, _, err := restorer().Restore(h, gitops.Lane{})
	want := &previews.Source{Base: "ba5e", Branch: "main", From: spec.Sources{chart}, Taken: []string{"web.source.helm.values.a"}, Pins: []previews.Pin{{Image: "busybox", Digest: "sha256:a"}, {Image: "redis:7", Digest: "sha256:b"}}}
	if e := row.Environment; err != nil || !reflect.DeepEqual(e.Source, want) || !reflect.DeepEqual(e.Deployed.Current.Source, want) || e.AppliedBase != "ba5e" || e.NeedsCommit() {
		t.Errorf("restored with %+v of %+v: %v", e.Source, e.Deployed, err)
	}
}

func TestRestore(t *testing.T) {
	t.Parallel()
	row, note, err := restorer().Restore(holding(1, 42, "a.example.com"), gitops.Lane{})
	if err != nil || note != "" {
		t.Fatalf("note %q, error %v", note, err)
	}
	e := row.Environment
	if e.NeedsCommit() || e.NeedsImages() || e.State() != previews.StateCommitted || e.Generation != 3 || e.AppliedGeneration != 3 || e.Tree != "7ree" || e.AppliedCommit != "c0ffee00" {
		t.Errorf("it is %s at generation %d, applied %d", e.State(), e.Generation, e.AppliedGeneration)
	}
	if e.InstallationID != 5 || e.Owner != "Acme" || e.Repo != "Renamed" || e.Ref.Owner != "acme" {
		t.Errorf("its repository is %s/%s of installation %d", e.Owner, e.Repo, e.InstallationID)
	}
	// The spec asks for more than the class gives.
	if e.TTL != 96*time.Hour || e.Pinned || e.ExpiresAt.Unix() != 9000 || e.AppliedAt.Unix() != 900 {
		t.Errorf("it lives %s until %s, and is there since %s", e.TTL, e.ExpiresAt, e.AppliedAt)
	}
	if len(e.Images) != 1 || e.Images[0] != (previews.Image{Service: "web", Reference: "ghcr.io/acme/web:v1", Digest: "sha256:1"}) {
		t.Errorf("its images are %+v", e.Images)
	}
	if row.Report.CheckSHA != "5a" || row.Report.CommentPR != 42 || row.Report.DeploymentSHA != "5a" {
		t.Errorf("what is looked for is %+v", row.Report)
	}
	if e.Unrouted {
		t.Error("it has a host, and no route leads into it")
	}
	closed := holding(1, 42, "a.example.com")
	closed.Record.Hosts = nil
	if row, _, err := restorer().Restore(closed, gitops.Lane{}); err != nil || !row.Environment.Unrouted {
		t.Errorf("without a host it has a route (%v)", err)
	}
	charted := holding(1, 42, "a.example.com")
	charted.Record.Charts = &platform.UsedCharts{At: "c0ffee", Digests: map[string]string{"web": "h1:x"}}
	if row, _, err := restorer().Restore(charted, gitops.Lane{}); err != nil || row.Environment.Charts == nil || row.Environment.Charts.Generation != 3 || row.Environment.Charts.Digests["web"] != "h1:x" {
		t.Errorf("it was rendered from %+v, %v", row.Environment.Charts, err)
	}
	pinned := holding(1, 42, "a.example.com")
	pinned.Record.ExpiresAt = nil
	if row, _, err := restorer().Restore(pinned, gitops.Lane{}); err != nil || !row.Environment.Pinned {
		t.Errorf("without an expiry it is pinned: %t, %v", row.Environment.Pinned, err)
	}
}

// What an image was built from where that is not the revision outlives the database.
func TestRestoreImages(t *testing.T) {
	t.Parallel()
	reference := func(_ previews.Environment, _ spec.Service, of previews.Build) (string, error) {
		return "ghcr.io/acme/web:" + of.SHA + "-" + of.Merge, nil
	}
	for of, want := range map[string]previews.Image{
		"":              {Reference: "ghcr.io/acme/web:5a-5a"},
		"@0f":           {Reference: "ghcr.io/acme/web:5a-0f", Commit: "0f"},
		"feature/@x@0f": {Reference: "ghcr.io/acme/web:0f-0f", Commit: "0f", Branch: "feature/@x"},
	} {
		r := restorer()
		r.Reference = reference
		h := holding(1, 42, "a.example.com")
		h.Record.ImagesOf = map[string]string{"web": of}
		row, _, err := r.Restore(h, gitops.Lane{})
		want.Service, want.Digest = "web", "sha256:1"
		if err != nil || len(row.Environment.Images) != 1 || row.Environment.Images[0] != want {
			t.Errorf("%q: %+v (%v), want %+v", of, row.Environment.Images, err, want)
		}
	}
}

// TestRestoreUpdate: what was written to a team's files is known again, and who reads it.
func TestRestoreUpdate(t *testing.T) {
	t.Parallel()
	r := restorer()
	r.Watched = true
	h := holding(1, 1, "")
	h.Record.Environment, h.Record.ID, h.Record.Service, h.Record.PullRequest = "staging", "staging", "web", 0
	h.Record.Hosts = nil
	fields := []inplace.Write{{Field: inplace.Field{File: "apps/web.yaml", Field: "image", Set: inplace.Image}, Value: "x@sha256:1"}}
	h.Record.Update = &render.RecordedUpdate{Application: "web-staging", Fields: fields}
	row, _, err := r.Restore(h, gitops.Lane{})
	if e := row.Environment; err != nil || e.Application() != "web-staging" || !reflect.DeepEqual(e.Update.Fields, fields) || e.Observed == nil {
		t.Errorf("the row has Application %q, %+v, observed %v, %v", e.Application(), e.Update, e.Observed, err)
	}
	h.Record.Service, h.Record.Update = "", &render.RecordedUpdate{}
	h.Record.Application = h.Record.Ref().Name()
	if row, _, err = r.Restore(h, gitops.Lane{}); err != nil || row.Environment.Observed != nil || row.Environment.Application() != "" {
		t.Errorf("the shared part waits for Application %q, %v, %v", row.Environment.Application(), row.Environment.Observed, err)
	}
}

func TestRestoreTells(t *testing.T) {
	t.Parallel()
	elsewhere, changed, unknown, sourced := holding(2, 1, ""), holding(1, 1, ""), holding(1, 1, ""), holding(1, 1, "")
	changed.Found = "0ther"
	unknown.Commit = ""
	sourced.Record.Spec = "service:\n  name: web\npreview:\n  source:\n    manifests: {path: deploy}\n"
	for _, c := range []struct {
		holding holdings.Holding
		want    string
	}{
		{elsewhere, "GitHub's App does not reach its repository"},
		{changed, "somebody changed its folder since commit c0ffee0"},
		{unknown, "no commit of idp's is known for it"},
		{sourced, "its chart is asked for again"},
	} {
		row, note, err := restorer().Restore(c.holding, gitops.Lane{})
		if err != nil || !strings.Contains(note, c.want) {
			t.Errorf("note %q, error %v; want %q", note, err, c.want)
		}
		if row.Environment.AppliedCommit == "" || row.Environment.Tree != "7ree" {
			t.Errorf("%s: commit %q, tree %q", c.want, row.Environment.AppliedCommit, row.Environment.Tree)
		}
	}
}

// Of two records that claim one host, one name or one namespace the second is refused.
func TestRestoreHeldUnique(t *testing.T) {
	t.Parallel()
	r := restorer()
	if _, _, err := r.Restore(holding(1, 1, "a.example.com"), gitops.Lane{}); err != nil {
		t.Fatal(err)
	}
	namespace := holding(1, 3, "c.example.com")
	namespace.Record.Namespace = holding(1, 1, "").Record.Namespace
	name := holding(1, 4, "d.example.com")
	name.Record.Application = holding(1, 1, "").Record.Application
	for want, h := range map[string]holdings.Holding{
		"its host a.example.com is that of acme/web/pr-1": holding(1, 2, "a.example.com"),
		"its namespace is that of acme/web/pr-1":          namespace,
		"its Application is that of acme/web/pr-1":        name,
	} {
		if _, _, err := r.Restore(h, gitops.Lane{}); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	broken := holding(1, 5, "e.example.com")
	broken.Record.Spec = "service: {"
	if _, _, err := r.Restore(broken, gitops.Lane{}); err == nil || !strings.Contains(err.Error(), "its spec is not valid") {
		t.Errorf("a spec that does not parse: %v", err)
	}
}
