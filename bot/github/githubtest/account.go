package githubtest

import (
	"fmt"
	"strings"
	"time"
)

// account is a user, a bot or an organisation.
type account struct {
	id    int64
	login string
	kind  string // "User", "Bot", "Organization"
}

// AddUser makes a user. A login that ends in "[bot]" makes a bot. People are
// also made on first use, so this is only needed to fix their order of ids.
func (s *Server) AddUser(login string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.account(login)
}

// UserID returns GitHub's id of a user, who is made where there is none.
func (s *Server) UserID(login string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.account(login).id
}

// AddOrganization makes an organisation.
func (s *Server) AddOrganization(login string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.account(login).kind = "Organization"
}

// account returns the account of that login, made if there is none.
func (s *Server) account(login string) *account {
	key := strings.ToLower(login)
	if a, ok := s.accounts[key]; ok {
		return a
	}
	kind := "User"
	if strings.HasSuffix(login, "[bot]") {
		kind = "Bot"
	}
	a := &account{id: s.nextID(), login: login, kind: kind}
	s.accounts[key] = a
	return a
}

// owner returns the account of that login, made an organisation if there is none.
func (s *Server) owner(login string) *account {
	if a, ok := s.accounts[strings.ToLower(login)]; ok {
		return a
	}
	a := s.account(login)
	a.kind = "Organization"
	return a
}

// object is a JSON object under construction.
type object = map[string]any

// merged returns a new object with the keys of all; later ones win.
func merged(all ...object) object {
	out := object{}
	for _, o := range all {
		for k, v := range o {
			out[k] = v
		}
	}
	return out
}

// userShape is GitHub's "simple-user"; null for nobody, and for a stranger of whom
// there is no more than the name in a commit.
func (s *Server) userShape(a *account) any {
	if a == nil || a.id == 0 {
		return nil
	}
	api := s.api("/users/" + a.login)
	return object{
		"login": a.login, "id": a.id, "node_id": nodeID("U", a.id), "type": a.kind, "site_admin": false,
		"avatar_url": fmt.Sprintf("%s/avatars/%d", s.HTMLURL(), a.id), "gravatar_id": "",
		"url": api, "html_url": s.HTMLURL() + "/" + strings.TrimSuffix(a.login, "[bot]"),
		"followers_url": api + "/followers", "following_url": api + "/following{/other_user}",
		"gists_url": api + "/gists{/gist_id}", "starred_url": api + "/starred{/owner}{/repo}",
		"subscriptions_url": api + "/subscriptions", "organizations_url": api + "/orgs",
		"repos_url": api + "/repos", "events_url": api + "/events{/privacy}",
		"received_events_url": api + "/received_events",
	}
}

// organizationShape is the "organization" of a webhook payload.
func (s *Server) organizationShape(a *account) object {
	api := s.api("/orgs/" + a.login)
	return object{
		"login": a.login, "id": a.id, "node_id": nodeID("O", a.id), "url": api,
		"repos_url": api + "/repos", "events_url": api + "/events", "hooks_url": api + "/hooks",
		"issues_url": api + "/issues", "members_url": api + "/members{/member}",
		"public_members_url": api + "/public_members{/member}",
		"avatar_url":         fmt.Sprintf("%s/avatars/%d", s.HTMLURL(), a.id), "description": nil,
	}
}

// nodeID makes a GraphQL-like node id of a kind and a number.
func nodeID(kind string, id int64) string { return fmt.Sprintf("%s_kwDO%08x", kind, id) }

// stamp writes a time as GitHub does.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// stampOrNil writes the zero time as null.
func stampOrNil(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return stamp(t)
}

// textOrNil writes the empty string as null.
func textOrNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}
