package githubtest

import (
	"encoding/base64"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
)

// maxContent is the size up to which the contents API sends a file's content
// (docs.github.com, "Get repository content").
const maxContent = 1 << 20

func getRepository(c *call) reply { return ok(c.s.fullShape(c.repo)) }

func listBranches(c *call) reply {
	return listed(c, slices.Sorted(maps.Keys(c.repo.branches)), func(name string) any {
		sha := c.repo.branches[name]
		return object{"name": name, "protected": c.repo.protects(name), "commit": object{"sha": sha, "url": c.repo.api("/commits/" + sha)}}
	})
}

func getBranch(c *call) reply {
	name := c.params["branch"]
	sha, found := c.repo.branches[name]
	if !found {
		return *refuse(http.StatusNotFound, "Branch not found")
	}
	return ok(object{
		"name": name, "commit": c.repo.commitShape(c.s.commits[sha]), "protected": c.repo.protects(name), "protection": object{"enabled": c.repo.protects(name)},
		"_links":         object{"self": c.repo.api("/branches/" + name), "html": c.repo.html("/tree/" + name)},
		"protection_url": c.repo.api("/branches/" + name + "/protection"),
	})
}

func getRef(c *call) reply {
	ref := "refs/" + strings.TrimPrefix(c.params["ref"], "refs/")
	sha := c.repo.refSHA(ref)
	if sha == "" {
		return *notFound()
	}
	return ok(object{
		"ref": ref, "node_id": nodeID("REF", c.repo.id), "url": c.repo.api("/git/" + ref),
		"object": object{"type": "commit", "sha": sha, "url": c.repo.api("/git/commits/" + sha)},
	})
}

func getCommit(c *call) reply {
	one := c.repo.resolve(c.params["ref"])
	if one == nil {
		return *refuse(http.StatusUnprocessableEntity, "No commit found for SHA: "+c.params["ref"])
	}
	from := map[string]string{}
	if len(one.parents) > 0 {
		from = c.s.commits[one.parents[0]].tree
	}
	changed := changes(from, one.tree)
	additions, deletions := 0, 0
	for _, f := range changed {
		additions, deletions = additions+f.additions, deletions+f.deletions
	}
	files, header := paged(c, changed, maxDiffFiles, maxDiffFiles, func(f fileChange) any { return c.repo.fileShape(f, one.sha) })
	return reply{status: http.StatusOK, header: header, body: merged(c.repo.commitShape(one), object{
		"files": files, "stats": object{"additions": additions, "deletions": deletions, "total": additions + deletions},
	})}
}

// getPermission answers with the legacy permission and the role name
// (docs.github.com, "Get repository permissions for a user").
func getPermission(c *call) reply {
	a := c.s.accounts[strings.ToLower(c.params["username"])]
	if a == nil {
		return *refuse(http.StatusNotFound, c.params["username"]+" is not a user")
	}
	role := c.repo.permission(a)
	legacy := map[string]string{"maintain": "write", "triage": "read"}[role]
	if legacy == "" {
		legacy = role
	}
	user := merged(c.s.userShape(a).(object), object{
		"role_name": role,
		"permissions": object{
			"admin": role == "admin", "maintain": role == "admin" || role == "maintain", "push": legacy == "admin" || legacy == "write",
			"triage": role != "read" && role != "none", "pull": role != "none",
		},
	})
	return ok(object{"permission": legacy, "role_name": role, "user": user})
}

func getContents(c *call) reply {
	ref := c.query.Get("ref")
	if ref == "" {
		ref = c.repo.defaultBranch
	}
	at := c.repo.resolve(ref)
	if at == nil {
		return *refuse(http.StatusNotFound, "No commit found for the ref "+ref)
	}
	name := strings.Trim(c.params["path"], "/")
	content, isFile := at.tree[name]
	if !isFile {
		return c.directory(at, name, ref)
	}
	if strings.Contains(c.request.Header.Get("Accept"), "raw") {
		return reply{status: http.StatusOK, body: []byte(content), header: http.Header{"Content-Type": {"application/vnd.github.raw+json; charset=utf-8"}}}
	}
	return ok(c.entryShape(name, ref, content, true))
}

// entryShape is a "content-file", or with full = false one entry of a directory.
func (c *call) entryShape(name, ref, content string, full bool) object {
	sha := digest("blob", content)
	url, git, html := c.repo.api("/contents/"+name+"?ref="+ref), c.repo.api("/git/blobs/"+sha), c.repo.html("/blob/"+ref+"/"+name)
	out := object{
		"name": path.Base(name), "path": name, "sha": sha, "size": len(content), "type": "file", "url": url, "git_url": git,
		"html_url": html, "download_url": c.repo.html("/raw/" + ref + "/" + name),
		"_links": object{"self": url, "git": git, "html": html},
	}
	switch {
	case full && len(content) > maxContent:
		out["content"], out["encoding"] = "", "none"
	case full:
		out["content"], out["encoding"] = wrapped(content), "base64"
	}
	return out
}

// wrapped is base64 in lines of 60 characters, as GitHub sends it.
func wrapped(content string) string {
	text := base64.StdEncoding.EncodeToString([]byte(content))
	var b strings.Builder
	for len(text) > 0 {
		n := min(60, len(text))
		b.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	return b.String()
}

func (c *call) directory(at *commit, dir, ref string) reply {
	entries := []any{}
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(at.tree)) {
		rest, below := strings.CutPrefix(name, dir+"/")
		if !below {
			continue
		}
		first, _, nested := strings.Cut(rest, "/")
		if seen[first] {
			continue
		}
		seen[first] = true
		entry := c.entryShape(dir+"/"+first, ref, at.tree[name], false)
		if nested {
			entry["type"], entry["size"], entry["download_url"] = "dir", 0, nil
		}
		entries = append(entries, entry)
	}
	if len(entries) == 0 {
		return *notFound()
	}
	return ok(entries)
}
