package githubtest

import (
	"net/http"
	"strings"
)

// Membership is where somebody stands with a team.
type Membership string

// The memberships, in GitHub's words. Somebody who was invited and did not accept is
// pending.
const (
	ActiveMember  Membership = "active"
	PendingMember Membership = "pending"
	NoMember      Membership = ""
)

// SetMember gives somebody a membership in the team "organisation/slug", which is made
// where there is none.
func (s *Server) SetMember(team, login string, is Membership) {
	s.mu.Lock()
	defer s.mu.Unlock()
	organisation, _, _ := strings.Cut(team, "/")
	s.owner(organisation)
	members := s.team(team)
	if members[s.account(login).id] = is; is == NoMember {
		delete(members, s.account(login).id)
	}
}

// AddTeam makes the team "organisation/slug" with its members.
func (s *Server) AddTeam(team string, logins ...string) {
	s.mu.Lock()
	s.team(team)
	s.mu.Unlock()
	for _, login := range logins {
		s.SetMember(team, login, ActiveMember)
	}
}

// team returns the members of a team by their ids.
func (s *Server) team(name string) map[int64]Membership {
	key := strings.ToLower(name)
	if s.teams[key] == nil {
		s.teams[key] = map[int64]Membership{}
	}
	return s.teams[key]
}

// getMembership answers 404 for who is no member, for a team that there is not, and
// for one that the installation does not see (docs.github.com, "Get team membership
// for a user").
func getMembership(c *call) reply {
	team := c.params["org"] + "/" + c.params["team_slug"]
	a := c.s.accounts[strings.ToLower(c.params["username"])]
	if a == nil {
		return *notFound()
	}
	is, ok := c.s.teams[strings.ToLower(team)][a.id]
	if !ok {
		return *notFound()
	}
	return reply{status: http.StatusOK, body: object{
		"url":  c.s.api("/orgs/" + c.params["org"] + "/teams/" + c.params["team_slug"] + "/memberships/" + a.login),
		"role": "member", "state": string(is),
	}}
}
