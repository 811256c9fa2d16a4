package provenancetest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net/url"
	"strconv"
	"time"

	ct "github.com/google/certificate-transparency-go"
	"github.com/google/certificate-transparency-go/tls"
	ctx509 "github.com/google/certificate-transparency-go/x509"
	"github.com/google/certificate-transparency-go/x509util"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
)

// sctList is where a certificate keeps the timestamps of certificate logs (RFC 6962, 3.3).
var sctList = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}

// certificate makes the certificate of a workflow for a key, of ten minutes' life as
// Fulcio's are, that begins at a time.
func (s *Sigstore) certificate(b Build, public *ecdsa.PublicKey, begin time.Time) (*x509.Certificate, error) {
	subject, err := url.Parse(b.workflowURI())
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), URIs: []*url.URL{subject}, NotBefore: begin, NotAfter: begin.Add(10 * time.Minute),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	if template.ExtraExtensions, err = b.extensions(); err != nil {
		return nil, err
	}
	leaf, err := s.sign(template, public)
	if err != nil || s.unlogged || b.Uncertified {
		return leaf, err
	}
	scts, err := s.logged(leaf)
	if err != nil {
		return nil, fmt.Errorf("log a certificate: %w", err)
	}
	template.ExtraExtensions = append(template.ExtraExtensions, scts)
	return s.sign(template, public)
}

func (s *Sigstore) sign(template *x509.Certificate, public *ecdsa.PublicKey) (*x509.Certificate, error) {
	raw, err := x509.CreateCertificate(rand.Reader, template, s.issuer, public, s.key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	return x509.ParseCertificate(raw)
}

// extensions are those that Fulcio makes of the token of a GitHub Actions workflow
// (github.com/sigstore/fulcio, docs/oid-info.md).
func (b Build) extensions() ([]pkix.Extension, error) {
	id := ""
	if b.RepositoryID != 0 {
		id = strconv.FormatInt(b.RepositoryID, 10)
	}
	var out []pkix.Extension
	for _, e := range []struct {
		id    asn1.ObjectIdentifier
		value string
	}{
		{certificate.OIDIssuerV2, b.Issuer},
		{certificate.OIDBuildSignerURI, b.workflowURI()},
		{certificate.OIDBuildSignerDigest, b.SHA},
		{certificate.OIDRunnerEnvironment, "github-hosted"},
		{certificate.OIDSourceRepositoryURI, b.Repository},
		{certificate.OIDSourceRepositoryDigest, b.SHA},
		{certificate.OIDSourceRepositoryRef, b.Ref},
		{certificate.OIDSourceRepositoryIdentifier, id},
		{certificate.OIDBuildConfigURI, b.callerURI()},
		{certificate.OIDBuildConfigDigest, b.SHA},
		{certificate.OIDBuildTrigger, "push"},
		{certificate.OIDRunInvocationURI, b.Repository + "/actions/runs/1/attempts/1"},
	} {
		if e.value == "" {
			continue
		}
		value, err := asn1.MarshalWithParams(e.value, "utf8")
		if err != nil {
			return nil, err
		}
		out = append(out, pkix.Extension{Id: e.id, Value: value})
	}
	return out, nil
}

// logged puts a certificate into the certificate log, and returns the extension with the
// timestamp that the log gives for it.
func (s *Sigstore) logged(leaf *x509.Certificate) (pkix.Extension, error) {
	id, err := s.ctID()
	if err != nil {
		return pkix.Extension{}, err
	}
	sct := ct.SignedCertificateTimestamp{SCTVersion: ct.V1, LogID: ct.LogID{KeyID: id}, Timestamp: uint64(time.Now().UnixMilli())} //nolint:gosec // after 1970
	entry := ct.LogEntry{Leaf: ct.MerkleTreeLeaf{TimestampedEntry: &ct.TimestampedEntry{
		Timestamp: sct.Timestamp, EntryType: ct.PrecertLogEntryType,
		PrecertEntry: &ct.PreCert{IssuerKeyHash: sha256.Sum256(s.issuer.RawSubjectPublicKeyInfo), TBSCertificate: leaf.RawTBSCertificate},
	}}}
	input, err := ct.SerializeSCTSignatureInput(sct, entry)
	if err != nil {
		return pkix.Extension{}, err
	}
	signature, err := tls.CreateSignature(*s.ctKey, tls.SHA256, input)
	if err != nil {
		return pkix.Extension{}, err
	}
	sct.Signature = ct.DigitallySigned(signature)
	list, err := x509util.MarshalSCTsIntoSCTList([]*ct.SignedCertificateTimestamp{&sct})
	if err != nil {
		return pkix.Extension{}, err
	}
	return extension(list)
}

func extension(list *ctx509.SignedCertificateTimestampList) (pkix.Extension, error) {
	raw, err := tls.Marshal(*list)
	if err != nil {
		return pkix.Extension{}, err
	}
	value, err := asn1.Marshal(raw)
	return pkix.Extension{Id: sctList, Value: value}, err
}
