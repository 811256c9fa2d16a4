package github

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/idp-bot/idp/bot"
)

const (
	// shortWait is the longest limit that is waited for; a longer one is returned
	// as *RateLimited.
	shortWait = 5 * time.Second
	// unnamedBan is how long to stay away when GitHub does not say; it doubles with
	// each repetition up to maxUnnamedBan.
	// Source: docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api.
	unnamedBan    = time.Minute
	maxUnnamedBan = 16 * time.Minute
	// maxBan bounds what a header may ask for; GitHub's windows are an hour.
	maxBan = 2 * time.Hour
	// limitTries bounds how often one request is sent in spite of short limits.
	limitTries = 4
)

// budget is what is known of one installation's limits.
type budget struct {
	perMinute, perHour *rate.Limiter

	mu      sync.Mutex
	until   time.Time
	reason  string
	strikes int
	// remaining of the primary limit until reset; known once GitHub said so.
	known            bool
	limit, remaining int
	reset            time.Time
}

// kept is the share of a limit that what matters less leaves to what matters more: of the
// primary limit, and of the writes of a minute and of an hour.
var kept = map[bot.Importance]struct{ primary, writes float64 }{
	bot.ForPeople:   {},
	bot.ForProgress: {primary: 0.05, writes: 0.25},
	bot.ForUpkeep:   {primary: 0.2, writes: 0.5},
}

// keptFor is after what time what was refused for what matters more may ask again: it may
// have come to matter more itself by then.
const keptFor = time.Minute

// keeps says that what is left of the primary limit is kept for what matters more.
func (b *budget) keeps(i bot.Importance, now time.Time) (*RateLimited, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.known || !now.Before(b.reset) || float64(b.remaining) >= kept[i].primary*float64(b.limit) {
		return nil, false
	}
	until := now.Add(keptFor)
	if b.reset.Before(until) {
		until = b.reset
	}
	return &RateLimited{Until: until, Reason: "primary"}, true
}

// banned returns until when nothing may leave, false when it may.
func (b *budget) banned(now time.Time) (*RateLimited, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !now.Before(b.until) {
		return nil, false
	}
	return &RateLimited{Until: b.until, Reason: b.reason}, true
}

// learn reads a response's limits, and says whether it was refused by one.
func (b *budget) learn(resp *http.Response, now time.Time) bool {
	refused := refusedByLimit(resp)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count(resp)
	exhausted := b.known && b.remaining == 0 && b.reset.After(now)
	switch {
	case refused:
		b.strikes++
		b.ban(b.pause(resp, now, exhausted))
	case exhausted:
		// The next one would be refused.
		b.ban(b.reset, "primary")
	default:
		b.strikes = 0
	}
	return refused
}

// ban never shortens one.
func (b *budget) ban(until time.Time, reason string) {
	if until.After(b.until) {
		b.until, b.reason = until, reason
	}
}

// pause returns until when a refusal asks to stay away: by Retry-After, else by
// the reset of the primary limit, else for a minute and then longer.
func (b *budget) pause(resp *http.Response, now time.Time, exhausted bool) (time.Time, string) {
	if after, ok := retryAfter(resp, now); ok {
		return now.Add(min(max(after, time.Second), maxBan)), "secondary"
	}
	if exhausted {
		return now.Add(min(b.reset.Sub(now), maxBan)), "primary"
	}
	return now.Add(min(unnamedBan<<min(b.strikes-1, 8), maxUnnamedBan)), "secondary"
}

// count notes the primary limit. Other resources than "core" have limits of
// their own, and idp does not use them.
func (b *budget) count(resp *http.Response) {
	if resource := resp.Header.Get("X-RateLimit-Resource"); resource != "" && resource != "core" {
		return
	}
	remaining, err := strconv.Atoi(resp.Header.Get("X-RateLimit-Remaining"))
	if err != nil {
		return
	}
	reset, err := strconv.ParseInt(resp.Header.Get("X-RateLimit-Reset"), 10, 64)
	if err != nil {
		return
	}
	// Without it nothing is kept.
	limit, _ := strconv.Atoi(resp.Header.Get("X-RateLimit-Limit"))
	b.known, b.limit, b.remaining, b.reset = true, limit, remaining, time.Unix(reset, 0)
}

// left returns what remains of the primary limit, false when that is not known.
func (b *budget) left(now time.Time) (int, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.remaining, b.known && now.Before(b.reset)
}

// retryAfter reads Retry-After: seconds, as GitHub sends, or an HTTP date.
func retryAfter(resp *http.Response, now time.Time) (time.Duration, bool) {
	text := resp.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	if at, err := http.ParseTime(text); err == nil {
		return at.Sub(now), true
	}
	return 0, false
}

// refusedByLimit tells a limit's 403 from a permission's.
func refusedByLimit(resp *http.Response) bool {
	named := resp.Header.Get("Retry-After") != ""
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		return true
	case http.StatusServiceUnavailable:
		return named
	case http.StatusForbidden:
		return named || resp.Header.Get("X-RateLimit-Remaining") == "0" || speaksOfLimit(resp)
	}
	return false
}

// speaksOfLimit looks for GitHub's words in the body's beginning and leaves the
// body as it was.
func speaksOfLimit(resp *http.Response) bool {
	head, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	resp.Body = &spliced{Reader: io.MultiReader(bytes.NewReader(head), resp.Body), Closer: resp.Body}
	head = bytes.ToLower(head)
	return bytes.Contains(head, []byte("rate limit")) || bytes.Contains(head, []byte("abuse detection"))
}

// spliced reads from one thing and closes another.
type spliced struct {
	io.Reader
	io.Closer
}

// limited sends nothing while the installation is banned, and learns from what
// comes back.
type limited struct {
	budget       *budget
	clock        clock
	log          *slog.Logger
	installation int64
	next         http.RoundTripper
}

// RoundTrip sends the request when it may leave; it waits for that shortWait at
// most.
func (l limited) RoundTrip(req *http.Request) (*http.Response, error) {
	for try := 1; ; try++ {
		if err := l.admit(req); err != nil {
			closeBody(req)
			return nil, err
		}
		again, repeatable := rewound(req)
		resp, err := l.next.RoundTrip(req)
		if err != nil {
			if repeatable {
				closeBody(again)
			}
			return nil, err
		}
		now := l.clock.now()
		if !l.budget.learn(resp, now) {
			if repeatable {
				closeBody(again)
			}
			return resp, nil
		}
		discard(resp)
		limit, _ := l.budget.banned(now)
		l.log.Warn("GitHub limits requests", "installation", l.installation, "status", resp.StatusCode, "reason", limit.Reason, "until", limit.Until)
		if !repeatable || try == limitTries {
			return nil, limit
		}
		req = again
	}
}

// admit returns nil as soon as the request may leave.
func (l limited) admit(req *http.Request) error {
	for {
		now := l.clock.now()
		if limit, keeps := l.budget.keeps(bot.ImportanceOf(req.Context()), now); keeps {
			return limit
		}
		limit, banned := l.budget.banned(now)
		if !banned {
			return nil
		}
		wait := limit.Until.Sub(now)
		deadline, bounded := req.Context().Deadline()
		if wait > shortWait || bounded && time.Until(deadline) < wait {
			return limit
		}
		if err := l.clock.wait(req.Context(), wait); err != nil {
			return err
		}
		if !l.clock.now().After(now) {
			// A clock that stands still would wait for ever.
			return limit
		}
	}
}
