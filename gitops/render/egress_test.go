package render

import (
	"net/netip"
	"testing"

	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/platform"
	networkingv1 "k8s.io/api/networking/v1"
)

// reachable evaluates the blocks of a policy for one address as Kubernetes says:
// any block allows that holds the address and none of whose exceptions does.
func reachable(blocks []networkingv1.NetworkPolicyPeer, addr netip.Addr) bool {
	for _, peer := range blocks {
		if peer.IPBlock == nil || !netip.MustParsePrefix(peer.IPBlock.CIDR).Contains(addr) {
			continue
		}
		allowed := true
		for _, except := range peer.IPBlock.Except {
			allowed = allowed && !netip.MustParsePrefix(except).Contains(addr)
		}
		if allowed {
			return true
		}
	}
	return false
}

// never are addresses that a preview may not reach however wide its class is.
var never = []string{
	"10.0.0.1", "10.96.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255",
	"100.64.0.1", "100.127.255.255", "100.100.100.200", "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3",
	"169.254.169.254", "169.254.170.2", "169.254.0.1", "168.63.129.16", "192.0.0.192", "192.0.0.8", "198.18.0.1", "198.19.255.255",
	"224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
	"::", "::1", "::10.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:127.0.0.1", "::ffff:8.8.8.8",
	"64:ff9b::a9fe:a9fe", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:a00:1::1", "2002:a9fe:a9fe::1", "2001::1", "2001:0:ffff::1",
	"fc00::1", "fd00:ec2::254", "fd20:ce::254", "fdff:ffff::1", "fe80::1", "febf::1", "fec0::1", "ff02::1", "ff0e::1", "100::1",
	"203.0.113.7", // denied by the class
}

var public = []string{
	"8.8.8.8", "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
	"169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "198.17.255.255",
	"198.20.0.0", "223.255.255.255", "168.63.129.15", "203.0.113.8", "140.82.112.3",
	"2606:4700:4700::1111", "2a00:1450::1", "2001:4860:4860::8888", "2003::1", "64:ff9c::1", "fbff::1",
}

func TestEgressAddresses(t *testing.T) {
	t.Parallel()
	wide, err := egressBlocks([]string{"0.0.0.0/0", "::/0"}, []string{"203.0.113.7/32"})
	if err != nil {
		t.Fatal(err)
	}
	halves, err := egressBlocks([]string{"0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"}, []string{"203.0.113.7/32"})
	if err != nil {
		t.Fatal(err)
	}
	none, err := egressBlocks(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range never {
		a := netip.MustParseAddr(addr)
		if reachable(wide, a) || reachable(halves, a) {
			t.Errorf("%s can be reached", addr)
		}
	}
	for _, addr := range public {
		a := netip.MustParseAddr(addr)
		if !reachable(wide, a) || !reachable(halves, a) {
			t.Errorf("%s cannot be reached", addr)
		}
		if reachable(none, a) {
			t.Errorf("%s can be reached with nothing listed", addr)
		}
	}
	figure.Tell(t, "%d private, metadata and denied addresses: 0 reachable; %d public ones: all", len(never), len(public))
}

func TestEgressListed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name           string
		listed, denied []string
		open, closed   []string
	}{
		{"private range by name", []string{"10.20.0.0/16"}, nil, []string{"10.20.1.1"}, []string{"10.21.0.1", "8.8.8.8"}},
		{"private range beside the internet", []string{"0.0.0.0/0", "10.20.0.0/16"}, nil, []string{"10.20.1.1", "8.8.8.8"}, []string{"10.21.0.1"}},
		{"denied wins in every block", []string{"0.0.0.0/0", "10.0.0.0/8"}, []string{"10.96.0.1/32"}, []string{"10.96.0.2"}, []string{"10.96.0.1"}},
		{"denied whole", []string{"10.96.0.0/16"}, []string{"10.0.0.0/8"}, nil, []string{"10.96.0.1"}},
		{"metadata in a listed range", []string{"169.254.0.0/16", "fd00::/8"}, nil, []string{"169.254.20.10", "fd00::1"}, []string{"169.254.169.254", "fd00:ec2::254"}},
		{"metadata itself", []string{"169.254.169.254/32"}, nil, nil, []string{"169.254.169.254"}},
		{"twice", []string{"192.0.2.0/24", "192.0.2.0/24"}, nil, []string{"192.0.2.1"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			blocks, err := egressBlocks(test.listed, test.denied)
			if err != nil {
				t.Fatal(err)
			}
			for _, addr := range test.open {
				if !reachable(blocks, netip.MustParseAddr(addr)) {
					t.Errorf("%s cannot be reached", addr)
				}
			}
			for _, addr := range test.closed {
				if reachable(blocks, netip.MustParseAddr(addr)) {
					t.Errorf("%s can be reached", addr)
				}
			}
			strictSubsets(t, blocks)
		})
	}
	if _, err := egressBlocks([]string{"everywhere"}, nil); err == nil {
		t.Error("a destination that is no CIDR is taken")
	}
}

// strictSubsets is what the API server asks of exceptions.
func strictSubsets(t *testing.T, blocks []networkingv1.NetworkPolicyPeer) {
	t.Helper()
	for _, b := range blocks {
		cidr := netip.MustParsePrefix(b.IPBlock.CIDR)
		for _, except := range b.IPBlock.Except {
			if p := netip.MustParsePrefix(except); !within(p, cidr) || p == cidr {
				t.Errorf("%s is no part of %s", p, cidr)
			}
		}
	}
}

func TestMetadataIsNeverPublic(t *testing.T) {
	t.Parallel()
	blocks, err := egressBlocks([]string{"0.0.0.0/0", "::/0"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range platform.Metadata() {
		if reachable(blocks, p.Addr()) {
			t.Errorf("%s can be reached", p)
		}
	}
}
