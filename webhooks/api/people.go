package api

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/secret"
)

const (
	// keptPeople is how many tokens are remembered, for believed at most: a token that was
	// taken back is refused after that.
	keptPeople = 1024
	believed   = time.Minute
	// asking is how many tokens GitHub is asked about at once.
	asking = 8
	// personRate is how many requests a second one person may make, personBurst at once.
	personRate  = 5
	personBurst = 50
	// strayRate is how many tokens a second may be nobody's, strayBurst at once.
	strayRate  = 1
	strayBurst = 60
)

// tokenPattern is what a user access token of a GitHub App looks like
// (docs.github.com, "GitHub's token formats").
var tokenPattern = regexp.MustCompile(`^ghu_[A-Za-z0-9]{36,250}$`)

// people knows whose tokens are, by their hashes.
type people struct {
	ask   func(context.Context, secret.String) (bot.Actor, error)
	now   func() time.Time
	turns *semaphore.Weighted

	mu     sync.Mutex
	known  *lru.Cache[[sha256.Size]byte, known]
	paces  *lru.Cache[int64, *rate.Limiter]
	strays *rate.Limiter // of questions about tokens that are nobody's
}

type known struct {
	who   bot.Actor // the zero Actor: nobody's
	until time.Time
}

func newPeople(ask func(context.Context, secret.String) (bot.Actor, error), now func() time.Time) (*people, error) {
	p := &people{ask: ask, now: now, turns: semaphore.NewWeighted(asking), strays: rate.NewLimiter(strayRate, strayBurst)}
	var err error
	if p.known, err = lru.New[[sha256.Size]byte, known](keptPeople); err != nil {
		return nil, err
	}
	p.paces, err = lru.New[int64, *rate.Limiter](keptPeople)
	return p, err
}

var (
	errStranger = fault.New(fault.Denied, "the token is not good for idp", `"idp login" gets one: a user access token of idp's own GitHub App`)
	errBusy     = errors.New("too many tokens are being asked about")
)

// of returns whose token it is: errStranger where it is nobody's, errBusy where that
// cannot be asked for now.
func (p *people) of(ctx context.Context, token string) (bot.Actor, error) {
	if !tokenPattern.MatchString(token) {
		return bot.Actor{}, errStranger
	}
	key := sha256.Sum256([]byte(token))
	before, fresh := p.remembered(key)
	if fresh {
		return before, orStranger(before)
	}
	if before.ID == 0 && p.swamped() || !p.turns.TryAcquire(1) {
		return bot.Actor{}, errBusy
	}
	defer p.turns.Release(1)
	who, err := p.ask(ctx, secret.New(token))
	if err != nil && !errors.Is(err, bot.ErrNotFound) {
		return bot.Actor{}, err
	}
	if who.Bot { // it is nobody whose orders count
		who = bot.Actor{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if who.ID == 0 {
		p.strays.AllowN(p.now(), 1)
	}
	p.known.Add(key, known{who, p.now().Add(believed)})
	return who, orStranger(who)
}

func orStranger(who bot.Actor) error {
	if who.ID <= 0 {
		return errStranger
	}
	return nil
}

// remembered returns whose token it was when it was last asked about, nobody's where that
// is not known, and whether that still counts.
func (p *people) remembered(key [sha256.Size]byte) (who bot.Actor, fresh bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k, found := p.known.Get(key)
	return k.who, found && p.now().Before(k.until)
}

// swamped says that too many tokens were nobody's: of others than those that were good
// before, GitHub is not asked for a while. It takes only so many questions.
func (p *people) swamped() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.strays.TokensAt(p.now()) < 1
}

// admits says whether somebody may make another request now.
func (p *people) admits(id int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	pace, found := p.paces.Get(id)
	if !found {
		pace = rate.NewLimiter(personRate, personBurst)
		p.paces.Add(id, pace)
	}
	return pace.AllowN(p.now(), 1)
}

// signedIn calls next with who asks.
func (h *Handler) signedIn(next func(http.ResponseWriter, *http.Request, bot.Actor)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "bearer") {
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(w, http.StatusUnauthorized, fault.New(fault.Denied, "say who you are with Authorization: Bearer TOKEN", errStranger.Hint))
			return
		}
		who, err := h.people.of(r.Context(), token)
		switch {
		case errors.Is(err, errStranger):
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			refuse(w, http.StatusUnauthorized, errStranger)
		case err != nil:
			h.fail(w, err)
		case !h.people.admits(who.ID):
			later(w, 1)
			refuse(w, http.StatusTooManyRequests, fault.New(fault.Conflict, "too many requests of yours at once", "wait a second"))
		default:
			next(w, r, who)
		}
	}
}

// fail answers what went wrong without the person's doing.
func (h *Handler) fail(w http.ResponseWriter, err error) {
	h.options.Log.Warn("a request of the API cannot be answered", "error", err)
	later(w, 5)
	refuse(w, http.StatusServiceUnavailable, fault.New(fault.Failure, "idp cannot answer this just now", "try again in a few seconds, with the same Idempotency-Key where you gave one"))
}

func later(w http.ResponseWriter, seconds int) {
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
}

// Refusal is the body of every answer that is no success.
type Refusal struct {
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func refuse(w http.ResponseWriter, status int, problem error) {
	out := Refusal{Message: problem.Error()}
	if told, ok := errors.AsType[*fault.Error](problem); ok {
		out = Refusal{Message: told.Message, Hint: told.Hint}
	}
	write(w, status, out)
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // whoever is gone reads nothing
}
