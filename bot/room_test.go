package bot

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/policy"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// policies compiles the platform team's files, from names and contents in turn, beside the
// starter set.
func policies(t testing.TB, sources ...string) *policy.Set {
	t.Helper()
	var files []gitops.File
	for i := 0; i < len(sources); i += 2 {
		files = append(files, gitops.File{Path: policy.Dir + "/" + sources[i], Content: []byte(sources[i+1])})
	}
	set := policy.Compile(t.Context(), files)
	if err := set.Err(); err != nil {
		t.Fatal(err)
	}
	return set
}

// idle is another pull request's preview that is in Git since a time before now.
func idle(t testing.TB, pr int, since time.Duration, changes ...func(*previews.Environment)) *previews.Environment {
	t.Helper()
	e := previews.Environment{
		RowID: int64(pr), Version: 4, PR: pr, Owner: "Acme", Repo: "Web", Author: "carol",
		Ref: gitops.EnvironmentRef{RepositoryID: 1, Owner: "acme", Repo: "web", ID: gitops.PreviewID(pr)},
	}
	e.Want(previews.Revision{SHA: oldSHA, Ref: "topic", Spec: []byte(service), TTL: 72 * time.Hour}, now.Add(-since))
	e.Resolve([]previews.Image{{Service: "web", Reference: "ghcr.io/acme/web:x"}}, now.Add(-since))
	e.Commit(previews.Applied{Generation: e.Generation, SHA: e.SHA, Commit: "c0ffee", Tree: "77", At: now.Add(-since)})
	for _, change := range changes {
		change(&e)
	}
	return &e
}

func elsewhere(private bool) func(*previews.Environment) {
	return func(e *previews.Environment) {
		e.Ref.RepositoryID, e.Ref.Repo, e.Repo, e.Private = 9, "api", "API", private
	}
}

const taking1 = "max_previews: {repository: 2, team: 2, author: 2, take_oldest: true}\n"

// crowded is open with previews beside it that leave no room, by what was counted.
func crowded(t testing.TB, settings string, live store.Lives) Snapshot {
	t.Helper()
	s := open(t)
	s.Guard, s.Live = policies(t, "settings.yaml", settings), live
	return s
}

// went names what a decision takes, and which scopes were full.
func went(d Decision) []string {
	var out []string
	for _, taken := range d.Taken {
		var scopes []string
		for scope := range taken.Full {
			scopes = append(scopes, string(scope))
		}
		slices.Sort(scopes)
		out = append(out, taken.Environment.Ref.String()+" of "+strings.Join(scopes, ", "))
	}
	return out
}

// A new preview takes the place of the longest idle where every policy that is in its way
// says so, and of nothing else.
func TestTakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		settings string
		live     store.Lives
		before   func(*Snapshot)
		event    Event
		taken    []string
		wanted   bool
	}{
		{"one", taking1, store.Lives{store.OfRepository: {Count: 2, Idle: idle(t, 7, 2*time.Hour)}}, nil, pullRequestEvent("opened"), []string{"acme/web/pr-7 of repository"}, true},
		{"by command", taking1, store.Lives{store.OfRepository: {Count: 2, Idle: idle(t, 7, 2*time.Hour)}}, nil, commentEvent("/idp preview"), []string{"acme/web/pr-7 of repository"}, true},
		{"none where there is room", taking1, store.Lives{store.OfRepository: {Count: 1, Idle: idle(t, 7, 2*time.Hour)}}, nil, pullRequestEvent("opened"), nil, true},
		{"none that is busy", taking1, store.Lives{store.OfRepository: {Count: 2, Idle: idle(t, 7, 59*time.Minute)}}, nil, pullRequestEvent("opened"), nil, false},
		{"none unless told", strings.Replace(taking1, "true", "false", 1), store.Lives{store.OfRepository: {Count: 2, Idle: idle(t, 7, 2*time.Hour)}}, nil, pullRequestEvent("opened"), nil, false},
		{
			"one for two scopes", taking1, store.Lives{store.OfRepository: {Count: 2, Idle: idle(t, 7, 2*time.Hour)}, store.OfAuthor: {Count: 2, Idle: idle(t, 7, 2*time.Hour)}},
			nil, pullRequestEvent("opened"), []string{"acme/web/pr-7 of author, repository"}, true,
		},
		{
			"one of each scope", taking1, store.Lives{store.OfRepository: {Count: 2, Idle: idle(t, 7, 2*time.Hour)}, store.OfAuthor: {Count: 2, Idle: idle(t, 8, 2*time.Hour, elsewhere(true))}},
			nil, pullRequestEvent("opened"), []string{"acme/api/pr-8 of author", "acme/web/pr-7 of repository"}, true,
		},
		{
			"none where a scope has none", taking1, store.Lives{store.OfRepository: {Count: 2, Idle: idle(t, 7, 2*time.Hour)}, store.OfAuthor: {Count: 2}},
			nil, pullRequestEvent("opened"), nil, false,
		},
		{
			"none beside another denial", taking1 + "rules: {owner: deny}\n", store.Lives{store.OfRepository: {Count: 2, Idle: idle(t, 7, 2*time.Hour)}},
			nil, pullRequestEvent("opened"), nil, false,
		},
		{
			"none for a push to what is there", taking1, store.Lives{store.OfRepository: {Count: 2, Idle: idle(t, 7, 2*time.Hour)}},
			func(s *Snapshot) { s.Environment = idle(t, 42, time.Minute) }, pullRequestEvent("synchronize"), nil, false,
		},
		{
			"none for what goes at once", taking1, store.Lives{store.OfRepository: {Count: 2, Idle: idle(t, 7, 2*time.Hour)}},
			nil, commentEvent("/idp preview\n/idp destroy"), nil, false,
		},
		{
			"none for what may not come", taking1, store.Lives{store.OfRepository: {Count: 2, Idle: idle(t, 7, 2*time.Hour)}},
			func(s *Snapshot) { s.PR.Fork = true }, pullRequestEvent("opened"), nil, false,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := crowded(t, c.settings, c.live)
			if c.before != nil {
				c.before(&s)
			}
			d := Decide(s, c.event)
			got := went(d)
			slices.Sort(got)
			if !slices.Equal(got, c.taken) {
				t.Errorf("%v went, want %v: %v", got, c.taken, d.Reasons)
			}
			if wanted := presence(after(s, d)) == previews.Present && after(s, d).Environment.SHA == newSHA; wanted != c.wanted {
				t.Errorf("wanted is %v: %v", wanted, d.Reasons)
			}
			for scope, live := range s.Live {
				if live.Idle != nil && (live.Idle.Wanted != previews.Present || live.Idle.Version != 4) {
					t.Errorf("deciding changed what was counted of %s", scope)
				}
			}
		})
	}
}

// A policy of the platform's own is held to the same: what it names must have been found
// takeable in the scope that it calls full.
func TestTakesOnlyWhatMayBeTaken(t *testing.T) {
	t.Parallel()
	asked := map[string]bool{
		`{"scope": "author", "repository_id": 9, "environment": "pr-8"}`:     true,
		`{"scope": "repository", "repository_id": 9, "environment": "pr-8"}`: false, // another repository's, and its own is full
		`{"scope": "team", "repository_id": 9, "environment": "pr-8"}`:       false,
		`{"scope": "author", "repository_id": 9, "environment": "pr-9"}`:     false,
		`{"scope": "author", "repository_id": 1, "environment": "pr-8"}`:     false,
		`{"scope": "author", "repository_id": 9, "environment": "staging"}`:  false,
		`{"scope": "author", "repository_id": 9}`:                            false,
	}
	taken := 0
	for take, want := range asked {
		s := open(t)
		s.Guard = policies(t, "own.rego", "package main\n\ndeny contains {\"msg\": \"full\", \"take\": "+take+"} if input.kind == \"Request\"\n")
		s.Live = store.Lives{store.OfRepository: {Count: 2, Idle: idle(t, 7, 2*time.Hour)}, store.OfAuthor: {Count: 2, Idle: idle(t, 8, 2*time.Hour, elsewhere(false))}}
		d := Decide(s, pullRequestEvent("opened"))
		if (len(d.Taken) == 1) != want || (presence(after(s, d)) == previews.Present) != want {
			t.Errorf("%s: %v went: %v", take, went(d), d.Reasons)
		}
		taken += len(d.Taken)
	}
	figure.Tell(t, "a policy asks for %d previews: %d taken, which was the one takeable in its scope", len(asked), taken)
	// Whatever a policy says, two that people are at do not take each other's place.
	s := open(t)
	s.Guard = policies(t, "own.rego", `package main

deny contains {"msg": "full", "take": object.union({"scope": "repository"}, json.filter(input.previews.repository.takeable, ["repository_id", "environment"]))} if {
	input.kind == "Request"
}
`)
	for since, want := range map[time.Duration]int{previews.MinIdle - time.Second: 0, previews.MinIdle: 1} {
		s.Live = store.Lives{store.OfRepository: {Count: 1, Idle: idle(t, 7, since)}}
		if d := Decide(s, pullRequestEvent("opened")); len(d.Taken) != want {
			t.Errorf("idle for %s: %v", since, went(d))
		}
	}
}

// Both pull requests are told, and the audit knows who, by which rule and for whom; what a
// private repository is called is told in no other one.
func TestTakesIsTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                  string
		asking                bool // a private repository asks
		taken                 *previews.Environment
		removal               previews.Removal
		warning, audited, not string
	}{
		{
			name: "in one repository", taken: idle(t, 7, 2*time.Hour),
			removal: previews.Removal{For: "Acme/Web#42", Detail: "not too many previews: ann has 2 of at most 2 previews; that of Acme/Web#7, idle for 2h, may be taken"},
			warning: `to make room the preview of Acme/Web#7 was removed, idle for 2h, as policy "not too many previews" has it`,
			audited: "to make room for Acme/Web#42: policy max_previews (not too many previews: ann has 2 of at most 2 previews",
		},
		{
			name: "for a private one", asking: true, taken: idle(t, 8, 2*time.Hour, elsewhere(false)),
			removal: previews.Removal{Detail: "not too many previews"},
			warning: `to make room the preview of Acme/API#8 was removed`,
			audited: "to make room for Acme/Web#42: policy max_previews",
		},
		{
			name: "of a private one", taken: idle(t, 8, 2*time.Hour, elsewhere(true)),
			removal: previews.Removal{For: "Acme/Web#42", Detail: "not too many previews: ann has 2 of at most 2 previews; one of another repository, idle for 2h, may be taken"},
			warning: `to make room a preview of another repository was removed, idle for 2h`, not: "API",
			audited: "to make room for Acme/Web#42: policy max_previews",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := crowded(t, taking1, store.Lives{store.OfAuthor: {Count: 2, Idle: c.taken}})
			s.PR.Repository.Private = c.asking
			d := Decide(s, pullRequestEvent("opened"))
			if len(d.Taken) != 1 {
				t.Fatalf("%v", d.Reasons)
			}
			gone := d.Taken[0].Environment
			c.removal.Reason, c.removal.At = previews.RemovedEvicted, now
			if !reflect.DeepEqual(gone.Removal, c.removal) || gone.Version != 4 || gone.Wanted != previews.Absent || d.Taken[0].Full[store.OfAuthor] != 2 {
				t.Errorf("removed: %+v\nwant:    %+v", gone.Removal, c.removal)
			}
			warnings := strings.Join(d.Environment.Warnings, "\n")
			if !strings.Contains(warnings, c.warning) || c.not != "" && strings.Contains(warnings, c.not) {
				t.Errorf("the one that comes says %q", warnings)
			}
			i := slices.IndexFunc(d.Audit, func(a AuditEntry) bool { return a.Action == "take" })
			if i < 0 || !strings.Contains(d.Audit[i].Reason, c.audited) || d.Audit[i].Actor.Login != "ann" || d.Audit[i].Environment != gone.Ref.String() || d.Audit[i].SHA != oldSHA || !d.Audit[i].Allowed {
				t.Errorf("audited: %+v", d.Audit)
			}
		})
	}
}

// What was taken stays away until it is asked for or pushed to.
func TestTakenStaysAway(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.Environment = idle(t, 42, 2*time.Hour)
	s.Environment.SHA, s.Environment.HeadSHA = newSHA, newSHA
	if !s.Environment.Take(previews.Removal{For: "acme/web#7"}, now) {
		t.Fatal("it was not taken")
	}
	for name, c := range map[string]struct {
		sha   string
		event Event
		want  previews.Presence
	}{
		"a label":   {newSHA, pullRequestEvent("labeled"), previews.Absent},
		"a sweep":   {newSHA, Event{Kind: EventPullRequest, Name: SweepEvent, Action: "swept", Swept: true, PR: 42}, previews.Absent},
		"a push":    {mainSHA, pullRequestEvent("synchronize"), previews.Present},
		"a command": {newSHA, commentEvent("/idp preview"), previews.Present},
	} {
		if got := presence(with(pushedTo(s, c.sha), c.event)); got != c.want {
			t.Errorf("after %s it is %s", name, got)
		}
	}
}
