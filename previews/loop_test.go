package previews_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews"
)

// TestLoop runs loops in a bubble, where time passes only while all wait for it.
func TestLoop(t *testing.T) {
	t.Parallel()
	type outcome struct {
		more bool
		err  error
	}
	broken := outcome{err: errors.New("broken")}
	for name, test := range map[string]struct {
		// steps are how the first steps end; the others find nothing to do.
		steps []outcome
		due   []time.Duration
		wake  []time.Duration // after the start
		want  []time.Duration // when the steps began, after the start
	}{
		"idle":            {nil, nil, nil, []time.Duration{0, time.Minute, 2 * time.Minute}},
		"more":            {[]outcome{{more: true}, {more: true}}, nil, nil, []time.Duration{0, 0, 0, time.Minute}},
		"woken":           {nil, nil, []time.Duration{time.Second, 70 * time.Second}, []time.Duration{0, time.Second, 61 * time.Second, 70 * time.Second}},
		"due":             {nil, []time.Duration{5 * time.Second, time.Hour}, nil, []time.Duration{0, 5 * time.Second, 65 * time.Second}},
		"always due":      {nil, []time.Duration{-time.Hour, 0}, nil, []time.Duration{0, 5 * time.Millisecond, 10 * time.Millisecond}},
		"errors":          {[]outcome{broken, broken, broken}, nil, nil, []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second, 67 * time.Second}},
		"error forgotten": {[]outcome{broken, {more: true}, broken}, nil, nil, []time.Duration{0, time.Second, time.Second, 2 * time.Second}},
		// A wake-up during the pause is not lost, and does not cut the pause short.
		"woken while broken": {[]outcome{broken}, nil, []time.Duration{time.Millisecond}, []time.Duration{0, time.Second, time.Second, 61 * time.Second}},
		"long broken": {slices.Repeat([]outcome{broken}, 8), nil, nil, []time.Duration{
			0, time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second, 31 * time.Second, 61 * time.Second, 91 * time.Second, 121 * time.Second,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				ctx, cancel := context.WithCancel(t.Context())
				var began []time.Duration
				failed := 0
				loop := previews.Loop{
					Name: name, Wake: previews.NewSignal(), Idle: time.Minute, Log: secrettest.Logger(t),
					Failed: func() { failed++ },
					Step: func(context.Context) (bool, error) {
						began = append(began, time.Since(start))
						if len(began) == len(test.want) {
							cancel()
						}
						if n := len(began); n <= len(test.steps) {
							return test.steps[n-1].more, test.steps[n-1].err
						}
						return false, nil
					},
				}
				if test.due != nil {
					loop.Due = func(context.Context) time.Duration {
						next := test.due[0]
						if len(test.due) > 1 {
							test.due = test.due[1:]
						}
						return next
					}
				}
				for _, at := range test.wake {
					time.AfterFunc(at, loop.Wake.Wake)
				}
				loop.Run(ctx)
				if !slices.Equal(began, test.want) {
					t.Errorf("steps at %v, want %v", began, test.want)
				}
			})
		})
	}
}

// However often a loop is woken while it works, it runs once more.
func TestLoopWokenOften(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		steps := 0
		wake := previews.NewSignal()
		loop := previews.Loop{Wake: wake, Idle: time.Hour, Log: secrettest.Logger(t), Step: func(context.Context) (bool, error) {
			if steps++; steps == 1 {
				for range 10 {
					wake.Wake()
				}
			}
			return false, nil
		}}
		ended := make(chan struct{})
		go func() { loop.Run(ctx); close(ended) }()
		synctest.Wait()
		if steps != 2 {
			t.Errorf("%d steps", steps)
		}
		cancel()
		<-ended
	})
}

// A loop ends with its context, whatever it waits for.
func TestLoopEnds(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]func(context.Context) (bool, error){
		"idle":    func(context.Context) (bool, error) { return false, nil },
		"broken":  func(context.Context) (bool, error) { return false, errors.New("broken") },
		"working": func(ctx context.Context) (bool, error) { <-ctx.Done(); return true, ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				start := time.Now()
				failed := 0
				previews.Loop{Step: step, Wake: previews.NewSignal(), Idle: time.Hour, Failed: func() { failed++ }, Log: secrettest.Logger(t)}.Run(ctx)
				if took := time.Since(start); took != 100*time.Millisecond {
					t.Errorf("ended after %s", took)
				}
				if name == "working" && failed != 0 {
					t.Error("being stopped counted as a failure")
				}
			})
		})
	}
}
