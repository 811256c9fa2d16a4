package main

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/previews"
)

// TestPinned asks for each image once, keeps what is known, and goes on without what there is
// no answer for.
func TestPinned(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	s := sourced{pin: func(_ context.Context, reference string) (string, string) {
		asked.Add(1)
		if reference == "away:1" {
			return "", "the registry cannot be reached"
		}
		return "sha256:of-" + reference, ""
	}}
	known := []previews.Pin{{Image: "redis:7.4", Digest: "sha256:before"}, {Image: "gone:1", Why: "not in the registry"}}
	got, err := s.pinned(t.Context(), known, []string{"away:1", "busybox", "gone:1", "redis:7.4"})
	want := []previews.Pin{
		{Image: "redis:7.4", Digest: "sha256:before"}, {Image: "gone:1", Why: "not in the registry"},
		{Image: "away:1", Why: "the registry cannot be reached"}, {Image: "busybox", Digest: "sha256:of-busybox"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil || asked.Load() != 2 {
		t.Errorf("asked %d times, %v (-want +got):\n%s", asked.Load(), err, diff)
	}
	if diff := cmp.Diff(map[string]string{"busybox": "sha256:of-busybox", "redis:7.4": "sha256:before"}, digests(got)); diff != "" {
		t.Error(diff)
	}
	var many []string
	for i := range maxPins + 1 {
		many = append(many, fmt.Sprintf("image:%d", i))
	}
	asked.Store(0)
	if got, err := s.pinned(t.Context(), nil, many); err != nil || asked.Load() != maxPins || len(got) != maxPins {
		t.Errorf("of %d images %d were asked for: %+v, %v", len(many), asked.Load(), got, err)
	} else if notes := tagged(got, []string{"away:1", many[maxPins]}); !slices.Equal(notes, []string{"2 more images keep their tags: no more than 50 are looked up"}) {
		t.Errorf("it is said: %q", notes)
	}
	s.pin = nil
	if got, err := s.pinned(t.Context(), nil, []string{"busybox"}); err != nil || got[0].Digest != "" || got[0].Why == "" {
		t.Errorf("without a registry: %+v, %v", got, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.pinned(ended, nil, []string{"busybox"}); err == nil {
		t.Error("it went on though the program ends")
	}
}
