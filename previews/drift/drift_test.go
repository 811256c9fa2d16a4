package drift

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/previews"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// row is a preview that is in Git as tree "7ree", since an hour.
func row(pr int, change ...func(*previews.Environment)) previews.Environment {
	e := previews.Environment{
		RowID: int64(pr), Ref: gitops.EnvironmentRef{RepositoryID: 1, Owner: "acme", Repo: "web", ID: gitops.PreviewID(pr)},
		Wanted: previews.Present, SHA: "5a", Generation: 3, ResolvedGeneration: 3, AppliedGeneration: 3, AppliedSHA: "5a", Tree: "7ree", AppliedAt: now.Add(-time.Hour),
	}
	for _, f := range change {
		f(&e)
	}
	return e
}

func gone(e *previews.Environment) { e.Wanted, e.Tree = previews.Absent, "" }

func leaving(e *previews.Environment) {
	gone(e)
	e.Observed = &previews.Observation{}
}

// held is a State in which Git and Argo CD have these previews of the rows.
func held(rows []previews.Environment, trees map[int]string, listed, applications []int) State {
	s := State{Rows: rows, Moving: map[int64]bool{}, Applications: map[string][]string{"": nil}, Now: now}
	var place Place
	for pr, tree := range trees {
		place.Folders = append(place.Folders, Folder{Dir: row(pr).Ref.Dir(), Tree: tree})
	}
	for _, pr := range listed {
		place.Elements = append(place.Elements, Element{Name: row(pr).Ref.Name(), List: "applicationsets/web.yaml"})
	}
	for _, pr := range applications {
		s.Applications[""] = append(s.Applications[""], row(pr).Ref.Name())
	}
	s.Places = []Place{place}
	return s
}

func TestCompare(t *testing.T) {
	t.Parallel()
	rows := func(all ...previews.Environment) []previews.Environment { return all }
	is, one := map[int]string{1: "7ree"}, []int{1}
	moving := held(rows(row(1)), nil, nil, nil)
	moving.Moving[1] = true
	unasked := held(rows(row(1)), is, one, nil)
	delete(unasked.Applications, "")
	elsewhere := held(rows(row(1, func(e *previews.Environment) { e.Lane.Branch = "production" })), is, one, one)
	beside := func(e *previews.Environment) { e.ArgoCD = "https://argocd.example.com" }
	there := held(rows(row(1, beside)), is, one, nil)
	there.Applications["https://argocd.example.com"] = []string{row(1).Ref.Name()}
	both := held(rows(row(1, beside)), is, one, one)
	both.Applications["https://argocd.example.com"] = []string{row(1).Ref.Name()}
	silent := held(rows(row(1, beside)), is, one, nil)
	missed := held(rows(row(1, beside)), is, one, nil)
	missed.Applications["https://argocd.example.com"] = nil
	unreadable := held(rows(row(1)), is, one, one)
	unreadable.Places[0].Unreadable = []string{"applicationsets/x.yaml"}
	updated := held(rows(row(1, func(e *previews.Environment) { e.Update = &previews.Update{Application: "web"} })), is, nil, nil)
	changed := updated
	changed.Fields = map[int64][]string{1: {`apps/web.yaml, image.tag, which is "v1"`}}
	young := func(e *previews.Environment) { e.AppliedAt = now.Add(-time.Minute) }
	for name, c := range map[string]struct {
		state State
		want  string
	}{
		"all is well":                          {held(rows(row(1)), is, one, one), ""},
		"a folder without a row":               {held(nil, is, nil, nil), "unknown-folder"},
		"a row without its folder":             {held(rows(row(1)), nil, one, one), "missing-folder"},
		"a folder that was put back":           {held(rows(row(1, gone)), is, nil, nil), "leftover-folder"},
		"a hand edit":                          {held(rows(row(1)), map[int]string{1: "0ther"}, one, one), "changed-folder"},
		"an element without an environment":    {held(nil, nil, one, nil), "unknown-element"},
		"an element of what is gone":           {held(rows(row(1, gone)), nil, one, nil), "unknown-element"},
		"an environment that is not listed":    {held(rows(row(1)), is, nil, one), "missing-element"},
		"in an Argo CD beside":                 {there, ""},
		"in two Argo CDs":                      {both, "orphan-application"},
		"an Argo CD beside that is silent":     {silent, ""},
		"an Argo CD beside that has it not":    {missed, "missing-application"},
		"an orphan":                            {held(nil, nil, nil, one), "orphan-application"},
		"an orphan of what is gone":            {held(rows(row(1, gone)), nil, nil, one), "orphan-application"},
		"no Application after long":            {held(rows(row(1)), is, one, nil), "missing-application"},
		"a value that is another now":          {changed, "changed-field"},
		"in a team's own Application":          {updated, ""},
		"no Application yet":                   {held(rows(row(1, young)), is, one, nil), ""},
		"Argo CD was not asked":                {unasked, ""},
		"a row that changed meanwhile":         {moving, ""},
		"a list that nobody can read":          {unreadable, "unreadable-list"},
		"in another place than its row says":   {elsewhere, "unknown-folder missing-folder missing-element"},
		"an Application that is being deleted": {held(rows(row(1, leaving)), nil, nil, one), ""},
		"one that is being written":            {held(rows(row(1, func(e *previews.Environment) { e.Intents = []string{"n3w"} })), map[int]string{1: "n3w"}, nil, nil), ""},
		"one that is to be written":            {held(rows(row(1, func(e *previews.Environment) { e.AppliedGeneration-- })), nil, nil, nil), ""},
	} {
		var kinds []string
		for _, d := range Compare(c.state) {
			kinds = append(kinds, string(d.Kind))
			if d.What == "" || d.Where == "" {
				t.Errorf("%s: %+v does not say what or where", name, d)
			}
		}
		if got := strings.Join(kinds, " "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Every kind says what is done, and those that are mended are those that Mend takes.
func TestKinds(t *testing.T) {
	t.Parallel()
	for i, k := range Kinds {
		d := Difference{Kind: k.Kind, Row: 1, Where: fmt.Sprint(i)}
		if mended := len(Mend([]Difference{d})) == 1; k.Do == "" || mended != k.Mended {
			t.Errorf("%s is mended: %t, and that is said: %t", k.Kind, mended, k.Mended)
		}
	}
}

func TestMend(t *testing.T) {
	t.Parallel()
	found := []Difference{
		{Kind: ChangedFolder, Row: 1}, {Kind: MissingElement, Row: 1, Where: "a"},
		{Kind: MissingElement, Row: 2, Where: "a"}, {Kind: MissingElement, Row: 3, Where: "a"}, {Kind: MissingElement, Row: 4, Where: "b"},
		{Kind: MissingFolder, Row: 5}, {Kind: MissingFolder, Row: 6},
	}
	var rows []int64
	for _, d := range Mend(found) {
		rows = append(rows, d.Row)
	}
	if fmt.Sprint(rows) != "[2 4 5 6]" {
		t.Errorf("mended are the rows %v", rows)
	}
}
