package report

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/idp-bot/idp/previews"
)

const day = 24 * time.Hour

// Elapsed words a duration with its two largest units: "0.4s", "14s", "3m10s",
// "2h5m", "3d4h". A negative one is "0s".
func Elapsed(d time.Duration) string {
	switch {
	case d <= 0:
		return "0s"
	case d < 950*time.Millisecond:
		// Never "0.0s": what took time shows some.
		return strconv.FormatFloat(math.Max(d.Seconds(), 0.1), 'f', 1, 64) + "s"
	case d < time.Minute:
		return pair(d.Round(time.Second), time.Minute, "m", time.Second, "s")
	case d < time.Hour:
		return pair(d.Truncate(time.Second), time.Minute, "m", time.Second, "s")
	case d < day:
		return pair(d, time.Hour, "h", time.Minute, "m")
	default:
		return pair(d, day, "d", time.Hour, "h")
	}
}

func pair(d, big time.Duration, bigName string, small time.Duration, smallName string) string {
	switch b, s := d/big, d%big/small; {
	case b == 0:
		return fmt.Sprintf("%d%s", s, smallName)
	case s == 0:
		return fmt.Sprintf("%d%s", b, bigName)
	default:
		return fmt.Sprintf("%d%s%d%s", b, bigName, s, smallName)
	}
}

// Relative words t as seen from now: "in 2 days", "in 1 hour", "3 minutes ago".
func Relative(t, now time.Time) string {
	d := t.Sub(now)
	if d < 0 {
		if d > -time.Minute {
			return "just now"
		}
		return rounded(-d) + " ago"
	}
	if d < time.Minute {
		return "in less than a minute"
	}
	return "in " + rounded(d)
}

func rounded(d time.Duration) string {
	switch {
	case d >= 36*time.Hour:
		return plural(int(math.Round(d.Hours()/24)), "day")
	case d >= 55*time.Minute:
		return plural(int(math.Max(1, math.Round(d.Hours()))), "hour")
	default:
		return plural(int(math.Max(1, math.Round(d.Minutes()))), "minute")
	}
}

// Instant words t absolutely, in UTC: "Tue 24 Nov 18:00 UTC", with the year
// where it is not now's.
func Instant(t, now time.Time) string {
	t, now = t.UTC(), now.UTC()
	if t.Year() != now.Year() {
		return t.Format("Mon 2 Jan 2006 15:04 UTC")
	}
	return t.Format("Mon 2 Jan 15:04 UTC")
}

// Until is Instant and Relative: "Tue 24 Nov 18:00 UTC (in 2 days)".
func Until(t, now time.Time) string { return Instant(t, now) + " (" + Relative(t, now) + ")" }

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// renewed says that the expiry is not the one that came with the revision.
func renewed(e *previews.Environment) bool {
	return e.Pinned || !e.ExpiresAt.Equal(e.PushedAt.Add(e.TTL))
}
