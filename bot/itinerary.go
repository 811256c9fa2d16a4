package bot

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/idp-bot/idp/previews"
)

const (
	// strangers is how many repositories without rows one sweep looks at.
	strangers = 100
	// firstRest and longestRest bound how long a repository is left alone that idp
	// may not read; it doubles with each time.
	firstRest   = 10 * time.Minute
	longestRest = 24 * time.Hour
)

// place is where a repository is: its names of today, and the installation that
// reaches it.
type place struct {
	installationID int64
	repo           RepositoryRef
	// unlisted says that the App's lists do not have it, as they leave out what is archived.
	unlisted bool
}

// stop is a repository to be swept, with its rows.
type stop struct {
	place
	rows []previews.Environment
}

// itinerary remembers between sweeps which repositories are next. It is only a
// matter of pace: an empty one, after a restart, is as right.
type itinerary struct {
	// last is the repository without rows that was looked at last.
	last    int64
	resting map[int64]resting
	// reached are the repositories that could be read when they were last looked at.
	reached map[int64]bool
}

type resting struct {
	until time.Time
	times int
}

// plan returns the repositories that have rows, and then some of the others, in
// turn. One whose previews are all gone is looked at only where it still can be.
func (t *itinerary) plan(rows []previews.Environment, places map[int64]place, now time.Time) []stop {
	stops := map[int64]stop{}
	for id, at := range places {
		stops[id] = stop{place: at}
	}
	for _, row := range rows {
		id := row.Ref.RepositoryID
		one := stops[id]
		if _, listed := places[id]; !listed {
			one.place = place{
				installationID: row.InstallationID, repo: RepositoryRef{ID: id, Owner: row.Owner, Name: row.Repo, Private: row.Private}, unlisted: true,
			}
		}
		one.rows = append(one.rows, row)
		stops[id] = one
	}
	var known, others []int64
	for id, one := range stops {
		_, listed := places[id]
		switch {
		case len(one.rows) == 0:
			others = append(others, id)
		case listed || slices.ContainsFunc(one.rows, present):
			known = append(known, id)
		}
	}
	slices.Sort(known)
	out := make([]stop, 0, len(stops))
	for _, id := range append(known, t.turn(others)...) {
		if !now.Before(t.resting[id].until) {
			out = append(out, stops[id])
		}
	}
	return out
}

func present(e previews.Environment) bool { return e.Wanted == previews.Present }

// turn returns the next of the repositories without rows.
func (t *itinerary) turn(ids []int64) []int64 {
	slices.Sort(ids)
	from, found := slices.BinarySearch(ids, t.last)
	if found {
		from++
	}
	ids = append(ids[from:len(ids):len(ids)], ids[:from]...)
	if ids = ids[:min(len(ids), strangers)]; len(ids) > 0 {
		t.last = ids[len(ids)-1]
	}
	return ids
}

// rest leaves a repository alone for a while that could not be read, and returns
// until when.
func (t *itinerary) rest(id int64, now time.Time) time.Time {
	if t.resting == nil {
		t.resting = map[int64]resting{}
	}
	r := t.resting[id]
	r.until = now.Add(min(firstRest<<min(r.times, 10), longestRest))
	r.times++
	t.resting[id] = r
	delete(t.reached, id)
	return r.until
}

// arrive notes that a repository could be read, and says whether that is news.
func (t *itinerary) arrive(id int64) bool {
	if t.reached == nil {
		t.reached = map[int64]bool{}
	}
	delete(t.resting, id)
	news := !t.reached[id]
	t.reached[id] = true
	return news
}

// digest shortens a text to what tells it from others.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}
