package webhooks

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/google/uuid"
)

// envelope is all that is read of a payload before it is stored: what the inbox
// finds it by.
type envelope struct {
	Action       string `json:"action"`
	Number       int    `json:"number"`
	Installation struct {
		ID int64 `json:"id"`
	} `json:"installation"`
	Repository struct {
		ID int64 `json:"id"`
	} `json:"repository"`
	Issue struct {
		Number      int             `json:"number"`
		PullRequest json.RawMessage `json:"pull_request"`
	} `json:"issue"`
	PullRequest struct {
		Number int `json:"number"`
	} `json:"pull_request"`
}

var errNotObject = errors.New("the payload is not a JSON object")

// openEnvelope reads the envelope. A field of another type than usual is taken
// for absent: some event that idp does not know may use the name differently.
func openEnvelope(payload []byte) (envelope, error) {
	var e envelope
	if trimmed := bytes.TrimLeft(payload, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return e, errNotObject
	}
	err := json.Unmarshal(payload, &e)
	if _, other := errors.AsType[*json.UnmarshalTypeError](err); other {
		err = nil
	}
	return e, err
}

// pullRequest is the number of the pull request that the event is about, 0 when
// it is about none. A plain issue's number is not one.
func (e envelope) pullRequest() int {
	switch {
	case e.PullRequest.Number > 0:
		return e.PullRequest.Number
	case len(e.Issue.PullRequest) > 0 && string(e.Issue.PullRequest) != "null":
		return max(e.Issue.Number, 0)
	case e.Issue.Number == 0:
		return max(e.Number, 0)
	}
	return 0
}

// eventName is what GitHub's event names look like.
var eventName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// headers are the delivery's name and kind.
func headers(h http.Header) (guid, event string, err error) {
	guid, event = h.Get("X-GitHub-Delivery"), h.Get("X-GitHub-Event")
	switch {
	case guid == "":
		return "", "", errors.New("X-GitHub-Delivery is missing")
	case len(guid) != 36 || uuid.Validate(guid) != nil:
		return "", "", errors.New("X-GitHub-Delivery is not a GUID")
	case event == "":
		return "", "", errors.New("X-GitHub-Event is missing")
	case !eventName.MatchString(event), strings.HasPrefix(event, ownEvents):
		return "", "", errors.New("X-GitHub-Event is not the name of an event")
	}
	return guid, event, nil
}

// ownEvents begins the names of events that idp makes itself, such as
// bot.SweepEvent. They never come over the wire.
const ownEvents = "idp_"
