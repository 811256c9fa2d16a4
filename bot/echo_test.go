package bot_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/previews/store"
)

// TestOwnOutput posts all that idp ever says, and the commands that it was said to, as
// comments by the bot and as quotes by somebody who may do everything, and what it says
// without the quotes as well, five times over or, by the scale of tests, a hundred: nothing
// comes of it.
func TestOwnOutput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.event("opened"))
	said := reportsOf(t)
	answers, commands := w.answers()
	said = distinct(append(said, answers...))
	w.repo.Grant("alice", "admin")
	type echo struct {
		by     bot.Actor
		viaApp int64
		body   string
	}
	alice := w.person("alice")
	var echoes []echo
	for _, body := range append(said, commands...) {
		echoes = append(echoes, echo{bot.Actor{ID: 70, Login: "idp[bot]", Bot: true}, w.app.ID(), body}, echo{alice, 0, "> " + strings.ReplaceAll(body, "\n", "\n> ")})
	}
	for _, body := range said {
		echoes = append(echoes, echo{alice, 0, body})
	}
	ids := make([]int64, len(echoes))
	for i, e := range echoes {
		if e.viaApp == 0 {
			ids[i] = w.comment("alice", e.body)
		} else {
			ids[i] = w.posts(e.body)
		}
	}
	before := w.traces()
	rounds := figure.Count(t, 5, 100)
	for round := range rounds {
		for i, e := range echoes {
			comment := &bot.Comment{ID: ids[i], Body: e.body, ViaApp: e.viaApp}
			if round > 0 { // as new as the first time
				comment.ID = int64(round)<<32 + ids[i]
			}
			guid := fmt.Sprintf("echo-%d-%d", round, i)
			w.handle(w.event(guid, func(event *bot.Event) {
				event.Kind, event.Name, event.Action, event.Actor, event.Comment = bot.EventComment, "issue_comment", "created", e.by, comment
			}))
		}
		w.speak()
		if after := w.traces(); after != before {
			t.Fatalf("in round %d something came of idp's own words: %s, and before %s", round+1, after, before)
		}
	}
	figure.Tell(t, "%d of idp's own words and %d commands, by the bot, quoted and repeated, %d times over: %d comments handled, 0 new comments, 0 effects", len(said), len(commands), rounds, rounds*len(echoes))
}

func distinct(texts []string) []string {
	slices.Sort(texts)
	return slices.Compact(texts)
}

// reportsOf are the comments, and what checks say, in every golden file of the reports.
func reportsOf(t *testing.T) (out []string) {
	t.Helper()
	files, err := filepath.Glob("report/testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			if strings.HasSuffix(f.Name, ".md") && strings.TrimSpace(string(f.Data)) != "" {
				out = append(out, string(f.Data))
			}
		}
	}
	if len(out) < 2*len(files) || len(files) < 50 {
		t.Fatalf("%d texts in %d golden files", len(out), len(files))
	}
	return out
}

// answers has every command given, by somebody who may and by somebody who may not, with
// and without an argument, and returns what idp replied and the commands.
func (w *world) answers() (replies, commands []string) {
	w.Helper()
	names := []string{"", "nope"}
	for _, c := range bot.Commands() {
		names = append(names, c.Name())
	}
	for _, permission := range []string{"read", "write"} {
		w.repo.Grant("alice", permission)
		for _, name := range names {
			for _, argument := range []string{"", " 24h", " " + w.pr.HeadSHA(), " staging", " `x` @alice"} {
				command := "/idp " + name + argument
				commands = append(commands, command)
				w.handle(w.said(fmt.Sprint("command-", permission, len(commands)), command))
			}
		}
	}
	w.speak()
	for _, c := range w.mine("") {
		replies = append(replies, c.Body)
	}
	if len(replies) < len(names) {
		w.Fatalf("%d replies to %d commands", len(replies), len(commands))
	}
	return replies, distinct(commands)
}

// posts is a comment of the bot's own.
func (w *world) posts(body string) int64 {
	w.Helper()
	id, err := w.client.Installation(w.install.ID()).CreateComment(w.Context(), w.ref(), 1, body)
	if err != nil {
		w.Fatal(err)
	}
	return id
}

// traces counts what idp said, did and wrote down.
func (w *world) traces() string {
	w.Helper()
	reactions := 0
	comments := w.pr.Comments()
	for _, c := range comments {
		reactions += len(c.Reactions)
	}
	audit, err := w.store.AuditLog(w.Context(), store.AuditFilter{})
	if err != nil {
		w.Fatal(err)
	}
	return fmt.Sprintf("%d comments, %d reactions, %d entries of the audit, version %d", len(comments), reactions, len(audit), w.row().Version)
}
