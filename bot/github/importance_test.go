package github

import (
	"errors"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot"
)

// What matters less leaves a part of the writes to what matters more, and says when there
// is room for it again.
func TestLessImportantWritesWait(t *testing.T) {
	t.Parallel()
	w := setup(t, func(o *Options) { o.WritesPerMinute = 40 })
	pr := w.open(t, "a")
	write := func(i bot.Importance) error {
		_, err := w.client.CreateComment(bot.WithImportance(t.Context(), i), w.ref(), 1, "x")
		return err
	}
	written := map[bot.Importance]int{}
	var limit *RateLimited
	for _, i := range []bot.Importance{bot.ForUpkeep, bot.ForProgress, bot.ForPeople} {
		for range 30 {
			err := write(i)
			if errors.As(err, &limit) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			written[i]++
		}
	}
	// Of 20 at once, sweeps leave half, and progress a quarter; then people wait for seconds.
	if written[bot.ForUpkeep] != 10 || written[bot.ForProgress] != 5 || written[bot.ForPeople] != 30 || len(pr.Comments()) != 45 {
		t.Errorf("written: %v", written)
	}
	if err := write(bot.ForProgress); !errors.As(err, &limit) || limit.Reason != "pace" {
		t.Fatalf("progress: %v", err)
	}
	w.clock.advance(limit.Until.Sub(w.clock.Now()))
	if err := write(bot.ForProgress); err != nil {
		t.Errorf("progress when its time has come: %v", err)
	}
}

// Sweeps, then progress, are refused unsent when little is left of an hour's requests, and
// what people wait for is not.
func TestLessImportantReadsWait(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.open(t, "a")
	read := func(i bot.Importance) error {
		_, err := w.client.PullRequest(bot.WithImportance(t.Context(), i), w.ref(), 1)
		return err
	}
	if err := read(bot.ForUpkeep); err != nil {
		t.Fatal(err) // it tells the limits
	}
	for _, c := range []struct {
		remaining                int
		upkeep, progress, people bool
	}{{1001, true, true, true}, {999, false, true, true}, {249, false, false, true}} {
		for i, want := range map[bot.Importance]bool{bot.ForUpkeep: c.upkeep, bot.ForProgress: c.progress, bot.ForPeople: c.people} {
			b := w.client.budget
			b.mu.Lock()
			b.remaining, b.reset = c.remaining, w.clock.Now().Add(time.Hour)
			b.mu.Unlock()
			sent := len(w.server.Requests())
			err := read(i)
			var limit *RateLimited
			switch {
			case want && err != nil:
				t.Errorf("%d left, importance %d: %v", c.remaining, i, err)
			case !want && (!errors.As(err, &limit) || !limit.Until.Equal(w.clock.Now().Add(keptFor))):
				t.Errorf("%d left, importance %d: %v", c.remaining, i, err)
			case !want && len(w.server.Requests()) != sent:
				t.Errorf("%d left, importance %d: something was sent", c.remaining, i)
			}
		}
	}
}
