package render

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/idp-bot/idp/gitops/platform"
	networkingv1 "k8s.io/api/networking/v1"
)

// notPublic are the ranges that a wider destination never includes: what IANA's
// special-purpose registries (RFC 6890) keep off the public internet, and the
// IPv6 ranges that carry IPv4 inside, by which the former could be reached. A
// class that means one of them lists it itself.
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

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		out[i] = netip.MustParsePrefix(text)
	}
	return out
}

// egressBlocks are the class's destinations, sorted, each without what is not
// public, without the addresses of metadata services and without what the class
// denies.
//
// The blocks of a policy add up, so an exception in one means nothing where
// another allows the same address: a private range that is listed beside
// 0.0.0.0/0 is open, and so denied addresses are cut out of every block. A block
// that is denied whole is left out.
func egressBlocks(listed, denied []string) ([]networkingv1.NetworkPolicyPeer, error) {
	allow, err := parseCIDRs(listed)
	if err != nil {
		return nil, err
	}
	never, err := parseCIDRs(denied)
	if err != nil {
		return nil, err
	}
	never = append(never, platform.Metadata()...)
	var out []networkingv1.NetworkPolicyPeer
	for _, block := range allow {
		if slices.ContainsFunc(never, func(p netip.Prefix) bool { return within(block, p) }) {
			continue
		}
		var except []netip.Prefix
		for _, p := range slices.Concat(notPublic, never) {
			if within(p, block) && p != block {
				except = append(except, p)
			}
		}
		out = append(out, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: block.String(), Except: texts(except)}})
	}
	return out, nil
}

// within says whether all of inner lies in outer.
func within(inner, outer netip.Prefix) bool {
	return inner.Bits() >= outer.Bits() && outer.Contains(inner.Addr())
}

// texts writes the prefixes sorted, without those that lie in another.
func texts(all []netip.Prefix) []string {
	slices.SortFunc(all, comparePrefixes)
	var out []string
	var last netip.Prefix
	for _, p := range all {
		if last.IsValid() && within(p, last) {
			continue
		}
		out, last = append(out, p.String()), p
	}
	return out
}

// comparePrefixes orders by address and then puts the wider first.
func comparePrefixes(a, b netip.Prefix) int {
	if c := a.Addr().Compare(b.Addr()); c != 0 {
		return c
	}
	return a.Bits() - b.Bits()
}

func parseCIDRs(texts []string) ([]netip.Prefix, error) {
	out := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("read destination %q: %w", text, err)
		}
		out = append(out, p.Masked())
	}
	slices.SortFunc(out, comparePrefixes)
	return slices.Compact(out), nil
}
