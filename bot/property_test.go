package bot

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/previews"
)

var specTexts = []string{
	"", service, "service: {nmae: web}\n",
	service + "preview: {trigger: label}\n", service + "preview: {trigger: command, drafts: false}\n",
	service + "preview: {enabled: false}\n", service + "preview: {paths: [\"x/**\"], ttl: 30d}\n", service + "preview: {ignoreLabels: [\"wip\"]}\n",
}

// facts draws what a pull request may look like at some moment.
func facts(t *rapid.T, s Snapshot) Snapshot {
	flag := func(name string) bool { return rapid.Bool().Draw(t, name) }
	s.PR.Open = flag("open")
	s.PR.Merged = !s.PR.Open && flag("merged")
	s.PR.Draft, s.PR.Author.Bot = flag("draft"), flag("bot")
	s.PR.Fork = rapid.IntRange(0, 3).Draw(t, "fork") == 0
	s.PR.HeadSHA = strings.Repeat(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "head"), 40)
	s.PR.Labels = rapid.SliceOfN(rapid.SampledFrom([]string{"preview", "wip", "bug"}), 0, 3).Draw(t, "labels")
	s.Spec = specAt(rapid.SampledFrom(specTexts).Draw(t, "spec"))
	s.Base = specAt(rapid.SampledFrom(specTexts).Draw(t, "base"))
	s.ChangedFiles = rapid.SampledFrom([][]string{nil, {"x/y"}, {"z"}}).Draw(t, "files")
	s.Permission = rapid.SampledFrom([]access.Permission{access.None, access.Read, access.Write, access.Admin}).Draw(t, "permission")
	s.Class.BotPreviews = flag("bot previews")
	s.Now = s.Now.Add(time.Duration(rapid.IntRange(0, 7200).Draw(t, "seconds")) * time.Second)
	return s
}

func anyEvent(t *rapid.T) Event {
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 4:
		identifier := rapid.SampledFrom([]string{"approve", "redeploy", "destroy", "nope"}).Draw(t, "button")
		sha := strings.Repeat(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "of"), 40)
		return buttonEvent(identifier, sha)
	case 0:
		line := rapid.SampledFrom([]string{"approve " + strings.Repeat("a", 40), "approve " + strings.Repeat("b", 40), "preview", "extend 24h", "extend 90d", "pin", "unpin", "destroy", "status", "help", "nope", "extend x"})
		return commentEvent("/idp " + strings.Join(rapid.SliceOfN(line, 1, 12).Draw(t, "commands"), "\n/idp "))
	case 1:
		e := pullRequestEvent("rerequested")
		e.Kind = EventRerequest
		return e
	default:
		e := pullRequestEvent(rapid.SampledFrom([]string{"opened", "closed", "edited", "labeled", "converted_to_draft", "reopened"}).Draw(t, "action"))
		e.Swept = rapid.Bool().Draw(t, "swept")
		return e
	}
}

// TestProperties draws histories of facts and events and holds, after each, what
// must hold of every decision.
func TestProperties(t *testing.T) {
	t.Parallel()
	base := open(t)
	rapid.Check(t, func(t *rapid.T) {
		s := base
		for range rapid.IntRange(1, 12).Draw(t, "events") {
			s = facts(t, s)
			event := anyEvent(t)
			before := encode(t, s)
			d := Decide(s, event)
			if !reflect.DeepEqual(d, Decide(s, event)) {
				t.Fatalf("two decisions about the same: %q", d.Reasons)
			}
			if !bytes.Equal(before, encode(t, s)) {
				t.Fatalf("the snapshot was changed: %q", d.Reasons)
			}
			sound(t, s, d)
			s = after(s, d)
			settled(t, s)
			if rapid.Bool().Draw(t, "committed") && s.Environment != nil && s.Environment.Wanted == previews.Present {
				s = deployed(s)
			}
		}
	})
}

func encode(t *rapid.T, s Snapshot) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sound holds of one decision on its snapshot.
func sound(t *rapid.T, s Snapshot, d Decision) {
	old, row := s.Environment, d.Environment
	if row != nil {
		asks := row.Wanted == previews.Present && (old == nil || old.Wanted != previews.Present || old.SHA != row.SHA)
		if asks && (!s.PR.Open || s.trusted() == nil || row.SHA != s.PR.HeadSHA || s.PR.Fork && row.Fork.Approved.SHA != row.SHA) {
			t.Fatalf("asks for %s of open %v, fork %v: %q", row.SHA, s.PR.Open, s.PR.Fork, d.Reasons)
		}
		if old != nil && (row.Generation < old.Generation || row.Version != old.Version || row.Ref != old.Ref) {
			t.Fatalf("generation, version or identity of %+v went to %+v", old, row)
		}
		if row.Wanted == previews.Present && !row.Pinned && row.ExpiresAt.IsZero() {
			t.Fatalf("neither pinned nor with an expiry: %q", d.Reasons)
		}
		if limit := s.Now.Add(s.Class.MaxTTL); row.ExpiresAt.After(limit) && (old == nil || row.ExpiresAt.After(old.ExpiresAt)) {
			t.Fatalf("expires %v, beyond %v: %q", row.ExpiresAt, limit, d.Reasons)
		}
	}
	for _, e := range d.Effects {
		if e.Kind == EffectReply && (len(Parse(e.Content)) > 0 || e.Content == "" || len(e.Content) > 65_000) {
			t.Fatalf("a reply that cannot be written, or would be run: %q", e.Content)
		}
	}
}

// settled holds that looking again, with nothing new, changes nothing.
func settled(t *rapid.T, s Snapshot) {
	first := with(s, pullRequestEvent("edited"))
	if d := Decide(first, pullRequestEvent("edited")); d.Environment != nil || len(d.Effects) > 0 {
		t.Fatalf("deciding again changes something: %q", d.Reasons)
	}
	if !s.PR.Open && presence(first) == previews.Present {
		t.Fatal("a closed pull request keeps its preview")
	}
}
