package githubtest

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Limits are the rate limits of one credential; 0 means none
// (docs.github.com, "Rate limits for the REST API").
type Limits struct {
	PerHour          int // primary: requests, 304s excepted
	PointsPerMinute  int // secondary: a read costs 1, a write 5
	ContentPerMinute int // secondary: content-creating requests
	ContentPerHour   int
}

// DefaultLimits enforces the primary limit alone, so that a test that is not
// about pace needs no clock of its own.
func DefaultLimits() Limits { return Limits{PerHour: 5000} }

// GitHubLimits returns all of github.com's published limits.
func GitHubLimits() Limits {
	return Limits{PerHour: 5000, PointsPerMinute: 900, ContentPerMinute: 80, ContentPerHour: 500}
}

// budget is what a credential has used.
type budget struct {
	used   int
	reset  time.Time
	recent []expense
}

type expense struct {
	at      time.Time
	points  int
	content bool
}

// ban is a window in which a credential is refused whatever it asks.
type ban struct {
	until  time.Time
	status int
}

func (s *Server) budget(who credential) *budget {
	now := s.opts.Now()
	b := s.budgets[who.String()]
	if b == nil {
		b = &budget{}
		s.budgets[who.String()] = b
	}
	if !now.Before(b.reset) {
		b.used, b.reset = 0, now.Add(time.Hour)
	}
	return b
}

// free lists the routes that cost nothing.
func (c *call) free() bool {
	return c.route != nil && c.route.template == "/rate_limit"
}

// spend counts the call, or refuses it where a limit is reached. GET /rate_limit
// is free.
func (s *Server) spend(c *call) *reply {
	if c.free() {
		return nil
	}
	b, now := s.budget(c.cred), s.opts.Now()
	if s.opts.Limits.PerHour > 0 && b.used >= s.opts.Limits.PerHour {
		return refuse(http.StatusForbidden, "API rate limit exceeded for "+c.cred.String()+".")
	}
	cost := expense{at: now, points: 1}
	if c.request.Method != http.MethodGet {
		cost.points = 5
		cost.content = c.request.Method == http.MethodPost && c.route != nil && c.route.need.kind == needRepository
	}
	b.recent = slices.DeleteFunc(b.recent, func(e expense) bool { return now.Sub(e.at) >= time.Hour })
	if wait := s.overSecondary(b, cost); wait > 0 {
		s.ban(c.cred, http.StatusForbidden, wait)
		refusal := secondaryLimit(http.StatusForbidden)
		refusal.header = http.Header{"Retry-After": {seconds(wait)}}
		return refusal
	}
	b.used++
	b.recent = append(b.recent, cost)
	return nil
}

// overSecondary returns how long to wait where the cost would pass a limit.
func (s *Server) overSecondary(b *budget, cost expense) time.Duration {
	var points, minute, hour int
	for _, e := range b.recent {
		young := cost.at.Sub(e.at) < time.Minute
		if young {
			points += e.points
		}
		if e.content {
			hour++
			if young {
				minute++
			}
		}
	}
	limits := s.opts.Limits
	switch {
	case limits.PointsPerMinute > 0 && points+cost.points > limits.PointsPerMinute:
		return time.Minute
	case cost.content && limits.ContentPerMinute > 0 && minute >= limits.ContentPerMinute:
		return time.Minute
	case cost.content && limits.ContentPerHour > 0 && hour >= limits.ContentPerHour:
		return 10 * time.Minute
	}
	return 0
}

func (s *Server) refund(c *call) {
	if !c.free() && c.cred != (credential{}) {
		b := s.budget(c.cred)
		b.used = max(0, b.used-1)
	}
}

// limitHeaders tells what is left, after the call.
func (s *Server) limitHeaders(c *call, header http.Header) {
	b := s.budget(c.cred)
	limit := s.limit()
	header.Set("X-RateLimit-Limit", strconv.Itoa(limit))
	header.Set("X-RateLimit-Remaining", strconv.Itoa(max(0, limit-b.used)))
	header.Set("X-RateLimit-Used", strconv.Itoa(b.used))
	header.Set("X-RateLimit-Reset", strconv.FormatInt(b.reset.Unix(), 10))
	header.Set("X-RateLimit-Resource", "core")
}

// limit is the primary limit to show: a very large one stands for none.
func (s *Server) limit() int {
	if s.opts.Limits.PerHour > 0 {
		return s.opts.Limits.PerHour
	}
	return 1_000_000
}

func secondaryLimit(status int) *reply {
	r := refuse(status, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.")
	r.body.(object)["documentation_url"] = docs + "/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"
	return r
}

// ban opens a window for 403 and 429 with a Retry-After.
func (s *Server) ban(who credential, status int, wait time.Duration) {
	if wait > 0 && (status == http.StatusForbidden || status == http.StatusTooManyRequests) {
		s.bans[who.String()] = ban{until: s.opts.Now().Add(wait), status: status}
	}
}

// banned returns the refusal where the credential is within a ban window.
func (s *Server) banned(who credential) *reply {
	b, ok := s.bans[who.String()]
	left := b.until.Sub(s.opts.Now())
	if !ok || left <= 0 {
		return nil
	}
	refusal := secondaryLimit(b.status)
	refusal.header = http.Header{"Retry-After": {seconds(left)}}
	return refusal
}

func getRateLimit(c *call) reply {
	b, limit := c.s.budget(c.cred), c.s.limit()
	core := object{"limit": limit, "remaining": max(0, limit-b.used), "used": b.used, "reset": b.reset.Unix()}
	other := object{"limit": 30, "remaining": 30, "used": 0, "reset": b.reset.Unix()}
	return ok(object{"rate": core, "resources": object{"core": core, "search": other, "graphql": other}})
}
