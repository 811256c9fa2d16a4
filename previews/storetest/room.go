package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// An author is who has the id, whatever they are called now; in rows without one it is who
// has the login.
func testLiveByAuthorID(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	by := func(login string, id int64) func(*previews.Environment) {
		return func(e *previews.Environment) { e.Author, e.AuthorID = login, id }
	}
	settled(t, s, 7, 2, clock.Now(), by("ada", 3))
	settled(t, s, 8, 3, clock.Now(), by("ada-as-she-was", 3))
	settled(t, s, 8, 4, clock.Now(), by("ada", 0))
	settled(t, s, 7, 5, clock.Now(), by("ada", 4)) // who has the login that was hers
	settled(t, s, 7, 6, clock.Now(), by("bob", 0))
	for name, c := range map[string]struct {
		of   store.LiveOf
		want int
	}{
		"by id":                     {store.LiveOf{Author: "ada", AuthorID: 3}, 3},
		"by id, under another name": {store.LiveOf{Author: "ada-lovelace", AuthorID: 3}, 2},
		"the other one":             {store.LiveOf{Author: "ada", AuthorID: 4}, 2},
		"by login alone":            {store.LiveOf{Author: "ada"}, 3},
		"nobody's login":            {store.LiveOf{AuthorID: 3}, 2},
	} {
		c.of.RepositoryID, c.of.ID = 7, "pr-1"
		live, err := s.LivePreviews(t.Context(), c.of)
		if err != nil || live[store.OfAuthor].Count != c.want {
			t.Errorf("%s: %d, want %d (%v)", name, live[store.OfAuthor].Count, c.want, err)
		}
	}
}

// coming is the outcome of a preview that comes where there are fewer than most.
func coming(pr, most int, now time.Time, scopes ...store.Scope) store.Outcome {
	next := Preview(7, pr, now)
	next.Author, next.AuthorID, next.Team = "ada", 3, "payments"
	of := beside(pr)
	of.AuthorID = 3
	o := store.Outcome{Delivery: fmt.Sprint("come-", pr), Environment: &next, Room: map[store.Scope]int{}, Beside: of,
		Audit: []previews.Audit{{Actor: "ada", Action: "preview", Allowed: true}}}
	for _, scope := range scopes {
		o.Room[scope] = most - 1
	}
	return o
}

// Where more are there than were counted nothing is written, whichever the scope, and it is
// decided again.
func testRoom(t *testing.T, open Open) {
	for scope, other := range map[store.Scope]struct {
		repository int64
		has        func(*previews.Environment)
	}{
		store.OfRepository: {7, func(*previews.Environment) {}},
		store.OfTeam:       {8, func(e *previews.Environment) { e.Team = "payments" }},
		store.OfAuthor:     {8, func(e *previews.Environment) { e.Author, e.AuthorID = "ada-as-she-was", 3 }},
	} {
		t.Run(string(scope), func(t *testing.T) {
			t.Parallel()
			clock := NewClock()
			s := open(t, store.Options{Now: clock.Now})
			for pr := 1; pr <= 2; pr++ {
				Deliver(t, s, store.Delivery{GUID: fmt.Sprint("come-", pr), RepositoryID: 7, PR: pr})
			}
			settled(t, s, other.repository, 9, clock.Now(), func(e *previews.Environment) { e.Author, e.Team = "bob", "web" }, other.has)
			err := s.Apply(t.Context(), coming(1, 1, clock.Now(), scope))
			_, none := s.Environment(t.Context(), 7, "pr-1")
			audit, _ := s.AuditLog(t.Context(), store.AuditFilter{})
			delivery, _ := s.Delivery(t.Context(), "come-1")
			if !errors.Is(err, previews.ErrStale) || !errors.Is(none, previews.ErrNotFound) || len(audit) != 0 || delivery.State != store.DeliveryPending {
				t.Errorf("%v; it is there: %v; audit %v; the delivery is %s", err, none, audit, delivery.State)
			}
			if err := s.Apply(t.Context(), coming(2, 2, clock.Now(), scope)); err != nil {
				t.Errorf("with room for two: %v", err)
			}
		})
	}
}

// Of many that come at once as many come as there is room for: each counts, and the count
// holds when it is written.
func testRoomAtOnce(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	const most, comers = 4, 12
	all := []store.Scope{store.OfRepository, store.OfTeam, store.OfAuthor}
	var group errgroup.Group
	var counted sync.WaitGroup
	counted.Add(comers)
	for i := range comers {
		pr := i + 1
		Deliver(t, s, store.Delivery{GUID: fmt.Sprint("come-", pr), RepositoryID: 7, PR: pr})
		group.Go(func() error {
			for try := 0; ; try++ {
				o := coming(pr, most, clock.Now(), all...)
				live, err := s.LivePreviews(t.Context(), o.Beside)
				if try == 0 {
					counted.Done()
					counted.Wait() // all have counted before one is written
				}
				if err != nil || live[store.OfRepository].Count >= most {
					return err
				}
				if err := s.Apply(t.Context(), o); !errors.Is(err, previews.ErrStale) {
					return err
				}
			}
		})
	}
	rows := rowsAfter(t, s, &group, 7)
	figure.Tell(t, "%d at once with room for %d: %d came", comers, most, len(rows))
	if len(rows) != most {
		t.Errorf("%d came, with room for %d", len(rows), most)
	}
}
