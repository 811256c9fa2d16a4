package figure

import "testing"

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
