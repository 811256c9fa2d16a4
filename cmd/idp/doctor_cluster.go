package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/idp-bot/idp/gitops/platform"
)

// The checks of the cluster, which idp has no access to: what shows from outside.
const (
	checkGateway  = "gateway"
	checkDNS      = "preview DNS"
	checkTLS      = "preview TLS"
	checkPulling  = "pull secret"
	checkNetworks = "network policies"
)

// expiresSoon is how long before its end a certificate is told of: Let's Encrypt's are
// renewed thirty days before.
const expiresSoon = 14 * 24 * time.Hour

const unseen = "idp has no access to the cluster (--kubeconfig gives it)"

func (x *examination) cluster(ctx context.Context) {
	x.gateway(ctx)
	x.hosts(ctx)
	if x.kube != nil {
		x.seesGateway(ctx)
		x.seesProjects(ctx)
		x.seesPullSecret(ctx)
		x.seesNetwork(ctx)
		x.seesKinds()
		return
	}
	if secret := x.cfg.ImagePullSecret; secret != "" {
		x.skip(checkPulling, unseen, "kubectl get secrets -A --field-selector metadata.name="+secret)
	} else {
		x.skip(checkPulling, "image_pull_secret is not set: the nodes have to be able to pull the images by themselves", "")
	}
	x.skip(checkNetworks, unseen+"; previews are fenced only where its network enforces NetworkPolicy, as Calico, Cilium and Antrea do", "kubectl get daemonsets -A")
}

// gateway sees whether somebody listens where idp asks previews for an answer.
func (x *examination) gateway(ctx context.Context) {
	look := fmt.Sprintf("kubectl -n %s get gateway %s, and kubectl get gatewayclass", x.cfg.GatewayNamespace, x.cfg.GatewayName)
	if x.cfg.Routing == platform.Ingress {
		look = "kubectl get ingressclass " + x.cfg.IngressClass
	}
	if x.lacks([]string{"gateway_address"}, checkGateway) {
		return
	}
	if x.cfg.GatewayAddress == "" && x.kube != nil {
		return // it is looked at in the cluster
	}
	if x.cfg.GatewayAddress == "" {
		x.skip(checkGateway, unseen+", and gateway_address is not set", strings.TrimSpace(look))
		return
	}
	connection, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", x.cfg.GatewayAddress)
	if err != nil {
		x.fail(checkGateway, err.Error(), "check gateway_address, and: "+strings.TrimSpace(look))
		return
	}
	_ = connection.Close()
	x.ok(checkGateway, "%s takes connections", x.cfg.GatewayAddress)
}

const dialTimeout = 10 * time.Second

// hosts looks a name up below the previews' zone, as a browser would, and asks for its
// certificate.
func (x *examination) hosts(ctx context.Context) {
	if x.lacks([]string{"preview_domain"}, checkDNS, checkTLS) {
		return
	}
	zone := x.cfg.PreviewDomain
	if isLoopback(zone) {
		x.skip(checkDNS, zone+" is this machine's own", "")
		x.skip(checkTLS, zone+" is this machine's own", "")
		return
	}
	label := make([]byte, 6)
	_, _ = rand.Read(label) // it never fails
	host := "idp-doctor-" + hex.EncodeToString(label) + "." + zone
	addresses, err := x.resolve(ctx, host)
	if err != nil || len(addresses) == 0 {
		x.fail(checkDNS, fmt.Sprintf("a name below %s does not resolve: %s", zone, dnsReason(err)), fmt.Sprintf("point *.%s at the gateway, with an A, AAAA or CNAME record", zone))
		x.skip(checkTLS, "names have to resolve first", "")
		return
	}
	x.ok(checkDNS, "any name below %s leads to %s", zone, strings.Join(addresses, ", "))
	if x.cfg.GatewayAddress != "" && x.cfg.GatewayTLS == "off" {
		x.skip(checkTLS, "gateway_tls is off", "")
		return
	}
	address := net.JoinHostPort(addresses[0], "443")
	if x.cfg.GatewayAddress != "" {
		address = x.cfg.GatewayAddress
	}
	certificate, err := x.certificate(ctx, address, host)
	x.add(x.judgeCertificate(zone, address, certificate, err))
}

// dnsReason leaves out the name that was made up.
func dnsReason(err error) string {
	if failed, ok := errors.AsType[*net.DNSError](err); ok {
		return failed.Err
	}
	if err == nil {
		return "it has no address"
	}
	return err.Error()
}

func (x *examination) judgeCertificate(zone, address string, certificate *x509.Certificate, err error) diagnosis {
	f := diagnosis{Check: checkTLS, State: verdictFailure}
	_, mismatch := errors.AsType[x509.HostnameError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	switch {
	case mismatch:
		f.Seen, f.Fix = fmt.Sprintf("the certificate at %s is not for names below %s", address, zone), fmt.Sprintf("give the gateway one for *.%s, or name a Secret with it in tls_secret", zone)
	case unknown:
		f.State, f.Seen = verdictWarning, fmt.Sprintf("the certificate at %s is of an authority that this machine does not know", address)
		f.Fix = "right where people's browsers know it; else get one of a public authority, such as with cert-manager"
	case err != nil:
		f.Seen, f.Fix = oneLine(err.Error()), fmt.Sprintf("have the gateway serve HTTPS at %s with a certificate for *.%s", address, zone)
	case certificate.NotAfter.Before(x.now().Add(expiresSoon)):
		f.State, f.Seen = verdictWarning, fmt.Sprintf("the certificate for *.%s ends on %s", zone, certificate.NotAfter.Format(time.DateOnly))
		f.Fix = "see that whatever renews it does"
	default:
		f.State, f.Seen = verdictOK, fmt.Sprintf("the certificate for *.%s is good until %s", zone, certificate.NotAfter.Format(time.DateOnly))
	}
	return f
}

// certificateOf returns the certificate that an address has for a host, once it is
// verified as a browser would.
func certificateOf(ctx context.Context, address, host string) (*x509.Certificate, error) {
	dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: dialTimeout}, Config: &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}}
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = connection.Close() }()
	return connection.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}
