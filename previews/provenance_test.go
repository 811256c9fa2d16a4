package previews_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/storetest"
)

// wanted is a service of a declared environment that a release is wanted of, changed.
func wanted(kind previews.ReleaseKind, now time.Time) previews.Environment {
	e := previews.Environment{
		Ref:   gitops.EnvironmentRef{RepositoryID: 7, Owner: "acme", Repo: "web", ID: "production", Service: "web"},
		Owner: "acme", Repo: "web", Wanted: previews.Absent, Deployed: &previews.Deployed{},
	}
	e.Deploy(previews.Release{Kind: kind, SHA: sha("a"), Spec: []byte("service: {name: web}\n"), PR: 1, By: "alice", ByID: 1, At: now}, now)
	return e
}

// unattested says of every image that there is no attestation.
func unattested(_ context.Context, _ previews.Environment, images []previews.Image) ([]previews.Unproven, error) {
	out := make([]previews.Unproven, len(images))
	for i, image := range images {
		out[i] = previews.Unproven{Image: image, Why: "has no attestation of its provenance", Asked: "release.yml of acme/web", Yet: true}
	}
	return out, nil
}

func proven(context.Context, previews.Environment, []previews.Image) ([]previews.Unproven, error) {
	return nil, nil
}

// TestUnprovenIsNotCommitted: what was accepted is asked about again before it is
// committed, by the digest that is; going back, and previews, are not.
func TestUnprovenIsNotCommitted(t *testing.T) {
	t.Parallel()
	web := []previews.Image{{Service: "web", Reference: "r/web:a", Digest: "sha256:" + strings.Repeat("5", 64)}}
	for name, test := range map[string]struct {
		prove   previews.Prove
		kind    previews.ReleaseKind
		preview bool
		because string // "" where it is committed
	}{
		"proven":    {prove: proven, kind: previews.ReleaseDeploy},
		"unasked":   {kind: previews.ReleaseDeploy},
		"unproven":  {prove: unattested, kind: previews.ReleaseDeploy, because: "image r/web:a of web has no attestation of its provenance"},
		"promoted":  {prove: unattested, kind: previews.ReleasePromote, because: "has no attestation"},
		"merged":    {prove: unattested, kind: previews.ReleaseMerge, because: "has no attestation"},
		"gone back": {prove: unattested, kind: previews.ReleaseRollback},
		"a preview": {prove: unattested, preview: true},
		"not told": {prove: func(context.Context, previews.Environment, []previews.Image) ([]previews.Unproven, error) {
			return nil, errors.New("rate limited until noon")
		}, kind: previews.ReleaseDeploy, because: "could not be read: rate limited until noon"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkshop(t)
			w.committer.Prove = test.prove
			e := storetest.Preview(7, 1, w.clock.Now())
			if !test.preview {
				e = wanted(test.kind, w.clock.Now())
			}
			e.Resolve(web, w.clock.Now())
			storetest.Add(w, w.store, e)
			w.settle()
			row, err := w.store.Environment(t.Context(), e.Ref.RepositoryID, e.Ref.Key())
			if err != nil {
				t.Fatal(err)
			}
			if committed := w.tip() != "" && row.AppliedSHA == row.SHA; committed != (test.because == "") {
				t.Errorf("committed: %v; %+v", committed, row.Problem)
			}
			if test.because == "" {
				return
			}
			if p := row.Problem; p == nil || p.Kind != previews.ProblemProvenance || !strings.Contains(p.Message, test.because) || p.Hint == "" {
				t.Errorf("the problem is %+v", p)
			}
		})
	}
}

// TestAttestationsAreWaitedFor: an image is attested after it was pushed, and what never
// is comes before the commit, which refuses it.
func TestAttestationsAreWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWatching(t)
	e := wanted(previews.ReleaseDeploy, w.clock.Now())
	row := storetest.Add(w, w.store, e).RowID
	w.shelf.put("web:"+sha("a"), "sha256:"+strings.Repeat("5", 64))
	w.watcher.Prove = unattested
	now := func() previews.Environment {
		t.Helper()
		if _, err := w.watcher.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		read, err := w.store.Environment(t.Context(), e.Ref.RepositoryID, e.Ref.Key())
		if err != nil || read.RowID != row {
			t.Fatal(err)
		}
		return read
	}
	if got := now(); !got.NeedsImages() || got.Images[0].Missing != "in the registry, but it has no attestation of its provenance" {
		t.Errorf("it does not wait: %+v", got.Images)
	}
	w.watcher.Prove = func(ctx context.Context, row previews.Environment, images []previews.Image) ([]previews.Unproven, error) {
		wrong, err := unattested(ctx, row, images)
		wrong[0].Yet = false
		return wrong, err
	}
	w.clock.Advance(5 * time.Minute)
	if got := now(); got.NeedsImages() || got.Problem != nil {
		t.Errorf("what is wrong is waited for: %+v", got.Images)
	}
}
