package repo

import (
	"fmt"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops"
)

// maxSubjects is how many changes a commit's message lists in words; all are in its trailers.
const maxSubjects = 200

// batch is a Commit that was found valid, with the tree that each change wants.
type batch struct {
	subject, body string
	trailers      [][2]string
	changes       []wanted
	shared        []gitops.File
	invalid       []Conflict
	whole         bool
	// epoch, when set, makes the commit even where it changes no file.
	epoch string
}

type wanted struct {
	Change
	tree string
}

func (w wanted) accepts(tree string) bool {
	return tree == w.tree || slices.Contains(w.Accept, tree) || slices.Contains(w.Accept, AnyTree)
}

// newBatch validates c. An invalid change is set apart, so that it keeps no other
// from landing; invalid shared files make the whole commit invalid.
func newBatch(c Commit) (batch, error) {
	b := batch{subject: c.Subject, body: c.Body, trailers: c.Trailers, shared: c.Shared, whole: c.Whole}
	if err := validTrailers(c.Trailers); err != nil {
		return batch{}, err
	}
	if err := validFiles(gitops.ApplicationSetsDir, c.Shared); err != nil {
		return batch{}, fmt.Errorf("shared files: %w", err)
	}
	others := newTaken()
	for _, change := range c.Changes {
		err := validChange(change)
		if err == nil {
			err = others.take(change)
		}
		if err != nil {
			b.invalid = append(b.invalid, Conflict{Key: change.Key, Dir: change.Dir, Err: err})
			continue
		}
		w := wanted{Change: change}
		if change.Dir != "" {
			w.tree = TreeID(change.Dir, change.Files)
		}
		b.changes = append(b.changes, w)
	}
	return b, nil
}

func validChange(c Change) error {
	if !validKey(c.Key) {
		return fmt.Errorf("change key %.80q: %w: 1 to 200 characters of printable ASCII without blanks", c.Key, ErrInvalid)
	}
	if err := validTrailers(c.Trailers); err != nil {
		return err
	}
	for _, tree := range c.Accept {
		if tree != "" && tree != AnyTree && !isSHA(tree) {
			return fmt.Errorf("accepted tree %.80q: %w", tree, ErrInvalid)
		}
	}
	if err := validEdits(c); err != nil {
		return err
	}
	if c.Dir == "" {
		if len(c.Files) > 0 {
			return fmt.Errorf("change without a folder: %w: it has files", ErrInvalid)
		}
		return nil
	}
	if err := validBelow(gitops.EnvironmentsDir, c.Dir); err != nil {
		return err
	}
	return validFiles(c.Dir, c.Files)
}

func validKey(key string) bool {
	return key != "" && len(key) <= 200 &&
		strings.IndexFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

func validTrailers(trailers [][2]string) error {
	for _, t := range trailers {
		if !validTrailerName(t[0]) {
			return fmt.Errorf("trailer %.80q: %w", t[0], ErrInvalid)
		}
	}
	return nil
}

func validTrailerName(name string) bool {
	if name == "" || len(name) > 60 {
		return false
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' {
			return false
		}
	}
	lower := strings.ToLower(name)
	return !strings.HasPrefix(lower, "idp-change") && !strings.HasPrefix(lower, "idp-epoch")
}

// taken are the keys and folders of the changes of a batch.
type taken struct {
	keys, dirs map[string]bool
	// above has the folder below each folder that holds one.
	above map[string]string
}

func newTaken() taken {
	return taken{map[string]bool{}, map[string]bool{}, map[string]string{}}
}

// take refuses a key given twice, and a folder that is, holds or is inside another change's:
// the two could not both own it whole.
func (t taken) take(c Change) error {
	if t.keys[c.Key] {
		return fmt.Errorf("change key %q: %w: given twice", c.Key, ErrInvalid)
	}
	if c.Dir != "" {
		other, holds := t.above[c.Dir]
		for _, dir := range append(parents(c.Dir), c.Dir) {
			if t.dirs[dir] {
				other, holds = dir, true
			}
		}
		if holds {
			return fmt.Errorf("folder %q: %w: overlaps with %q in the same commit", c.Dir, ErrInvalid, other)
		}
		t.dirs[c.Dir] = true
		for _, dir := range parents(c.Dir) {
			t.above[dir] = c.Dir
		}
	}
	t.keys[c.Key] = true
	return nil
}

// message is the commit's: a subject, the changes when there are several, and
// the trailers as the last paragraph. Whatever came from outside stays on its
// line, so that it cannot pose as a trailer.
func (b *batch) message(changes []wanted) string {
	var m strings.Builder
	m.WriteString(b.headline(changes) + "\n")
	if b.body != "" {
		m.WriteString("\n" + strings.TrimSpace(strings.ReplaceAll(b.body, "\x00", "")) + "\n")
	}
	if len(changes) > 1 {
		m.WriteString("\n")
		for _, c := range changes[:min(len(changes), maxSubjects)] {
			m.WriteString("- " + oneLine(c.Subject) + "\n")
		}
		if more := len(changes) - maxSubjects; more > 0 {
			fmt.Fprintf(&m, "- and %d more\n", more)
		}
	}
	m.WriteString("\n")
	if b.epoch != "" {
		m.WriteString(trailerEpoch + ": " + oneLine(b.epoch) + "\n")
	}
	writeTrailers(&m, b.trailers)
	for _, c := range changes {
		m.WriteString(trailerChange + ": " + c.Key + "\n")
		writeTrailers(&m, c.Trailers)
	}
	return strings.TrimRight(m.String(), "\n") + "\n"
}

func writeTrailers(m *strings.Builder, trailers [][2]string) {
	for _, t := range trailers {
		m.WriteString(t[0] + ": " + oneLine(t[1]) + "\n")
	}
}

func (b *batch) headline(changes []wanted) string {
	switch s := oneLine(b.subject); {
	case s != "":
		return s
	case len(changes) == 1 && oneLine(changes[0].Subject) != "":
		return oneLine(changes[0].Subject)
	case len(changes) > 0:
		return fmt.Sprintf("Update %d environments", len(changes))
	default:
		return "Update " + gitops.ApplicationSetsDir
	}
}

// oneLine makes s a single line of at most 500 bytes without control characters.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.TrimSpace(s)
	if len(s) > 500 {
		s = strings.ToValidUTF8(s[:500], "")
	}
	return s
}
