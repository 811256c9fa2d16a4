package provenance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

const (
	// MaxRoots bounds a file of trusted roots, in bytes; that of the public good instance
	// has some 10 KiB.
	MaxRoots = 256 << 10
	// maxInstances bounds how many Sigstore instances one file may trust.
	maxInstances = 10
)

// Roots are the Sigstore instances whose certificates are believed. The zero value
// believes none.
type Roots struct{ instances []*verify.Verifier }

// ParseRoots reads trusted roots in Sigstore's own format (media type
// application/vnd.dev.sigstore.trustedroot+json), one JSON object after another, as "gh
// attestation trusted-root" prints them. An error says which of them is wrong, and why.
func ParseRoots(raw []byte) (Roots, error) {
	if len(raw) > MaxRoots {
		return Roots{}, fmt.Errorf("it has %d bytes: expected at most %d", len(raw), MaxRoots)
	}
	var out Roots
	documents := json.NewDecoder(bytes.NewReader(raw))
	for n := 1; ; n++ {
		var document json.RawMessage
		err := documents.Decode(&document)
		switch {
		case errors.Is(err, io.EOF) && n == 1:
			return Roots{}, errors.New("it is empty: expected a Sigstore trusted root")
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return Roots{}, fmt.Errorf("root %d is no JSON: %w", n, err)
		case n > maxInstances:
			return Roots{}, fmt.Errorf("it has more than %d roots", maxInstances)
		}
		verifier, err := instance(document)
		if err != nil {
			return Roots{}, fmt.Errorf("root %d: %w", n, err)
		}
		out.instances = append(out.instances, verifier)
	}
}

// instance returns what verifies by one root. What the instance has is asked for: a proof
// from its transparency log, a timestamp of its certificate log. One without logs, such as
// GitHub's for private repositories, has a timestamp authority.
func instance(document []byte) (v *verify.Verifier, err error) {
	defer func() {
		if p := recover(); p != nil {
			v, err = nil, fmt.Errorf("it cannot be read: %v", p)
		}
	}()
	trusted, err := root.NewTrustedRootFromJSON(document)
	if err != nil {
		return nil, plain(err)
	}
	if len(trusted.FulcioCertificateAuthorities()) == 0 {
		return nil, errors.New("it names no certificate authority")
	}
	// Without a time that somebody vouches for, a certificate of ten minutes proves nothing.
	if len(trusted.RekorLogs()) == 0 && len(trusted.TimestampingAuthorities()) == 0 {
		return nil, errors.New("it names neither a transparency log nor a timestamp authority")
	}
	options := []verify.VerifierOption{verify.WithObserverTimestamps(1)}
	if len(trusted.RekorLogs()) > 0 {
		options = append(options, verify.WithTransparencyLog(1))
	}
	if len(trusted.CTLogs()) > 0 {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
	}
	return verify.NewVerifier(trusted, options...)
}

// Empty says that nothing is believed.
func (r Roots) Empty() bool { return len(r.instances) == 0 }

// plain is the error on one line, without the no-break spaces of the protobuf library.
func plain(err error) error {
	text := strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "\u00a0", " ")), " ")
	const most = 300
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return errors.New(text)
}
