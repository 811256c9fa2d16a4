package spec

import (
	"math"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]time.Duration{
		"7d": 7 * day, "1d12h": 36 * time.Hour, "90m": 90 * time.Minute, "10s": 10 * time.Second,
		"1d2h3m4s": 26*time.Hour + 3*time.Minute + 4*time.Second, "0s": 0, "007d": 7 * day, "3650d": maxDuration,
	} {
		if got, err := ParseDuration(in); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", in, got, err, want)
		}
	}
}

func TestParseDurationErrors(t *testing.T) {
	t.Parallel()
	const form = ": expected days, hours, minutes and seconds, such as 7d, 1d12h or 90s"
	for in, want := range map[string]string{
		"":                      `"" is not a duration` + form,
		"7":                     `"7" is not a duration` + form,
		"d":                     `"d" is not a duration` + form,
		"-7d":                   `"-7d" is not a duration` + form,
		"5m1h":                  `"5m1h" is not a duration: did you mean "1h5m"?`,
		"1h1h":                  `"1h1h" is not a duration: did you mean "2h"?`,
		"2W":                    `"2W" is not a duration: did you mean "14d"?`,
		"1.5d":                  `"1.5d" is not a duration: did you mean "1d12h"?`,
		"1 hour 30 min":         `"1 hour 30 min" is not a duration: did you mean "1h30m"?`,
		"500ms":                 `"500ms" is not a duration` + form,
		"3651d":                 `"3651d" is too long: expected at most 3650d`,
		"3650d1s":               `"3650d1s" is too long: expected at most 3650d`,
		"99999999999999999999h": `"99999999999999999999h" is too long: expected at most 3650d`,
	} {
		if got, err := ParseDuration(in); err == nil || err.Error() != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %s", in, got, err, want)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	t.Parallel()
	for in, want := range map[time.Duration]string{
		0: "0s", 7 * day: "7d", 36 * time.Hour: "1d12h", 90 * time.Second: "1m30s", 1500 * time.Millisecond: "1s",
		time.Millisecond: "0s", -time.Millisecond: "0s", -90 * time.Minute: "-1h30m",
		math.MinInt64: "-106751d23h47m16s", math.MaxInt64: "106751d23h47m16s",
	} {
		if got := FormatDuration(in); got != want {
			t.Errorf("FormatDuration(%d) = %q, want %q", in, got, want)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"7d", "1d12h", "90s", "-1d", "1.5h", "2 weeks", "99999999999999999999d", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDuration(s)
		if err != nil {
			return
		}
		if d < 0 || d > maxDuration {
			t.Fatalf("ParseDuration(%q) = %v, out of bounds", s, d)
		}
		if again, err := ParseDuration(FormatDuration(d)); err != nil || again != d {
			t.Fatalf("%q is %v, formatted and read %v, %v", s, d, again, err)
		}
	})
}
