package report

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/idp-bot/idp/previews"
)

// Proposal returns the title and the body of the pull request that proposes to a GitOps
// repository what the parts of one environment need. page is the root of GitHub's pages.
func Proposal(rows []previews.Environment, page string) (title, body string) {
	first := told(rows)
	name := first.Owner + "/" + first.Repo
	what, services := "Deploy", []string{}
	var table strings.Builder
	table.WriteString("| Service | Commit | Asked for by |\n| --- | --- | --- |\n")
	for i := range rows {
		e := &rows[i]
		if e.Shared() {
			continue
		}
		services = append(services, e.Ref.Service)
		fmt.Fprintf(&table, "| %s | %s | %s |\n", cellCode(e.Ref.Service), revisionLink(e, page), askedFor(e, page))
	}
	place := plain(first.Ref.ID, 60)
	switch {
	case first.Wanted == previews.Absent:
		what = "Remove"
	case first.Deployed != nil && first.Deployed.Fallback != nil:
		what = "Go back in"
	}
	title = fmt.Sprintf("%s %s of %s to %s at %s", what, plain(strings.Join(services, ", "), 120), plain(name, 100), place, short(first.SHA))
	switch {
	case len(services) == 0:
		title = fmt.Sprintf("%s what the services of %s share in %s", what, plain(name, 100), place)
	case what == "Remove":
		title = fmt.Sprintf("Remove %s of %s from %s", plain(strings.Join(services, ", "), 120), plain(name, 100), place)
	case what == "Go back in":
		title = fmt.Sprintf("Go back to %s in %s: %s of %s", short(first.SHA), place, plain(strings.Join(services, ", "), 120), plain(name, 100))
	}
	parts := []string{link(Text(name), page+"/"+name) + " asks for this change of **" + Text(first.Ref.ID) + "**."}
	if f := first.Deployed; f != nil && f.Fallback != nil {
		parts = append(parts, sentence(f.Fallback.Reason)+" "+Code(short(f.Fallback.From.SHA))+" is taken back.")
	}
	if len(services) > 0 {
		parts = append(parts, strings.TrimRight(table.String(), "\n"))
	}
	parts = append(parts, "Merging this deploys it, and closing it turns it down; whoever asked hears of either. "+
		"It holds what idp renders: to have something else, change "+Code(".idp/deploy.yaml")+" there. Where the branch moves on under it, or something newer is asked for, it is closed and proposed anew.")
	return plain(title, 250), join(maxComment, parts...)
}

// told is the row that there is most to tell of: a service, where there is one.
func told(rows []previews.Environment) *previews.Environment {
	for i := range rows {
		if !rows[i].Shared() {
			return &rows[i]
		}
	}
	return &rows[0]
}

func revisionLink(e *previews.Environment, page string) string {
	if e.Wanted == previews.Absent {
		return "none"
	}
	return link(Code(short(e.SHA)), page+"/"+e.Owner+"/"+e.Repo+"/commit/"+e.SHA)
}

func askedFor(e *previews.Environment, page string) string {
	by := "idp itself"
	if e.Actor != "" {
		by = cellCode(e.Actor)
	}
	if e.PR != 0 {
		by += " in " + link(fmt.Sprintf("pull request %d", e.PR), fmt.Sprintf("%s/%s/%s/pull/%d", page, e.Owner, e.Repo, e.PR))
	}
	return by
}

// proposedVerdict is for what waits to be merged by people.
func proposedVerdict(in Input) verdict {
	p := in.Environment.Proposed()
	return verdict{
		mark: markWaiting, title: "Waiting for " + pullName(p.URL) + " to be merged", status: inProgress,
		cell: markWaiting + " waiting to be merged", services: true,
		cause: "Changes of this environment are merged by people: " + link(Text(pullName(p.URL)), p.URL) + " has this one.",
		next:  "Merging it deploys, and closing it turns it down.",
	}
}

// pullName is "owner/name#7" of a pull request's address.
func pullName(address string) string {
	if u, err := url.Parse(address); err == nil {
		if parts := strings.Split(strings.Trim(u.Path, "/"), "/"); len(parts) >= 4 {
			parts = parts[len(parts)-4:]
			return plain(parts[0]+"/"+parts[1]+"#"+parts[3], 160)
		}
	}
	return "a pull request"
}
