package platform

import (
	"maps"
	"regexp"
	"slices"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/spec"
)

// Teams says which team owns which repository. The zero value says nothing, and lets
// every repository say of itself what team it is of.
type Teams struct {
	// Strict lets a repository that no team owns name no team.
	Strict bool `json:",omitempty"`
	// Owners are by GitHub's id of the repository.
	Owners map[int64]Owner `json:",omitempty"`
}

// Owner is a team that owns a repository.
type Owner struct {
	// Team is what a deploy.yaml calls it; GitHub is "ORGANISATION/SLUG", "" where that is
	// not declared.
	Team   string
	GitHub string `json:",omitempty"`
}

// Of returns the team that owns a repository, false where none is declared to.
func (t Teams) Of(repositoryID int64) (Owner, bool) {
	owner, ok := t.Owners[repositoryID]
	return owner, ok
}

// Check holds a valid deploy.yaml to the team that owns its repository. name is what
// the errors call the file.
func (t Teams) Check(name string, raw []byte, repositoryID int64) spec.Errors {
	const who = ", which the platform team changes"
	owner, owned := t.Of(repositoryID)
	switch {
	case owned && owner.GitHub != "":
		return spec.CheckTeam(name, raw, owner.Team, "this repository belongs to team "+owner.Team+" ("+owner.GitHub+" at GitHub) by "+TeamsPath+who)
	case owned:
		return spec.CheckTeam(name, raw, owner.Team, "this repository belongs to team "+owner.Team+" by "+TeamsPath+who)
	case t.Strict:
		return spec.CheckTeam(name, raw, "", "this repository belongs to no team by "+TeamsPath+who)
	}
	return nil
}

// teamName is what a deploy.yaml may call a team.
var teamName = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$`)

// githubTeam is how a team is written that may be of any organisation.
var githubTeam = regexp.MustCompile(`^[A-Za-z0-9-]+/[a-z0-9_.-]+$`)

const maxTeamName = 63

// loadTeams reads platform/teams.yaml.
func loadTeams(f gitops.File) (Teams, spec.Errors) {
	var file teamsFile
	doc := spec.Decode(f.Path, f.Content, &file)
	out, first := Teams{Strict: file.Strict, Owners: map[int64]Owner{}}, map[int64]string{}
	for _, name := range slices.Sorted(maps.Keys(file.Teams)) {
		at := spec.Join("teams", name)
		if !teamName.MatchString(name) || len(name) > maxTeamName {
			doc.ReportKey(at, spec.KindFormat, `team name %q is not valid: expected at most %d letters, digits, "-", "_" and ".", with a letter or digit at both ends`, name, maxTeamName)
		}
		block := file.Teams[name]
		if block == nil {
			continue
		}
		if field := spec.Join(at, "github"); doc.OK(field) && !githubTeam.MatchString(block.GitHub) {
			doc.Report(field, spec.KindFormat, "%q is no team at GitHub: expected ORGANISATION/SLUG, such as acme/payments", block.GitHub)
		}
		for i, repository := range block.Repositories {
			field := spec.Join(spec.Index(spec.Join(at, "repositories"), i), "id")
			if repository == nil || repository.ID == nil || !doc.OK(field) {
				continue
			}
			if other, twice := first[*repository.ID]; twice {
				doc.Report(field, spec.KindDuplicate, "repository %d is listed twice: it belongs to team %s already", *repository.ID, other)
				continue
			}
			first[*repository.ID] = name
			out.Owners[*repository.ID] = Owner{Team: name, GitHub: block.GitHub}
		}
	}
	return out, doc.Errors()
}
