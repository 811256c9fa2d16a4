package main

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// The peers whose clocks are compared with this machine's.
const (
	peerGitHub = "GitHub"
	peerArgoCD = "Argo CD"
)

const (
	// clockTold is the difference from which on it is told, for GitHub tells its time in
	// whole seconds and answers take a while.
	clockTold = 5 * time.Second
	// clockAhead and clockBehind are what an App's tokens allow for: see bot/github.
	clockAhead  = 30 * time.Second
	clockBehind = 90 * time.Second
)

// clocks notes how far this machine's clock is ahead of the peers', from the Date of their
// answers.
type clocks struct {
	now func() time.Time

	mu    sync.Mutex
	ahead map[string]time.Duration
}

// around notes the answers that next gets from a peer.
func (c *clocks) around(peer string, next http.RoundTripper) http.RoundTripper {
	return dated(func(req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if err == nil {
			c.note(peer, resp.Header.Get("Date"))
		}
		return resp, err
	})
}

type dated func(*http.Request) (*http.Response, error)

// RoundTrip sends the request.
func (d dated) RoundTrip(req *http.Request) (*http.Response, error) { return d(req) }

func (c *clocks) note(peer, date string) {
	at, err := http.ParseTime(date)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ahead == nil {
		c.ahead = map[string]time.Duration{}
	}
	c.ahead[peer] = c.now().Sub(at).Truncate(time.Second)
}

// clock compares what was noted.
func (x *examination) clock() {
	const check = "clock"
	told := false
	for _, peer := range []string{peerGitHub, peerArgoCD} {
		ahead, known := x.clocks.ahead[peer]
		if !known {
			continue
		}
		told = true
		x.add(judgeClock(peer, ahead))
	}
	if !told {
		x.skip(check, "neither GitHub nor Argo CD answered", "timedatectl status")
	}
}

// judgeClock says what this machine's being ahead of a peer does.
func judgeClock(peer string, ahead time.Duration) diagnosis {
	f := diagnosis{Check: "clock", State: verdictOK, Seen: "as " + peer + " has it"}
	if ahead.Abs() <= clockTold {
		return f
	}
	f.State, f.Fix = verdictWarning, "let this machine's clock be set by NTP, such as with timedatectl set-ntp true"
	f.Seen = fmt.Sprintf("%s ahead of %s", ahead, peer)
	if ahead < 0 {
		f.Seen = fmt.Sprintf("%s behind %s", -ahead, peer)
	}
	if peer == peerGitHub && (ahead > clockAhead || ahead < -clockBehind) {
		f.State = verdictFailure
		f.Seen += ", which takes no token of the App that is so far off"
	}
	return f
}
