package report

import (
	"fmt"
	"strings"

	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// maxKeys is how many keys of a fork's spec are listed of each sort.
const maxKeys = 12

// forkVerdict says what is asked, of whom and for which commit, while the code of a fork
// waits for approval.
func forkVerdict(v *verdict, e *previews.Environment) {
	v.mark, v.conclusion = markFork, actionRequired
	v.title = "Waiting for somebody's approval"
	v.check = "Waiting for approval of " + short(e.HeadSHA) + " by somebody with write permission"
	author := "somebody"
	if e.Author != "" {
		author = Code(e.Author)
	}
	v.cause = fmt.Sprintf("This pull request comes from a fork: the code of %s at %s runs only once somebody with write permission approved it.", author, Code(short(e.HeadSHA)))
	if f := e.Fork; f != nil && f.Withdrawn != "" {
		v.cause = sentence(f.Withdrawn) + "\n\n" + v.cause
	}
	v.next = fmt.Sprintf("Look at what it changes, then comment %s or press Approve on the check %s. That lets this commit run and no other: each push asks again. Whoever opened the pull request cannot approve it.",
		Code("/idp approve "+e.HeadSHA), Code(CheckName))
}

// origin says what a fork's preview is made of: who approved its code, and which values of
// the fork's spec are used; "" for any other.
func origin(e *previews.Environment) string {
	f := e.Fork
	if f == nil || e.Wanted != previews.Present || f.Approved.SHA != e.SHA {
		return ""
	}
	text := fmt.Sprintf("The code of a fork: %s was approved by %s. It is rendered from %s of the base branch", Code(short(e.SHA)), Code(f.Approved.By), Code(spec.Path))
	if f.Base != "" {
		text += " at " + Code(short(f.Base))
	}
	if len(f.Taken) == 0 && len(f.Left) == 0 {
		return text + "."
	}
	left := make([]string, len(f.Left))
	for i, one := range f.Left {
		left[i] = Code(one.Key)
		if one.Why != "" {
			left[i] += " (" + Text(one.Why) + ")"
		}
	}
	taken := make([]string, len(f.Taken))
	for i, key := range f.Taken {
		taken[i] = Code(key)
	}
	return text + "; from the fork's were taken: " + keys(taken) + "; not taken: " + keys(left) + "."
}

func keys(all []string) string {
	switch {
	case len(all) == 0:
		return "nothing"
	case len(all) > maxKeys:
		return strings.Join(all[:maxKeys], ", ") + fmt.Sprintf(" and %d more", len(all)-maxKeys)
	}
	return strings.Join(all, ", ")
}

// imagesOfForks says why a fork's image may never come by itself.
func imagesOfForks(e *previews.Environment) string {
	missing := missingImages(e.Images)
	if e.Fork == nil || len(missing) == 0 {
		return ""
	}
	registry, _, _ := strings.Cut(missing[0].Reference, "/")
	return "CI of forks has no credentials for " + Code(registry) + ": unless a workflow of this repository builds the approved commit, somebody with access has to build and push the image."
}
