package policy

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A policy's word to let a preview go counts only where nothing of it is missing, wrong or
// too much; anything else breaks the verdict, so that nothing new comes and nothing goes.
func TestTake(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		result string
		want   *Take
		broken string
	}{
		"none":              {`{"msg": "full"}`, nil, ""},
		"whole":             {`{"msg": "full", "take": {"scope": "team", "repository_id": 9, "environment": "pr-7"}}`, &Take{"team", 9, "pr-7"}, ""},
		"in its metadata":   {`{"msg": "full", "metadata": {"take": {"scope": "author", "repository_id": 9, "environment": "pr-7"}}}`, &Take{"author", 9, "pr-7"}, ""},
		"a text":            {`{"msg": "full", "take": "pr-7"}`, nil, "expected {scope, repository_id, environment} and nothing else"},
		"null":              {`{"msg": "full", "take": null}`, nil, "expected {scope, repository_id, environment} and nothing else"},
		"several":           {`{"msg": "full", "take": [{"scope": "team", "repository_id": 9, "environment": "pr-7"}]}`, nil, "and nothing else"},
		"without its scope": {`{"msg": "full", "take": {"repository_id": 9, "environment": "pr-7"}}`, nil, "and nothing else"},
		"more":              {`{"msg": "full", "take": {"scope": "team", "repository_id": 9, "environment": "pr-7", "force": true}}`, nil, "and nothing else"},
		"another scope":     {`{"msg": "full", "take": {"scope": "all", "repository_id": 9, "environment": "pr-7"}}`, nil, "take.scope in its result is all: expected repository, team or author"},
		"a text for a number": {
			`{"msg": "full", "take": {"scope": "team", "repository_id": "9", "environment": "pr-7"}}`, nil, "take.repository_id in its result is 9: expected the number of a repository",
		},
		"half a number": {`{"msg": "full", "take": {"scope": "team", "repository_id": 9.5, "environment": "pr-7"}}`, nil, "take.repository_id in its result is 9.5"},
		"no environment": {
			`{"msg": "full", "take": {"scope": "team", "repository_id": 9, "environment": ["pr-7"]}}`, nil, "take.environment in its result is [pr-7]: expected the name of a preview",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := compiled(t, "a.rego", "package main\n\ndeny contains "+test.result+" if input.kind == \"Request\"\n").Request(request(t, specText))
			if test.broken != "" {
				if v.Broken == nil || !strings.Contains(v.Broken.Error(), test.broken) {
					t.Errorf("broken: %v, want %s", v.Broken, test.broken)
				}
				return
			}
			if v.Broken != nil || len(v.Denied) != 1 {
				t.Fatalf("%+v", v)
			}
			if diff := cmp.Diff(test.want, v.Denied[0].Take); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The starter set names a preview to take by the settings alone, and only one that was
// found to be takeable.
func TestTakeOldest(t *testing.T) {
	t.Parallel()
	takeable := func(idle time.Duration) *Takeable {
		return &Takeable{RepositoryID: 9, Environment: "pr-7", Preview: &Preview{"acme/api", 7}, Idle: idle}
	}
	for name, test := range map[string]struct {
		settings string
		live     Live
		want     *Take
		message  string
	}{
		"as told":        {"take_oldest: true", Live{Count: 1, Takeable: takeable(90 * time.Minute)}, &Take{"author", 9, "pr-7"}, "alice has 1 of at most 1 previews; that of acme/api#7, idle for 1h30m, may be taken"},
		"not told":       {"team: 5", Live{Count: 1, Takeable: takeable(90 * time.Minute)}, nil, "alice has 1 of at most 1 previews"},
		"busy":           {"take_oldest: true", Live{Count: 1, Takeable: takeable(59 * time.Minute)}, nil, ""},
		"busy for less":  {"take_oldest: true, idle_after: 30m", Live{Count: 1, Takeable: takeable(59 * time.Minute)}, &Take{"author", 9, "pr-7"}, ""},
		"idle for less":  {"take_oldest: true, idle_after: 2h", Live{Count: 1, Takeable: takeable(90 * time.Minute)}, nil, ""},
		"none":           {"take_oldest: true", Live{Count: 1, Oldest: &Preview{"acme/api", 7}}, nil, `the one longest idle is that of acme/api#7, where "/idp destroy" makes room`},
		"over the limit": {"take_oldest: true", Live{Count: 2, Takeable: takeable(90 * time.Minute)}, nil, "alice has 2 of at most 1 previews"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := request(t, specText)
			r.Previews.Author = test.live
			v := compiled(t, "settings.yaml", "max_previews: {author: 1, "+test.settings+"}\n").Request(r)
			if v.Broken != nil || len(v.Denied) != 1 || !strings.Contains(v.Denied[0].Message, test.message) {
				t.Fatalf("%+v", v)
			}
			if diff := cmp.Diff(test.want, v.Denied[0].Take); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What a verdict rests on is what is bounded, and everything that a policy of one's own may
// look at.
func TestRoom(t *testing.T) {
	t.Parallel()
	const (
		none   = "max_previews: {repository: 0, team: 0, author: 0}\n"
		limits = "max_previews: {repository: 2, team: 0, author: 3}\n"
	)
	for name, c := range map[string]struct {
		settings, source string
		want             Room
	}{
		"nothing":               {"", "", Room{Most: map[string]int{"repository": 100, "team": 200, "author": 25}, Looks: true}},
		"no limit":              {none, "", Room{Most: map[string]int{}}},
		"one limit":             {"max_previews: {repository: 0, author: 3}\n", "", Room{Most: map[string]int{"team": 200, "author": 3}, Looks: true}},
		"limits":                {limits, "", Room{Most: map[string]int{"repository": 2, "author": 3}, Looks: true}},
		"limits that warn":      {limits + "rules: {max_previews: warn}\n", "", Room{Most: map[string]int{}, Looks: true}},
		"limits that are off":   {limits + "rules: {max_previews: \"off\"}\n", "", Room{Most: map[string]int{}}},
		"another policy":        {none, "deny contains \"x\" if input.environment.name == \"previews\"", Room{Most: map[string]int{}}},
		"a policy that counts":  {limits, "deny contains \"x\" if input.previews.team.count > 5", Room{Most: map[string]int{"repository": 2, "author": 3}, Counted: true, Looks: true}},
		"one that looks at all": {none, "deny contains \"x\" if count(input) > 5", Room{Most: map[string]int{}, Counted: true, Looks: true}},
		"one by a variable":     {none, "deny contains \"x\" if {\n\tsome k\n\tinput[k].team.count > 5\n}", Room{Most: map[string]int{}, Counted: true, Looks: true}},
		"one by another name":   {none, "import input.previews as p\n\ndeny contains \"x\" if p.team.count > 5", Room{Most: map[string]int{}, Counted: true, Looks: true}},
		"one by with":           {none, "deny contains \"x\" if f(input)\n\nf(x) if x.previews.team.count > 5", Room{Most: map[string]int{}, Counted: true, Looks: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := "package main\n\n" + c.source + "\n"
			s := compiled(t, "settings.yaml", c.settings, "a.rego", source)
			if got := s.Room(); !reflect.DeepEqual(got, c.want) {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
	if got := Broken(errors.New("x")).Room(); len(got.Most) > 0 || got.Counted || got.Looks {
		t.Errorf("of none: %+v", got)
	}
}
