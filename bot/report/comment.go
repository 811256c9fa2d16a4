package report

import (
	"strings"

	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// maxComment is how long a comment may become, in bytes. GitHub takes 65,536
// characters; what is left over is room for its own rewriting of links.
const maxComment = 64_000

// Comment returns the body of the sticky comment: at most 64,000 bytes of
// Markdown that start with Marker.
func Comment(in Input) string {
	v := verdictOf(in)
	e := &in.Environment
	head := Marker + "env=" + e.Ref.Name() + " -->\n" + heading(in, v)
	if e.Declared() {
		head = MarkerOf(e) + "-->\n" + heading(in, v)
	}
	return join(maxComment, head, v.cause, running(in, v), serviceTable(in, v), unrouted(in, v), chain(in), v.next, secretless(in), proposed(e), foldedDiff(in), details(in, v))
}

// Status returns the same as Comment for a reply to somebody who asked: without
// marker, details and times.
func Status(in Input) string {
	in.Asked = true
	v := verdictOf(in)
	return join(maxComment, heading(in, v), v.cause, running(in, v), serviceTable(in, v), unrouted(in, v), v.next, secretless(in), waiting(&in.Environment))
}

// join makes paragraphs of the parts that are not empty. One that would go beyond
// limit is left out, and what follows it is tried: the heading comes first.
func join(limit int, parts ...string) string {
	var b strings.Builder
	for _, part := range parts {
		if part == "" || b.Len()+len(part)+2 > limit {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\n\n")
		}
		b.WriteString(part)
	}
	return b.String()
}

// heading is the verdict in one line: mark, title, revision, expiry.
func heading(in Input, v verdict) string {
	e := &in.Environment
	line := "### " + v.mark + " " + Text(v.title)
	if e.HeadSHA != "" {
		line += " · " + Code(short(e.HeadSHA))
	}
	if when := expiry(in); when != "" && v.settled() {
		if v.mark == markExpiring {
			when = Instant(e.ExpiresAt, in.Now)
		}
		line += " · " + when
	}
	return line
}

// expiry says when the environment goes; "" where that is not known.
func expiry(in Input) string {
	e := &in.Environment
	switch {
	case e.Wanted != previews.Present:
		return ""
	case e.Pinned:
		return "pinned, does not expire"
	case e.ExpiresAt.IsZero():
		return ""
	default:
		return "expires " + Until(e.ExpiresAt, in.Now)
	}
}

// running says what serves while the newest commit does not.
func running(in Input, v verdict) string {
	e := &in.Environment
	if e.Wanted != previews.Present || !e.Live() || e.AppliedSHA == "" || e.AppliedSHA == e.HeadSHA {
		return ""
	}
	if v.status == inProgress {
		return Code(short(e.AppliedSHA)) + " keeps running until then."
	}
	return Code(short(e.AppliedSHA)) + " keeps running."
}

func serviceTable(in Input, v verdict) string {
	if !v.services {
		return ""
	}
	return table(in, v)
}

// details is the block that is closed until somebody wants to know.
func details(in Input, v verdict) string {
	e := &in.Environment
	block := join(maxComment, strings.Join(offered(e), " · "), facts(in, v), origin(e), sourced(e), imageList(e), driftText(in))
	if block == "" {
		return ""
	}
	return "<details><summary>Commands and details</summary>\n\n" + block + "\n\n</details>"
}

// offered are the commands that mean something now.
func offered(e *previews.Environment) []string {
	commands := []string{"/idp preview", "/idp help"}
	switch {
	case e.Declared() && e.Moving():
		commands = []string{"/idp abort " + e.Ref.ID, "/idp status " + e.Ref.ID, "/idp help"}
	case e.Declared() && (e.Generation == 0 || e.Wanted == previews.Absent):
		commands = []string{"/idp status " + e.Ref.ID, "/idp help"}
	case e.Declared():
		commands = []string{"/idp rollback " + e.Ref.ID, "/idp status " + e.Ref.ID, "/idp help"}
	case e.Wanted == previews.Present && e.Pinned:
		commands = []string{"/idp unpin", "/idp destroy", "/idp status", "/idp help"}
	case e.Wanted == previews.Present:
		commands = []string{"/idp extend 24h", "/idp pin", "/idp destroy", "/idp status", "/idp help"}
	case e.State() == previews.StateRemoving && e.Problem != nil:
		commands = []string{"/idp destroy"}
	case e.Removal.Reason == previews.RemovedMerged, e.Removal.Reason == previews.RemovedClosed:
		return nil
	case e.Problem != nil && e.Problem.Kind == previews.ProblemFork:
		return nil
	}
	for i, c := range commands {
		commands[i] = Code(c)
	}
	return commands
}

func facts(in Input, v verdict) string {
	e := &in.Environment
	var facts []string
	if e.AppliedCommit != "" {
		facts = append(facts, "GitOps commit "+commitLink(in))
	}
	switch {
	case e.Wanted != previews.Present || !e.Live():
	case e.Update != nil:
		facts = append(facts, "Application "+Code(e.Application())+" reads "+strings.Join(codes(e.Update.Files()), ", "))
	default:
		facts = append(facts, "namespace "+Code(e.NamespaceName()))
	}
	if e.Team != "" {
		facts = append(facts, "owner team "+Text(e.Team))
	}
	if e.Wanted == previews.Present && e.TTL > 0 && !renewed(e) {
		facts = append(facts, "lives "+spec.FormatDuration(e.TTL)+" from the last push")
	}
	if when := expiry(in); when != "" && !v.settled() {
		facts = append(facts, when)
	}
	return strings.Join(facts, " · ")
}

// commitLink links to the commit where the GitOps repository is on a forge;
// GitHub, GitLab and Gitea all answer at /commit/<sha>.
func commitLink(in Input) string {
	label := Code(short(in.Environment.AppliedCommit))
	base := strings.TrimSuffix(strings.TrimSuffix(in.Class.RepoURL, "/"), ".git")
	if !strings.HasPrefix(base, "https://") {
		return label
	}
	return link(label, base+"/commit/"+in.Environment.AppliedCommit)
}

// imageList names what exactly runs, by digest where that is known.
func imageList(e *previews.Environment) string {
	if e.Wanted != previews.Present {
		return ""
	}
	var lines []string
	for i, image := range e.Images {
		if i == maxServices {
			break
		}
		line := "- " + paragraph(image.Service) + ": "
		switch {
		case image.Digest == "":
			line += Code(image.Reference)
		case image.Reported:
			line += Code(withoutTag(image.Reference)) + " at " + Code(shortDigest(image.Digest)) + ", as its workflow reported"
		default:
			line += Code(image.Reference) + " at " + Code(shortDigest(image.Digest))
		}
		lines = append(lines, line+builtFrom(image))
	}
	return strings.Join(lines, "\n")
}

// builtFrom says what an image was built from where that is not the commit itself.
func builtFrom(image previews.Image) string {
	switch {
	case image.Branch != "":
		return ", from " + Code(image.Branch) + ", since nothing of it is changed here"
	case image.Commit != "":
		return ", built from the merge of this commit into its base branch"
	}
	return ""
}

// shortDigest keeps as much of a digest as people compare.
func shortDigest(digest string) string {
	const length = len("sha256:") + 12
	if len(digest) > length {
		return digest[:length] + "…"
	}
	return digest
}
