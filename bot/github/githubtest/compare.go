package githubtest

import (
	"net/http"
	"strings"
)

const (
	// maxCompared is how many commits a comparison lists where no page is asked for
	// (docs.github.com, "Compare two commits").
	maxCompared = 250
	// maxDiffFiles is how many files a comparison or a commit lists on its first
	// page.
	maxDiffFiles = 300
)

// compareCommits answers from the commits that there are: ahead is what head
// reaches and base does not, behind the opposite.
func compareCommits(c *call) reply {
	first, second, found := strings.Cut(c.params["basehead"], "...")
	base, head := c.side(first), c.side(second)
	if !found || base == nil || head == nil {
		return *notFound()
	}
	fork := c.s.mergeBase(base.sha, head.sha)
	if fork == nil {
		return *refuse(http.StatusNotFound, "No common ancestor between "+first+" and "+second+".")
	}
	ahead, behind := c.s.between(base.sha, head.sha), c.s.between(head.sha, base.sha)
	commits, header := c.compared(ahead)
	path := "/compare/" + base.sha + "..." + head.sha
	return reply{status: http.StatusOK, header: header, body: object{
		"url": c.repo.api(path), "html_url": c.repo.html(path), "permalink_url": c.repo.html(path),
		"diff_url": c.repo.html(path + ".diff"), "patch_url": c.repo.html(path + ".patch"),
		"base_commit": c.repo.commitShape(base), "merge_base_commit": c.repo.commitShape(fork),
		"status": relation(len(ahead), len(behind)), "ahead_by": len(ahead), "behind_by": len(behind), "total_commits": len(ahead),
		"commits": commits, "files": c.comparedFiles(fork, head),
	}}
}

// side resolves one end of a comparison: "ref", or "owner:ref" for a repository of
// the same forks.
func (c *call) side(name string) *commit {
	owner, ref, other := strings.Cut(name, ":")
	if !other {
		return c.repo.resolve(name)
	}
	for _, r := range c.s.repositories {
		if r.network() == c.repo.network() && strings.EqualFold(r.owner.login, owner) {
			return r.resolve(ref)
		}
	}
	return nil
}

func relation(ahead, behind int) string {
	switch {
	case ahead > 0 && behind > 0:
		return "diverged"
	case ahead > 0:
		return "ahead"
	case behind > 0:
		return "behind"
	}
	return "identical"
}

// compared is the page of commits that was asked for, else the newest of them.
func (c *call) compared(ahead []*commit) ([]any, http.Header) {
	shape := func(one *commit) any { return c.repo.commitShape(one) }
	if c.query.Has("page") || c.query.Has("per_page") {
		return paged(c, ahead, defaultPerPage, maxPerPage, shape)
	}
	out := []any{}
	for _, one := range ahead[max(0, len(ahead)-maxCompared):] {
		out = append(out, shape(one))
	}
	return out, nil
}

// comparedFiles is what head changes since the merge base; only the first page has
// it.
func (c *call) comparedFiles(fork, head *commit) []any {
	out := []any{}
	if positive(c.query.Get("page"), 1) > 1 {
		return out
	}
	files := changes(fork.tree, head.tree)
	for _, f := range files[:min(len(files), maxDiffFiles)] {
		out = append(out, c.repo.fileShape(f, head.sha))
	}
	return out
}
