package main

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews/store"
)

// TestDeliveries lists what was given up, shows it, and has it handled again by a server
// that runs beside.
func TestDeliveries(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, time.November, 23, 12, 0, 0, 0, time.UTC)
	url := "sqlite://" + filepath.Join(secrettest.Dir(t), "idp.db")
	running, err := store.Open(t.Context(), store.Options{URL: url, Retry: []time.Duration{}, Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := running.Close(); err != nil {
			t.Error(err)
		}
	})
	s := served{running, url}
	for guid, payload := range map[string]string{"guid-dead": `{"repository":{"full_name":"acme/web"},"n":1}`, "guid-done": "{}"} {
		if _, err := s.AddDelivery(t.Context(), store.Delivery{GUID: guid, Event: "pull_request", Action: "opened", RepositoryID: 9, PR: 42, Payload: []byte(payload)}); err != nil {
			t.Fatal(err)
		}
	}
	handled := make(chan string, 10)
	var broken atomic.Bool
	broken.Store(true)
	err = s.StartJobs(t.Context(), store.Jobs{Workers: 1, Handle: func(_ context.Context, d store.Delivery) error {
		handled <- d.GUID
		if d.GUID == "guid-dead" && broken.Load() {
			return errors.New("GitHub answered 500\nand more")
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		<-handled
	}
	awaitDelivery(t, s, "guid-dead", store.DeliveryDead)
	awaitDelivery(t, s, "guid-done", store.DeliveryDone)

	const list = `GUID        EVENT                 ABOUT         RECEIVED              STATE   ATTEMPTS   NOTE
guid-dead   pull_request opened   acme/web#42   2026-11-23 12:00:00   dead    1          GitHub answered 500
`
	status, stdout, stderr := s.idp(t, "deliveries", "list")
	if diff := cmp.Diff(list, stdout); status != exitOK || stderr != "" || diff != "" {
		t.Errorf("list: status %d, %s (-want +got):\n%s", status, stderr, diff)
	}
	var all []map[string]any
	if _, stdout, _ = s.idp(t, "deliveries", "list", "--state", "all", "-o", "json"); json.Unmarshal([]byte(stdout), &all) != nil || len(all) != 2 {
		t.Errorf("all of them:\n%s", stdout)
	}
	var one struct {
		Error   string
		Payload struct{ N int }
	}
	if _, stdout, _ = s.idp(t, "deliveries", "show", "guid-dead"); json.Unmarshal([]byte(stdout), &one) != nil || one.Payload.N != 1 || !strings.HasPrefix(one.Error, "GitHub answered 500") {
		t.Errorf("show:\n%s", stdout)
	}

	broken.Store(false)
	status, stdout, stderr = s.idp(t, "deliveries", "replay", "guid-none", "guid-done", "guid-dead")
	const refused = "error: there is no delivery guid-none"
	if status == exitOK || stdout != "guid-dead is handled again\n" || !strings.Contains(stderr, refused) || !strings.Contains(stderr, "guid-done is done, and was left as it is") {
		t.Errorf("replay: status %d\n%s%s", status, stdout, stderr)
	}
	awaitDelivery(t, s, "guid-dead", store.DeliveryDone)
	if status, stdout, stderr := s.idp(t, "deliveries", "replay", "--dead"); status != exitOK || stdout != "" || stderr != "" {
		t.Errorf("replay of none: status %d\n%s%s", status, stdout, stderr)
	}
}

func awaitDelivery(t *testing.T, s served, guid string, state store.DeliveryState) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		d, err := s.Delivery(ctx, guid)
		if err == nil && d.State == state {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s is %s: expected %s (%v)", guid, d.State, state, err)
		}
	}
}
