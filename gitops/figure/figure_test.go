package figure

import (
	"testing"
	"time"
)

// TestCount holds the count of everyday, and of a scale that has to reach the full one.
func TestCount(t *testing.T) {
	for _, tt := range []struct {
		scale                string
		everyday, full, want int
	}{
		{"", 1_000, 100_000, 1_000},
		{"1", 1_000, 100_000, 1_000},
		{"9", 1_000, 100_000, 9_000},
		{"10", 1_000, 100_000, 100_000},
		{"200", 1_000, 100_000, 200_000},
		{"10", 100_000, 1_000_000, 1_000_000},
	} {
		t.Setenv(ScaleVariable, tt.scale)
		if got := Count(t, tt.everyday, tt.full); got != tt.want {
			t.Errorf("%d at a scale of %q, %d in full: counted %d, want %d", tt.everyday, tt.scale, tt.full, got, tt.want)
		}
	}
}

// attributes is a test that keeps what it is told.
type attributes struct {
	testing.TB
	told map[string]string
}

func (a *attributes) Attr(key, value string) { a.told[key] = value }

// TestBound: what a test tells is read again, and is missed above its bound alone.
func TestBound(t *testing.T) {
	for took, missed := range map[time.Duration]bool{
		0: false, 99 * time.Millisecond: false, 100 * time.Millisecond: false, 100*time.Millisecond + 1: true, time.Minute: true,
	} {
		a := &attributes{TB: t, told: map[string]string{}}
		Bound(a, "p99 of \"it\"\nall", took, 100*time.Millisecond)
		got, err := ParseBound(a.told[BoundKey])
		if want := (Measured{"p99 of \"it\"\nall", took, 100 * time.Millisecond}); err != nil || got != want || got.Missed() != missed {
			t.Errorf("told %q, read %+v, missed %v (%v)", a.told[BoundKey], got, got.Missed(), err)
		}
	}
	if got := (Measured{"p99", 1234567 * time.Nanosecond, time.Second}).String(); got != "p99 took 1ms, of 1s at the most" {
		t.Error(got)
	}
	if _, err := ParseBound("9ms"); err == nil {
		t.Error("what is no bound is read")
	}
}
