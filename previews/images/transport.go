package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/idp-bot/idp/gitops/address"
)

// maxBody is the most that is read of one answer, in bytes: the specification
// lets registries refuse manifests above 4 MiB.
const maxBody = 8 << 20

// errForbiddenAddress is for a registry that idp must not connect to, errInside for one
// that it must not connect to because only a repository names it.
var (
	errForbiddenAddress = errors.New("address not allowed")
	errInside           = errors.New("address not public")
)

// plainHTTP is the set of registries that may be asked without TLS.
type plainHTTP map[string]bool

func newPlainHTTP(registries []string) plainHTTP {
	set := plainHTTP{}
	for _, registry := range registries {
		set[strings.ToLower(registry)] = true
	}
	return set
}

// allows reports whether host, with or without a port, is loopback or listed.
func (p plainHTTP) allows(host string) bool {
	host = strings.ToLower(host)
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	if p[host] || p[name] || name == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}

// guard refuses plain HTTP where it is not allowed, whatever led there (the
// registry's name, a redirect, a token service), and bounds what is read.
type guard struct {
	next  http.RoundTripper
	plain plainHTTP
	look  control
}

// control looks at an address that is about to be dialled.
type control func(network, address string, _ syscall.RawConn) error

// newTransport goes through next, or else through a transport of its own whose connections
// no other shares: what one may reach another may not. resolver is the system's where nil.
func newTransport(next http.RoundTripper, plain plainHTTP, look control, resolver *net.Resolver) http.RoundTripper {
	if next == nil {
		dialer := &net.Dialer{Timeout: 5 * time.Second, Control: look, Resolver: resolver}
		toProxy := &net.Dialer{Timeout: 5 * time.Second, Control: refuseLinkLocal}
		next = &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				if isProxy(address) {
					return toProxy.DialContext(ctx, network, address)
				}
				return dialer.DialContext(ctx, network, address)
			},
			TLSHandshakeTimeout: 5 * time.Second, IdleConnTimeout: 30 * time.Second, MaxIdleConns: 50,
		}
	}
	return guard{next: next, plain: plain, look: look}
}

// isProxy says that an address is the proxy's that the operator put before all registries,
// which often is an inside one. Where there is one, every request goes through it, and
// which names it resolves to what is up to it.
func isProxy(address string) bool {
	for _, scheme := range []string{"https", "http"} {
		proxy, err := http.ProxyFromEnvironment(&http.Request{URL: &url.URL{Scheme: scheme, Host: "registry.invalid"}})
		if err != nil || proxy == nil {
			continue
		}
		port := proxy.Port()
		if port == "" {
			port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[proxy.Scheme]
		}
		if net.JoinHostPort(proxy.Hostname(), port) == address {
			return true
		}
	}
	return false
}

// RoundTrip implements http.RoundTripper.
func (g guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && !g.plain.allows(req.URL.Host) {
		return nil, fmt.Errorf("plain HTTP to %s: it is neither a loopback registry nor listed as one without TLS", req.URL.Host)
	}
	// An address is looked at here as well, for a proxy may be the one who dials it.
	if ip, err := netip.ParseAddr(req.URL.Hostname()); err == nil {
		if err := g.look("tcp", netip.AddrPortFrom(ip, 0).String(), nil); err != nil {
			return nil, err
		}
	}
	resp, err := g.next.RoundTrip(req)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxBody), resp.Body}
	}
	return resp, err
}

// refuseLinkLocal looks at the address that is about to be dialled, after any
// name was resolved, so that no name leads there.
func refuseLinkLocal(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", errForbiddenAddress, err)
	}
	ip := to.Addr().Unmap().WithZone("")
	if ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() || ip == awsMetadataIPv6() {
		return fmt.Errorf("%w: %s", errForbiddenAddress, ip)
	}
	return nil
}

// refuseInside is refuseLinkLocal for what a repository names: nothing is looked for inside
// the network on its word.
func refuseInside(network, to string, conn syscall.RawConn) error {
	if err := refuseLinkLocal(network, to, conn); err != nil {
		return err
	}
	if at := netip.MustParseAddrPort(to).Addr(); !address.Public(at) {
		return fmt.Errorf("%w: %s", errInside, at)
	}
	return nil
}

// awsMetadataIPv6 is EC2's instance metadata service over IPv6, the one such
// address that is not link-local.
func awsMetadataIPv6() netip.Addr { return netip.MustParseAddr("fd00:ec2::254") }
