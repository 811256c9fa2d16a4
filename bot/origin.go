package bot

import (
	"context"
	"errors"
	"time"

	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/previews"
)

// Origin is where a commit comes from, as far as GitHub tells.
type Origin struct {
	// OnDefault says that the repository's default branch has it.
	OnDefault bool
	// Fork says that the pull request's head is in another repository, or in none any more.
	Fork bool
	// Author opened the pull request, Pusher pushed the commit; nil where that is not known.
	Author Actor
	Pusher *Actor
}

// Trust says how far the commit's code is trusted, and with that which of its class's
// objects an environment of it gets. It is the one place where that is decided:
//
//   - What is on the default branch was taken there by people who may. Previews never ask:
//     theirs is the code of a pull request.
//   - A head in a fork is anybody's. An approval lets it run, and makes it no better.
//   - Where a bot opened the pull request or pushed the commit, it is a bot's: Dependabot
//     and its like work in the repository itself, with code that nobody has read.
//   - Only where people who may write the repository did both it is a member's.
//   - What is not known for sure is trusted the least.
func (o Origin) Trust() platform.Trust {
	switch {
	case o.OnDefault:
		return platform.TrustDefaultBranch
	case o.Fork:
		return platform.TrustFork
	case o.Author.Bot || o.Pusher != nil && o.Pusher.Bot:
		return platform.TrustBot
	case o.Author.ID == 0 || o.Pusher == nil || o.Pusher.ID == 0:
		return platform.TrustUnknown
	}
	return platform.TrustMember
}

// gives says that a class gives something by trust.
func gives(c platform.Class) bool { return len(c.Objects) > 0 }

// ofPreviews is the class of previews with what the platform team declares for it.
func (s Snapshot) ofPreviews() platform.Class {
	if _, ok := s.Platform.Class(s.Class.Name); !ok {
		return s.Class
	}
	return s.Platform.OfPreviews(s.Class)
}

// readPushers reads who pushed the commits of the pull request's branch, where a class
// gives by it something to what may come to be deployed.
func readPushers(ctx context.Context, gh Handling, now time.Time, event Event, s *Snapshot) error {
	if s.PR.Fork || s.PR.Author.Bot {
		return nil // that says it all
	}
	preview := s.PR.Open && s.Spec.Spec != nil && gives(s.Class) && !s.memberKnown()
	if !preview && !s.deploysUnmerged() {
		return nil
	}
	var err error
	if s.Pushers, err = gh.Pushers(ctx, s.PR.Repository, s.PR.HeadRef); errors.Is(err, ErrNotFound) {
		return nil // a GitHub that does not tell
	}
	if err != nil {
		return err
	}
	if _, told := s.Pushers[s.PR.HeadSHA]; !told && preview && now.Sub(event.ReceivedAt) < accessGrace {
		return tooEarly{errors.New("GitHub does not say yet who pushed " + s.PR.HeadSHA)}
	}
	return nil
}

// memberKnown says that the row has it already that people pushed the head.
func (s Snapshot) memberKnown() bool {
	e := s.Environment
	return e != nil && e.SHA == s.PR.HeadSHA && e.Trust == platform.TrustMember
}

// deploysUnmerged says that a commit that is not on the default branch may come to be
// deployed where a class gives something by it.
func (s Snapshot) deploysUnmerged() bool {
	unmerged := false
	for _, rev := range s.Revisions {
		unmerged = unmerged || !rev.OnDefault
	}
	if !unmerged {
		return false
	}
	for _, class := range s.Platform.Classes {
		if gives(class) {
			return true
		}
	}
	return false
}

// origin is that of a commit of the pull request.
func (s Snapshot) origin(sha string) Origin {
	o := Origin{Fork: s.PR.Fork, Author: s.PR.Author}
	if pusher, told := s.Pushers[sha]; told {
		o.Pusher = &pusher
	} else if sha == s.PR.HeadSHA && s.memberKnown() {
		o.Pusher = &o.Author
	}
	return o
}

// trust is how far the head is trusted as a preview, "" where its class gives nothing by
// it. Where nobody knows what the platform team declares, it stays as it was.
func (d *deciding) trust() platform.Trust {
	switch e := d.env; {
	case d.Platform.Classes == nil && e != nil && e.SHA == d.PR.HeadSHA:
		return e.Trust
	case d.Platform.Classes == nil || !gives(d.Class):
		return platform.TrustUnknown
	}
	return d.origin(d.PR.HeadSHA).Trust()
}

// givesIn says that a declared environment's class gives something by trust.
func (d *deciding) givesIn(env platform.Environment) bool {
	return gives(d.classOf(previews.Environment{Class: env.Class}))
}

// trustOf is trust for a revision in a declared environment.
func (d *deciding) trustOf(env platform.Environment, rev Revision) platform.Trust {
	if !d.givesIn(env) {
		return platform.TrustUnknown
	}
	o := d.origin(rev.SHA)
	o.OnDefault = rev.OnDefault
	return o.Trust()
}
