package provenance_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/provenance"
	"github.com/idp-bot/idp/gitops/provenance/provenancetest"
)

const (
	digest = "sha256:3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a"
	sha    = "9f8e7d6c5b4a39281706f5e4d3c2b1a098765432"
)

// want is what is asked for in every test.
var want = provenance.Expectation{
	Issuer: provenance.GitHubIssuer, Repository: "https://github.com/acme/web", RepositoryID: 42,
	Workflow: ".github/workflows/release.yml", Ref: "refs/heads/main", SHA: sha,
}

// sigstore makes an instance and what trusts it.
func sigstore(t testing.TB, make func() (*provenancetest.Sigstore, error)) (*provenancetest.Sigstore, provenance.Roots) {
	t.Helper()
	s, err := make()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := s.Root()
	if err != nil {
		t.Fatal(err)
	}
	roots, err := provenance.ParseRoots(raw)
	if err != nil {
		t.Fatal(err)
	}
	return s, roots
}

// attest is what a build attests, changed.
func attest(t testing.TB, by *provenancetest.Sigstore, of string, change func(*provenancetest.Build)) []byte {
	t.Helper()
	b := provenancetest.Build{Expectation: want}
	if change != nil {
		change(&b)
	}
	raw, err := by.Attest(of, b)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestVerify takes away, one by one, what an image's provenance has to say.
func TestVerify(t *testing.T) {
	t.Parallel()
	public, roots := sigstore(t, provenancetest.New)
	other, _ := sigstore(t, provenancetest.New)
	signed := func(change func(*provenancetest.Build)) [][]byte { return [][]byte{attest(t, public, digest, change)} }
	refused := 0
	for name, test := range map[string]struct {
		bundles [][]byte
		because string // "" where it is accepted
	}{
		"all of it":      {signed(nil), ""},
		"among others":   {[][]byte{[]byte("{}"), attest(t, other, digest, nil), attest(t, public, digest, nil)}, ""},
		"in other case":  {signed(func(b *provenancetest.Build) { b.Repository = "https://github.com/Acme/Web" }), ""},
		"without the id": {signed(func(b *provenancetest.Build) { b.RepositoryID = 0 }), ""},

		"no attestation":        {nil, "has no attestation of its provenance"},
		"another repository":    {signed(func(b *provenancetest.Build) { b.Repository = "https://github.com/mallory/web" }), "was built from repository github.com/mallory/web, not github.com/acme/web"},
		"a repository's like":   {signed(func(b *provenancetest.Build) { b.Repository = "https://github.com/acme/web-2" }), "was built from repository github.com/acme/web-2"},
		"another id":            {signed(func(b *provenancetest.Build) { b.RepositoryID = 43 }), "had the name before, with id 43, not 42"},
		"another workflow":      {signed(func(b *provenancetest.Build) { b.Workflow = ".github/workflows/pr.yml" }), "was built by workflow github.com/acme/web/.github/workflows/pr.yml, not github.com/acme/web/.github/workflows/release.yml"},
		"a workflow below":      {signed(func(b *provenancetest.Build) { b.Workflow = "x/.github/workflows/release.yml" }), "was built by workflow"},
		"a caller's workflow":   {signed(func(b *provenancetest.Build) { b.Caller = ".github/workflows/pr.yml" }), "was built by workflow github.com/acme/web/.github/workflows/pr.yml"},
		"a foreign workflow":    {signed(func(b *provenancetest.Build) { b.Signer = "https://github.com/mallory/ci" }), "was built by workflow github.com/mallory/ci/"},
		"another ref":           {signed(func(b *provenancetest.Build) { b.Ref, b.WorkflowRef = "refs/pull/7/merge", want.Ref }), "was built on refs/pull/7/merge, not refs/heads/main"},
		"a tag of that name":    {signed(func(b *provenancetest.Build) { b.Ref, b.WorkflowRef = "refs/tags/main", want.Ref }), "was built on refs/tags/main"},
		"another workflow's":    {signed(func(b *provenancetest.Build) { b.WorkflowRef = "refs/heads/feature" }), "as it is on refs/heads/feature, not refs/heads/main"},
		"another commit":        {signed(func(b *provenancetest.Build) { b.SHA = strings.Repeat("a", 40) }), "was built from commit aaaaaaa"},
		"no commit":             {signed(func(b *provenancetest.Build) { b.SHA = "" }), "was built from commit none, not " + sha},
		"another issuer":        {signed(func(b *provenancetest.Build) { b.Issuer = "https://gitlab.com" }), "was attested by somebody of gitlab.com, not token.actions.githubusercontent.com"},
		"another predicate":     {signed(func(b *provenancetest.Build) { b.PredicateType = "https://cyclonedx.org/bom" }), "type cyclonedx.org/bom, not slsa.dev/provenance/v1"},
		"another digest":        {[][]byte{attest(t, public, "sha256:"+strings.Repeat("0", 64), nil)}, "does not verify against the trusted root"},
		"an unknown root":       {[][]byte{attest(t, other, digest, nil)}, "does not verify against the trusted root"},
		"a certificate expired": {signed(func(b *provenancetest.Build) { b.Began = time.Now().Add(-time.Hour) }), "does not verify against the trusted root"},
		"no certificate log":    {signed(func(b *provenancetest.Build) { b.Uncertified = true }), "does not verify against the trusted root"},
		"no transparency log":   {signed(func(b *provenancetest.Build) { b.Unlogged = true }), "does not verify against the trusted root"},
		"a changed signature":   {[][]byte{flipped(t, attest(t, public, digest, nil), `"sig":"`)}, "does not verify against the trusted root"},
		"a changed statement":   {[][]byte{flipped(t, attest(t, public, digest, nil), `"payload":"`)}, "does not verify against the trusted root"},
		"no bundle":             {[][]byte{[]byte(`"null"`)}, "is no Sigstore bundle"},
		"null":                  {[][]byte{[]byte("null")}, "is no Sigstore bundle"},
		"too large a bundle":    {[][]byte{bytes.Repeat([]byte(" "), provenance.MaxBundle+1)}, "expected at most 1048576"},
		"beyond the newest":     {append(empties(provenance.MaxBundles), attest(t, public, digest, nil)), "is no Sigstore bundle"},
	} {
		if test.because != "" {
			refused++
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := roots.Verify(test.bundles, digest, want)
			if (err == nil) != (test.because == "") {
				t.Fatalf("got %v", err)
			}
			if err == nil {
				return
			}
			wrong, ok := errors.AsType[*provenance.Error](err)
			if !ok || !strings.Contains(err.Error(), test.because) || strings.ContainsAny(err.Error(), "\n\u00a0") {
				t.Errorf("got %q, want %q", err, test.because)
			}
			if ok && wrong.Missing() != (len(test.bundles) == 0) {
				t.Errorf("missing: %v", wrong.Missing())
			}
		})
	}
	figure.Tell(t, "%d attestations that lack one thing: 0 accepted", refused)
}

// empties are n bundles that are none.
func empties(n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = []byte("{}")
	}
	return out
}

// flipped changes a character that stands some way after the mark.
func flipped(t testing.TB, raw []byte, mark string) []byte {
	t.Helper()
	compact := bytes.ReplaceAll(raw, []byte(`": `), []byte(`":`))
	compact = bytes.ReplaceAll(compact, []byte(`":  `), []byte(`":`))
	at := bytes.Index(compact, []byte(mark))
	if at < 0 {
		t.Fatalf("there is no %s in %s", mark, raw)
	}
	at += len(mark) + 40
	if compact[at] == 'A' {
		compact[at] = 'B'
	} else {
		compact[at] = 'A'
	}
	return compact
}

func TestVerifyWithoutLogs(t *testing.T) {
	t.Parallel()
	private, roots := sigstore(t, provenancetest.NewUnlogged)
	public, _ := sigstore(t, provenancetest.New)
	if err := roots.Verify([][]byte{attest(t, private, digest, nil)}, digest, want); err != nil {
		t.Error(err)
	}
	untimed := attest(t, private, digest, func(b *provenancetest.Build) { b.Untimed = true })
	if err := roots.Verify([][]byte{untimed}, digest, want); err == nil {
		t.Error("without a timestamp it was accepted")
	}
	// Both in one file, as "gh attestation trusted-root" prints them: each by its own rules.
	var both []byte
	for _, s := range []*provenancetest.Sigstore{public, private} {
		raw, err := s.Root()
		if err != nil {
			t.Fatal(err)
		}
		both = append(append(both, raw...), '\n')
	}
	roots, err := provenance.ParseRoots(both)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*provenancetest.Sigstore{public, private} {
		if err := roots.Verify([][]byte{attest(t, s, digest, nil)}, digest, want); err != nil {
			t.Error(err)
		}
	}
	unlogged := attest(t, public, digest, func(b *provenancetest.Build) { b.Unlogged, b.Uncertified = true, true })
	if err := roots.Verify([][]byte{unlogged}, digest, want); err == nil {
		t.Error("what the public instance did not log was accepted")
	}
	if err := (provenance.Roots{}).Verify([][]byte{unlogged}, digest, want); err == nil || !strings.Contains(err.Error(), "no root") {
		t.Errorf("without a root: %v", err)
	}
}

func TestVerifyDigests(t *testing.T) {
	t.Parallel()
	public, roots := sigstore(t, provenancetest.New)
	bundle := attest(t, public, digest, nil)
	for _, bad := range []string{"", "sha256:", digest[:70], "sha512:" + digest[7:], strings.ToUpper(digest), digest + "00", "latest"} {
		if err := roots.Verify([][]byte{bundle}, bad, want); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestParseRoots(t *testing.T) {
	t.Parallel()
	for text, because := range map[string]string{
		"":               "it is empty",
		" \n":            "it is empty",
		"{":              "no JSON",
		"{}":             "root 1: ",
		"[]":             "root 1: ",
		`{"mediaType":1`: "no JSON",
		`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`:                               "names no certificate authority",
		`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","certificateAuthorities":[{}]}`: "root 1: ",
		strings.Repeat(" ", provenance.MaxRoots+1):                                                                "expected at most 262144",
	} {
		if roots, err := provenance.ParseRoots([]byte(text)); err == nil || !strings.Contains(err.Error(), because) || !roots.Empty() {
			t.Errorf("%.60q: %v", text, err)
		}
	}
}
