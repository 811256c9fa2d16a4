package github

import (
	"fmt"
	"slices"
	"strings"
)

// Permission is one that a GitHub App asks for.
type Permission struct {
	// Name is GitHub's in its API, such as "pull_requests"; Title the one on its pages.
	Name, Title string
	// Access is "read" or "write", which holds "read".
	Access string
	// Organisation says that it is one of the organisation's, not of its repositories.
	Organisation bool
	// Optional says that idp works without it, but for what For says.
	Optional bool
	// For is what idp does with it, in Markdown.
	For string
}

// Permissions returns what idp's App is to be given: no less and no more. The README's
// tables, "idp setup github" and "idp doctor" have it from here, and the tokens that idp
// makes ask for nothing beyond it.
func Permissions() []Permission {
	return []Permission{
		{Name: "metadata", Title: "Metadata", Access: "read", For: "every App has it"},
		{Name: "contents", Title: "Contents", Access: "read", For: "`.idp/deploy.yaml` at the pull request's commit"},
		{Name: "pull_requests", Title: "Pull requests", Access: "write", For: "the comment, its reactions"},
		{Name: "issues", Title: "Issues", Access: "read", For: "commands: GitHub delivers comments as `issue_comment`"},
		{Name: "checks", Title: "Checks", Access: "write", For: "the check run"},
		{Name: "statuses", Title: "Commit statuses", Access: "read", Optional: true, For: `"green checks": without it only check runs count, and a deployment says so`},
		{Name: "deployments", Title: "Deployments", Access: "write", For: `the "View deployment" link`},
		{Name: "attestations", Title: "Attestations", Access: "read", Optional: true, For: "only where a class asks for [provenance](#where-an-image-was-built): without it nothing is deployed there, and the refusal says so"},
		{Name: "actions", Title: "Actions", Access: "read", Optional: true, For: "to say which CI run an image comes from, how long that usually takes and that it failed, and to look again when one ends: without it a preview only says that it waits"},
		{Name: "members", Title: "Members", Access: "read", Organisation: true, Optional: true, For: "only where rules name [teams](#who-may-do-what): without it nobody is known to be in one, and a refusal says so"},
	}
}

// WriterPermissions returns what an App is to be given on the GitOps repository to push
// there and, with gitops_mode pull_request, to propose.
func WriterPermissions() []Permission {
	return []Permission{
		{Name: "metadata", Title: "Metadata", Access: "read", For: "every App has it"},
		{Name: "contents", Title: "Contents", Access: "write", For: "to push"},
		{Name: "pull_requests", Title: "Pull requests", Access: "write", For: "to propose, where a class has `gitops_mode: pull_request`", Optional: true},
	}
}

// Subscription is an event that a GitHub App is told about.
type Subscription struct {
	// Name is GitHub's in its API, such as "issue_comment"; Title the one on its pages.
	Name, Title string
	// Needs is the permission without which GitHub does not offer it.
	Needs string
	// Optional is as in Permission.
	Optional bool
}

// Subscriptions returns the events that idp's App is to subscribe to. Those about the
// App's installations arrive unasked.
func Subscriptions() []Subscription {
	return []Subscription{
		{Name: "pull_request", Title: "Pull request", Needs: "pull_requests"},
		{Name: "issue_comment", Title: "Issue comment", Needs: "issues"},
		{Name: "check_run", Title: "Check run", Needs: "checks"},
		{Name: "check_suite", Title: "Check suite", Needs: "checks"},
		{Name: "workflow_run", Title: "Workflow run", Needs: "actions", Optional: true},
		{Name: "repository", Title: "Repository", Needs: "metadata"},
	}
}

// PermissionTable is the README's part on what the App is to be given.
func PermissionTable() string {
	var b strings.Builder
	for i, scope := range []string{"repository", "organisation"} {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "| %s permission | access | for |\n| --- | --- | --- |\n", scope)
		for _, p := range Permissions() {
			if p.Organisation == (scope == "organisation") {
				fmt.Fprintf(&b, "| %s | %s | %s |\n", p.Title, p.AccessTitle(), p.For)
			}
		}
	}
	var events []string
	for _, s := range Subscriptions() {
		events = append(events, s.Title)
	}
	fmt.Fprintf(&b, "\nSubscribe to *%s*.\n", strings.Join(events, ", "))
	return b.String()
}

// AccessTitle is the access as GitHub's pages word it.
func (p Permission) AccessTitle() string {
	if p.Access == "write" {
		return "read and write"
	}
	return p.Access
}

// Grants is what an App was given, by the permission's name: "read", "write" or "admin".
type Grants map[string]string

// ranks order what may be granted.
var ranks = []string{"", "read", "write", "admin"}

// Holds says whether what was given is as much as the permission asks for.
func (g Grants) Holds(p Permission) bool {
	return slices.Index(ranks, g[p.Name]) >= slices.Index(ranks, p.Access)
}

// Missing returns what was not given of what is asked for.
func (g Grants) Missing(wanted []Permission) []Permission {
	return slices.DeleteFunc(slices.Clone(wanted), g.Holds)
}

// Excess returns what was given beyond what is asked for, by name: "administration: read is
// not needed", "contents: write, and read is enough".
func (g Grants) Excess(wanted []Permission) []string {
	var out []string
	for name, access := range g {
		at := slices.IndexFunc(wanted, func(p Permission) bool { return p.Name == name })
		switch {
		case at < 0:
			out = append(out, fmt.Sprintf("%s: %s is not needed", name, access))
		case slices.Index(ranks, access) > slices.Index(ranks, wanted[at].Access):
			out = append(out, fmt.Sprintf("%s: %s, and %s is enough", name, access, wanted[at].Access))
		}
	}
	slices.Sort(out)
	return out
}
