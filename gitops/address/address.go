// Package address tells the addresses of the public internet from all others. It is pure.
package address

import (
	"net/netip"
	"slices"
)

// notPublic is what IANA's special-purpose registries (RFC 6890) keep off the public
// internet, and the IPv6 ranges that carry IPv4 inside, by which the former could be
// reached.
var notPublic = prefixes(
	"0.0.0.0/8",      // this network
	"10.0.0.0/8",     // private
	"100.64.0.0/10",  // carrier-grade NAT; pods of some clusters
	"127.0.0.0/8",    // loopback
	"169.254.0.0/16", // link-local, metadata services
	"172.16.0.0/12",  // private
	"192.0.0.0/24",   // protocol assignments
	"192.168.0.0/16", // private
	"198.18.0.0/15",  // benchmarks
	"224.0.0.0/4",    // multicast
	"240.0.0.0/4",    // reserved, broadcast
	"::/80",          // unspecified, loopback, IPv4-compatible and IPv4-mapped
	"64:ff9b::/96",   // NAT64
	"64:ff9b:1::/48", // local NAT64
	"100::/64",       // discard
	"2001::/32",      // Teredo
	"2002::/16",      // 6to4
	"fc00::/7",       // unique local
	"fe80::/10",      // link-local
	"fec0::/10",      // site-local
	"ff00::/8",       // multicast
)

// nat64 is the range by which IPv4 is reached where there is only IPv6 (RFC 6052).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		out[i] = netip.MustParsePrefix(text)
	}
	return out
}

// NotPublic returns the ranges that are not public.
func NotPublic() []netip.Prefix { return slices.Clone(notPublic) }

// Public says that an address is one of the public internet. An IPv4 address is judged as
// itself, whichever way it is written: mapped, or as NAT64 has it.
func Public(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if nat64.Contains(ip) {
		b := ip.As16()
		ip = netip.AddrFrom4([4]byte(b[12:]))
	}
	return ip.IsValid() && !slices.ContainsFunc(notPublic, func(p netip.Prefix) bool { return p.Contains(ip) })
}
