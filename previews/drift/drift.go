// Package drift compares what the GitOps repositories hold, what the database says and what
// Argo CD shows, and names each difference with what becomes of it: idp mends what it can
// mend by writing again what is wanted. Nothing is ever removed for a difference; that
// something is not found is no evidence that it may go.
//
// Compare is pure.
package drift

import (
	"cmp"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/previews"
)

// Kind is a kind of difference; the names are a contract with scripts and alerts.
type Kind string

// The kinds.
const (
	UnknownFolder      Kind = "unknown-folder"      // a folder in Git without a row
	MissingFolder      Kind = "missing-folder"      // a row that is in Git, and its folder is not
	LeftoverFolder     Kind = "leftover-folder"     // a folder in Git of an environment that is gone
	ChangedFolder      Kind = "changed-folder"      // a folder that somebody else wrote to
	ChangedField       Kind = "changed-field"       // a value of a team's file that idp wrote, and that is another now
	UnknownElement     Kind = "unknown-element"     // listed for Argo CD, without an environment
	MissingElement     Kind = "missing-element"     // an environment in Git that is not listed
	UnreadableList     Kind = "unreadable-list"     // an ApplicationSet that idp cannot read
	OrphanApplication  Kind = "orphan-application"  // an Application that nothing lists
	MissingApplication Kind = "missing-application" // listed, and no Application after long
)

// Kinds lists every Kind, with what is to be done about it: by idp itself where Mended says
// so, else by hand.
var Kinds = []struct {
	Kind   Kind
	Mended bool
	Do     string
}{
	{UnknownFolder, false, "if the database was lost, idp rebuild --merge adds it; else remove the folder from the GitOps repository"},
	{MissingFolder, true, "it is written again"},
	{LeftoverFolder, false, "remove the folder from the GitOps repository, or bring the environment back with a command"},
	{ChangedFolder, false, "undo the change in the GitOps repository; or let idp replace it: the next commit is refused, and then /idp preview, or /idp retry NAME, goes on"},
	{ChangedField, false, "idp leaves it: undo it there, or deploy again, which is refused, and then /idp retry NAME replaces it"},
	{UnknownElement, false, "if the database was lost, idp rebuild --merge adds it; else it goes with the next commit of its repository, and takes what runs with it"},
	{MissingElement, true, "it is listed again"},
	{UnreadableList, false, "restore the file from the history of the GitOps repository"},
	{OrphanApplication, false, "look at it in Argo CD and delete it there: what is only not listed is not taken away by idp"},
	{MissingApplication, false, "look whether Argo CD syncs the root Application, and what the ApplicationSet says: idp doctor"},
}

// overdue is how long Argo CD may take to make an Application of an element.
const overdue = 15 * time.Minute

// Folder is an environment's folder in Git.
type Folder struct{ Dir, Tree string }

// Element is one of an ApplicationSet, which stands in the file List.
type Element struct{ Name, List string }

// Place is what one GitOps repository and branch holds.
type Place struct {
	Target   gitops.Lane
	Folders  []Folder
	Elements []Element
	// Unreadable are the lists that could not be read.
	Unreadable []string
}

// State is everything that is compared.
type State struct {
	Places []Place
	Rows   []previews.Environment
	// Fields are, by row, the values in files of teams that are not as the row says, in words.
	Fields map[int64][]string
	// Moving are rows that changed while the rest was read: of them nothing is said.
	Moving map[int64]bool
	// Applications are the names of those in Argo CD that are of these repositories and
	// not being deleted, by what rows call their Argo CD; one that did not answer is not there.
	Applications map[string][]string
	Now          time.Time
}

// Difference is one thing that is not as it should be.
type Difference struct {
	Kind Kind
	// What is the environment, "owner/repo/id", or the name of an Application; Where says
	// in which place the difference shows.
	What, Where string
	// Row is the environment's; 0 for none. Generation is what it wanted then.
	Row, Generation int64
}

// Compare returns the differences, which are not nil, sorted by kind, in the order of Kinds, and by name.
func Compare(s State) []Difference {
	c := newComparison(s)
	for _, row := range s.Rows {
		c.row(row)
	}
	for _, place := range s.Places {
		c.place(place)
	}
	c.applications()
	slices.SortStableFunc(c.out, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(order(a.Kind), order(b.Kind)), strings.Compare(a.What, b.What), strings.Compare(a.Where, b.Where))
	})
	return c.out
}

func order(kind Kind) int {
	for i, k := range Kinds {
		if k.Kind == kind {
			return i
		}
	}
	return len(Kinds)
}

// at is a folder or a name in one place.
type at struct {
	target gitops.Lane
	name   string
}

type comparison struct {
	State
	folders  map[at]string // trees
	elements map[at]bool
	listed   map[string]bool // names, wherever
	byDir    map[at]previews.Environment
	byName   map[string]previews.Environment
	out      []Difference
}

func newComparison(s State) *comparison {
	c := &comparison{
		State: s, folders: map[at]string{}, elements: map[at]bool{}, listed: map[string]bool{},
		byDir: map[at]previews.Environment{}, byName: map[string]previews.Environment{}, out: []Difference{},
	}
	for _, place := range s.Places {
		for _, f := range place.Folders {
			c.folders[at{place.Target, f.Dir}] = f.Tree
		}
		for _, e := range place.Elements {
			c.elements[at{place.Target, e.Name}], c.listed[e.Name] = true, true
		}
	}
	for _, row := range s.Rows {
		c.byDir[at{row.Lane.Target(), row.Ref.Dir()}], c.byName[row.Ref.Name()] = row, row
	}
	return c
}

func (c *comparison) add(kind Kind, what, where string) {
	c.out = append(c.out, Difference{Kind: kind, What: what, Where: where})
}

func (c *comparison) addRow(kind Kind, row previews.Environment, where string) {
	c.out = append(c.out, Difference{Kind: kind, What: row.Ref.String(), Where: where, Row: row.RowID, Generation: row.Generation})
}

// written says that what the row says of Git is all there is to say: nothing is on its way.
func written(row previews.Environment) bool {
	return !row.NeedsCommit() && len(row.Intents) == 0 && row.Proposed() == nil
}

// listOf is the file that lists an environment.
func listOf(row previews.Environment) string {
	name := gitops.PreviewsApplicationSet
	if row.Declared() {
		name = gitops.DeployedApplicationSet
	}
	file, _ := name(row.Ref.RepositoryID, row.Ref.Repo)
	return file
}

// Mend returns the differences to be mended by writing a row again: of a list that lacks
// several one is enough, and none of a row whose folder somebody else changed, for that
// write would be refused.
func Mend(found []Difference) []Difference {
	changed, lists := map[int64]bool{}, map[string]bool{}
	for _, d := range found {
		changed[d.Row] = changed[d.Row] || d.Kind == ChangedFolder
	}
	var out []Difference
	for _, d := range found {
		switch {
		case changed[d.Row]:
		case d.Kind == MissingFolder:
			out = append(out, d)
		case d.Kind == MissingElement && !lists[d.Where]:
			lists[d.Where] = true
			out = append(out, d)
		}
	}
	return out
}

// row looks at what the row says is there.
func (c *comparison) row(row previews.Environment) {
	if c.Moving[row.RowID] || !written(row) || !row.Live() {
		return
	}
	target := row.Lane.Target()
	tree, there := c.folders[at{target, row.Ref.Dir()}]
	switch {
	case !there:
		c.addRow(MissingFolder, row, row.Ref.Dir())
	case tree != row.Tree:
		c.addRow(ChangedFolder, row, row.Ref.Dir())
	}
	for _, field := range c.Fields[row.RowID] {
		c.addRow(ChangedField, row, field)
	}
	if row.Update != nil {
		return // nothing lists it, and its Application is its team's
	}
	switch listed := c.elements[at{target, row.Ref.Name()}]; {
	case !listed:
		c.addRow(MissingElement, row, listOf(row))
	case c.misses(row) && c.Now.Sub(row.AppliedAt) > overdue:
		c.addRow(MissingApplication, row, argoCD(row.ArgoCD))
	}
}

// place looks at what is there beside what rows say.
func (c *comparison) place(p Place) {
	for _, f := range p.Folders {
		row, known := c.byDir[at{p.Target, f.Dir}]
		switch {
		case !known:
			c.add(UnknownFolder, strings.TrimPrefix(f.Dir, gitops.EnvironmentsDir+"/"), f.Dir)
		case !row.Live() && written(row) && !c.Moving[row.RowID]:
			c.addRow(LeftoverFolder, row, f.Dir)
		}
	}
	for _, e := range p.Elements {
		row, known := c.byName[e.Name]
		switch {
		case !known:
			c.add(UnknownElement, e.Name, e.List)
		case !row.Live() && written(row) && !c.Moving[row.RowID]:
			c.addRow(UnknownElement, row, e.List)
		}
	}
	for _, list := range p.Unreadable {
		c.add(UnreadableList, path.Base(list), list)
	}
}

// misses says that the Argo CD of an environment has answered, and not with its Application.
func (c *comparison) misses(row previews.Environment) bool {
	names, answered := c.Applications[row.ArgoCD]
	return answered && !slices.Contains(names, row.Ref.Name())
}

// argoCD is an Argo CD in words.
func argoCD(name string) string { return strings.TrimSpace("Argo CD " + name) }

// applications looks at what an Argo CD has and nothing lists. One whose environment is on its
// way, to Git or from the cluster, is no orphan; one whose environment is in another Argo CD
// is.
func (c *comparison) applications() {
	for in, names := range c.Applications {
		for _, name := range names {
			row, known := c.byName[name]
			switch elsewhere := known && row.ArgoCD != in; {
			case known && c.Moving[row.RowID]:
			case elsewhere:
				c.add(OrphanApplication, name, argoCD(in))
			case c.listed[name] || known && (!written(row) || row.Leaving() || row.Live()):
			default:
				c.add(OrphanApplication, name, argoCD(in))
			}
		}
	}
}
