package bot_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops/platform"
)

// TestPushersAreRead: who pushed is asked of GitHub where a class gives something by it,
// once for each commit, and waited for where GitHub does not know it yet.
func TestPushersAreRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.event("1"))
	w.equal("asked before there is anything to give", w.asked(), "0")
	w.handler.Class.Name = "preview"
	w.handler.Platform = func(context.Context) (platform.Platform, error) {
		class := platform.Class{Name: "preview", Objects: []platform.BaseObjects{{For: []platform.Trust{platform.TrustMember}}}}
		return platform.Platform{Classes: map[string]platform.Class{"preview": class}}, nil
	}
	w.handle(w.event("2"))
	w.handle(w.event("3"))
	w.equal("trust", string(w.row().Trust), "member")
	w.equal("asked for one commit", w.asked(), "1")

	w.pr.Push("renovate[bot]", map[string]string{"go.mod": "evil"})
	w.handle(w.event("4"))
	w.equal("trust after a bot's push", string(w.row().Trust), "bot")
	w.pr.Push("alice", map[string]string{"go.mod": "good"})
	w.handle(w.event("5"))
	w.equal("trust after a member's", string(w.row().Trust), "member")

	w.pr.Push("alice", map[string]string{"a.txt": "b"})
	late := githubtest.Fault{Method: "GET", Path: "/repos/acme/web/activity", Status: 200, Body: "[]", Times: 2}
	w.github.Inject(late)
	e := w.event("6")
	err := w.handler.Handle(t.Context(), e)
	var wait interface{ RetryAfter() time.Duration }
	if wait, _ = err.(interface{ RetryAfter() time.Duration }); wait == nil || !strings.Contains(err.Error(), "who pushed") {
		t.Fatalf("it does not wait: %v", err)
	}
	w.clock.Advance(2 * time.Minute)
	w.handle(e)
	w.equal("trust of a push that GitHub never tells of", string(w.row().Trust), "")
	w.handle(w.event("7", func(e *bot.Event) { e.Action = "labeled" }))
	w.equal("trust once it does", string(w.row().Trust), "member")
}

// asked is how often GitHub was asked who pushed.
func (w *world) asked() string {
	n := 0
	for _, r := range w.github.Requests() {
		if strings.HasSuffix(r.Path, "/activity") {
			n++
		}
	}
	return string(rune('0' + n))
}
