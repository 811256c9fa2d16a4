package images

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// maxBody is the most that is read of one answer, in bytes: the specification
// lets registries refuse manifests above 4 MiB.
const maxBody = 8 << 20

// errForbiddenAddress is for a registry that idp must not connect to.
var errForbiddenAddress = errors.New("address not allowed")

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
}

func newTransport(next http.RoundTripper, plain plainHTTP) http.RoundTripper {
	if next == nil {
		dialer := &net.Dialer{Timeout: 5 * time.Second, Control: refuseLinkLocal}
		next = &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: 5 * time.Second, IdleConnTimeout: 30 * time.Second, MaxIdleConns: 50,
		}
	}
	return guard{next: next, plain: plain}
}

// RoundTrip implements http.RoundTripper.
func (g guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && !g.plain.allows(req.URL.Host) {
		return nil, fmt.Errorf("plain HTTP to %s: it is neither a loopback registry nor listed as one without TLS", req.URL.Host)
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

// awsMetadataIPv6 is EC2's instance metadata service over IPv6, the one such
// address that is not link-local.
func awsMetadataIPv6() netip.Addr { return netip.MustParseAddr("fd00:ec2::254") }
