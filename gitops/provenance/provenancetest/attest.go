package provenancetest

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/idp-bot/idp/gitops/provenance"
)

// payloadType is that of in-toto statements in an envelope.
const payloadType = "application/vnd.in-toto+json"

// Build is what a workflow says of an image that it built, and how it says it.
type Build struct {
	provenance.Expectation
	// Caller is the workflow's file that called Workflow; "" for itself. Signer is the page of
	// the repository that Workflow is in; "" for Repository. WorkflowRef is the ref that the
	// workflow is of; "" for Ref.
	Caller, Signer, WorkflowRef string
	// PredicateType of the statement; "" for that of provenance.
	PredicateType string
	// Began is when the certificate was made, zero for a minute ago.
	Began time.Time
	// Uncertified leaves the certificate out of its log, Unlogged the attestation out of the
	// transparency log, Untimed without a timestamp.
	Uncertified, Unlogged, Untimed bool
}

func (b Build) workflowURI() string {
	return cmp.Or(b.Signer, b.Repository) + "/" + b.Workflow + "@" + cmp.Or(b.WorkflowRef, b.Ref)
}

func (b Build) callerURI() string {
	return b.Repository + "/" + cmp.Or(b.Caller, b.Workflow) + "@" + cmp.Or(b.WorkflowRef, b.Ref)
}

// Attest returns a bundle as actions/attest-build-provenance makes them, about the image of
// a digest.
func (s *Sigstore) Attest(digest string, b Build) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	begin := b.Began
	if begin.IsZero() {
		begin = time.Now().Add(-time.Minute)
	}
	leaf, err := s.certificate(b, &key.PublicKey, begin)
	if err != nil {
		return nil, err
	}
	statement, err := b.statement(digest)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(dsse.PAE(payloadType, statement))
	signature, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		return nil, err
	}
	material, err := s.material(b, leaf, statement, signature)
	if err != nil {
		return nil, fmt.Errorf("attest %s: %w", digest, err)
	}
	return protojson.Marshal(&protobundle.Bundle{
		MediaType: "application/vnd.dev.sigstore.bundle.v0.3+json", VerificationMaterial: material,
		Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
			Payload: statement, PayloadType: payloadType, Signatures: []*protodsse.Signature{{Sig: signature}},
		}},
	})
}

// material is what a bundle is verified with: the certificate, and who saw it when.
func (s *Sigstore) material(b Build, leaf *x509.Certificate, statement, signature []byte) (*protobundle.VerificationMaterial, error) {
	out := &protobundle.VerificationMaterial{
		Content: &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: leaf.Raw}},
	}
	if !s.unlogged && !b.Unlogged {
		entry, err := s.entry(leaf, statement, signature)
		if err != nil {
			return nil, err
		}
		out.TlogEntries = []*protorekor.TransparencyLogEntry{entry}
	}
	if b.Untimed {
		return out, nil
	}
	at, err := s.logs.TimestampResponse(signature)
	if err != nil {
		return nil, err
	}
	out.TimestampVerificationData = &protobundle.TimestampVerificationData{
		Rfc3161Timestamps: []*protocommon.RFC3161SignedTimestamp{{SignedTimestamp: at}},
	}
	return out, nil
}

// entry puts an attestation into the transparency log: with the proof that it is there,
// and the log's promise at what time it came.
func (s *Sigstore) entry(leaf *x509.Certificate, statement, signature []byte) (*protorekor.TransparencyLogEntry, error) {
	envelope := &dsse.Envelope{
		PayloadType: payloadType, Payload: base64.StdEncoding.EncodeToString(statement),
		Signatures: []dsse.Signature{{Sig: base64.StdEncoding.EncodeToString(signature)}},
	}
	made, err := s.logs.GenerateTlogEntry(leaf, envelope, signature, time.Now().Unix(), true)
	if err != nil {
		return nil, err
	}
	out := made.TransparencyLogEntry()
	promise, err := s.logs.RekorSignPayload(tlog.RekorPayload{
		Body: base64.StdEncoding.EncodeToString(out.GetCanonicalizedBody()), IntegratedTime: out.GetIntegratedTime(),
		LogIndex: out.GetLogIndex(), LogID: hex.EncodeToString(out.GetLogId().GetKeyId()),
	})
	if err != nil {
		return nil, err
	}
	out.InclusionPromise = &protorekor.InclusionPromise{SignedEntryTimestamp: promise}
	out.KindVersion = &protorekor.KindVersion{Kind: "dsse", Version: "0.0.1"}
	return out, nil
}

// statement is the in-toto statement (slsa.dev/spec/v1.0/provenance).
func (b Build) statement(digest string) ([]byte, error) {
	type object = map[string]any
	return json.Marshal(object{
		"_type": "https://in-toto.io/Statement/v1", "predicateType": cmp.Or(b.PredicateType, provenance.PredicateType),
		"subject": []object{{"name": "image", "digest": object{"sha256": strings.TrimPrefix(digest, "sha256:")}}},
		"predicate": object{
			"buildDefinition": object{
				"buildType":            "https://actions.github.io/buildtypes/workflow/v1",
				"externalParameters":   object{"workflow": object{"ref": b.Ref, "repository": b.Repository, "path": b.Workflow}},
				"resolvedDependencies": []object{{"uri": "git+" + b.Repository + "@" + b.Ref, "digest": object{"gitCommit": b.SHA}}},
			},
			"runDetails": object{"builder": object{"id": b.workflowURI()}},
		},
	})
}
