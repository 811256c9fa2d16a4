package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/idp-bot/idp/gitops/manifests"
	"github.com/idp-bot/idp/previews"
)

const (
	// maxRerenderDiff bounds the diff of one environment that is shown, in lines, and
	// maxRerenderDiffs those of all.
	maxRerenderDiff  = 200
	maxRerenderDiffs = 2000
)

// rerenderFacts are what "idp rerender" prints; their names are a contract.
type rerenderFacts struct {
	DryRun  bool             `json:"dryRun"`
	Changed []rerenderedFact `json:"changed"`
	// Left are those that are left alone, with why.
	Left []leftFact `json:"left,omitempty"`
	// Same is how many this release renders to what is in Git.
	Same int `json:"same"`
	// More is how many differ beyond --at-most, and were left for the next time.
	More int `json:"more,omitempty"`

	shown int // lines of diffs so far
}

type rerenderedFact struct {
	Name       string           `json:"name"`
	Repository string           `json:"repository"`
	Class      string           `json:"class"`
	SHA        string           `json:"sha"`
	Objects    []rerenderObject `json:"objects"`
	// Cut says that more differs than the diffs show.
	Cut bool `json:"cut,omitempty"`
}

type rerenderObject struct {
	Object string `json:"object"`
	Verb   string `json:"verb"`
	Diff   string `json:"diff,omitempty"`
}

type leftFact struct {
	Name       string `json:"name"`
	Repository string `json:"repository"`
	Reason     string `json:"reason"`
}

func (f *rerenderFacts) asked() int { return len(f.Changed) }

func (f *rerenderFacts) leave(row previews.Environment, why string) {
	f.Left = append(f.Left, leftFact{Name: row.Ref.Key(), Repository: row.Owner + "/" + row.Repo, Reason: why})
}

// note adds what changes of an environment; diffs beyond the bounds are left out.
func (f *rerenderFacts) note(row previews.Environment, changes []manifests.Difference, diffs bool) {
	fact := rerenderedFact{Name: row.Ref.Key(), Repository: row.Owner + "/" + row.Repo, Class: previewClass, SHA: row.SHA}
	if row.Declared() {
		fact.Class = row.Class
	}
	lines := 0
	for _, change := range changes {
		object := rerenderObject{Object: change.Object, Verb: string(change.Verb)}
		n := strings.Count(change.Diff, "\n")
		switch fits := lines+n <= maxRerenderDiff && f.shown+n <= maxRerenderDiffs; {
		case diffs && fits:
			object.Diff = change.Diff
			lines, f.shown = lines+n, f.shown+n
		case diffs:
			fact.Cut = true
		}
		fact.Objects = append(fact.Objects, object)
	}
	f.Changed = append(f.Changed, fact)
}

// printRerendered prints it for people.
func (p *program) printRerendered(f *rerenderFacts) error {
	var b strings.Builder
	lines := table{header: []string{"NAME", "REPOSITORY", "CLASS", "SHA", "CHANGES"}}
	for _, one := range f.Changed {
		var objects []string
		for _, object := range one.Objects {
			objects = append(objects, object.Object+" "+object.Verb)
		}
		lines.rows = append(lines.rows, []string{one.Name, one.Repository, one.Class, fmt.Sprintf("%.7s", one.SHA), strings.Join(objects, ", ")})
	}
	b.WriteString(lines.render(p.styled(p.stdout)))
	for _, one := range f.Changed {
		for _, object := range one.Objects {
			if object.Diff != "" {
				fmt.Fprintf(&b, "\n%s\n%s", p.styled(p.stdout).bold(one.Repository+" "+one.Name+": "+object.Object), object.Diff)
			}
		}
		if one.Cut {
			fmt.Fprintf(&b, "\n%s %s: more differs than is shown; look at it alone with --repo\n", one.Repository, one.Name)
		}
	}
	if _, err := io.WriteString(p.stdout, b.String()); err != nil {
		return wrapOutput(err)
	}
	return p.tellRerendered(f)
}

// tellRerendered says what became of it, and of the others.
func (p *program) tellRerendered(f *rerenderFacts) error {
	for _, left := range f.Left {
		if err := p.tell("%s %s is left alone: %s", left.Repository, left.Name, left.Reason); err != nil {
			return err
		}
	}
	var said []string
	switch n := len(f.Changed); {
	case n == 0 && f.Same == 0:
		said = append(said, "Nothing would be written otherwise.")
	case n > 0 && f.DryRun:
		said = append(said, fmt.Sprintf("%s would be written otherwise: idp rerender has that done.", plural(n, "environment")))
	case n > 0:
		said = append(said, fmt.Sprintf("The running idp serve writes %s at its pace.", plural(n, "environment")))
	}
	if f.Same > 0 {
		said = append(said, fmt.Sprintf("As this release renders it already: %s.", plural(f.Same, "environment")))
	}
	if f.More > 0 {
		said = append(said, fmt.Sprintf("Beyond --at-most: %s; run it again.", plural(f.More, "environment")))
	}
	return p.tell("%s", strings.Join(said, " "))
}
