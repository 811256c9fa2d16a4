package githubtest

import (
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/http"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v4"
)

// workflowIssuer is where an Enterprise Server has what it signs workflows' tokens with
// (docs.github.com, "OpenID Connect reference").
const workflowIssuer = "/_services/token"

// workflowTokenLife is how long a workflow's token works.
const workflowTokenLife = 5 * time.Minute

// WorkflowToken returns the token that a run of a workflow gets for an audience: at the
// newest commit of a branch, or for a pull request at the one that would merge it.
func (r *Repository) WorkflowToken(ref, by, audience string, pr *PullRequest) (string, error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	key, err := r.s.workflowKey()
	if err != nil {
		return "", err
	}
	event, sha, ref := "push", r.branches[ref], "refs/heads/"+ref
	if pr != nil {
		event, sha, ref = "pull_request", pr.mergeSHA(), fmt.Sprintf("refs/pull/%d/merge", pr.number)
	}
	actor := r.s.account(by)
	now := r.s.now()
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": r.s.HTMLURL() + workflowIssuer, "aud": audience, "sub": "repo:" + r.fullName() + ":ref:" + ref,
		"iat": now.Unix(), "nbf": now.Add(-5 * time.Minute).Unix(), "exp": now.Add(workflowTokenLife).Unix(),
		"repository": r.fullName(), "repository_id": strconv.FormatInt(r.id, 10), "sha": sha, "ref": ref, "event_name": event,
		"actor": actor.login, "actor_id": strconv.FormatInt(actor.id, 10), "workflow_ref": r.fullName() + "/.github/workflows/ci.yml@" + ref,
		"run_id": strconv.FormatInt(r.s.nextID(), 10), "run_attempt": "1",
	})
	token.Header["kid"] = "1"
	return token.SignedString(key)
}

// workflowKey is what workflows' tokens are signed with, made when it is first needed.
func (s *Server) workflowKey() (*rsa.PrivateKey, error) {
	if s.signer == nil {
		key, _, err := GenerateKey()
		if err != nil {
			return nil, err
		}
		s.signer = key
	}
	return s.signer, nil
}

// workflowConfiguration and workflowKeys are what verifiers read.
func (s *Server) workflowConfiguration(w http.ResponseWriter, _ *http.Request) {
	writeForm(w, object{
		"issuer": s.HTMLURL() + workflowIssuer, "jwks_uri": s.HTMLURL() + workflowIssuer + "/.well-known/jwks",
		"subject_types_supported": []string{"public", "pairwise"}, "response_types_supported": []string{"id_token"}, "id_token_signing_alg_values_supported": []string{"RS256"},
	})
}

func (s *Server) workflowKeys(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, err := s.workflowKey()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	encode := base64.RawURLEncoding.EncodeToString
	writeForm(w, object{"keys": []object{{
		"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1", "n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes()),
	}}})
}
