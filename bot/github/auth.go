package github

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/golang-jwt/jwt/v4"

	"github.com/idp-bot/idp/gitops/secret"
)

// newSigned returns a round-tripper that authenticates as the App itself.
func newSigned(appID int64, key []byte, now func() time.Time, next http.RoundTripper) (http.RoundTripper, error) {
	if appID <= 0 {
		return nil, errors.New("the GitHub App's id is missing")
	}
	// The parser's error is dropped: nothing of the key may show.
	private, err := jwt.ParseRSAPrivateKeyFromPEM(key)
	if err != nil {
		return nil, errors.New("the GitHub App's private key is not an RSA key in PEM")
	}
	signer := clockedSigner{RSASigner: ghinstallation.NewRSASigner(jwt.SigningMethodRS256, private), now: now}
	transport, err := ghinstallation.NewAppsTransportWithOptions(next, appID, ghinstallation.WithSigner(signer))
	if err != nil {
		return nil, fmt.Errorf("prepare the GitHub App's JWTs: %w", err)
	}
	return transport, nil
}

// clockedSigner signs ghinstallation's claims with the times of the App's clock:
// issued half a minute ago, so that GitHub's clock may be behind, and good for a
// minute and a half from now. GitHub takes ten minutes at most.
type clockedSigner struct {
	*ghinstallation.RSASigner
	now func() time.Time
}

// Sign signs the claims.
func (s clockedSigner) Sign(claims jwt.Claims) (string, error) {
	if registered, ok := claims.(*jwt.RegisteredClaims); ok {
		issued := s.now().Add(-30 * time.Second).Truncate(time.Second)
		registered.IssuedAt = jwt.NewNumericDate(issued)
		registered.ExpiresAt = jwt.NewNumericDate(issued.Add(2 * time.Minute))
	}
	return s.RSASigner.Sign(claims)
}

// authorized adds an installation token: one to read with, or one to write with.
type authorized struct {
	tokens      *tokens
	read, write scope
	next        http.RoundTripper
}

// RoundTrip sends the request with a token. A token that GitHub does not know
// any more is made anew, once.
func (a authorized) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, used, err := a.send(req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	again, ok := rewound(req)
	if !ok {
		return resp, nil
	}
	discard(resp)
	a.tokens.forget(a.scope(req), used)
	resp, _, err = a.send(again)
	return resp, err
}

func (a authorized) send(req *http.Request) (*http.Response, secret.String, error) {
	used, err := a.tokens.get(req.Context(), a.scope(req))
	if err != nil {
		closeBody(req)
		return nil, used, err
	}
	sent := req.Clone(req.Context())
	sent.Header.Set("Authorization", "Bearer "+used.Reveal())
	resp, err := a.next.RoundTrip(sent)
	return resp, used, err
}

func (a authorized) scope(req *http.Request) scope {
	if req.Method == http.MethodGet || req.Method == http.MethodHead {
		return a.read
	}
	return a.write
}

// ErrReadOnly says that a request was not sent, for it would write; see Options.ReadOnly.
var ErrReadOnly = errors.New("idp only observes here, and writes nothing to GitHub")

// readOnly lets those requests through that only read.
type readOnly struct{ next http.RoundTripper }

func (r readOnly) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodGet || req.Method == http.MethodHead {
		return r.next.RoundTrip(req)
	}
	closeBody(req)
	return nil, ErrReadOnly
}

// rewound returns the request with its body from the beginning, false when it
// cannot be sent again.
func rewound(req *http.Request) (*http.Request, bool) {
	again := req.Clone(req.Context())
	if req.Body == nil || req.Body == http.NoBody {
		return again, true
	}
	if req.GetBody == nil {
		return nil, false
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, false
	}
	again.Body = body
	return again, true
}

// discard reads a little of what is left, so that the connection can be used
// again, and closes.
func discard(resp *http.Response) {
	// What is discarded may fail to be read; nobody waits for it.
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	_ = resp.Body.Close()
}

// closeBody keeps a round-tripper's promise to close the request's body, also
// when it is not sent.
func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
