package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/netip"
	"regexp"
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
	// keptPeople is how many good tokens are remembered, and keptStrays how many of others,
	// for believed at most: a token that was taken back is refused after that.
	keptPeople = 4096
	keptStrays = 1024
	believed   = time.Minute
	// asking is how many tokens GitHub is asked about at once, and askTimeout how long.
	asking     = 16
	askTimeout = 8 * time.Second
	// personRate is how many requests a second one person may make, personBurst at once;
	// orderRate and orderBurst are how many of them may give commands.
	personRate  = 5
	personBurst = 50
	orderRate   = 10.0 / 60
	orderBurst  = 20
	// strayRate is how many tokens a second may be nobody's, strayBurst at once, of all those
	// whom their addresses do not tell apart.
	strayRate  = 1
	strayBurst = 60
)

// tokenPattern is what a user access token of a GitHub App looks like
// (docs.github.com, "GitHub's token formats").
var tokenPattern = regexp.MustCompile(`^ghu_[A-Za-z0-9]{36,250}$`)

// Sources tells senders apart, and knows which of them sent too much that was not good.
type Sources interface {
	// Of is whom a request comes from; invalid where that is not known.
	Of(r *http.Request) netip.Addr
	Exhausted(address netip.Addr) bool
	NoteForged(address netip.Addr)
	// Admits says whether an installation may have another delivery stored.
	Admits(installation int64) bool
}

// people knows whose tokens are, by their hashes.
type people struct {
	ask     func(context.Context, secret.String) (bot.Actor, error)
	sources Sources
	now     func() time.Time
	turns   *semaphore.Weighted

	mu     sync.Mutex
	good   *lru.Cache[tokenHash, known]
	bad    *lru.Cache[tokenHash, time.Time] // until when it need not be asked about again
	paces  *lru.Cache[int64, pace]
	strays *rate.Limiter
}

type tokenHash = [sha256.Size]byte

type known struct {
	who   bot.Actor
	until time.Time
}

// pace is what one person may do.
type pace struct{ requests, orders *rate.Limiter }

func newPeople(ask func(context.Context, secret.String) (bot.Actor, error), sources Sources, now func() time.Time) (*people, error) {
	p := &people{ask: ask, sources: sources, now: now, turns: semaphore.NewWeighted(asking), strays: rate.NewLimiter(strayRate, strayBurst)}
	var err error
	if p.good, err = lru.New[tokenHash, known](keptPeople); err != nil {
		return nil, err
	}
	if p.bad, err = lru.New[tokenHash, time.Time](keptStrays); err != nil {
		return nil, err
	}
	p.paces, err = lru.New[int64, pace](keptPeople)
	return p, err
}

var (
	errStranger = fault.New(fault.Denied, "the token is not good for idp", `"idp login" gets one: a user access token of idp's own GitHub App`)
	errBusy     = errors.New("too many tokens are being asked about")
)

// of returns whose token it is: errStranger where it is nobody's, errBusy where that
// cannot be asked for now. A token that was good before is always asked about; others as
// long as whoever sends them has not sent too many that are nobody's.
func (p *people) of(ctx context.Context, from netip.Addr, token string) (bot.Actor, error) {
	if !tokenPattern.MatchString(token) {
		return bot.Actor{}, errStranger
	}
	key := sha256.Sum256([]byte(token))
	before, fresh, bad := p.remembered(key)
	switch {
	case fresh:
		return before, nil
	case bad:
		return bot.Actor{}, errStranger
	case before.ID == 0 && p.swamped(from), !p.turns.TryAcquire(1):
		return bot.Actor{}, errBusy
	}
	defer p.turns.Release(1)
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	who, err := p.ask(ctx, secret.New(token))
	if err == nil && (who.Bot || who.ID <= 0) {
		err = bot.ErrNotFound // nobody whose orders count
	}
	return who, p.note(key, from, who, err)
}

// remembered returns whose token it was when it was last asked about, and whether that
// still counts; bad says that it was nobody's only just now.
func (p *people) remembered(key tokenHash) (who bot.Actor, fresh, bad bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if k, found := p.good.Get(key); found {
		return k.who, p.now().Before(k.until), false
	}
	until, found := p.bad.Get(key)
	return bot.Actor{}, false, found && p.now().Before(until)
}

// swamped says that too many tokens from there were nobody's, so that GitHub is not asked
// about another for a while: it takes only so many questions.
func (p *people) swamped(from netip.Addr) bool {
	if from.IsValid() {
		return p.sources.Exhausted(from)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.strays.TokensAt(p.now()) < 1
}

// note remembers what GitHub said of a token, and returns what to make of it. What GitHub
// did not answer counts as a stray: it took a question.
func (p *people) note(key tokenHash, from netip.Addr, who bot.Actor, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	until := p.now().Add(believed)
	if err == nil {
		p.good.Add(key, known{who, until})
		return nil
	}
	if from.IsValid() {
		p.sources.NoteForged(from)
	} else {
		p.strays.AllowN(p.now(), 1)
	}
	if !errors.Is(err, bot.ErrNotFound) {
		return err
	}
	p.good.Remove(key)
	p.bad.Add(key, until)
	return errStranger
}

// admits says whether somebody may make another request now; giving says that it gives
// commands.
func (p *people) admits(id int64, giving bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	theirs, found := p.paces.Get(id)
	if !found {
		theirs = pace{rate.NewLimiter(personRate, personBurst), rate.NewLimiter(orderRate, orderBurst)}
		p.paces.Add(id, theirs)
	}
	now := p.now()
	return theirs.requests.AllowN(now, 1) && (!giving || theirs.orders.AllowN(now, 1))
}

// person is who asks, with the token that they showed.
type person struct {
	bot.Actor
	token secret.String
}

// signedIn calls next with who asks.
func (h *Handler) signedIn(next func(http.ResponseWriter, *http.Request, person)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, ok := bearer(r)
		if !ok {
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(w, http.StatusUnauthorized, fault.New(fault.Denied, "say who you are with Authorization: Bearer TOKEN", errStranger.Hint))
			return
		}
		who, err := h.people.of(r.Context(), h.options.Sources.Of(r), token)
		switch {
		case errors.Is(err, errStranger):
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			refuse(w, http.StatusUnauthorized, errStranger)
		case err != nil:
			h.fail(w, err)
		case !h.people.admits(who.ID, r.Method == http.MethodPost):
			slower(w)
		default:
			next(w, r, person{who, secret.New(token)})
		}
	}
}

// bearer is the token that a request shows.
func bearer(r *http.Request) (token string, ok bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return token, strings.EqualFold(scheme, "bearer") && token != ""
}
