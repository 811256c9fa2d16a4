package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/idp-bot/idp/bot"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/secret"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// Root is the path that everything is served below.
const Root = "/api/v1"

const (
	// maxBody is the largest request in bytes.
	maxBody = 16 << 10
	// storeTimeout bounds how long a request waits for the disk.
	storeTimeout = 4 * time.Second
	// maxInFlight is how many requests are answered at once.
	maxInFlight = 64
)

// Store keeps requests, and what came of them.
type Store interface {
	AddDelivery(ctx context.Context, d store.Delivery) (stored bool, err error)
	Delivery(ctx context.Context, guid string) (store.Delivery, error)
	AuditLog(ctx context.Context, f store.AuditFilter) ([]previews.Audit, error)
	Answers(ctx context.Context, delivery, kind string) ([]string, error)
	Record(ctx context.Context, entry previews.Audit) error
	ReportImage(ctx context.Context, r previews.ImageReport, entry previews.Audit) error
}

// GitHub is what is asked of GitHub before a request is taken. What is not there, or not
// for the App, is bot.ErrNotFound or bot.ErrNoAccess.
type GitHub interface {
	// Person returns whose user access token of the App it is.
	Person(ctx context.Context, token secret.String) (bot.Actor, error)
	// Repository finds a repository that both whose token it is and idp may read, and the
	// installation that reaches it.
	Repository(ctx context.Context, owner, name string, token secret.String) (repo bot.RepositoryRef, installation int64, err error)
	// Workflow returns the run of a workflow that GitHub vouches for with a token.
	Workflow(ctx context.Context, token secret.String) (Workflow, error)
	// Built finds a repository, with the installation that reaches it, and one of its
	// commits.
	Built(ctx context.Context, owner, name, sha string) (repo bot.RepositoryRef, installation int64, commit bot.Commit, err error)
}

// Workflow is a run of a workflow of GitHub Actions.
type Workflow struct {
	RepositoryID int64
	// SHA is the commit that it ran at; OfPull says that it is the one which would merge a
	// pull request.
	SHA    string
	OfPull bool
	// Actor started it, and Run names it.
	Actor bot.Actor
	Run   string
}

// Options configure the API.
type Options struct {
	Store  Store
	GitHub GitHub
	// ClientID is the App's, which programs sign people in with at Pages, the root of
	// GitHub's pages; without it nobody can.
	ClientID, Pages string
	// PublicURL is the root of idp's URL, which the tokens of workflows have to be meant
	// for; without it none reports images.
	PublicURL string
	// Sources tells senders apart.
	Sources Sources
	// Note, when set, says in words why nothing comes of what is decided just now, such as
	// that idp is paused; "" where that is not so.
	Note func(context.Context) string
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Log is told about what failed; default none.
	Log *slog.Logger
}

// Handler serves everything below Root. Make it with New.
type Handler struct {
	options   Options
	people    *people
	workflows *semaphore.Weighted // how many of their tokens are verified at once
	inFlight  *semaphore.Weighted
	mux       *http.ServeMux
	// failed lets one line a minute through: strangers can have it fail, too.
	failed rate.Sometimes
}

// New returns the API.
func New(o Options) (*Handler, error) {
	if o.Store == nil || o.GitHub == nil || o.Sources == nil || o.ClientID == "" && o.PublicURL == "" {
		return nil, errors.New("the API needs a store, GitHub, what tells senders apart, and the App's client id or its own URL")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	people, err := newPeople(o.GitHub.Person, o.Sources, o.Now)
	if err != nil {
		return nil, err
	}
	h := &Handler{options: o, people: people, workflows: semaphore.NewWeighted(asking), inFlight: semaphore.NewWeighted(maxInFlight), mux: http.NewServeMux(),
		failed: rate.Sometimes{First: 1, Interval: time.Minute}}
	h.mux.HandleFunc("GET "+Root, h.describe)
	if o.ClientID != "" {
		h.mux.HandleFunc("POST "+Root+"/repos/{owner}/{repo}/pulls/{number}/commands", h.signedIn(h.give))
		h.mux.HandleFunc("GET "+Root+"/commands/{id}", h.signedIn(h.tell))
	}
	if o.PublicURL != "" {
		h.mux.HandleFunc("POST "+Root+"/repos/{owner}/{repo}/images", h.report)
	}
	h.mux.HandleFunc(Root+"/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, fault.New(fault.NotFound, "there is nothing here", "GET "+Root+" says what there is"))
	})
	return h, nil
}

// ServeHTTP answers: 401 without a good token, 404 for what is not there or not
// for this person, 400 and 413 for what is no request, 409 for a key
// that was used for something else, 429 and 503 for what is right later.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	// GitHub's webhooks come by the same listener, and need its connections more.
	if !h.inFlight.TryAcquire(1) {
		slower(w)
		return
	}
	defer h.inFlight.Release(1)
	h.mux.ServeHTTP(w, r)
}

// Description is how to sign in.
type Description struct {
	// ClientID is that of the App, GitHub the root of the pages where people sign in.
	ClientID string `json:"client_id,omitempty"`
	GitHub   string `json:"github"`
	Commands string `json:"commands,omitempty"`
	// Audience is whom the tokens of workflows have to be meant for that report images.
	Audience string `json:"audience,omitempty"`
	Images   string `json:"images,omitempty"`
}

func (h *Handler) describe(w http.ResponseWriter, _ *http.Request) {
	out := Description{ClientID: h.options.ClientID, GitHub: h.options.Pages, Audience: h.options.PublicURL}
	if out.ClientID != "" {
		out.Commands = Root + "/repos/{owner}/{repo}/pulls/{number}/commands"
	}
	if out.Audience != "" {
		out.Images = Root + "/repos/{owner}/{repo}/images"
	}
	write(w, http.StatusOK, out)
}

// Order is the body of a request.
type Order struct {
	// Command is one command or several, a line each, as in a comment; "/idp" before it
	// may be left out.
	Command string `json:"command"`
}

// text is the order as a comment would have it, or what is wrong with it.
func (o Order) text() (string, error) {
	var lines []string
	for line := range strings.Lines(o.Command) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if word := strings.Fields(line)[0]; !strings.EqualFold(word, "/idp") {
			line = "/idp " + line
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return "", fault.New(fault.Invalid, "command is empty", `write it as in a comment, such as "deploy staging"`)
	}
	text := strings.Join(lines, "\n")
	if len(bot.Parse(text)) != len(lines) { // such as one that is code, as Markdown has it
		return "", fault.New(fault.Invalid, "command has a line that is no command", `write it as in a comment, such as "deploy staging"`)
	}
	return text, nil
}

// keys of idempotency are what anybody would use as one.
var keyPattern = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,128}$`)

// namespace makes a request's id of the person's id and their key.
var namespace = uuid.MustParse("0b5fd3a5-6d4c-4c0b-9c3a-6b1c7f0d8e42")

func (h *Handler) give(w http.ResponseWriter, r *http.Request, who person) {
	number, err := strconv.Atoi(r.PathValue("number"))
	if err != nil || number < 1 || number > mostPulls {
		refuse(w, http.StatusBadRequest, fault.New(fault.Invalid, "the pull request's number is no number", ""))
		return
	}
	text, key, problem := read(w, r)
	if problem != nil {
		malformed(w, problem)
		return
	}
	repo, installation, ok := h.find(w, r, who)
	if !ok {
		return
	}
	if !h.options.Sources.Admits(installation) {
		slower(w)
		return
	}
	id := uuid.New()
	if key != "" {
		id = uuid.NewSHA1(namespace, fmt.Appendf(nil, "%d/%d/%d/%s", who.ID, repo.ID, number, key))
	}
	event := bot.Event{
		Kind: bot.EventRequest, Delivery: id.String(), Name: bot.RequestEvent, Action: "created", InstallationID: installation,
		Repository: repo, PR: number, Actor: who.Actor, Request: &bot.Request{Text: text},
	}
	stored, err := h.keep(r.Context(), event)
	if err != nil {
		h.fail(w, err)
		return
	}
	out := Outcome{ID: event.Delivery, State: Pending}
	if !stored {
		if out, err = h.before(r.Context(), event); err != nil {
			h.again(w, err)
			return
		}
	}
	w.Header().Set("Location", Root+"/commands/"+event.Delivery)
	write(w, http.StatusAccepted, out)
}

// before is what came of a request that was taken before under the same key.
func (h *Handler) before(ctx context.Context, event bot.Event) (Outcome, error) {
	delivery, err := h.options.Store.Delivery(ctx, event.Delivery)
	if err != nil {
		return Outcome{}, err
	}
	if asked, ok := askedBy(delivery, event.Actor); !ok || asked.Request == nil || asked.Request.Text != event.Request.Text {
		return Outcome{}, errReused
	}
	return h.outcome(ctx, delivery, event.Actor)
}

var errReused = fault.New(fault.Conflict, "this Idempotency-Key was used before, for something else or long ago", "a key is for one request")

// again answers a key that cannot be used again.
func (h *Handler) again(w http.ResponseWriter, err error) {
	if errors.Is(err, errReused) {
		refuse(w, http.StatusConflict, errReused)
		return
	}
	h.fail(w, err)
}

// What GitHub lets owners and repositories be called; names with dots alone are folders.
var (
	ownerPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)
	namePattern  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
	onlyDots     = regexp.MustCompile(`^\.+$`)
)

// mostPulls is more than any repository has.
const mostPulls = 1 << 31

// named returns the repository of a request's path; false for what is none's name.
func named(r *http.Request) (owner, name string, ok bool) {
	owner, name = r.PathValue("owner"), r.PathValue("repo")
	return owner, name, ownerPattern.MatchString(owner) && namePattern.MatchString(name) && !onlyDots.MatchString(name)
}

// find finds the repository of a request for whoever asks, or answers that there is none.
func (h *Handler) find(w http.ResponseWriter, r *http.Request, who person) (repo bot.RepositoryRef, installation int64, ok bool) {
	owner, name, ok := named(r)
	err := error(bot.ErrNotFound)
	if ok {
		repo, installation, err = h.options.GitHub.Repository(r.Context(), owner, name, who.token)
	}
	switch {
	case errors.Is(err, bot.ErrNotFound) || errors.Is(err, bot.ErrNoAccess):
		refuse(w, http.StatusNotFound, fault.New(fault.NotFound, "there is no such repository that you may read and that idp is installed on", ""))
	case err != nil:
		h.fail(w, err)
	}
	return repo, installation, err == nil
}

// read reads a request's order and its key.
func read(w http.ResponseWriter, r *http.Request) (text, key string, problem error) {
	if key = r.Header.Get("Idempotency-Key"); key != "" && !keyPattern.MatchString(key) {
		return "", "", fault.New(fault.Invalid, "Idempotency-Key is not of at most 128 letters, digits, _ . : and -", "")
	}
	var order Order
	if problem = decode(w, r, &order, `{"command": "deploy staging"}`); problem != nil {
		return "", "", problem
	}
	text, problem = order.text()
	return text, key, problem
}

// decode reads the body of a request, which has to be like an example.
func decode(w http.ResponseWriter, r *http.Request, into any, example string) error {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil {
		if _, more := decoder.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one value")
		}
	}
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "the body is not the JSON that it has to be", "send "+example)
	}
	return nil
}

// keep stores the event as a delivery of idp's own; stored is false where it was there.
func (h *Handler) keep(ctx context.Context, event bot.Event) (stored bool, err error) {
	payload, err := json.Marshal(event)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return h.options.Store.AddDelivery(ctx, store.Delivery{
		GUID: event.Delivery, Event: event.Name, Action: event.Action, InstallationID: event.InstallationID,
		RepositoryID: event.Repository.ID, PR: event.PR, Payload: payload,
	})
}
