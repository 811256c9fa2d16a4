package githubtest

import (
	"cmp"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pullPage is all that a pull request's page shows.
type pullPage struct {
	Title, Heading, Repository, Form     string
	Number                               int
	State, StateWord, Author, Base, Head string
	Labels                               []string
	Commits                              []*commit
	Timeline                             []timelineItem
	Deployments                          []deploymentRow
	Checks                               []checkView
	ChecksTitle                          string
	Files                                []fileView
	People                               []personRow
	Tree                                 []string
	EditPath, EditContent, Problem       string
	Open, Draft, CanReopen               bool
}

type person struct {
	Login string
	ID    int64
}

type timelineItem struct {
	at            time.Time
	Author        person
	Bot, Edited   bool
	Anchor, When  string
	Body          template.HTML
	Commit, Title string // of a commit
	Reactions     []reactionRow
}

type reactionRow struct {
	Mark, Who string
	Count     int
}

type deploymentRow struct{ Environment, State, Verdict, When, Description, URL string }

type personRow struct {
	Login, Role string
	Chosen      bool
}

type fileView struct {
	Path        string
	Plus, Minus int
	Lines       []lineView
}

type lineView struct{ Kind, Text string }

func (s *Server) pullView(r *http.Request) any {
	pr := s.pullAt(r)
	if pr == nil {
		return nil
	}
	repo := pr.repo
	view := pullPage{
		Title: fmt.Sprintf("%s · #%d · %s", pr.title, pr.number, repo.fullName()), Heading: pr.title, Repository: repo.fullName(),
		Form: fmt.Sprintf("/%s/pull/%d", repo.fullName(), pr.number), Number: pr.number, Author: pr.author.login,
		Base: pr.baseRef, Head: pr.headRef, Labels: pr.labels, Commits: s.between(pr.base(), pr.headSHA), Timeline: pr.timeline(),
		Deployments: pr.deploymentRows(), Files: pr.fileViews(), People: pr.people(), Problem: r.URL.Query().Get("problem"),
		Open: pr.state == "open", Draft: pr.draft, CanReopen: !pr.merged && pr.headRepo.branches[pr.headRef] != "",
	}
	if pr.merged {
		view.Commits = s.between(s.commits[pr.merge].parents[0], pr.headSHA)
	}
	view.State, view.StateWord = pr.displayState(), strings.ToUpper(pr.displayState()[:1])+pr.displayState()[1:]
	if view.Open && pr.draft {
		view.State, view.StateWord = "draft", "Draft"
	}
	if pr.headRepo != repo {
		view.Head = pr.headLabel()
	}
	view.Checks, view.ChecksTitle = pr.checkViews(view.Form)
	tree := s.commits[pr.headSHA].tree
	view.Tree = slices.Sorted(maps.Keys(tree))
	if path := r.URL.Query().Get("edit"); path != "" {
		view.EditPath, view.EditContent = path, tree[path]
	}
	return view
}

func (pr *PullRequest) timeline() []timelineItem {
	opening := timelineItem{
		at: pr.created, Author: person{pr.author.login, pr.author.id}, Bot: pr.author.kind == "Bot", Anchor: "opening",
		When: when(pr.created), Body: markdown(cmp.Or(pr.body, "*No description provided.*")), Reactions: reactionRows(pr.reactions),
	}
	var rest []timelineItem
	for _, c := range pr.repo.s.between(pr.base(), pr.headSHA) {
		title, _, _ := strings.Cut(c.message, "\n")
		rest = append(rest, timelineItem{at: c.at, Author: person{c.author.login, c.author.id}, Commit: c.sha[:7], Title: title})
	}
	for _, c := range pr.comments() {
		rest = append(rest, timelineItem{
			at: c.created, Author: person{c.author.login, c.author.id}, Bot: c.author.kind == "Bot",
			Anchor: fmt.Sprintf("issuecomment-%d", c.id), When: when(c.created), Edited: c.updated.After(c.created),
			Body: markdown(c.body), Reactions: reactionRows(c.reactions),
		})
	}
	slices.SortStableFunc(rest, func(a, b timelineItem) int { return a.at.Compare(b.at) })
	return append([]timelineItem{opening}, rest...)
}

// reactionMarks are the pictures of reactions, in the order shown.
var reactionMarks = []struct{ content, mark string }{
	{"+1", "👍"}, {"-1", "👎"}, {"laugh", "😄"}, {"hooray", "🎉"}, {"confused", "😕"}, {"heart", "❤️"}, {"rocket", "🚀"}, {"eyes", "👀"},
}

func reactionRows(all []reaction) []reactionRow {
	var out []reactionRow
	for _, kind := range reactionMarks {
		row := reactionRow{Mark: kind.mark}
		var who []string
		for _, r := range all {
			if r.content == kind.content {
				row.Count++
				who = append(who, r.author.login)
			}
		}
		if row.Count > 0 {
			row.Who = strings.Join(who, ", ")
			out = append(out, row)
		}
	}
	return out
}

// deploymentRows lists the deployments of the pull request's commits, the latest
// first; one that is inactive has nothing to view.
func (pr *PullRequest) deploymentRows() []deploymentRow {
	own := pr.repo.s.ancestors(pr.headSHA)
	for sha := range pr.repo.s.ancestors(pr.base()) {
		delete(own, sha)
	}
	own[pr.headSHA] = true
	var out []deploymentRow
	for _, d := range slices.Backward(pr.repo.deployments) {
		if !own[d.sha] {
			continue
		}
		row := deploymentRow{Environment: d.environment, State: d.state(), Verdict: d.state(), When: when(d.updated), Description: d.description}
		if n := len(d.statuses); n > 0 && row.State != "inactive" {
			row.URL = d.statuses[n-1].environmentURL
		}
		if n := len(d.statuses); n > 0 {
			row.Description = cmp.Or(d.statuses[n-1].description, d.description)
		}
		out = append(out, row)
	}
	return out
}

func (pr *PullRequest) fileViews() []fileView {
	var out []fileView
	for _, f := range pr.files() {
		view := fileView{Path: f.path, Plus: f.additions, Minus: f.deletions}
		for line := range strings.Lines(f.patch) {
			kinds := map[byte]string{'+': "plus", '-': "minus", '@': "hunk"}
			view.Lines = append(view.Lines, lineView{Kind: kinds[line[0]], Text: strings.TrimSuffix(line, "\n")})
		}
		out = append(out, view)
	}
	return out
}

// people lists who may act, the author first.
func (pr *PullRequest) people() []personRow {
	var out []personRow
	for _, login := range slices.Sorted(maps.Keys(pr.repo.s.accounts)) {
		a := pr.repo.s.accounts[login]
		if role := pr.repo.permission(a); a.kind == "User" {
			out = append(out, personRow{Login: a.login, Role: role, Chosen: a == pr.author})
		}
	}
	return out
}

// checkView is one check run as shown.
type checkView struct {
	ID                            int64
	Name, Title, Verdict, Details string
	Summary, Text                 template.HTML
	Annotations                   []Annotation
	Actions                       []CheckAction
	Form                          string
}

func viewOf(run *checkRun, form string) checkView {
	return checkView{
		ID: run.id, Name: run.name, Title: run.title, Verdict: cmp.Or(run.conclusion, run.status), Details: run.detailsURL,
		Summary: markdown(run.summary), Text: markdown(run.text), Annotations: run.annotations, Actions: run.actions, Form: form,
	}
}

func (pr *PullRequest) checkViews(form string) ([]checkView, string) {
	var out []checkView
	passed, failed := 0, 0
	for _, suite := range pr.repo.suites {
		if suite.sha != pr.headSHA {
			continue
		}
		for _, run := range suite.latest() {
			out = append(out, viewOf(run, form))
			switch run.conclusion {
			case "success", "neutral", "skipped":
				passed++
			case "":
			default:
				failed++
			}
		}
	}
	switch {
	case failed > 0:
		return out, "Some checks were not successful"
	case passed == len(out):
		return out, "All checks have passed"
	}
	return out, "Some checks haven't completed yet"
}

// runPage is the page of one check run, where its html_url leads.
type runPage struct {
	Title, Repository, Short string
	Check                    checkView
}

func (s *Server) runView(r *http.Request) any {
	repo := s.find(r.PathValue("owner"), r.PathValue("repo"))
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if repo == nil || err != nil || repo.run(id) == nil {
		return nil
	}
	run := repo.run(id)
	form := ""
	for _, pr := range repo.sortedPulls() {
		if pr.headSHA == run.suite.sha {
			form = fmt.Sprintf("/%s/pull/%d", repo.fullName(), pr.number)
		}
	}
	return runPage{Title: run.name + " · " + repo.fullName(), Repository: repo.fullName(), Short: run.suite.sha[:7], Check: viewOf(run, form)}
}
