package webhooks

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// Sources slow down who sends what is not signed, and installations that send
// without end. GitHub is never slowed: an address that sent something signed is not
// counted for a day, and one that has sent nothing forged is not either.
type Sources struct {
	// proxies are believed about whom they forward for.
	proxies []netip.Prefix
	now     func() time.Time
	mu      sync.Mutex
	// forged is what an address may still send unsigned, and signed when it last sent
	// something signed.
	forged        *lru.Cache[netip.Addr, *rate.Limiter]
	signed        *lru.Cache[netip.Addr, time.Time]
	installations *lru.Cache[int64, *rate.Limiter]
}

// NewSources returns what believes proxies about whom they forward for.
func NewSources(proxies []netip.Prefix, now func() time.Time) (*Sources, error) {
	s := &Sources{proxies: proxies, now: now}
	var err error
	if s.forged, err = lru.New[netip.Addr, *rate.Limiter](maxSources); err != nil {
		return nil, err
	}
	if s.signed, err = lru.New[netip.Addr, time.Time](maxSources); err != nil {
		return nil, err
	}
	s.installations, err = lru.New[int64, *rate.Limiter](maxSources)
	return s, err
}

// Of is whom a request comes from: the address of the connection, or the last that a
// trusted proxy names which is no trusted proxy itself. It is invalid where that does
// not tell senders apart: for addresses of private networks, which are a proxy's, or
// on the same host.
func (s *Sources) Of(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	address = address.Unmap()
	forwarded := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, before := range slices.Backward(forwarded) {
		if !s.trusted(address) {
			break
		}
		named, err := netip.ParseAddr(strings.TrimSpace(before))
		if err != nil {
			return netip.Addr{}
		}
		address = named.Unmap()
	}
	if s.trusted(address) || address.IsPrivate() || address.IsLoopback() || address.IsLinkLocalUnicast() {
		return netip.Addr{}
	}
	if address.Is6() { // whoever has one IPv6 address has all of its /64
		network, err := address.WithZone("").Prefix(64)
		if err != nil {
			return netip.Addr{}
		}
		return network.Addr()
	}
	return address
}

func (s *Sources) trusted(address netip.Addr) bool {
	return slices.ContainsFunc(s.proxies, func(p netip.Prefix) bool { return p.Contains(address) })
}

// Exhausted says that an address has sent all that it may unsigned.
func (s *Sources) Exhausted(address netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	limiter, known := s.forged.Get(address)
	return known && !s.known(address) && limiter.TokensAt(s.now()) < 1
}

// known says that an address has sent something signed lately.
func (s *Sources) known(address netip.Addr) bool {
	at, signed := s.signed.Get(address)
	return signed && s.now().Sub(at) < signedFor
}

// NoteForged counts what was not signed.
func (s *Sources) NoteForged(address netip.Addr) {
	if !address.IsValid() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	limiterOf(s.forged, address, forgedRate, forgedBurst).AllowN(s.now(), 1)
}

// noteSigned notes that an address is one that GitHub sends from.
func (s *Sources) noteSigned(address netip.Addr) {
	if !address.IsValid() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signed.Add(address, s.now())
}

// Admits says whether an installation may have another delivery stored.
func (s *Sources) Admits(installation int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return limiterOf(s.installations, installation, installationRate, installationBurst).AllowN(s.now(), 1)
}

// limiterOf is the limiter of one sender, a new one where it is not remembered.
func limiterOf[K comparable](of *lru.Cache[K, *rate.Limiter], sender K, perSecond rate.Limit, burst int) *rate.Limiter {
	limiter, known := of.Get(sender)
	if !known {
		limiter = rate.NewLimiter(perSecond, burst)
		of.Add(sender, limiter)
	}
	return limiter
}
