package previews

import (
	"context"
	"log/slog"
	"time"
)

// Loop calls step whenever it is woken, when due says that time has come, and
// every idle interval in case a wake-up was lost with a crash. A step that
// reports more work runs again at once; one that fails runs again after a pause
// that doubles from a second to half a minute. It returns when ctx ends.
type Loop struct {
	// Name stands in the log.
	Name string
	// Step does one bounded piece of work and says whether more is waiting.
	Step func(ctx context.Context) (more bool, err error)
	Wake Signal
	// Idle is the longest wait between two steps.
	Idle time.Duration
	// Due, when set, returns how long the next piece of work is away.
	Due func(ctx context.Context) time.Duration
	// Failed, when set, counts the steps that failed.
	Failed func()
	Log    *slog.Logger
}

const (
	maxPause = 30 * time.Second
	// minWait keeps a Due that is always now from spinning.
	minWait = 5 * time.Millisecond
)

// Run runs the loop until ctx ends.
func (l Loop) Run(ctx context.Context) {
	pause := time.Duration(0)
	for ctx.Err() == nil {
		more, err := l.Step(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			pause = min(max(2*pause, time.Second), maxPause)
			if l.Failed != nil {
				l.Failed()
			}
			l.Log.Warn("will try again", "loop", l.Name, "in", pause, "error", err)
			l.wait(ctx, pause, nil)
		case more:
			pause = 0
		default:
			pause = 0
			l.wait(ctx, l.untilDue(ctx), l.Wake)
		}
	}
}

func (l Loop) untilDue(ctx context.Context) time.Duration {
	if l.Due == nil {
		return l.Idle
	}
	return min(max(l.Due(ctx), minWait), l.Idle)
}

func (l Loop) wait(ctx context.Context, d time.Duration, wake Signal) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-wake:
	}
}
