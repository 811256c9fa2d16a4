package provenance

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

const (
	// PredicateType is that of SLSA's provenance (slsa.dev/spec/v1.0/provenance).
	PredicateType = "https://slsa.dev/provenance/v1"
	// GitHubIssuer is who tells Sigstore what a workflow on github.com is.
	GitHubIssuer = "https://token.actions.githubusercontent.com"
	// MaxBundle bounds one bundle, in bytes; those of GitHub have some 15 KiB.
	MaxBundle = 1 << 20
	// MaxBundles bounds how many bundles of one image are looked at: the newest that
	// GitHub lists in a page.
	MaxBundles = 30
)

// Expectation is what a certificate has to say of whoever built an image.
type Expectation struct {
	// Issuer is who told the certificate authority, a URL.
	Issuer string
	// Repository is the page of the source repository, such as https://github.com/acme/web,
	// and RepositoryID GitHub's id of it, which outlives renames.
	Repository   string
	RepositoryID int64
	// Workflow is its file in the repository, such as .github/workflows/release.yml.
	Workflow string
	// Ref is the whole ref that it ran on, such as refs/heads/main.
	Ref string
	// SHA is the full commit that was built.
	SHA string
}

// step is how far a bundle got until something was wrong with it.
type step int

// The steps, in order.
const (
	stepNone step = iota
	stepBundle
	stepSignature
	stepPredicate
	stepIssuer
	stepRepository
	stepWorkflow
	stepRef
	stepSHA
)

// Error is why an image's provenance is not accepted, in words that follow "the image".
type Error struct {
	step step
	text string
	err  error
}

func (e *Error) Error() string { return e.text }

// Unwrap returns what sigstore-go says, where it does.
func (e *Error) Unwrap() error { return e.err }

// Missing says that there is no provenance at all, which may come yet; anything else was
// seen and is wrong.
func (e *Error) Missing() bool { return e.step == stepNone }

// Verify returns nil where one of the bundles proves that the image of a digest
// ("sha256:" and 64 hexadecimal digits) is what is expected; else an *Error about the
// bundle that came the furthest. More than MaxBundles are not looked at.
func (r Roots) Verify(bundles [][]byte, digest string, want Expectation) error {
	hexadecimal, isSHA256 := strings.CutPrefix(digest, "sha256:")
	sum, err := hex.DecodeString(hexadecimal)
	if !isSHA256 || err != nil || len(sum) != 32 {
		return &Error{step: stepBundle, text: fmt.Sprintf("has no SHA-256 digest that could be looked up, but %.80q", digest)}
	}
	best := &Error{step: stepNone, text: "has no attestation of its provenance"}
	for _, raw := range bundles[:min(len(bundles), MaxBundles)] {
		wrong := r.verify(raw, sum, want)
		if wrong == nil {
			return nil
		}
		if wrong.step > best.step {
			best = wrong
		}
	}
	return best
}

func (r Roots) verify(raw, digest []byte, want Expectation) *Error {
	if len(raw) > MaxBundle {
		return &Error{step: stepBundle, text: fmt.Sprintf("has an attestation of %d bytes: expected at most %d", len(raw), MaxBundle)}
	}
	wrong := &Error{step: stepSignature, text: "has an attestation, and no root that it could be verified with is trusted"}
	for _, by := range r.instances {
		result, err := entity(by, raw, digest)
		if err == nil {
			return want.check(result)
		}
		wrong = err
	}
	return wrong
}

// entity verifies everything but whose the certificate is. Bundles come from outside, and
// parsers of what they hold are many: one that panics has refused.
func entity(by *verify.Verifier, raw, digest []byte) (result *verify.VerificationResult, wrong *Error) {
	defer func() {
		if p := recover(); p != nil {
			result, wrong = nil, &Error{step: stepBundle, text: "has an attestation that cannot be read", err: fmt.Errorf("panic: %v", p)}
		}
	}()
	var b bundle.Bundle
	if err := b.UnmarshalJSON(raw); err != nil {
		return nil, &Error{step: stepBundle, text: "has an attestation that is no Sigstore bundle: " + plain(err).Error(), err: err}
	}
	// The certificate is judged field by field in check, so that what is wrong can be told.
	policy := verify.NewPolicy(verify.WithArtifactDigest("sha256", digest), verify.WithoutIdentitiesUnsafe())
	result, err := by.Verify(&b, policy)
	if err != nil {
		return nil, &Error{step: stepSignature, text: "has an attestation that does not verify against the trusted root: " + plain(err).Error(), err: err}
	}
	if result.Signature == nil || result.Signature.Certificate == nil || result.Statement == nil {
		return nil, &Error{step: stepSignature, text: "has an attestation without a certificate or a statement", err: errors.New("no certificate or statement")}
	}
	return result, nil
}

// check holds what was verified to what is asked for.
func (want Expectation) check(result *verify.VerificationResult) *Error {
	if got := result.Statement.GetPredicateType(); got != PredicateType {
		return mismatch(stepPredicate, "has an attestation of type", got, PredicateType)
	}
	cert := result.Signature.Certificate
	if cert.Issuer != want.Issuer {
		return mismatch(stepIssuer, "was attested by somebody of", cert.Issuer, want.Issuer)
	}
	// GitHub's names know no letter case.
	if !strings.EqualFold(cert.SourceRepositoryURI, want.Repository) {
		return mismatch(stepRepository, "was built from repository", cert.SourceRepositoryURI, want.Repository)
	}
	if id := strconv.FormatInt(want.RepositoryID, 10); cert.SourceRepositoryIdentifier != "" && cert.SourceRepositoryIdentifier != id {
		return mismatch(stepRepository, "was built from a repository that had the name before, with id", cert.SourceRepositoryIdentifier, id)
	}
	if wrong := want.checkWorkflow(cert); wrong != nil {
		return wrong
	}
	if cert.SourceRepositoryRef != want.Ref {
		return mismatch(stepRef, "was built on", cert.SourceRepositoryRef, want.Ref)
	}
	if want.SHA == "" || cert.SourceRepositoryDigest != want.SHA {
		return mismatch(stepSHA, "was built from commit", cert.SourceRepositoryDigest, want.SHA)
	}
	return nil
}

// checkWorkflow looks at the workflow that signed, which is the certificate's subject, and
// at the one that called it: a reusable workflow signs in its own name.
func (want Expectation) checkWorkflow(cert *certificate.Summary) *Error {
	for _, uri := range []string{cert.SubjectAlternativeName, cert.BuildSignerURI, cert.BuildConfigURI} {
		workflow, ref, _ := strings.Cut(uri, "@")
		begin := min(len(want.Repository), len(workflow))
		if !strings.EqualFold(workflow[:begin], want.Repository) || workflow[begin:] != "/"+want.Workflow {
			return mismatch(stepWorkflow, "was built by workflow", workflow, want.Repository+"/"+want.Workflow)
		}
		if ref != want.Ref {
			return mismatch(stepRef, "was built by that workflow as it is on", ref, want.Ref)
		}
	}
	return nil
}

// mismatch is the error of a field. Addresses are told without their scheme: they are names
// here, and nothing to follow.
func mismatch(at step, what, got, want string) *Error {
	if got == "" {
		got = "none"
	}
	return &Error{step: at, text: fmt.Sprintf("%s %.300s, not %s", what, schemeless(got), schemeless(want))}
}

func schemeless(text string) string {
	return strings.TrimPrefix(strings.TrimPrefix(text, "https://"), "http://")
}
