package previews_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/inplace"
	"github.com/idp-bot/idp/gitops/render"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/previews"
)

const theirs = "apps/web/staging/values.yaml"

// ofTeam is a workshop whose rows change a value of their own in a file that a team has.
func ofTeam(t *testing.T) *workshop {
	w := newWorkshop(t)
	w.committer.Render = renderUpdate
	w.put("web: {tag: v1}\napi: {tag: v1} # by hand\n")
	return w
}

// renderUpdate writes the revision to the service's own tag.
func renderUpdate(_ context.Context, e previews.Environment) (previews.Rendered, error) {
	u := &previews.Update{Application: e.Ref.Service, Fields: []inplace.Write{
		{Field: inplace.Field{File: theirs, Field: e.Ref.Service + ".tag", Set: inplace.Commit}, Value: e.SHA},
	}}
	record, err := render.Marshal(render.Record{
		APIVersion: "idp.dev/v1", Kind: "Environment", RepositoryID: e.Ref.RepositoryID, Owner: e.Ref.Owner, Repo: e.Ref.Repo, ID: e.Ref.ID, Service: e.Ref.Service,
		FullName: "acme/web", Environment: e.Ref.ID, Generation: e.Generation, SHA: e.SHA, Class: "preview", Namespace: e.Ref.Namespace(), Application: e.Ref.Name(),
		Images: map[string]string{}, Update: &render.RecordedUpdate{Application: u.Application, Fields: u.Fields},
	})
	return previews.Rendered{Files: []gitops.File{{Path: e.Ref.RecordPath(), Content: record}}, Update: u}, err
}

func (w *workshop) put(content string) {
	w.Helper()
	if _, err := w.remote.Commit(context.WithoutCancel(w.Context()), "main", gittest.Edit{Message: "By hand", Author: "Ann", Put: []gitops.File{{Path: theirs, Content: []byte(content)}}}); err != nil {
		w.Fatal(err)
	}
}

func (w *workshop) holds(want string) {
	w.Helper()
	got, err := w.remote.Content(w.Context(), w.tip(), theirs)
	if err != nil || got != want {
		w.Errorf("the file is %q, %v, want %q", got, err, want)
	}
}

// part adds a service of staging that is to be deployed.
func (w *workshop) part(service string) int64 {
	return w.add(7, 0, func(e *previews.Environment) {
		e.Ref.ID, e.Ref.Service, e.PR = "staging", service, 1
		e.Update, e.Deployed = &previews.Update{}, &previews.Deployed{}
	})
}

func TestUpdates(t *testing.T) {
	t.Parallel()
	w := ofTeam(t)
	web, api := w.part("web"), w.part("api")
	w.settle()
	sha := w.row(web).SHA
	w.holds(fmt.Sprintf("web: {tag: %q}\napi: {tag: %q} # by hand\n", sha, sha))
	row := w.row(web)
	if row.State() != previews.StateCommitted || row.Application() != "web" || !strings.Contains(row.Diff, "+web: {tag:") {
		t.Errorf("the row is %s, of Application %q, with the diff %q", row.State(), row.Application(), row.Diff)
	}
	list, err := w.remote.List(t.Context(), w.tip())
	if err != nil || strings.Contains(strings.Join(list, "\n"), gitops.ApplicationSetsDir) {
		t.Errorf("it is listed for Argo CD: %v, %v", list, err)
	}

	// What somebody writes by hand is theirs, until it is asked to be replaced; the other
	// service goes on.
	w.put(fmt.Sprintf("web: {tag: rescued}\napi: {tag: %q}\n", sha))
	next := strings.Repeat("e", 40)
	w.push(web, next)
	w.push(api, next)
	w.settle()
	w.holds(fmt.Sprintf("web: {tag: rescued}\napi: {tag: %s}\n", `"`+next+`"`))
	p := w.row(web).Problem
	if p == nil || p.Kind != previews.ProblemChanged || !strings.Contains(p.Message, `web.tag is "rescued", and idp wrote "`+sha+`" there (last changed by Ann`) {
		t.Errorf("the problem is %+v", p)
	}
	w.change(web, func(e *previews.Environment) { e.Retry(w.clock.Now()); e.Resolve(nil, w.clock.Now()) })
	w.settle()
	w.holds(fmt.Sprintf("web: {tag: %s}\napi: {tag: %q}\n", next, next))
	w.once()
}

// TestUpdatesAreMadeOnce lets idp die at each moment of a commit.
func TestUpdatesAreMadeOnce(t *testing.T) {
	t.Parallel()
	for _, moment := range []string{"planned", "prepared", "pushed"} {
		w := ofTeam(t)
		web := w.part("web")
		die := crashing{Writer: w.git}
		crash := func() error { return errCrash }
		switch moment {
		case "planned":
			die.planned = crash
		case "prepared":
			die.prepared = crash
		case "pushed":
			die.pushed = crash
		}
		w.committer.Git = die
		if _, err := w.committer.Step(t.Context()); err == nil {
			t.Fatalf("%s: it did not die", moment)
		}
		w.restart()
		w.committer.Render = renderUpdate
		w.settle()
		w.holds(fmt.Sprintf("web: {tag: %q}\napi: {tag: v1} # by hand\n", w.row(web).SHA))
		w.once()
	}
}

// TestProposedUpdates: what is merged is held to what was proposed, in the team's file as in
// idp's folder, and what moves on there is proposed anew.
func TestProposedUpdates(t *testing.T) {
	t.Parallel()
	r := newReview(t)
	r.proposer.Committer.Render = renderUpdate
	r.put("web: {tag: v1}\n")
	web := r.part("web", "b")
	r.change(web, func(e *previews.Environment) { e.Update = &previews.Update{} })
	r.step()
	r.put("web: {tag: v1}\n# more\n")
	r.step()
	r.step()
	if n := len(r.forge.pulls); n != 2 {
		t.Fatalf("%d pull requests were opened, want another when the file moved on", n)
	}
	r.forge.merge(2, gitops.File{Path: theirs, Content: []byte("web: {tag: other}\n")})
	r.step()
	if p := r.byID(web).Problem; p == nil || p.Kind != previews.ProblemChanged || !strings.Contains(p.Message, "was merged with something else in "+theirs+", web.tag than idp had proposed") {
		t.Errorf("the problem is %+v", p)
	}
	r.newer(web, "c")
	r.change(web, func(e *previews.Environment) { e.Overwrite = true })
	r.step()
	r.forge.merge(3)
	r.step()
	sha := r.byID(web).SHA
	r.holds(fmt.Sprintf("web: {tag: %s}\n", sha))
	if row := r.byID(web); row.AppliedSHA != sha || row.Update.Fields[0].Value != sha {
		t.Errorf("the row has %s, and wrote %+v", row.AppliedSHA, row.Update)
	}
}
