package github

import (
	"net/http"
	"time"

	"golang.org/x/time/rate"

	"github.com/idp-bot/idp/bot"
)

const (
	// githubWritesPerMinute and hourOfMinutes are GitHub's limits for requests that
	// create content: 80 in a minute, 500 in an hour.
	githubWritesPerMinute = 80
	hourOfMinutes         = 500.0 / 80
)

// newBudget returns a budget that lets so many writes leave in any one minute;
// less than 0 is no limit. A bucket that holds half of a window's limit and is
// refilled with the other half over the window never gives more than the limit
// in any window, wherever that begins.
func newBudget(writesPerMinute int) *budget {
	if writesPerMinute < 0 {
		return &budget{perMinute: rate.NewLimiter(rate.Inf, 1), perHour: rate.NewLimiter(rate.Inf, 1)}
	}
	half := max(writesPerMinute/2, 1)
	hour := max(int(float64(writesPerMinute)*hourOfMinutes/2), 1)
	return &budget{
		perMinute: rate.NewLimiter(rate.Limit(float64(half)/60), half),
		perHour:   rate.NewLimiter(rate.Limit(float64(hour)/3600), hour),
	}
}

// reserve takes one write out of both buckets and returns how long to wait for
// it; when that is longer than most, or would leave less in a bucket than is kept for what
// matters more, it takes nothing and returns false.
func (b *budget) reserve(i bot.Importance, now time.Time, most time.Duration) (time.Duration, bool) {
	for _, bucket := range []*rate.Limiter{b.perMinute, b.perHour} {
		least := float64(int(kept[i].writes*float64(bucket.Burst()))) + 1
		if missing := least - bucket.TokensAt(now); least > 1 && missing > 0 {
			return max(time.Duration(missing/float64(bucket.Limit())*float64(time.Second)), time.Second), false
		}
	}
	minute, hour := b.perMinute.ReserveN(now, 1), b.perHour.ReserveN(now, 1)
	delay := max(minute.DelayFrom(now), hour.DelayFrom(now))
	if delay > most {
		minute.CancelAt(now)
		hour.CancelAt(now)
		return delay, false
	}
	return delay, true
}

// paced holds writes back to what GitHub takes in a minute and in an hour.
type paced struct {
	budget *budget
	clock  clock
	next   http.RoundTripper
}

// RoundTrip sends a write when its turn has come. A turn further off than
// shortWait is returned as *RateLimited, so that nobody stands in a queue that
// other work could overtake.
func (p paced) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodPost && req.Method != http.MethodPatch && req.Method != http.MethodPut {
		return p.next.RoundTrip(req)
	}
	now := p.clock.now()
	delay, ok := p.budget.reserve(bot.ImportanceOf(req.Context()), now, shortWait)
	if !ok {
		closeBody(req)
		return nil, &RateLimited{Until: now.Add(delay), Reason: "pace"}
	}
	if delay > 0 {
		if err := p.clock.wait(req.Context(), delay); err != nil {
			closeBody(req)
			return nil, err
		}
	}
	return p.next.RoundTrip(req)
}
