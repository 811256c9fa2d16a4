// Package provenancetest is a Sigstore for tests: certificates, a certificate log, a
// transparency log and a timestamp authority with keys of its own, and what a GitHub
// Actions workflow attests with them. What it signs is real, and sigstore-go verifies it
// against its trusted root; only whom it takes at their word is made up.
//
// Only tests import the package.
package provenancetest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"maps"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
)

// Sigstore is one instance. It is safe for concurrent use; what it signs verifies for some
// minutes from its making.
type Sigstore struct {
	logs   *ca.VirtualSigstore
	issuer *x509.Certificate
	key    *ecdsa.PrivateKey
	ctKey  *ecdsa.PrivateKey
	root   *x509.Certificate
	// unlogged says that there are no logs, only the timestamp authority.
	unlogged bool
}

// New makes an instance like the public good one.
func New() (*Sigstore, error) { return instance(false) }

// NewUnlogged makes one without logs, such as GitHub has for private repositories.
func NewUnlogged() (*Sigstore, error) { return instance(true) }

func instance(unlogged bool) (*Sigstore, error) {
	logs, err := ca.NewVirtualSigstore()
	if err != nil {
		return nil, fmt.Errorf("make a Sigstore: %w", err)
	}
	// Its own certificate authority writes e-mail addresses only.
	top, topKey, err := ca.GenerateRootCa()
	if err != nil {
		return nil, fmt.Errorf("make a certificate authority: %w", err)
	}
	issuer, key, err := ca.GenerateFulcioIntermediate(top, topKey)
	if err != nil {
		return nil, fmt.Errorf("make a certificate authority: %w", err)
	}
	ctKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a certificate log: %w", err)
	}
	return &Sigstore{logs: logs, issuer: issuer, key: key, ctKey: ctKey, root: top, unlogged: unlogged}, nil
}

// Root is the instance's trusted root, in the format that provenance.ParseRoots reads.
func (s *Sigstore) Root() ([]byte, error) {
	authority := &root.FulcioCertificateAuthority{
		Root: s.root, Intermediates: []*x509.Certificate{s.issuer}, URI: "https://fulcio.localhost",
		ValidityPeriodStart: s.issuer.NotBefore, ValidityPeriodEnd: s.issuer.NotAfter,
	}
	var certificates, entries map[string]*root.TransparencyLog
	if !s.unlogged {
		id, err := s.ctID()
		if err != nil {
			return nil, err
		}
		certificates = map[string]*root.TransparencyLog{hex.EncodeToString(id[:]): {
			BaseURL: "https://ctfe.localhost", ID: id[:], HashFunc: crypto.SHA256, PublicKey: s.ctKey.Public(),
			ValidityPeriodStart: time.Now().Add(-time.Hour), ValidityPeriodEnd: time.Now().Add(time.Hour), SignatureHashFunc: crypto.SHA256,
		}}
		entries = maps.Clone(s.logs.RekorLogs())
		for text, log := range entries {
			if log.ID, err = hex.DecodeString(text); err != nil { // it has the text of it there
				return nil, err
			}
		}
	}
	trusted, err := root.NewTrustedRoot(root.TrustedRootMediaType01, []root.CertificateAuthority{authority}, certificates, s.logs.TimestampingAuthorities(), entries)
	if err != nil {
		return nil, fmt.Errorf("make a trusted root: %w", err)
	}
	return trusted.MarshalJSON()
}

// ctID is the certificate log's name: the digest of its public key.
func (s *Sigstore) ctID() (id [sha256.Size]byte, err error) {
	public, err := x509.MarshalPKIXPublicKey(s.ctKey.Public())
	return sha256.Sum256(public), err
}
