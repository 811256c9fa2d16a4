package bot

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

const (
	oldSHA = "9f8e7d6c5b4a39281706f5e4d3c2b1a098765432"
	newSHA = "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334"

	service = "service:\n  name: web\n  port: 8080\n"
)

var now = time.Date(2026, 11, 21, 18, 0, 0, 0, time.UTC)

// specAt parses raw as the handler does; "" is no file.
func specAt(raw string) SpecAt {
	if raw == "" {
		return SpecAt{}
	}
	parsed, errs := spec.Parse(spec.Path, []byte(raw))
	return SpecAt{Found: true, Raw: []byte(raw), Spec: parsed, Errors: errs}
}

// validSpec is specAt for a text that must be valid.
func validSpec(t testing.TB, raw string) SpecAt {
	t.Helper()
	s := specAt(raw)
	if s.Spec == nil {
		t.Fatalf("the test's own spec is invalid: %v\n%s", s.Errors, raw)
	}
	return s
}

// open is a pull request of ann's that is open at newSHA with a valid spec, seen by
// somebody who may write.
func open(t testing.TB) Snapshot {
	t.Helper()
	return Snapshot{
		Now: now, AppID: 7, Permission: access.Write, Spec: validSpec(t, service), Base: validSpec(t, service), BaseSHA: oldSHA,
		Class: platform.Class{TTL: 72 * time.Hour, MaxTTL: 7 * 24 * time.Hour, Zone: "preview.example.com", HostTemplate: "{service}-{env}-{hash}.{zone}"},
		PR: PullRequest{
			Repository: RepositoryRef{ID: 1, Owner: "Acme", Name: "Web"}, InstallationID: 5, Number: 42, Title: "Faster",
			Open: true, HeadSHA: newSHA, HeadRef: "faster", BaseRef: "main", Author: Actor{ID: 1, Login: "ann"},
		},
	}
}

func pullRequestEvent(action string) Event {
	return Event{Kind: EventPullRequest, Delivery: "d", Name: "pull_request", Action: action, PR: 42, Actor: Actor{ID: 1, Login: "ann"}}
}

func commentEvent(body string) Event {
	return Event{
		Kind: EventComment, Delivery: "d", Name: "issue_comment", Action: "created", PR: 42,
		Actor: Actor{ID: 2, Login: "bob"}, Comment: &Comment{ID: 99, Body: body},
	}
}

// after returns the snapshot with the row that the decision leaves.
func after(s Snapshot, d Decision) Snapshot {
	if d.Environment != nil {
		s.Environment = d.Environment
	}
	return s
}

// with decides each event in turn, each on the row that the one before left.
func with(s Snapshot, events ...Event) Snapshot {
	for _, e := range events {
		s = after(s, Decide(s, e))
	}
	return s
}

// deployed returns the snapshot with its row committed.
func deployed(s Snapshot) Snapshot {
	row := *s.Environment
	row.Resolve([]previews.Image{{Service: "web", Reference: "ghcr.io/acme/web:x"}}, now)
	row.Commit(previews.Applied{Generation: row.Generation, SHA: row.SHA, Commit: "c0ffee", Tree: "77", At: now})
	s.Environment = &row
	return s
}

// later moves the clock.
func later(s Snapshot, by time.Duration) Snapshot { s.Now = s.Now.Add(by); return s }

// pushedTo gives the pull request a new head.
func pushedTo(s Snapshot, sha string) Snapshot { s.PR.HeadSHA = sha; return s }

func presence(s Snapshot) previews.Presence {
	if s.Environment == nil {
		return previews.Absent
	}
	return s.Environment.Wanted
}

// replies are the replies of a decision, reactions its reactions.
func replies(d Decision) string   { return strings.Join(effects(d, EffectReply), "\n") }
func reactions(d Decision) string { return strings.Join(effects(d, EffectReaction), " ") }

func effects(d Decision, kind EffectKind) []string {
	var out []string
	for _, e := range d.Effects {
		if e.Kind == kind {
			out = append(out, e.Content)
		}
	}
	return out
}

func has(reasons []string, part string) bool {
	return slices.ContainsFunc(reasons, func(r string) bool { return strings.Contains(r, part) })
}
