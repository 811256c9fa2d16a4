package bot

import (
	"testing"

	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/previews"
)

var (
	aMember = Actor{ID: 1, Login: "ann"}
	aBot    = Actor{ID: 2, Login: "dependabot[bot]", Bot: true}
	nobody  = Actor{}
)

// TestTrust is every origin that a commit may have: a secret for what is on the default
// branch, and for what people of the repository both opened and pushed.
func TestTrust(t *testing.T) {
	t.Parallel()
	cells := 0
	for _, onDefault := range []bool{true, false} {
		for _, fork := range []bool{true, false} {
			for _, author := range []Actor{aMember, aBot, nobody} {
				for _, pusher := range []*Actor{&aMember, &aBot, &nobody, nil} {
					want := platform.TrustUnknown
					switch {
					case onDefault:
						want = platform.TrustDefaultBranch
					case fork:
						want = platform.TrustFork
					case author.Bot, pusher == &aBot:
						want = platform.TrustBot
					case author == aMember && pusher == &aMember:
						want = platform.TrustMember
					}
					cells++
					o := Origin{OnDefault: onDefault, Fork: fork, Author: author, Pusher: pusher}
					if got := o.Trust(); got != want {
						t.Errorf("%+v is %q, want %q", o, got, want)
					}
					if got := o.Trust().Secrets(); got != (onDefault || !fork && author == aMember && pusher == &aMember) {
						t.Errorf("%+v may have secrets: %v", o, got)
					}
				}
			}
		}
	}
	figure.Tell(t, "%d origins of a commit: secrets for the default branch, and for what members both opened and pushed", cells)
}

// giving lets the class of previews give something, and says who pushed the head.
func giving(s Snapshot, pusher *Actor) Snapshot {
	s.Class.Name = "preview"
	s.Class.Objects = []platform.BaseObjects{{File: "platform/objects/secrets.yaml", For: []platform.Trust{platform.TrustMember}}}
	s.Platform.Classes = map[string]platform.Class{"preview": s.Class}
	if pusher != nil {
		s.Pushers = map[string]Actor{newSHA: *pusher}
	}
	return s
}

func TestPreviewsAreTrusted(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*Snapshot)
		event  Event
		want   platform.Trust
	}{
		"a member's":                    {func(*Snapshot) {}, pullRequestEvent("opened"), platform.TrustMember},
		"on the default branch already": {func(s *Snapshot) { s.Revisions = map[string]Revision{newSHA: {OnDefault: true}} }, pullRequestEvent("opened"), platform.TrustMember},
		"Dependabot's, asked for":       {func(s *Snapshot) { s.PR.Author = aBot }, commentEvent("/idp preview"), platform.TrustBot},
		"pushed by a bot":               {func(s *Snapshot) { s.Pushers[newSHA] = aBot }, pullRequestEvent("synchronize"), platform.TrustBot},
		"pushed by nobody knows":        {func(s *Snapshot) { s.Pushers = nil }, pullRequestEvent("synchronize"), platform.TrustUnknown},
		"a fork's, approved": {func(s *Snapshot) { s.PR.Fork, s.PR.Author = true, Actor{ID: 66, Login: "mallory"} },
			commentEvent("/idp approve " + newSHA), platform.TrustFork},
		"of a class that gives nothing": {func(s *Snapshot) { s.Class.Objects = nil }, pullRequestEvent("opened"), platform.TrustUnknown},
		"of a platform unread":          {func(s *Snapshot) { s.Platform.Classes = nil }, pullRequestEvent("opened"), platform.TrustUnknown},
	} {
		s := giving(open(t), &aMember)
		test.change(&s)
		d := Decide(s, test.event)
		if d.Environment == nil || d.Environment.Wanted != previews.Present || d.Environment.Trust != test.want {
			t.Errorf("%s: %+v, want trust %q; %v", name, d.Environment, test.want, d.Reasons)
		}
	}
}

// TestTrustIsKept: what is known of a commit stays known, and what the platform team
// comes to give reaches the previews that there are.
func TestTrustIsKept(t *testing.T) {
	t.Parallel()
	s := giving(open(t), &aMember)
	s = after(s, Decide(s, pullRequestEvent("opened")))
	generation := s.Environment.Generation
	for name, change := range map[string]func(*Snapshot){
		"the pusher is not asked for again": func(s *Snapshot) { s.Pushers = nil },
		"the platform cannot be read":       func(s *Snapshot) { s.Platform.Classes, s.Class.Objects, s.PlatformErr = nil, nil, "syntax" },
	} {
		again := s
		change(&again)
		if d := Decide(again, pullRequestEvent("labeled")); d.Environment != nil && (d.Environment.Trust != platform.TrustMember || d.Environment.Generation != generation) {
			t.Errorf("%s: generation %d of trust %q", name, d.Environment.Generation, d.Environment.Trust)
		}
	}
	before := open(t)
	before = after(before, Decide(before, pullRequestEvent("opened")))
	d := Decide(giving(before, &aMember), pullRequestEvent("labeled"))
	if d.Environment == nil || d.Environment.Trust != platform.TrustMember || d.Environment.Generation != before.Environment.Generation+1 {
		t.Errorf("what a class gives from now on does not come: %+v", d.Environment)
	}
}

// TestReleasesAreTrusted: in a declared environment a commit is trusted for what it is,
// wherever it was deployed before.
func TestReleasesAreTrusted(t *testing.T) {
	t.Parallel()
	env := platform.Environment{Name: "staging", Class: "preview"}
	for name, test := range map[string]struct {
		change func(*Snapshot)
		rev    Revision
		want   platform.Trust
	}{
		"merged":                 {func(*Snapshot) {}, Revision{Commit: Commit{SHA: oldSHA}, OnDefault: true}, platform.TrustDefaultBranch},
		"merged, of a bot":       {func(s *Snapshot) { s.PR.Author = aBot }, Revision{Commit: Commit{SHA: oldSHA}, OnDefault: true}, platform.TrustDefaultBranch},
		"the head":               {func(*Snapshot) {}, Revision{Commit: Commit{SHA: newSHA}, InPull: true}, platform.TrustMember},
		"the head of a bot's":    {func(s *Snapshot) { s.PR.Author = aBot }, Revision{Commit: Commit{SHA: newSHA}, InPull: true}, platform.TrustBot},
		"an older commit":        {func(*Snapshot) {}, Revision{Commit: Commit{SHA: oldSHA}, InPull: true}, platform.TrustUnknown},
		"an older push of a bot": {func(s *Snapshot) { s.Pushers[oldSHA] = aBot }, Revision{Commit: Commit{SHA: oldSHA}, InPull: true}, platform.TrustBot},
		"nothing to give": {func(s *Snapshot) { s.Platform.Classes = map[string]platform.Class{"preview": {}} },
			Revision{Commit: Commit{SHA: newSHA}, InPull: true}, platform.TrustUnknown},
	} {
		s := giving(open(t), &aMember)
		test.change(&s)
		if got := newDeciding(s, pullRequestEvent("closed")).release(env, test.rev, previews.ReleaseDeploy).Trust; got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
