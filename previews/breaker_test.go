package previews_test

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/storetest"
)

func TestBreakerLimit(t *testing.T) {
	t.Parallel()
	for live, want := range map[int]int{0: 5, 5: 5, 50: 5, 59: 5, 60: 6, 1000: 100} {
		if got := previews.BreakerLimit(live); got != want {
			t.Errorf("%d live: limit %d, want %d", live, got, want)
		}
	}
}

func TestBreakerLatch(t *testing.T) {
	t.Parallel()
	now := storetest.NewClock().Now()
	b := previews.Breaker{}.Latch("first", now).Latch("second", now.Add(time.Hour))
	if !b.Latched || b.Reason != "first" || !b.At.Equal(now) {
		t.Errorf("latched twice: %+v", b)
	}
	b = b.Confirm("ada", now.Add(time.Minute))
	if b.Latched || b.ConfirmedBy != "ada" || !b.Since(now.Add(2*time.Minute)).Equal(now.Add(time.Minute)) {
		t.Errorf("confirmed: %+v", b)
	}
	if got := b.Since(now.Add(3 * time.Hour)); !got.Equal(now.Add(2 * time.Hour)) {
		t.Errorf("counts since %s", got)
	}
}

// Whatever a sweep infers and however long it goes on: within any rolling hour no
// more goes than the greater of five and a tenth, unless somebody confirmed; and
// removals on evidence are never refused.
func TestBreakerProperty(t *testing.T) {
	t.Parallel()
	open := emptyStores(t)
	rapid.Check(t, func(rt *rapid.T) {
		clock := storetest.NewClock()
		s, closeStore := open(clock)
		defer closeStore()
		total := rapid.SampledFrom([]int{8, 70}).Draw(rt, "environments")
		var present []int64
		for pr := range total {
			present = append(present, storetest.Add(t, s, storetest.Preview(1, pr+1, clock.Now())).RowID)
		}
		var history []time.Time // inferred removals since the last confirmation
		recent := func() (n int) {
			for _, at := range history {
				if clock.Now().Sub(at) < previews.BreakerWindow {
					n++
				}
			}
			return n
		}
		remove := func(inferred bool) error {
			_, err := s.Update(t.Context(), present[0], func(e *previews.Environment) error {
				e.Remove(previews.Removal{Reason: previews.RemovedClosed, Inferred: inferred}, clock.Now())
				return nil
			})
			if err == nil {
				present = present[1:]
			}
			return err
		}
		latched := false
		rt.Repeat(map[string]func(*rapid.T){
			"wait": func(rt *rapid.T) {
				clock.Advance(time.Duration(rapid.IntRange(1, 40).Draw(rt, "minutes")) * time.Minute)
			},
			"infer": func(rt *rapid.T) {
				for range rapid.IntRange(1, 12).Draw(rt, "removals") {
					if len(present) == 0 {
						return
					}
					limit := max(5, (len(present)+recent())/10)
					full := recent() >= limit
					switch err := remove(true); {
					case errors.Is(err, previews.ErrBreaker) && !full && !latched:
						rt.Fatalf("refused with %d of %d in the hour", recent(), limit)
					case errors.Is(err, previews.ErrBreaker):
						latched = true
					case err != nil:
						rt.Fatal(err)
					case full || latched:
						rt.Fatalf("removed with %d of %d in the hour, latched %v", recent(), limit, latched)
					default:
						history = append(history, clock.Now())
					}
				}
			},
			"told": func(rt *rapid.T) {
				if len(present) == 0 {
					rt.Skip() // another step is drawn: there is nothing to remove
				}
				if err := remove(false); err != nil {
					rt.Fatal(err)
				}
			},
			"confirm": func(rt *rapid.T) {
				if err := s.ConfirmBreaker(t.Context(), "ada"); err != nil {
					rt.Fatal(err)
				}
				latched, history = false, nil
				// What is removed at this very instant would not count: time goes on.
				clock.Advance(time.Second)
			},
			"": func(rt *rapid.T) {
				state, err := s.Breaker(t.Context())
				if err != nil || state.Latched != latched {
					rt.Fatalf("breaker %+v (%v), want latched %v", state, err, latched)
				}
			},
		})
	})
}
