// Package serving asks whether a service answers at its host, as a visitor would,
// through the gateway that all hosts of a class are served by.
//
// A request goes to the gateway's configured address and nowhere else: what a host
// resolves to is never looked up, no redirect is followed and no proxy is used, so
// that nothing an environment says can make idp connect to something else. What is
// read of an answer is bounded, and so is the time it takes. A Client may be used
// concurrently.
package serving

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

const (
	// Timeout bounds a whole request: a service that takes longer does not serve.
	Timeout = 3 * time.Second
	// maxBody and maxHeader are the most that is read of an answer, in bytes.
	maxBody   = 64 << 10
	maxHeader = 64 << 10
)

// Client asks hosts through one gateway.
type Client struct {
	scheme string
	http   *http.Client
}

// New returns a client for the gateway at address, HOST:PORT. With TLS, the gateway has
// to show a certificate for the host that is asked for; settings nil means the system's.
func New(address string, useTLS bool, settings *tls.Config) *Client {
	dialer := &net.Dialer{Timeout: Timeout}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", address)
		},
		TLSClientConfig:        settings,
		ForceAttemptHTTP2:      true,
		DisableKeepAlives:      true, // each question is a visitor of its own
		MaxResponseHeaderBytes: maxHeader,
	}
	c := &Client{scheme: "http", http: &http.Client{
		Transport: transport, Timeout: Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if useTLS {
		c.scheme = "https"
	}
	return c
}

// errHost and errPath refuse what is no host or path of an environment.
var (
	errHost = errors.New("not the name of a host")
	errPath = errors.New("not a path")
)

// Get returns the status of the answer at a path of a host, such as "/health".
func (c *Client) Get(ctx context.Context, host, path string) (status int, err error) {
	if len(validation.IsDNS1123Subdomain(host)) > 0 || net.ParseIP(host) != nil {
		return 0, fmt.Errorf("ask %q: %w", host, errHost)
	}
	if !strings.HasPrefix(path, "/") {
		return 0, fmt.Errorf("ask %s for %q: %w", host, path, errPath)
	}
	target := url.URL{Scheme: c.scheme, Host: host}
	target.Path, target.RawQuery, _ = strings.Cut(path, "?")
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return 0, fmt.Errorf("ask %s: %w", host, err)
	}
	request.Header.Set("User-Agent", "idp-health-check")
	response, err := c.http.Do(request)
	if err != nil {
		return 0, fmt.Errorf("ask %s: %w", host, err)
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxBody)) // the status is the answer
	return response.StatusCode, nil
}

// Describe says in a few words why there was no answer.
func Describe(err error) string {
	var certificate *tls.CertificateVerificationError
	var timeout net.Error
	switch {
	case errors.As(err, &certificate):
		return "the gateway has no valid certificate for it"
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("no answer within %s", Timeout)
	case errors.Is(err, errHost), errors.Is(err, errPath):
		return "it is no address that can be asked"
	}
	return "the gateway gives no answer"
}
