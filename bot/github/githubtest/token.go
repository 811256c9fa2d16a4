package githubtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v4"
)

const (
	// tokenLife is how long an installation token works
	// (docs.github.com, "Generating an installation access token").
	tokenLife = time.Hour
	// jwtLife is how far ahead of now an App's JWT may expire
	// (docs.github.com, "Generating a JSON Web Token").
	jwtLife = 10 * time.Minute
	// jwtLeeway forgives clocks that differ by little, as GitHub does.
	jwtLeeway = 5 * time.Second
)

// token is an installation access token.
type token struct {
	installation *Installation
	permissions  map[string]string
	repositories map[int64]bool // nil: all that the installation covers
	expires      time.Time
}

func (t *token) covers(r *Repository) bool {
	return t.installation.covers(r) && (t.repositories == nil || t.repositories[r.id])
}

// allows reports whether the token has one of the permissions at that level.
func (t *token) allows(anyOf []string, level string) bool {
	for _, name := range anyOf {
		if name == "metadata" && level == "read" || atLeast(t.permissions[name], level) {
			return true
		}
	}
	return false
}

func atLeast(have, want string) bool {
	rank := map[string]int{"read": 1, "write": 2, "admin": 3}
	return rank[have] >= rank[want]
}

// credential is who asks: an App by its JWT or, as the client that signs people in, by
// its secret; an installation by its token; a user who lets an App act for them; or nobody.
type credential struct {
	app    *App
	client *App
	token  *token
	user   *userToken
}

// String is the name under which requests are logged and limits are counted.
func (c credential) String() string {
	switch {
	case c.app != nil:
		return "app:" + strconv.FormatInt(c.app.id, 10)
	case c.client != nil:
		return "client:" + c.client.ClientID()
	case c.user != nil:
		return "user:" + c.user.user.login
	case c.token != nil:
		return "installation:" + strconv.FormatInt(c.token.installation.id, 10)
	}
	return "anonymous"
}

// reaches reports whether the credential's installation covers the repository.
func (c credential) reaches(r *Repository) bool {
	return c.token != nil && c.token.covers(r) || c.app != nil && c.app.covering(r) != nil
}

// TokenAllows reports whether an installation token is live, reaches the
// repository "owner/name" and has the permission at the level, for a git server
// that stands beside this one.
func (s *Server) TokenAllows(value, fullName, permission, level string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	owner, name, _ := strings.Cut(fullName, "/")
	r, t := s.find(owner, name), s.tokens[value]
	live := t != nil && s.opts.Now().Before(t.expires) && t.installation.suspended.IsZero()
	return live && r != nil && t.covers(r) && t.allows([]string{permission}, level)
}

// authenticate reads the Authorization header. A header that does not hold
// stands for a refusal, never for an anonymous request.
func (s *Server) authenticate(header string) (credential, *reply) {
	scheme, value, _ := strings.Cut(header, " ")
	switch {
	case header == "":
		return credential{}, nil
	case strings.EqualFold(scheme, "bearer") && strings.Count(value, ".") == 2:
		app, message := s.verifyJWT(value)
		if app == nil {
			return credential{}, refuse(http.StatusUnauthorized, message)
		}
		return credential{app: app}, nil
	case strings.EqualFold(scheme, "basic"):
		basic := http.Request{Header: http.Header{"Authorization": {header}}}
		id, secret, _ := basic.BasicAuth()
		if client := s.client(id, secret); client != nil {
			return credential{client: client}, nil
		}
	case strings.EqualFold(scheme, "bearer") || strings.EqualFold(scheme, "token"):
		return s.findToken(value)
	}
	return credential{}, refuse(http.StatusUnauthorized, "Bad credentials")
}

func (s *Server) findToken(value string) (credential, *reply) {
	if u := s.userTokens[value]; u != nil && s.now().Sub(u.made) <= userTokenLife {
		return credential{user: u}, nil
	}
	t := s.tokens[value]
	if t == nil || !s.opts.Now().Before(t.expires) {
		return credential{}, refuse(http.StatusUnauthorized, "Bad credentials")
	}
	if !t.installation.suspended.IsZero() {
		return credential{}, refuse(http.StatusForbidden, "This installation has been suspended")
	}
	return credential{token: t}, nil
}

// verifyJWT returns the App that signed the JWT, or GitHub's refusal.
func (s *Server) verifyJWT(value string) (*App, string) {
	const undecodable = "A JSON web token could not be decoded"
	var app *App
	claims := jwt.MapClaims{}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithoutClaimsValidation(), jwt.WithJSONNumber())
	_, err := parser.ParseWithClaims(value, claims, func(*jwt.Token) (any, error) {
		id, err := strconv.ParseInt(fmt.Sprint(claims["iss"]), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("iss: %w", err)
		}
		if app = s.app(id); app == nil || app.key == nil {
			return nil, fmt.Errorf("no App %d with a key", id)
		}
		return app.key, nil
	})
	switch {
	case err != nil && claims["iss"] == nil:
		return nil, "Missing 'issuer' claim ('iss') in assertion"
	case err != nil:
		return nil, undecodable
	}
	return s.checkTimes(app, claims)
}

// checkTimes holds "iat" and "exp" to GitHub's rules by the injected clock.
func (s *Server) checkTimes(app *App, claims jwt.MapClaims) (*App, string) {
	now := s.opts.Now()
	issued, okIssued := claimTime(claims["iat"])
	expires, okExpires := claimTime(claims["exp"])
	switch {
	case !okExpires || !now.Before(expires):
		return nil, "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires"
	case expires.After(now.Add(jwtLife + jwtLeeway)):
		return nil, "'Expiration time' claim ('exp') is too far in the future"
	case !okIssued || issued.After(now.Add(jwtLeeway)):
		return nil, "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
	}
	return app, ""
}

func claimTime(claim any) (time.Time, bool) {
	n, ok := claim.(json.Number)
	if !ok {
		return time.Time{}, false
	}
	seconds, err := n.Int64()
	return time.Unix(seconds, 0), err == nil
}

// tokenRequest is the body of POST /app/installations/{id}/access_tokens.
type tokenRequest struct {
	Repositories  []string          `json:"repositories"`
	RepositoryIDs []int64           `json:"repository_ids"`
	Permissions   map[string]string `json:"permissions"`
}

func createToken(c *call) reply {
	i := c.installation()
	if i == nil {
		return *notFound()
	}
	if !i.suspended.IsZero() {
		return *refuse(http.StatusForbidden, "This installation has been suspended")
	}
	var want tokenRequest
	if bad := c.decodeOptional(&want); bad != nil {
		return *bad
	}
	t := &token{installation: i, permissions: maps.Clone(i.permissions), expires: c.s.now().Add(tokenLife)}
	if bad := t.narrow(c.s, want); bad != nil {
		return *bad
	}
	return reply{status: http.StatusCreated, body: c.s.tokenShape(c.s.issue(t), t)}
}

// issue makes a token's secret, by which it is found from then on.
func (s *Server) issue(t *token) string {
	value := "ghs_" + secretText(36)
	s.tokens[value] = t
	return value
}

// Token makes a token of the installation's, with all that it may, for a program that
// takes one ready-made.
func (i *Installation) Token() string {
	s := i.app.s
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.issue(&token{installation: i, permissions: maps.Clone(i.permissions), expires: s.now().Add(tokenLife)})
}

// narrow cuts the token down to what was asked for, which must lie within what
// the installation has.
func (t *token) narrow(s *Server, want tokenRequest) *reply {
	for name, level := range want.Permissions {
		if !atLeast(t.installation.permissions[name], level) {
			return refuse(http.StatusUnprocessableEntity, "The permissions requested are not granted to this installation.")
		}
	}
	if len(want.Permissions) > 0 {
		t.permissions = maps.Clone(want.Permissions)
	}
	if len(want.Repositories) == 0 && len(want.RepositoryIDs) == 0 {
		return nil
	}
	t.repositories = map[int64]bool{}
	for _, name := range want.Repositories {
		if r := s.find(t.installation.account.login, name); r != nil {
			want.RepositoryIDs = append(want.RepositoryIDs, r.id)
		} else {
			want.RepositoryIDs = append(want.RepositoryIDs, 0)
		}
	}
	for _, id := range want.RepositoryIDs {
		r := s.repositories[id]
		if r == nil || !t.installation.covers(r) {
			return refuse(http.StatusUnprocessableEntity, "There is at least one repository that does not exist or is not accessible to the parent installation.")
		}
		t.repositories[id] = true
	}
	return nil
}

func (s *Server) tokenShape(value string, t *token) object {
	out := object{
		"token": value, "expires_at": stamp(t.expires), "permissions": t.permissions,
		"repository_selection": t.installation.selection(),
	}
	if t.repositories == nil {
		return out
	}
	list := []object{}
	for _, id := range slices.Sorted(maps.Keys(t.repositories)) {
		list = append(list, s.repositoryShape(s.repositories[id]))
	}
	out["repositories"], out["repository_selection"] = list, "selected"
	return out
}

func revokeToken(c *call) reply {
	maps.DeleteFunc(c.s.tokens, func(_ string, t *token) bool { return t == c.cred.token })
	return reply{status: http.StatusNoContent}
}
