package bot

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/provenance"
	"github.com/idp-bot/idp/gitops/provenance/provenancetest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews"
)

var builtDigest = "sha256:" + strings.Repeat("5", 64)

// keeper is what GitHub keeps: bundles by digest, or why it does not tell.
type keeper struct {
	branch    string
	bundles   map[string][][]byte
	branchErr error
	listErr   error
}

func (k keeper) DefaultBranch(context.Context, RepositoryRef) (string, error) {
	return k.branch, k.branchErr
}

func (k keeper) Attestations(_ context.Context, _ RepositoryRef, digest string) ([][]byte, error) {
	return k.bundles[digest], k.listErr
}

// waits is an error of whoever is only not to be asked now.
type waitsError struct{}

func (waitsError) Error() string      { return "rate limited" }
func (waitsError) RetryAt() time.Time { return now }

// forbiddenError is GitHub's 403.
type forbiddenError struct{}

func (forbiddenError) Error() string   { return "GitHub answered 403" }
func (forbiddenError) Forbidden() bool { return true }

// trusting is what a class asks, and the Sigstore that it trusts.
func trusting(t testing.TB) (*provenancetest.Sigstore, platform.Provenance) {
	t.Helper()
	sigstore, err := provenancetest.New()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := sigstore.Root()
	if err != nil {
		t.Fatal(err)
	}
	roots, err := provenance.ParseRoots(raw)
	if err != nil {
		t.Fatal(err)
	}
	return sigstore, platform.Provenance{Workflow: ".github/workflows/release.yml", Issuer: provenance.GitHubIssuer, Roots: roots}
}

// TestProver takes away one by one what proves where an image was built.
func TestProver(t *testing.T) {
	t.Parallel()
	sigstore, asked := trusting(t)
	attest := func(change func(*provenancetest.Build)) [][]byte {
		b := provenancetest.Build{Expectation: provenance.Expectation{
			Issuer: asked.Issuer, Repository: "https://github.test/Acme/Web", RepositoryID: 1, Workflow: asked.Workflow, Ref: "refs/heads/trunk", SHA: mainSHA,
		}}
		change(&b)
		bundle, err := sigstore.Attest(builtDigest, b)
		if err != nil {
			t.Fatal(err)
		}
		return [][]byte{bundle}
	}
	good := attest(func(*provenancetest.Build) {})
	built := []previews.Image{{Service: "web", Reference: "ghcr.io/acme/web:x", Digest: builtDigest}}
	with := func(bundles [][]byte) keeper {
		return keeper{branch: "trunk", bundles: map[string][][]byte{builtDigest: bundles}}
	}
	refused := 0
	for name, test := range map[string]struct {
		github  keeper
		images  []previews.Image
		because string // "" where it is proven
		yet     bool
		waits   bool
	}{
		"all of it":             {github: with(good), images: built},
		"an attestation":        {github: with(nil), images: built, because: "has no attestation of its provenance", yet: true},
		"of that image":         {github: with(good), images: []previews.Image{built[0], {Service: "api", Digest: "sha256:" + strings.Repeat("6", 64)}}, because: "has no attestation of its provenance", yet: true},
		"a digest":              {github: with(good), images: []previews.Image{{Service: "web", Reference: "ghcr.io/acme/web:x"}}, because: "has no SHA-256 digest"},
		"an image":              {github: with(good), because: "is not known"},
		"the repository":        {github: with(attest(func(b *provenancetest.Build) { b.Repository = "https://github.test/mallory/web" })), images: built, because: "was built from repository github.test/mallory/web"},
		"the same GitHub":       {github: with(attest(func(b *provenancetest.Build) { b.Repository = "https://github.com/Acme/Web" })), images: built, because: "was built from repository github.com/Acme/Web"},
		"the repository's id":   {github: with(attest(func(b *provenancetest.Build) { b.RepositoryID = 2 })), images: built, because: "with id 2, not 1"},
		"the workflow":          {github: with(attest(func(b *provenancetest.Build) { b.Workflow = ".github/workflows/pr.yml" })), images: built, because: "was built by workflow"},
		"the default branch":    {github: with(attest(func(b *provenancetest.Build) { b.Ref, b.WorkflowRef = "refs/heads/feature", "refs/heads/trunk" })), images: built, because: "was built on refs/heads/feature, not refs/heads/trunk"},
		"the commit":            {github: with(attest(func(b *provenancetest.Build) { b.SHA = newSHA })), images: built, because: "was built from commit " + newSHA},
		"a branch that is told": {github: keeper{branchErr: errors.New("503")}, images: built, because: "could not be read: 503", yet: true},
		"a list that is told":   {github: keeper{branch: "trunk", listErr: errors.New("503")}, images: built, because: "could not be read: 503", yet: true},
		"the permission":        {github: keeper{branch: "trunk", listErr: forbiddenError{}}, images: built, because: "Attestations: read"},
		"time":                  {github: keeper{branch: "trunk", listErr: context.DeadlineExceeded}, images: built, because: "took too long", yet: true},
		"our turn to ask":       {github: keeper{branch: "trunk", listErr: waitsError{}}, images: built, waits: true},
		"our turn to ask first": {github: keeper{branchErr: waitsError{}}, images: built, waits: true},
	} {
		if name != "all of it" {
			refused++
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := Prover{GitHub: func(int64) Attestations { return test.github }, Web: "https://github.test", Log: secrettest.Logger(t)}
			env := previews.Environment{Ref: gitops.EnvironmentRef{RepositoryID: 1, Owner: "acme", Repo: "web", ID: "production", Service: "web"}, Owner: "Acme", Repo: "Web", SHA: mainSHA, Deployed: &previews.Deployed{}}
			unproven, err := p.Prove(t.Context(), asked, env, test.images)
			if (err != nil) != test.waits {
				t.Fatalf("%v", err)
			}
			if (len(unproven) == 0) != (test.because == "") {
				t.Fatalf("got %+v", unproven)
			}
			for _, u := range unproven {
				if !strings.Contains(u.Why, test.because) || u.Yet != test.yet || !strings.HasPrefix(u.Asked, ".github/workflows/release.yml of Acme/Web, on ") {
					t.Errorf("got %+v", u)
				}
			}
		})
	}
	figure.Tell(t, "%d proofs that lack one thing: 0 accepted", refused)
}

// TestUnprovenIsNotDeployed: every way into an environment whose class asks for provenance
// is closed to an image without it, and to one about which nothing is known.
func TestUnprovenIsNotDeployed(t *testing.T) {
	t.Parallel()
	lacks := Proof{Unproven: []previews.Unproven{{Image: previews.Image{Service: "web", Reference: "ghcr.io/acme/web:x"}, Why: "has no attestation of its provenance", Asked: "release.yml of Acme/Web"}}}
	asks := func(s *Snapshot) {
		s.Platform.Classes = map[string]platform.Class{"durable": {Name: "durable", Provenance: &platform.Provenance{Workflow: "release.yml"}}}
	}
	all := func(p Proof) func(*Snapshot) {
		return func(s *Snapshot) {
			s.Proofs = map[string]Proof{}
			for _, kind := range []previews.ReleaseKind{previews.ReleaseDeploy, previews.ReleasePromote, previews.ReleaseMerge, approval} {
				for _, env := range []string{"staging", "production"} {
					s.Proofs[proofKey(kind, env, "web", mainSHA)] = p
				}
			}
		}
	}
	merge := pullRequestEvent("closed")
	mergedPR := func(s *Snapshot) {
		s.PR.Open, s.PR.Merged, s.PR.MergeSHA, s.PR.BaseIsDefault = false, true, mainSHA, true
		s.Platform.Environments[1].AutoDeploy = true
	}
	ran := func(s *Snapshot) {
		healthy := *s
		healthy.Platform.Classes = nil
		*s = rollsOut("Healthy", "")(t, says("bob", 2, "/idp deploy staging "+mainSHA)(t, healthy))
		asks(s)
	}
	waiting := func(s *Snapshot) {
		open := *s
		open.Platform.Classes = nil
		*s = says("carol", 3, "/idp deploy production "+mainSHA)(t, open)
		asks(s)
	}
	for name, test := range map[string]struct {
		before func(*Snapshot)
		event  Event
		env    string
	}{
		"deploy":  {nil, commentEvent("/idp deploy staging " + mainSHA), "staging"},
		"promote": {ran, commentEvent("/idp promote staging production"), "production"},
		"merge":   {mergedPR, merge, "staging"},
		"approve": {waiting, commentEvent("/idp approve " + mainSHA), "production"},
	} {
		for state, known := range map[string]func(*Snapshot){"unproven": all(lacks), "unknown": func(s *Snapshot) { s.Proofs = nil }, "unread": all(Proof{Err: "503"}), "proven": all(Proof{})} {
			t.Run(name+" "+state, func(t *testing.T) {
				t.Parallel()
				s := declaring(t, maintainer, checked("success"), asks)
				if test.before != nil {
					test.before(&s)
				}
				known(&s)
				d := Decide(s, test.event)
				changes := false
				for _, row := range d.Declared {
					if row.Ref.ID == test.env && row.Ref.Service == "web" {
						changes = row.Wanted == previews.Present || len(row.Deployed.Queue) > 0
					}
				}
				if changes != (state == "proven") {
					t.Errorf("changes: %v; %q, %v", changes, replies(d), d.Reasons)
				}
				if state == "proven" {
					return
				}
				denied := false
				for _, entry := range d.Audit {
					denied = denied || !entry.Allowed && strings.HasPrefix(entry.Reason, "not proven: ")
				}
				if !denied {
					t.Errorf("the audit has %+v", d.Audit)
				}
				if said := replies(d) + strings.Join(d.Reasons, "\n"); state == "unproven" && !strings.Contains(said, previews.AttestAction) {
					t.Errorf("said %q", said)
				}
			})
		}
	}
}

// TestProofsAreRead: what an event may come to deploy is held to its class, by the images
// that it would have, and nobody is asked about anything else.
func TestProofsAreRead(t *testing.T) {
	t.Parallel()
	_, asked := trusting(t)
	s := declaring(t, maintainer, checked("success"))
	s.Platform.Classes = map[string]platform.Class{"durable": {Name: "durable", Provenance: &asked}, "open": {Name: "open"}}
	s.Platform.Environments[1].Class = "open"
	var read []string
	h := &Handler{
		Images: func(_ context.Context, would previews.Environment) ([]previews.Image, error) {
			return []previews.Image{{Service: would.Ref.Service, Digest: builtDigest}}, nil
		},
		Prove: func(_ context.Context, _ platform.Provenance, of previews.Environment, images []previews.Image) ([]previews.Unproven, error) {
			read = append(read, of.Ref.ID+"."+of.Ref.Service+" "+shortSHA(of.SHA)+" "+images[0].Digest[:10])
			return nil, nil
		},
	}
	for body, want := range map[string]string{
		"/idp deploy production " + mainSHA: "production.web " + shortSHA(mainSHA) + " sha256:555",
		"/idp diff production " + mainSHA:   "production.web " + shortSHA(mainSHA) + " sha256:555",
		"/idp deploy production " + newSHA:  "", // it is not on the default branch
		"/idp deploy staging " + mainSHA:    "", // its class asks for nothing
		"/idp status":                       "",
		"/idp approve " + mainSHA:           "", // nothing waits
	} {
		read = nil
		one := s
		if err := h.readProofs(t.Context(), commentEvent(body), &one); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(read, "\n"); got != want {
			t.Errorf("%s: read %q, want %q", body, got, want)
		}
	}
	h.Prove = func(context.Context, platform.Provenance, previews.Environment, []previews.Image) ([]previews.Unproven, error) {
		return nil, waitsError{}
	}
	if err := h.readProofs(t.Context(), commentEvent("/idp deploy production "+mainSHA), &s); !errors.As(err, new(waitsError)) {
		t.Errorf("the event does not wait: %v", err)
	}
	h.Prove = nil
	if err := h.readProofs(t.Context(), commentEvent("/idp deploy production "+mainSHA), &s); err != nil || s.Proofs[proofKey(previews.ReleaseDeploy, "production", "web", mainSHA)].Err == "" {
		t.Errorf("nobody proves, and %v, %+v", err, s.Proofs)
	}
}

// TestUnmergedIsNotProven: no registry is asked about the image of a commit that a protected
// environment does not take.
func TestUnmergedIsNotProven(t *testing.T) {
	t.Parallel()
	staged := func(sha string) Snapshot {
		s := healthyNow(t, says("bob", 2, "/idp deploy staging "+sha)(t, declaring(t, maintainer, checked("success"))))
		s.Platform.Classes = map[string]platform.Class{"durable": {Name: "durable", Provenance: &platform.Provenance{Workflow: "release.yml"}}}
		return s
	}
	for _, command := range []string{"deploy production ", "diff production ", "promote staging production"} {
		for sha, want := range map[string]int{newSHA: 0, mainSHA: 1} {
			body := "/idp " + command
			if strings.HasSuffix(body, " ") {
				body += sha
			}
			if got := staged(sha).candidates(commentEvent(body)); len(got) != want {
				t.Errorf("%s of %s: %d images are asked about, not %d", body, shortSHA(sha), len(got), want)
			}
		}
	}
}
