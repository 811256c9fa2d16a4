package webhooks

import (
	"context"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/idp-bot/idp/gitops/secret"
	"github.com/idp-bot/idp/previews/store"
)

// Inbox keeps deliveries. After nil the delivery is on disk; stored is false
// when its GUID was known.
type Inbox interface {
	AddDelivery(ctx context.Context, d store.Delivery) (stored bool, err error)
}

// Options configure the endpoint.
type Options struct {
	// Secrets are the live webhook secrets, of MinSecret bytes at least.
	Secrets []secret.String
	Inbox   Inbox
	// Sources tells senders apart and slows them down; default one that trusts no proxy.
	Sources *Sources
	// MaxBody is the largest payload in bytes; default MaxBody.
	MaxBody int64
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Log is told about what was not stored; default none.
	Log *slog.Logger
	// Registerer takes the metrics; nil registers none.
	Registerer prometheus.Registerer
}

// Handler is POST /webhooks/github. Make it with New.
type Handler struct {
	verifier verifier
	inbox    Inbox
	maxBody  int64
	bodies   *bodies
	sources  *Sources
	now      func() time.Time
	log      *slog.Logger
	metrics  *metrics
	// forged and flooded let one line a minute through: anybody can send what is not
	// signed, and who sends too much sends often.
	forged, flooded rate.Sometimes
}

// New returns the endpoint. Without a secret, or with one that is too short, it
// returns an error: nothing may start that takes unsigned requests.
func New(opts Options) (*Handler, error) {
	verifier, err := newVerifier(opts.Secrets)
	if err != nil {
		return nil, err
	}
	if opts.Inbox == nil {
		return nil, errors.New("webhooks need an inbox")
	}
	if opts.MaxBody <= 0 {
		opts.MaxBody = MaxBody
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	metrics, err := newMetrics(opts.Registerer)
	if err != nil {
		return nil, err
	}
	if opts.Sources == nil {
		if opts.Sources, err = NewSources(nil, opts.Now); err != nil {
			return nil, err
		}
	}
	return &Handler{
		verifier: verifier, inbox: opts.Inbox, maxBody: opts.MaxBody, bodies: newBodies(), sources: opts.Sources, now: opts.Now, log: opts.Log,
		metrics: metrics, forged: rate.Sometimes{First: 1, Interval: time.Minute}, flooded: rate.Sometimes{First: 1, Interval: time.Minute},
	}, nil
}

// answer is what a request is answered with, and counted as.
type answer struct {
	status int
	// result is the metric's label.
	result string
	text   string
	// event is the label of a verified event; "" until then.
	event string
}

// ServeHTTP answers 202 when the delivery is stored or was before; 401 without a
// good signature; 429 to an address that sent many without one, and for an
// installation beyond its limit; 400, 405, 413, 415 for what GitHub never sends; 503
// when it could not be stored.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begun := h.now()
	a := h.take(w, r)
	header := w.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	switch a.status {
	case http.StatusMethodNotAllowed:
		header.Set("Allow", http.MethodPost)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		header.Set("Retry-After", retryAfter)
	}
	w.WriteHeader(a.status)
	// A sender that is gone does not read the answer.
	_, _ = w.Write([]byte(a.text + "\n"))
	h.metrics.count(a, h.now().Sub(begun))
}

// take believes nothing before the signature: what comes first is bounded and
// parses nothing of the body.
func (h *Handler) take(w http.ResponseWriter, r *http.Request) answer {
	if r.Method != http.MethodPost {
		return answer{status: http.StatusMethodNotAllowed, result: "malformed", text: "send deliveries with POST"}
	}
	source := h.sources.Of(r)
	if source.IsValid() && h.sources.Exhausted(source) {
		return answer{status: http.StatusTooManyRequests, result: "limited_source", text: "too many requests without a good signature from here"}
	}
	mac, ok := parseSignature(r.Header.Get("X-Hub-Signature-256"))
	if !ok {
		return h.refuseForged(source, "no X-Hub-Signature-256")
	}
	if refusal, ok := contentType(r.Header.Get("Content-Type")); !ok {
		return refusal
	}
	body, release, err := h.bodies.read(http.MaxBytesReader(w, r.Body, h.maxBody), r.ContentLength)
	defer release()
	if err != nil {
		return h.unread(err)
	}
	if !h.verifier.verify(body, mac) {
		return h.refuseForged(source, "the signature matches no secret")
	}
	h.sources.noteSigned(source)
	return h.keep(r.Context(), r.Header, body)
}

// keep stores a delivery that is known to come from GitHub.
func (h *Handler) keep(ctx context.Context, header http.Header, body []byte) answer {
	guid, event, err := headers(header)
	if err != nil {
		return answer{status: http.StatusBadRequest, result: "malformed", text: err.Error(), event: label(event)}
	}
	e, err := openEnvelope(body)
	if err != nil {
		h.log.Warn("signed delivery is not JSON", "delivery", guid, "event", event, "error", err)
		return answer{status: http.StatusBadRequest, result: "malformed", text: "the payload is not a JSON object", event: label(event)}
	}
	if !h.sources.Admits(e.Installation.ID) {
		h.flooded.Do(func() {
			h.log.Error("an installation sends more than is taken of one; GitHub keeps the rest for redelivery (told once a minute at most)",
				"installation", e.Installation.ID, "burst", installationBurst, "per_second", installationRate)
		})
		return answer{status: http.StatusTooManyRequests, result: "limited_installation", text: "too many deliveries of this installation", event: label(event)}
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	d := store.Delivery{
		GUID: guid, Event: event, Action: e.Action, InstallationID: e.Installation.ID, RepositoryID: e.Repository.ID,
		PR: e.pullRequest(), Payload: body, ReceivedAt: h.now(),
	}
	if !means(event, e.Action) { // most of what GitHub sends
		d.State, d.Result = store.DeliveryDone, "ignored: not an event for idp"
	}
	stored, err := h.inbox.AddDelivery(ctx, d)
	switch {
	case err != nil:
		h.log.Error("delivery is not stored; GitHub keeps it for redelivery", "delivery", guid, "event", event, "error", err)
		return answer{status: http.StatusServiceUnavailable, result: "not_stored", text: "not stored", event: label(event)}
	case !stored:
		return answer{status: http.StatusAccepted, result: "duplicate", text: "duplicate", event: label(event)}
	}
	return answer{status: http.StatusAccepted, result: "stored", text: "stored", event: label(event)}
}

func (h *Handler) refuseForged(source netip.Addr, why string) answer {
	h.sources.NoteForged(source)
	h.forged.Do(func() {
		h.log.Warn("webhook refused; is the secret the one in the App's settings? (told once a minute at most)", "reason", why)
	})
	return answer{status: http.StatusUnauthorized, result: "forged", text: "the signature is missing or wrong"}
}

func (h *Handler) unread(err error) answer {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return answer{status: http.StatusRequestEntityTooLarge, result: "too_large", text: "the payload is too large"}
	}
	if errors.Is(err, errBusy) {
		return answer{status: http.StatusServiceUnavailable, result: "busy", text: "busy"}
	}
	return answer{status: http.StatusBadRequest, result: "malformed", text: "the payload cannot be read"}
}

// contentType accepts JSON alone. GitHub offers forms as well, whose payload
// would have to be parsed before its signature were known to be good.
func contentType(header string) (answer, bool) {
	kind, _, err := mime.ParseMediaType(header)
	if err == nil && kind == "application/json" {
		return answer{}, true
	}
	return answer{
		status: http.StatusUnsupportedMediaType, result: "malformed",
		text: `set the webhook's content type to "application/json" in the App's settings`,
	}, false
}
