package api

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops/figure"
)

const images = Root + "/repos/acme/web/images"

var (
	headSHA, mergeSHA, mainSHA = strings.Repeat("a", 40), strings.Repeat("b", 40), strings.Repeat("c", 40)
	digest                     = "sha256:" + strings.Repeat("5", 64)
)

// A run reports the image of the commit that it ran at, or of the head that this would
// merge, and whatever waits for it is told.
func TestReported(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		token, body, sha string
		status           int
		message          string
	}{
		"of a push":                {"push", `{"service":"web","digest":"` + digest + `"}`, mainSHA, 200, ""},
		"of a push, named":         {"push", `{"service":"web","digest":"` + digest + `","sha":"` + mainSHA + `"}`, mainSHA, 200, ""},
		"of a pull request":        {"pull", `{"service":"web","digest":"` + digest + `"}`, headSHA, 200, ""},
		"of what would merge it":   {"pull", `{"service":"web","digest":"` + digest + `","sha":"` + mergeSHA + `"}`, mergeSHA, 200, ""},
		"of the branch beside it":  {"pull", `{"service":"web","digest":"` + digest + `","sha":"` + mainSHA + `"}`, "", 403, "cannot report images of " + mainSHA},
		"of another commit":        {"push", `{"service":"web","digest":"` + digest + `","sha":"` + headSHA + `"}`, "", 403, "cannot report images of " + headSHA},
		"from another repository":  {"elsewhere", `{"service":"web","digest":"` + digest + `"}`, "", 404, "no such repository"},
		"by nobody":                {"", `{"service":"web","digest":"` + digest + `"}`, "", 401, "none of a workflow"},
		"by a person":              {tokenOf("alice"), `{"service":"web","digest":"` + digest + `"}`, "", 401, "none of a workflow"},
		"while GitHub is away":     {"away", `{"service":"web","digest":"` + digest + `"}`, "", 503, "cannot answer"},
		"of no service":            {"push", `{"digest":"` + digest + `"}`, "", 400, "service is not"},
		"of a service in capitals": {"push", `{"service":"Web","digest":"` + digest + `"}`, "", 400, "service is not"},
		"of a tag":                 {"push", `{"service":"web","digest":"latest"}`, "", 400, "digest is not"},
		"of half a commit":         {"push", `{"service":"web","digest":"` + digest + `","sha":"abc"}`, "", 400, "sha is not"},
		"of something else":        {"push", `{"service":"web","digest":"` + digest + `","repository":"acme/api"}`, "", 400, "not the JSON"},
	}
	figure.Tell(t, "%d reports: 4 of a run's own commit, or of the head that this would merge, taken; the others refused", len(cases))
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			var told Refusal
			w := f.send("POST", images, c.token, c.body, nil, &told)
			if w.Code != c.status || !strings.Contains(told.Message, c.message) {
				t.Fatalf("answered %d %s, want %d %q", w.Code, w.Body, c.status, c.message)
			}
			kept := ""
			for _, sha := range []string{headSHA, mergeSHA, mainSHA} {
				if found, err := f.store.ReportedImage(t.Context(), 9, sha, "web"); err != nil || found != "" && sha != c.sha {
					t.Errorf("of %s is kept %q (%v)", sha, found, err)
				} else if found != "" {
					kept = found
				}
			}
			deliveries := f.deliveries()
			if (kept == digest) != (c.sha != "") || (len(deliveries) == 1) != (c.sha != "") {
				t.Fatalf("kept %q, and %d deliveries", kept, len(deliveries))
			}
			if c.sha != "" && (deliveries[0].Event != "idp_image" || !strings.Contains(string(deliveries[0].Payload), c.sha)) {
				t.Errorf("told %s", deliveries[0].Payload)
			}
		})
	}
}

// The report that came last counts, and its workflow is in the audit log.
func TestReportedAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	other := "sha256:" + strings.Repeat("6", 64)
	for _, d := range []string{digest, other} {
		if w := f.send("POST", images, "push", `{"service":"web","digest":"`+d+`"}`, nil, nil); w.Code != http.StatusOK {
			t.Fatalf("answered %d %s", w.Code, w.Body)
		}
	}
	kept, err := f.store.ReportedImage(t.Context(), 9, mainSHA, "web")
	log, err2 := f.store.AuditLog(t.Context(), storeFilter())
	if err := errors.Join(err, err2); err != nil || kept != other || len(log) != 2 || log[0].ActorID != 1 || log[0].Reason != other+" by ci.yml, run 7" {
		t.Errorf("kept %q, audited %+v (%v)", kept, log, err)
	}
}

// Each way in is there where it was configured, and only there.
func TestWaysIn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		clientID, url    string
		commands, images bool
	}{
		"both": {"Iv1.0", "https://idp.example.com", true, true}, "people alone": {"Iv1.0", "", true, false}, "workflows alone": {"", "https://idp.example.com", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			o := f.api.options
			o.ClientID, o.PublicURL = c.clientID, c.url
			var err error
			if f.api, err = New(o); err != nil {
				t.Fatal(err)
			}
			var told Description
			f.send("GET", Root, "", "", nil, &told)
			for path, there := range map[string]bool{commands: c.commands, images: c.images} {
				if code := f.send("POST", path, "", "{}", nil, nil).Code; (code == http.StatusUnauthorized) != there {
					t.Errorf("%s answers %d", path, code)
				}
			}
			if (told.Commands != "") != c.commands || (told.Images != "") != c.images || told.Audience != c.url || told.ClientID != c.clientID {
				t.Errorf("told %+v", told)
			}
		})
	}
	if _, err := New(Options{Store: newFixture(t).store, GitHub: &github{}, Sources: &sources{}}); err == nil {
		t.Error("an API of nothing")
	}
}

var workflows = map[string]Workflow{
	"push":      {RepositoryID: 9, SHA: mainSHA, Actor: bot.Actor{ID: 1, Login: "alice"}, Run: "ci.yml, run 7"},
	"pull":      {RepositoryID: 9, SHA: mergeSHA, OfPull: true, Actor: bot.Actor{ID: 1, Login: "alice"}, Run: "ci.yml, run 7"},
	"elsewhere": {RepositoryID: 10, SHA: mainSHA, Actor: bot.Actor{ID: 1, Login: "alice"}, Run: "ci.yml, run 7"},
}
