package githubtest

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/snappy"
)

// storagePath is where attestations are kept: outside the API, as GitHub keeps them with
// somebody else.
const storagePath = "/_storage/attestations/"

// attestation is a Sigstore bundle that a workflow of a repository stored there.
type attestation struct {
	id       int64
	digests  []string
	kind     string // the statement's predicate type
	bundle   []byte
	signed   string // what the address that leads to it ends in
	embedded bool
}

// Attest stores a bundle with the repository, as actions/attest-build-provenance does. It
// is found by the digests of its statement's subjects.
func (r *Repository) Attest(bundle []byte) error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	digests, kind, err := attested(bundle)
	if err != nil {
		return fmt.Errorf("store an attestation with %s: %w", r.fullName(), err)
	}
	r.attestations = append(r.attestations, &attestation{id: r.s.nextID(), digests: digests, kind: kind, bundle: bundle, signed: rand.Text()})
	return nil
}

// EmbedAttestations lets the list hold the bundles themselves, as GitHub's did until July
// 2026.
func (r *Repository) EmbedAttestations() {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	for _, one := range r.attestations {
		one.embedded = true
	}
}

// attested reads what a bundle's statement is about.
func attested(bundle []byte) (digests []string, kind string, err error) {
	var read struct {
		Envelope struct {
			Payload []byte `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(bundle, &read); err != nil {
		return nil, "", fmt.Errorf("the bundle: %w", err)
	}
	var statement struct {
		PredicateType string `json:"predicateType"`
		Subject       []struct {
			Digest map[string]string `json:"digest"`
		} `json:"subject"`
	}
	if err := json.Unmarshal(read.Envelope.Payload, &statement); err != nil {
		return nil, "", fmt.Errorf("its statement: %w", err)
	}
	for _, subject := range statement.Subject {
		for algorithm, digest := range subject.Digest {
			digests = append(digests, algorithm+":"+digest)
		}
	}
	return digests, statement.PredicateType, nil
}

// provenanceType is what "provenance" stands for among predicate types.
const provenanceType = "https://slsa.dev/provenance/v1"

// listAttestations answers with 404 where there are none, as GitHub does.
func listAttestations(c *call) reply {
	kind := c.query.Get("predicate_type")
	if kind == "provenance" {
		kind = provenanceType
	}
	most := 30
	if n, err := strconv.Atoi(c.query.Get("per_page")); err == nil && n > 0 {
		most = min(n, 100)
	}
	list := []object{}
	for _, one := range slices.Backward(c.repo.attestations) {
		if !slices.Contains(one.digests, c.params["subject_digest"]) || kind != "" && one.kind != kind || len(list) == most {
			continue
		}
		shape := object{
			"bundle": nil, "repository_id": c.repo.id, "initiator": "user",
			"bundle_url": fmt.Sprintf("%s%s%d.json.sn?sig=%s", c.s.HTMLURL(), storagePath, one.id, one.signed),
		}
		if one.embedded {
			shape["bundle"] = json.RawMessage(one.bundle)
		}
		list = append(list, shape)
	}
	if len(list) == 0 {
		return *notFound()
	}
	return ok(object{"attestations": list})
}

// serveAttestation is the storage: whoever has the signed address is served, and whoever
// brings credentials of GitHub's along is not.
func (s *Server) serveAttestation(w http.ResponseWriter, r *http.Request) {
	bundle := s.stored(strings.TrimSuffix(r.PathValue("id"), ".json.sn"), r.URL.Query().Get("sig"))
	if bundle == nil || r.Header.Get("Authorization") != "" {
		http.Error(w, "Server failed to authenticate the request.", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "application/x-snappy")
	_, _ = w.Write(snappy.Encode(nil, bundle))
}

func (s *Server) stored(id, signed string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.repositories {
		for _, one := range r.attestations {
			if strconv.FormatInt(one.id, 10) == id && one.signed == signed {
				return one.bundle
			}
		}
	}
	return nil
}
