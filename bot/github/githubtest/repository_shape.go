package githubtest

import (
	"strings"
)

// api and html return absolute URLs below the repository.
func (r *Repository) api(path string) string { return r.s.api("/repos/" + r.fullName() + path) }

func (r *Repository) html(path string) string { return r.s.HTMLURL() + "/" + r.fullName() + path }

// repositoryURLs lists the templates that every repository object carries.
var repositoryURLs = strings.Fields(`
archive/{archive_format}{/ref} assignees{/user} branches{/branch} collaborators{/collaborator} comments{/number}
commits{/sha} compare/{base}...{head} contents/{+path} contributors deployments downloads events forks hooks
issues{/number} keys{/key_id} labels{/name} languages merges milestones{/number}
notifications{?since,all,participating} pulls{/number} releases{/id} stargazers statuses/{sha} subscribers
subscription tags teams git/blobs{/sha} git/commits{/sha} git/refs{/sha} git/tags{/sha} git/trees{/sha}
issues/comments{/number} issues/events{/number}`)

// urlKey names the field of a template: "git/refs{/sha}" is "git_refs_url", but
// blobs and trees are "blobs_url" and "trees_url".
func urlKey(template string) string {
	key, _, _ := strings.Cut(template, "{")
	key = strings.TrimSuffix(key, "/")
	switch key {
	case "git/blobs", "git/trees":
		key = strings.TrimPrefix(key, "git/")
	case "issues/comments":
		key = "issue_comment"
	case "issues/events":
		key = "issue_events"
	}
	return strings.ReplaceAll(key, "/", "_") + "_url"
}

// minimalShape is GitHub's "minimal-repository".
func (s *Server) minimalShape(r *Repository) object {
	out := object{
		"id": r.id, "node_id": nodeID("R", r.id), "name": r.name, "full_name": r.fullName(), "private": r.private,
		"owner": s.userShape(r.owner), "html_url": r.html(""), "url": r.api(""), "description": nil, "fork": r.parent != nil,
	}
	for _, template := range repositoryURLs {
		out[urlKey(template)] = r.api("/" + template)
	}
	return out
}

// repositoryShape is GitHub's "repository", as in lists, pull requests and
// webhooks.
func (s *Server) repositoryShape(r *Repository) object {
	visibility := "public"
	if r.private {
		visibility = "private"
	}
	host := strings.TrimPrefix(s.HTMLURL(), "http://")
	open := 0
	for _, i := range r.issues {
		if i.state == "open" {
			open++
		}
	}
	return merged(s.minimalShape(r), object{
		"created_at": stamp(r.created), "updated_at": stamp(r.pushed), "pushed_at": stamp(r.pushed),
		"git_url": "git://" + host + "/" + r.fullName() + ".git", "ssh_url": "git@" + host + ":" + r.fullName() + ".git",
		"clone_url": r.html(".git"), "svn_url": r.html(""), "homepage": nil, "language": nil, "mirror_url": nil,
		"size": 1, "stargazers_count": 0, "watchers_count": 0, "watchers": 0, "forks_count": 0, "forks": 0,
		"open_issues_count": open, "open_issues": open,
		"has_issues": true, "has_projects": false, "has_downloads": true, "has_wiki": false, "has_pages": false,
		"has_discussions": false, "archived": r.archived, "disabled": false, "license": nil, "allow_forking": true,
		"is_template": false, "web_commit_signoff_required": false, "topics": []string{}, "visibility": visibility,
		"default_branch": r.defaultBranch, "custom_properties": object{},
	})
}

// fullShape is GitHub's "full-repository".
func (s *Server) fullShape(r *Repository) object {
	out := merged(s.repositoryShape(r), object{"network_count": 0, "subscribers_count": 0})
	if r.parent != nil {
		out["parent"], out["source"] = s.repositoryShape(r.parent), s.repositoryShape(r.network())
	}
	if r.owner.kind == "Organization" {
		out["organization"] = s.userShape(r.owner)
	}
	return out
}

// commitShape is GitHub's "commit".
func (r *Repository) commitShape(c *commit) object {
	person := object{"name": c.author.login, "email": email(c.author), "date": stamp(c.at)}
	parents := []object{}
	for _, sha := range c.parents {
		parents = append(parents, object{"sha": sha, "url": r.api("/commits/" + sha), "html_url": r.html("/commit/" + sha)})
	}
	tree := treeSHA(c.tree)
	return object{
		"sha": c.sha, "node_id": "C_" + c.sha, "url": r.api("/commits/" + c.sha), "html_url": r.html("/commit/" + c.sha),
		"comments_url": r.api("/commits/" + c.sha + "/comments"),
		"commit": object{
			"url": r.api("/git/commits/" + c.sha), "author": person, "committer": person, "message": c.message, "comment_count": 0,
			"tree": object{"sha": tree, "url": r.api("/git/trees/" + tree)},
			"verification": object{
				"verified": false, "reason": "unsigned", "payload": nil, "signature": nil, "verified_at": nil,
			},
		},
		"author": r.s.userShape(c.author), "committer": r.s.userShape(c.author), "parents": parents,
	}
}

// simpleCommitShape is the "head_commit" of suites and workflow runs.
func simpleCommitShape(c *commit) object {
	person := object{"name": c.author.login, "email": email(c.author)}
	return object{
		"id": c.sha, "tree_id": treeSHA(c.tree), "message": c.message, "timestamp": stamp(c.at),
		"author": person, "committer": person,
	}
}

func email(a *account) string {
	return formatID(a.id) + "+" + a.login + "@users.noreply.github.com"
}
