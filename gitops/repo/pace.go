package repo

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

func newLimiter(perMinute int) *rate.Limiter {
	if perMinute <= 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Every(time.Minute/time.Duration(perMinute)), perMinute)
}

// Delay returns how long a Commit made now would wait for its turn to push, 0
// when it would not. A caller that gathers changes goes on gathering that long:
// what comes in meanwhile then shares the commit.
func (r *Repo) Delay() time.Duration {
	limit := r.limiter.Limit()
	if limit == rate.Inf {
		return 0
	}
	missing := 1 - r.limiter.TokensAt(r.opts.Now())
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing / float64(limit) * float64(time.Second))
}

// takeTurn waits until the pace allows a push. A push that is tried again does
// not wait, since waiting would only let the tip move further; it is charged to
// the pushes that follow.
func (r *Repo) takeTurn(ctx context.Context, again bool) error {
	now := r.opts.Now()
	turn := r.limiter.ReserveN(now, 1)
	if again {
		return nil
	}
	d := turn.DelayFrom(now)
	if d == 0 {
		return nil
	}
	if err := pause(ctx, d); err != nil {
		turn.CancelAt(r.opts.Now())
		return err
	}
	return nil
}
