// Package provenance says whether an image was built where and from what the platform
// team asks: by one workflow of the repository, on one ref, from one commit.
//
// The evidence is a Sigstore bundle with a SLSA provenance statement about the image's
// digest, signed by a certificate in which a certificate authority that the platform team
// trusts names the workflow. It is verified offline, by sigstore-go: what is trusted is
// given, and nothing is asked of anybody.
//
// Guarantees: what Verify accepts was signed under one of the roots, at a time that the
// root's log or timestamp authority vouches for, and every field of the Expectation is in
// the certificate itself, not only in what the workflow wrote. Bundles are outside bytes:
// they are bounded in size, and whatever they hold, there is no panic. Roots are safe for
// concurrent use; the package does no input or output and keeps no state.
package provenance
