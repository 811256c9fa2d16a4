package githubtest

import (
	"cmp"
	"fmt"
	"slices"
)

// sideShape is "head" or "base".
func (s *Server) sideShape(r *Repository, ref, sha string) object {
	return object{
		"label": r.owner.login + ":" + ref, "ref": ref, "sha": sha, "user": s.userShape(r.owner), "repo": s.repositoryShape(r),
	}
}

// pullShape is GitHub's "pull-request-simple", as in lists.
func (s *Server) pullShape(pr *PullRequest) object {
	r := pr.repo
	api, page := r.api(fmt.Sprintf("/pulls/%d", pr.number)), r.html(fmt.Sprintf("/pull/%d", pr.number))
	issue := r.api(fmt.Sprintf("/issues/%d", pr.number))
	statuses := r.api("/statuses/" + pr.headSHA)
	link := func(href string) object { return object{"href": href} }
	return object{
		"url": api, "id": pr.id, "node_id": nodeID("PR", pr.id), "html_url": page, "diff_url": page + ".diff", "patch_url": page + ".patch",
		"issue_url": issue, "number": pr.number, "state": pr.state, "locked": false, "title": pr.title,
		"user": s.userShape(pr.author), "body": textOrNil(pr.body), "created_at": stamp(pr.created), "updated_at": stamp(pr.updated),
		"closed_at": stampOrNil(pr.closed), "merged_at": stampOrNil(pr.mergedAt), "merge_commit_sha": textOrNil(pr.mergeSHA()),
		"assignee": nil, "assignees": []any{}, "requested_reviewers": []any{}, "requested_teams": []any{}, "labels": pr.labelShapes(),
		"milestone": nil, "draft": pr.draft, "commits_url": api + "/commits", "review_comments_url": api + "/comments",
		"review_comment_url": r.api("/pulls/comments{/number}"), "comments_url": issue + "/comments", "statuses_url": statuses,
		"head": s.sideShape(pr.headRepo, pr.headRef, pr.headSHA), "base": s.sideShape(r, pr.baseRef, pr.base()),
		"_links": object{
			"self": link(api), "html": link(page), "issue": link(issue), "comments": link(issue + "/comments"),
			"review_comments": link(api + "/comments"), "review_comment": link(r.api("/pulls/comments{/number}")),
			"commits": link(api + "/commits"), "statuses": link(statuses),
		},
		"author_association": r.association(pr.author), "auto_merge": nil, "active_lock_reason": nil,
	}
}

// pullFullShape is GitHub's "pull-request", as alone and in webhooks.
func (s *Server) pullFullShape(pr *PullRequest) object {
	files := pr.files()
	additions, deletions := 0, 0
	for _, f := range files {
		additions, deletions = additions+f.additions, deletions+f.deletions
	}
	state, mergeable := "clean", any(true)
	switch _, clean := pr.mergedTree(); {
	case pr.state == "closed" || pr.pondering:
		state, mergeable = "unknown", nil
	case !clean:
		state, mergeable = "dirty", false
	case pr.draft:
		state = "draft"
	}
	return merged(s.pullShape(pr), object{
		"merged": pr.merged, "mergeable": mergeable, "rebaseable": mergeable, "mergeable_state": state, "merged_by": s.userShape(pr.mergedBy),
		"comments": len(pr.comments()), "review_comments": 0, "maintainer_can_modify": false,
		"commits":   len(s.between(pr.base(), pr.headSHA)),
		"additions": additions, "deletions": deletions, "changed_files": len(files),
	})
}

func (c *call) pullOf() *PullRequest { return c.repo.pulls[int(c.number("pull_number"))] }

func listPulls(c *call) reply {
	state := cmp.Or(c.query.Get("state"), "open")
	head, base := c.query.Get("head"), c.query.Get("base")
	all := slices.DeleteFunc(c.repo.sortedPulls(), func(pr *PullRequest) bool {
		return state != "all" && pr.state != state || head != "" && pr.headLabel() != head || base != "" && pr.baseRef != base
	})
	if c.query.Get("sort") == "updated" {
		slices.SortStableFunc(all, func(a, b *PullRequest) int { return a.updated.Compare(b.updated) })
	}
	if newestFirst(c.query.Get("sort"), c.query.Get("direction")) {
		slices.Reverse(all)
	}
	return listed(c, all, func(pr *PullRequest) any { return c.s.pullShape(pr) })
}

// newestFirst is GitHub's default order: descending by creation, ascending by
// anything else.
func newestFirst(sort, direction string) bool {
	if direction != "" {
		return direction == "desc"
	}
	return sort == "" || sort == "created"
}

func getPull(c *call) reply {
	pr := c.pullOf()
	if pr == nil {
		return *notFound()
	}
	return ok(c.s.pullFullShape(pr))
}

// maxPullFiles is how many files are listed, on however many pages
// (docs.github.com, "List pull requests files").
const maxPullFiles = 3000

func listPullFiles(c *call) reply {
	pr := c.pullOf()
	if pr == nil {
		return *notFound()
	}
	files := pr.files()
	return listed(c, files[:min(len(files), maxPullFiles)], func(f fileChange) any { return c.repo.fileShape(f, pr.headSHA) })
}

func listPullCommits(c *call) reply {
	pr := c.pullOf()
	if pr == nil {
		return *notFound()
	}
	return listed(c, c.s.between(pr.base(), pr.headSHA), func(one *commit) any { return c.repo.commitShape(one) })
}
