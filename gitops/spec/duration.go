package spec

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	day = 24 * time.Hour
	// maxDuration bounds every duration, far from what overflows.
	maxDuration = 3650 * day
)

var (
	durationForm = regexp.MustCompile(`^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$`)
	looseForm    = regexp.MustCompile(`(?i)^(?:\s*(\d+(?:\.\d+)?)\s*(w|weeks?|d|days?|h|hrs?|hours?|m|mins?|minutes?|s|secs?|seconds?))+\s*$`)
	loosePart    = regexp.MustCompile(`(?i)(\d+(?:\.\d+)?)\s*([a-z])[a-z]*`)
)

// ParseDuration reads whole numbers of days, hours, minutes and seconds in that
// order, such as "7d", "1d12h" or "90m": no sign, no fraction, no other unit. A
// day is 24 hours. The error says what was expected and, where it can be told,
// what was meant.
func ParseDuration(s string) (time.Duration, error) {
	parts := durationForm.FindStringSubmatch(s)
	if parts == nil || s == "" {
		return 0, notDuration(s)
	}
	var total time.Duration
	for i, unit := range []time.Duration{day, time.Hour, time.Minute, time.Second} {
		if parts[i+1] == "" {
			continue
		}
		n, err := strconv.ParseInt(parts[i+1], 10, 64)
		if err != nil || n > int64(maxDuration/unit) {
			return 0, fmt.Errorf("%s is too long: expected at most %s", quote(s), FormatDuration(maxDuration))
		}
		total += time.Duration(n) * unit
	}
	if total > maxDuration {
		return 0, fmt.Errorf("%s is too long: expected at most %s", quote(s), FormatDuration(maxDuration))
	}
	return total, nil
}

// notDuration explains why s is no duration.
func notDuration(s string) error {
	msg := quote(s) + " is not a duration: "
	if meant := looseDuration(s); meant > 0 {
		return &suggested{msg: msg + "did you mean " + quote(FormatDuration(meant)) + "?", meant: FormatDuration(meant)}
	}
	return fmt.Errorf("%sexpected days, hours, minutes and seconds, such as 7d, 1d12h or 90s", msg)
}

// looseDuration returns what s most likely means, 0 when there is no telling.
func looseDuration(s string) time.Duration {
	if len(s) > 64 || !looseForm.MatchString(s) {
		return 0
	}
	units := map[string]time.Duration{"w": 7 * day, "d": day, "h": time.Hour, "m": time.Minute, "s": time.Second}
	var seconds float64
	for _, part := range loosePart.FindAllStringSubmatch(s, -1) {
		n, err := strconv.ParseFloat(part[1], 64)
		if err != nil {
			return 0
		}
		seconds += n * units[strings.ToLower(part[2])].Seconds()
	}
	if seconds > maxDuration.Seconds() {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// FormatDuration writes d the way ParseDuration reads it, in whole seconds
// rounded towards zero: "1d12h", "90s" as "1m30s", "0s". A negative duration,
// which ParseDuration refuses, starts with "-".
func FormatDuration(d time.Duration) string {
	d = d.Truncate(time.Second)
	if d < 0 {
		return "-" + FormatDuration(-d)
	}
	var b strings.Builder
	for _, u := range []struct {
		size time.Duration
		name string
	}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if n := d / u.size; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u.name)
			d -= n * u.size
		}
	}
	if b.Len() == 0 {
		return "0s"
	}
	return b.String()
}
