package render

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/idp-bot/idp/gitops/address"
	"github.com/idp-bot/idp/gitops/platform"
	networkingv1 "k8s.io/api/networking/v1"
)

// notPublic are the ranges that a wider destination never includes. A class that means
// one of them lists it itself.
var notPublic = address.NotPublic()

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
