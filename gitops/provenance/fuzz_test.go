package provenance_test

import (
	"testing"

	"github.com/idp-bot/idp/gitops/provenance/provenancetest"
)

// FuzzBundle changes bundles by somebody else's Sigstore, which no change makes good ones.
func FuzzBundle(f *testing.F) {
	_, roots := sigstore(f, provenancetest.New)
	other, _ := sigstore(f, provenancetest.New)
	f.Add(attest(f, other, digest, nil))
	f.Add(attest(f, other, digest, func(b *provenancetest.Build) { b.Unlogged = true }))
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"certificate":{}},"dsseEnvelope":{}}`))
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle+json;version=0.1","verificationMaterial":{"publicKey":{"hint":"x"},"tlogEntries":[{"logIndex":"-1"}]},"messageSignature":{"messageDigest":{}}}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if err := roots.Verify([][]byte{raw}, digest, want); err == nil {
			t.Errorf("accepted: %q", raw)
		}
	})
}
