// Package report turns an environment into what people see of it: the sticky
// comment, the check run and the GitHub Deployment.
//
// Everything here is a pure function of an Input (the row, its class and the
// time), so that a report can be written again, skipped when its hash is what
// was written last, and tested by goldens. A verdict (verdict.go) is formed once
// and worded three times. Functions may be called concurrently.
//
// Whatever a user, a registry or Argo CD wrote passes through Text, Code or a
// fence (escape.go) before it becomes Markdown: it can make no tag, link, mention
// or reference of its own. The package never talks to GitHub; who writes the
// reports, and when, is the reporter's business.
package report

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/previews"
)

// Marker begins the hidden HTML comment that every sticky comment starts with;
// together with its author, idp's own App, it finds the comment again.
const Marker = "<!-- idp:preview v1 "

// Input is all that a report is made of.
type Input struct {
	Environment previews.Environment
	Class       platform.Class
	// Notes are what the commit's spec asks for and does not get, a sentence each without
	// its full stop.
	Notes []string
	// Web is the root of GitHub's pages, without a slash at its end; "" makes no links to
	// them.
	Web string
	// Held is until when GitHub's limits held this up, zero where they did not.
	Held time.Time
	// Asked says that somebody asked for it now and it is not kept up to date: what passes
	// may be counted.
	Asked bool
	// Now is what relative times count from.
	Now time.Time
}

// CommentWanted says whether the sticky comment is to be written; exists says
// that there is one already, which is then kept true. What nobody asked for,
// such as that a commit has no preview, is left to the check run.
func CommentWanted(in Input, exists bool) bool {
	if exists {
		return in.Class.Comment != platform.CommentOff
	}
	v := verdictOf(in)
	switch in.Class.Comment {
	case platform.CommentOff:
		return false
	case platform.CommentOnFailure:
		return v.failing && !v.quiet
	default:
		return !v.quiet
	}
}

// Hash returns the hexadecimal SHA-256 of a comment's body.
func Hash(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

// hashOf hashes a report by its JSON, in which every field has its place.
func hashOf(report any) string {
	b, err := json.Marshal(report)
	if err != nil {
		// Reports are structs of strings, numbers and times.
		panic("report: " + err.Error())
	}
	return Hash(string(b))
}

func short(sha string) string {
	const length = 7
	if len(sha) > length {
		return sha[:length]
	}
	return sha
}
