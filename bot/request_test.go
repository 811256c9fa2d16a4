package bot

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops/figure"
)

// requestEvent is what somebody asks for through the API, otherwise as a comment of theirs.
func requestEvent(comment Event) Event {
	e := comment
	e.Kind, e.Name, e.Comment, e.Request = EventRequest, RequestEvent, nil, &Request{Text: comment.Comment.Body}
	return e
}

// answered is what a request is answered.
func answered(d Decision) string {
	for _, effect := range d.Effects {
		if effect.Kind == EffectAnswer {
			return effect.Content
		}
	}
	return ""
}

// pressEvent is the button that stands for a comment's command; false where none does.
func pressEvent(comment Event, d deed) (Event, bool) {
	e := comment
	e.Kind, e.Name, e.Action, e.Comment = EventButton, "check_run", "requested_action", nil
	e.Button = &Button{Check: 11, ExternalID: "idp-web-pr-42@1"}
	words := strings.Fields(d.body)
	switch {
	case d.command == "approve":
		e.Button.Identifier, e.HeadSHA = report.ButtonApprove, words[2]
	case d.command == "retry":
		e.Button.Identifier, e.Button.Environment = report.ButtonRedeploy, words[2]
	case d.command == "preview":
		e.Button.Identifier = report.ButtonRedeploy
	case d.command == "destroy":
		e.Button.Identifier = report.ButtonDestroy
	default:
		return e, false
	}
	return e, true
}

// TestEveryWay: whoever may do a thing, and what comes of it, is the same by a comment, by
// a request and by a button, in every cell of the matrix.
func TestEveryWay(t *testing.T) {
	t.Parallel()
	cells, refused := map[string]int{}, 0
	for _, d := range deeds(t) {
		for _, r := range roles {
			for _, kind := range kinds {
				s, comment := r.as(d.snapshot, d.body)
				s = kind.of(s)
				want := Decide(s, comment)
				ways := map[string]Event{"request": requestEvent(comment)}
				if press, has := pressEvent(comment, d); has {
					ways["button"] = press
				}
				for way, e := range ways {
					got := Decide(s, e)
					cells[way]++
					if !slices.ContainsFunc(got.Audit, func(a AuditEntry) bool { return a.Allowed }) {
						refused++
					}
					if !reflect.DeepEqual(got.Environment, want.Environment) || !reflect.DeepEqual(got.Declared, want.Declared) || !reflect.DeepEqual(got.Taken, want.Taken) {
						t.Errorf("%s %s of %s (%s) by a %s changes something else than by a comment", d.environment, d.body, r.name, kind.name, way)
					}
					// A bot's comment is not read at all; what it asks for otherwise is refused.
					if same := reflect.DeepEqual(got.Audit, want.Audit); !same && !comment.Actor.Bot || comment.Actor.Bot && len(got.Declared) > 0 {
						t.Errorf("%s %s of %s (%s) by a %s: %+v, want %+v", d.environment, d.body, r.name, kind.name, way, got.Audit, want.Audit)
					}
				}
			}
		}
	}
	figure.Tell(t, "the matrix by other ways than comments: %d decisions about requests and %d about buttons, %d refused, each as by a comment", cells["request"], cells["button"], refused)
	if cells["request"] == 0 || cells["button"] == 0 {
		t.Fatal("nothing was compared")
	}
}

// TestRequestIsAnswered: the answer to a request is for whoever asked, and is neither said
// on the pull request nor to somebody by name.
func TestRequestIsAnswered(t *testing.T) {
	t.Parallel()
	d := Decide(open(t), requestEvent(commentEvent("/idp help\n/idp nothing")))
	if len(d.Effects) != 1 || d.Effects[0].Kind != EffectAnswer {
		t.Fatalf("effects %+v, want one answer", d.Effects)
	}
	if text := d.Effects[0].Content; !strings.Contains(text, "/idp extend") || !strings.Contains(text, "no command `/idp nothing`") || strings.Contains(text, "@") {
		t.Errorf("answered %q", text)
	}
	for _, d := range deeds(t) {
		for _, r := range roles {
			s, comment := r.as(d.snapshot, d.body)
			for _, effect := range Decide(s, requestEvent(comment)).Effects {
				if effect.Kind != EffectAnswer || strings.Contains(effect.Content, "@somebody") {
					t.Errorf("%s of %s says %s %q", d.body, r.name, effect.Kind, effect.Content)
				}
			}
		}
	}
	many := Decide(open(t), requestEvent(commentEvent(strings.Repeat("/idp pin\n", maxCommands+1))))
	if len(many.Audit) != maxCommands+1 || many.Audit[maxCommands].Allowed || !strings.Contains(many.Effects[0].Content, "the last 1 were left out") {
		t.Errorf("%d commands of a request were run, want %d: %+v", len(many.Audit), maxCommands, many.Effects)
	}
	if none := Decide(open(t), requestEvent(commentEvent("hello"))); len(none.Audit)+len(none.Effects) != 0 {
		t.Errorf("no command comes to %+v", none)
	}
}
