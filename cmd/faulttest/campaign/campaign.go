// Package campaign breaks idp, and looks whether it holds.
//
// A round starts the real program beside a stand-in GitHub, a Git server and a database,
// has people do things drawn from a seed, and meanwhile does to idp what the round's
// faults say: it is killed, stopped, lied to and cut off. Then the faults end, idp is let
// come to rest, and an oracle works out from what happened alone what should have come of
// it (oracle.go). Rounds share nothing, so that each is played again by its seed.
//
// What is played is the same for a seed; when it meets what idp is doing is not. The
// program runs as people run it, but for its paces, which are off, and its sweep, which
// looks every few seconds for what no webhook told. Everything is on loopback, in
// temporary folders, and gone at the end; a round that failed leaves its folder behind.
package campaign

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/idp-bot/idp/cmd/internal/stage"
)

// Database is one that idp keeps its state in.
type Database string

// The databases.
const (
	SQLite   Database = "sqlite"
	Postgres Database = "postgres"
)

// Options say what to play.
type Options struct {
	// Rounds is the most rounds to play, For how long to begin new ones, 0 for any time.
	Rounds int
	For    time.Duration
	// Seed is that of the first round; each has the one after that of the round before.
	Seed uint64
	// Databases are taken in turn, and so are Faults: a round has one of them, and often
	// one or two more. Empty, they are all.
	Databases []Database
	Faults    []string
	// Kills is how often idp is killed in a round that kills it.
	Kills int
	// AtOnce is how many rounds are played side by side.
	AtOnce int
	// Program is idp's binary; it is built where that is "".
	Program string
	// Progress, when set, is told what is done. It may be called concurrently.
	Progress func(line string)
}

// maxKills is how often idp may end over one delivery before it gives that up (maxLost of
// previews/store); all of a round's kills may meet the same.
const maxKills = 20

// Check says what cannot be played.
func (o Options) Check() error {
	var errs []error
	if o.Rounds < 1 || o.Rounds > 100_000 {
		errs = append(errs, fmt.Errorf("-rounds %d: expected 1 to 100000", o.Rounds))
	}
	if o.AtOnce < 1 || o.AtOnce > 16 {
		errs = append(errs, fmt.Errorf("-at-once %d: expected 1 to 16", o.AtOnce))
	}
	if o.Kills < 1 || o.Kills > maxKills {
		errs = append(errs, fmt.Errorf("-kills %d: expected 1 to %d: a delivery that idp is killed over more often is given up as the one that ends it", o.Kills, maxKills))
	}
	for _, name := range o.Faults {
		if fault, ok := faultNamed(name); !ok {
			errs = append(errs, fmt.Errorf("-faults %s: expected some of %s", name, strings.Join(faultNames(), ", ")))
		} else if fault.impossible != "" {
			errs = append(errs, fmt.Errorf("-faults %s: %s", name, fault.impossible))
		}
	}
	return errors.Join(errs...)
}

// Run plays. The error is for what kept it from playing; what idp broke is in the report.
func Run(ctx context.Context, o Options) (*Report, error) {
	if len(o.Databases) == 0 {
		o.Databases = []Database{SQLite, Postgres}
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if err := o.Check(); err != nil {
		return nil, err
	}
	if o.Program == "" {
		dir, err := os.MkdirTemp("", "idp-faulttest-program-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir) // the system's place for such
		o.Program = filepath.Join(dir, "idp")
		began := time.Now()
		if err := stage.Build(ctx, o.Program, ""); err != nil {
			return nil, err
		}
		o.Progress("built idp in " + time.Since(began).Round(100*time.Millisecond).String())
	}
	c := &campaign{Options: o, report: &Report{Seed: o.Seed}, began: time.Now()}
	var playing sync.WaitGroup
	for range o.AtOnce {
		playing.Go(func() { c.play(ctx) })
	}
	playing.Wait()
	c.report.conclude(time.Since(c.began))
	return c.report, ctx.Err()
}

// campaign is a run.
type campaign struct {
	Options
	began time.Time

	mu     sync.Mutex
	next   int
	report *Report
}

// play plays one round after the other until there are no more to begin.
func (c *campaign) play(ctx context.Context) {
	for ctx.Err() == nil {
		c.mu.Lock()
		n := c.next
		if n >= c.Rounds || c.For > 0 && time.Since(c.began) >= c.For {
			c.mu.Unlock()
			return
		}
		c.next++
		c.mu.Unlock()
		played := c.round(ctx, n)
		if ctx.Err() != nil {
			return // it was not played to its end
		}
		c.mu.Lock()
		c.report.Rounds = append(c.report.Rounds, played)
		c.mu.Unlock()
		c.Progress(played.line())
	}
}

// round plays one.
func (c *campaign) round(ctx context.Context, n int) Round {
	seed := c.Seed + uint64(n)
	began := time.Now()
	p := c.plan(seed)
	played := Round{Seed: seed, Database: p.database, Faults: p.names()}
	r, err := newRound(ctx, c.Program, p, c.Progress)
	if err == nil {
		err = r.play(ctx)
		if ctx.Err() == nil {
			err = errors.Join(err, r.finish(ctx))
		}
		played.Figures, played.Violations = r.figures.all(), r.violations
		played.Events = r.history.events()
		if ctx.Err() == nil && (err != nil || len(r.violations) > 0) {
			played.Left, played.Says = r.Dir, r.tails()
			r.leave()
		}
		err = errors.Join(err, r.close())
	}
	if err != nil {
		played.Error = err.Error()
	}
	played.Took = time.Since(began)
	return played
}

// databasesOf are those that a fault can be played on.
func databasesOf(f fault, of []Database) []Database {
	return slices.DeleteFunc(slices.Clone(of), func(d Database) bool { return f.only != "" && f.only != d })
}
