// Package load measures the whole of idp under load: the real program on loopback, beside
// the stand-in GitHub, git over HTTP and SQLite with every commit on the disk.
//
// Each work is a file of its own and a row of works. It measures idp and a floor, what the
// same takes with the libraries or git alone, by turns in one run, so that what else the
// machine does falls on both. The git processes of both sides have the same variables for
// malloc, and idp's paces are off, which otherwise hold it to what Git hosts bear. What it
// finds is a report: it fails only where something does not happen at all.
package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/idp-bot/idp/cmd/internal/stage"
)

// Options say what to measure.
type Options struct {
	// Only are the works to measure, all where it is empty.
	Only []string
	Sizes
	// Program is idp's binary; it is built where that is "".
	Program string
	// Profiles is a folder for profiles of the program at work, "" for none.
	Profiles string
	// Progress, when set, is told what is done, and SoFar what was measured up to then.
	Progress func(line string)
	SoFar    func(*Report) error
	// Ending, when set, is given each stage once its idp has ended, before it goes.
	Ending func(*stage.Stage) error
}

// work is one of what is measured.
type work struct {
	name, says string
	run        func(context.Context, *run) ([]Row, error)
}

// works are all of them, in the order of the report.
var works = []work{
	{"W1", "signed webhooks of 25 KB, acknowledged once they are on the disk", webhooks},
	{"W2", "pull requests opened at once, until all are pushed", burst},
	{"W3", "one change among many environments", oneChange},
	{"W4", "many events on few pull requests", coalesced},
	{"W5", "many environments taken away at once", reaped},
	{"W6", "a pull request opened while all is quiet", quietEvent},
	{"W7", "pull requests while somebody else pushes, too", contended},
	{"W8", "nothing happens", idle},
	{"W9", "deliveries that ask for nothing, through the queue", noOps},
	{"fairness", "one repository's pull request during the burst of another", fairness},
}

// Names are those of the works.
func Names() (names []string) {
	for _, w := range works {
		names = append(names, w.name)
	}
	return names
}

// Describe has a line for each work.
func Describe() string {
	var b strings.Builder
	for _, w := range works {
		fmt.Fprintf(&b, "  %-8s  %s\n", w.name, w.says)
	}
	return b.String()
}

// Check says what cannot be measured.
func (o Options) Check() error {
	var errs []error
	for _, name := range o.Only {
		if !slices.Contains(Names(), name) {
			errs = append(errs, fmt.Errorf("--run %s: expected some of %s", name, strings.Join(Names(), ", ")))
		}
	}
	return errors.Join(append(errs, o.Sizes.check())...)
}

// run is a run.
type run struct {
	Options
	// work is the one that is being measured.
	work string
}

// Run measures. It is an error where something did not happen at all; what could be measured
// is in the report all the same, which is nil where nothing was begun.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if err := o.Check(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "idp-loadtest-program-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) // the system's place for such
	if o.Program == "" {
		o.Program = filepath.Join(dir, "idp")
		tags := ""
		if o.Profiles != "" {
			tags = "profile"
		}
		if err := stage.Build(ctx, o.Program, tags); err != nil {
			return nil, err
		}
	}
	report := newReport(o.Sizes)
	var failed []error
	for _, w := range works {
		if len(o.Only) > 0 && !slices.Contains(o.Only, w.name) {
			continue
		}
		began := time.Now()
		rows, err := w.run(ctx, &run{o, w.name})
		if err != nil {
			failed = append(failed, fmt.Errorf("%s, %s: %w", w.name, w.says, err))
			rows = []Row{{What: "it could not be measured", Target: "that it can be"}}
		}
		if ctx.Err() != nil {
			return nil, errors.Join(failed...)
		}
		for _, row := range rows {
			row.Work = w.name
			report.Rows = append(report.Rows, row)
		}
		report.Took = time.Since(report.Began).Round(time.Second)
		o.Progress(fmt.Sprintf("%s: %d rows in %s", w.name, len(rows), time.Since(began).Round(100*time.Millisecond)))
		if o.SoFar != nil {
			failed = append(failed, o.SoFar(report))
		}
	}
	return report, errors.Join(failed...)
}

// tell tells of progress.
func (r *run) tell(format string, args ...any) {
	r.Progress(r.work + ": " + fmt.Sprintf(format, args...))
}
