package bot

import "strings"

// RequestEvent is the event name of deliveries that came in through idp's own API; their
// payload is an Event as JSON.
const RequestEvent = "idp_request"

// Request is what somebody asked for through idp's API. It is another way to give commands:
// what follows and who may is the same as of a comment. The answer is kept for whoever
// asked, and nothing is written on the pull request but what comes of it.
type Request struct {
	// Text are commands as in a comment, such as "/idp deploy staging".
	Text string
}

// requested runs the commands of a request.
func (d *deciding) requested() {
	invocations := d.event.invocations()
	if len(invocations) == 0 {
		d.because("the request has no command")
		return
	}
	if text := spoken(d.invokeAll(invocations)); text != "" {
		d.out.Effects = append(d.out.Effects, Effect{Kind: EffectAnswer, Content: text})
	}
}

// replies is how an event is answered: on the pull request, or to whoever made a request
// alone.
func (e Event) replies() EffectKind {
	if e.Kind == EventRequest {
		return EffectAnswer
	}
	return EffectReply
}

// asked is what an event asked for, for the audit log: its commands, or GitHub's words for
// it.
func (e Event) asked() string {
	if e.Kind == EventRequest && e.Request != nil {
		return cut(strings.Join(strings.Fields(strings.ReplaceAll(e.Request.Text, "/idp ", "")), " "))
	}
	return strings.TrimSpace(e.Name + " " + e.Action)
}

// address is how an answer begins that is for the actor alone: a request's is read by
// nobody else.
func (d *deciding) address() string {
	if d.event.Kind == EventRequest {
		return ""
	}
	return mention(d.event.Actor) + ", "
}

// addressed is an answer for the actor alone, whose text begins with a word.
func (d *deciding) addressed(text string) string {
	if d.event.Kind == EventRequest {
		return capitalised(text)
	}
	return d.address() + text
}
