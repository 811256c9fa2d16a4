package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

func testDeliveries(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	want := store.Delivery{
		GUID: "one", Event: "pull_request", Action: "opened", InstallationID: 5, RepositoryID: 7, PR: 42,
		Payload: []byte(`{"a":"\u0000"}`), ReceivedAt: clock.Now(), State: store.DeliveryPending, Seq: 1,
	}
	Deliver(t, s, want)
	Deliver(t, s, store.Delivery{GUID: "two", RepositoryID: 7, PR: 43})
	Deliver(t, s, store.Delivery{GUID: "three", RepositoryID: 7, PR: 42})
	if stored, err := s.AddDelivery(t.Context(), store.Delivery{GUID: "one"}); err != nil || stored {
		t.Errorf("the same GUID again: stored %v, error %v", stored, err)
	}
	got, err := s.Delivery(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("delivery (-want +got):\n%s", diff)
	}
	pending, err := s.PendingDeliveries(t.Context(), 7, 42)
	if err != nil || len(pending) != 2 || pending[0].GUID != "one" || pending[1].GUID != "three" {
		t.Errorf("pending: %v, %v", pending, err)
	}
	if _, err := s.Delivery(t.Context(), "none"); !errors.Is(err, previews.ErrNotFound) {
		t.Errorf("unknown GUID: %v", err)
	}
}

// Many at once share transactions; each is stored once, and its caller knows.
func testDeliveriesTogether(t *testing.T, open Open) {
	s := open(t, store.Options{})
	const guids, copies = 200, 3
	stored := make([]bool, guids*copies)
	var group errgroup.Group
	for i := range stored {
		group.Go(func() (err error) {
			stored[i], err = s.AddDelivery(t.Context(), store.Delivery{GUID: fmt.Sprint("guid-", i%guids), RepositoryID: 1, PR: 1})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	first := map[int]int{}
	for i, fresh := range stored {
		if fresh {
			first[i%guids]++
		}
	}
	pending, err := s.PendingDeliveries(t.Context(), 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(first) != guids || len(pending) != guids {
		t.Errorf("%d GUIDs were told to be stored and %d are, want %d", len(first), len(pending), guids)
	}
	for guid, n := range first {
		if n != 1 {
			t.Errorf("guid-%d was told to be stored %d times", guid, n)
		}
	}
}

// Answers are those of one delivery and kind, in their order, done or not.
func testAnswers(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	for guid, effects := range map[string][]store.Effect{
		"one":   {{Kind: "answer", Content: "first"}, {Kind: "reply", Content: "a comment"}, {Kind: "answer", Content: "second"}},
		"other": {{Kind: "answer", Content: "another's"}},
	} {
		Deliver(t, s, store.Delivery{GUID: guid})
		if err := s.Apply(t.Context(), store.Outcome{Delivery: guid, Effects: effects}); err != nil {
			t.Fatal(err)
		}
	}
	pending, err := s.PendingEffects(t.Context(), clock.Now(), 10)
	if err != nil || len(pending) != 2 {
		t.Fatalf("pending: %v, %v", pending, err)
	}
	if err := s.FinishEffect(t.Context(), pending[0].ID); err != nil {
		t.Fatal(err)
	}
	for guid, want := range map[string]string{"one": "[first second]", "other": "[another's]", "none": "[]"} {
		if got, err := s.Answers(t.Context(), guid, "answer"); err != nil || fmt.Sprint(got) != want {
			t.Errorf("answers to %s: %v, %v, want %s", guid, got, err, want)
		}
	}
}

// What was reported of an image is what was reported last, of that commit and service of
// that repository, until it is forgotten.
func testImageReports(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	report := func(repository int64, sha, service, digest string) {
		t.Helper()
		r := previews.ImageReport{RepositoryID: repository, SHA: sha, Service: service, Digest: digest, Run: "ci.yml, run 1"}
		if err := s.ReportImage(t.Context(), r, previews.Audit{Actor: "ada", Action: "report image " + service, Allowed: true, Rule: "a rule"}); err != nil {
			t.Fatal(err)
		}
	}
	report(7, "a", "web", "old")
	report(7, "a", "api", "api's")
	report(7, "b", "web", "b's")
	report(8, "a", "web", "another's")
	report(7, "a", "web", "new")
	holds := func(want string) {
		t.Helper()
		got, err := s.ReportedImage(t.Context(), 7, "a", "web")
		if err != nil || got != want {
			t.Errorf("reported is %q (%v), want %q", got, err, want)
		}
	}
	holds("new")
	log, err := s.AuditLog(t.Context(), store.AuditFilter{Action: "report"})
	if err != nil || len(log) != 5 || log[0].Rule != "a rule" || log[0].Hash != log[0].Sum() {
		t.Errorf("audited %+v (%v)", log, err)
	}
	clock.Advance(181 * 24 * time.Hour)
	report(7, "a", "web", "newest")
	if pruned, err := s.Prune(t.Context()); err != nil || pruned.Images != 3 {
		t.Errorf("pruned %+v (%v)", pruned, err)
	}
	holds("newest")
}

// Of what is said once only the first outcome's effects are written; all else of each is.
func testSaidOnce(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	for _, guid := range []string{"first", "again"} {
		Deliver(t, s, store.Delivery{GUID: guid})
		err := s.Apply(t.Context(), store.Outcome{
			Delivery: guid, SaidOnce: "name taken 7/42", Result: "said", Effects: []store.Effect{{Kind: "reply", Content: guid}},
			Audit: []previews.Audit{{Actor: "idp", Action: guid}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if d, err := s.Delivery(t.Context(), guid); err != nil || d.State != store.DeliveryDone || d.Result != "said" {
			t.Errorf("%s: %s %q, %v", guid, d.State, d.Result, err)
		}
		if log, err := s.AuditLog(t.Context(), store.AuditFilter{Delivery: guid}); err != nil || len(log) != 1 {
			t.Errorf("%s: %d entries, %v", guid, len(log), err)
		}
	}
	said, err := s.PendingEffects(t.Context(), clock.Now(), 10)
	if err != nil || len(said) != 1 || said[0].Content != "first" {
		t.Errorf("said %+v, %v", said, err)
	}
}

func testPrune(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	Deliver(t, s, store.Delivery{GUID: "done", Payload: []byte("{}")})
	Deliver(t, s, store.Delivery{GUID: "pending", Payload: []byte("{}")})
	if err := s.Apply(t.Context(), store.Outcome{Delivery: "done", Effects: []store.Effect{{Kind: "reply"}}}); err != nil {
		t.Fatal(err)
	}
	effects, err := s.PendingEffects(t.Context(), clock.Now(), 10)
	if err != nil || len(effects) != 1 {
		t.Fatalf("effects: %v, %v", effects, err)
	}
	if err := s.FinishEffect(t.Context(), effects[0].ID); err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		after time.Duration
		want  store.Pruned
	}{
		{48 * time.Hour, store.Pruned{}},
		{25 * time.Hour, store.Pruned{Payloads: 1}},
		{26 * 24 * time.Hour, store.Pruned{}},
		{25 * time.Hour, store.Pruned{Deliveries: 1, Effects: 1}},
	}
	for _, step := range steps {
		clock.Advance(step.after)
		if got, err := s.Prune(t.Context()); err != nil || got != step.want {
			t.Errorf("at %s: pruned %+v, want %+v (error %v)", clock.Now(), got, step.want, err)
		}
		d, err := s.Delivery(t.Context(), "pending")
		if err != nil || string(d.Payload) != "{}" {
			t.Errorf("the pending delivery lost something: %+v, %v", d, err)
		}
	}
}

func testMetrics(t *testing.T, open Open) {
	registry := prometheus.NewRegistry()
	s := open(t, store.Options{Registerer: registry})
	Deliver(t, s, store.Delivery{GUID: "waits"})
	Add(t, s, Preview(1, 1, time.Now()))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.Metric {
			name := family.GetName()
			for _, label := range metric.Label {
				name += "/" + label.GetValue()
			}
			got[name] = metric.GetGauge().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"idp_queue_depth": 1, "idp_deliveries_dead": 0, "idp_effects_pending": 0, "idp_breaker_latched": 0, "idp_paused": 0,
		"idp_environments/waiting": 1, "idp_environments/ready": 0,
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s is %v (there: %v), want %v", name, value, ok, want)
		}
	}
	if _, ok := got["idp_store_seconds/apply"]; !ok {
		t.Error("idp_store_seconds does not time apply")
	}
}
