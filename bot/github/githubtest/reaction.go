package githubtest

import (
	"net/http"
	"slices"
	"time"
)

// reactionContents are all that GitHub accepts
// (docs.github.com, "About reactions").
var reactionContents = []string{"+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"}

type reaction struct {
	id      int64
	author  *account
	content string
	created time.Time
}

// rollup is GitHub's "reaction-rollup".
func rollup(url string, all []reaction) object {
	out := object{"url": url, "total_count": len(all)}
	for _, content := range reactionContents {
		out[content] = 0
	}
	for _, r := range all {
		out[r.content] = out[r.content].(int) + 1
	}
	return out
}

func (s *Server) reactionShape(r reaction) any {
	return object{
		"id": r.id, "node_id": nodeID("REA", r.id), "user": s.userShape(r.author),
		"content": r.content, "created_at": stamp(r.created),
	}
}

// reactionsOf returns the reactions of the comment or issue in the path.
func (c *call) reactionsOf() *[]reaction {
	if _, ok := c.params["comment_id"]; ok {
		if one := c.repo.comments[c.number("comment_id")]; one != nil {
			return &one.reactions
		}
		return nil
	}
	if i := c.issueOf(); i != nil {
		return &i.reactions
	}
	return nil
}

func listReactions(c *call) reply {
	all := c.reactionsOf()
	if all == nil {
		return *notFound()
	}
	shown := slices.Clone(*all)
	if want := c.query.Get("content"); want != "" {
		shown = slices.DeleteFunc(shown, func(r reaction) bool { return r.content != want })
	}
	return listed(c, shown, c.s.reactionShape)
}

// createReaction answers 201, or 200 where the same actor reacted so already.
func createReaction(c *call) reply {
	all := c.reactionsOf()
	if all == nil {
		return *notFound()
	}
	var want struct {
		Content string `json:"content"`
	}
	if bad := c.decode(&want); bad != nil {
		return *bad
	}
	if !slices.Contains(reactionContents, want.Content) {
		return *invalid(fieldError{Resource: "Reaction", Field: "content", Code: "invalid"})
	}
	for _, r := range *all {
		if r.author == c.actor() && r.content == want.Content {
			return ok(c.s.reactionShape(r))
		}
	}
	r := reaction{id: c.s.nextID(), author: c.actor(), content: want.Content, created: c.s.now()}
	*all = append(*all, r)
	return created(c.s.reactionShape(r))
}

// deleteReaction removes a reaction of the actor's own.
func deleteReaction(c *call) reply {
	all := c.reactionsOf()
	if all == nil {
		return *notFound()
	}
	id := c.number("reaction_id")
	at := slices.IndexFunc(*all, func(r reaction) bool { return r.id == id })
	switch {
	case at < 0:
		return *notFound()
	case (*all)[at].author != c.actor():
		return *notAllowed()
	}
	*all = slices.Delete(*all, at, at+1)
	return reply{status: http.StatusNoContent}
}
