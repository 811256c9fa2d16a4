package argocd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/idp-bot/idp/gitops/secret"
)

const (
	// defaultTimeout bounds a whole request. A refresh answers once the Application
	// is marked, not once it is synced.
	defaultTimeout = 20 * time.Second
	// maxResponse is the largest answer that is read, in bytes: an Application lists
	// every object it has with its health.
	maxResponse = 8 << 20
	// maxDetail is how much of Argo CD's own words an error repeats, in bytes.
	maxDetail = 300
)

var (
	// ErrNotFound is an Application that does not exist, or that the token may not
	// see: Argo CD answers both alike, with 403, so that names cannot be probed.
	ErrNotFound = errors.New("no such application, or not permitted")
	// ErrUnauthorized is a token that Argo CD does not accept.
	ErrUnauthorized = errors.New("token is not accepted")
)

// Options say where Argo CD is.
type Options struct {
	// URL is the root of its API, such as https://argocd.example.com; a path before
	// /api is kept.
	URL string
	// Token is an API token whose account may get applications.
	Token secret.String
	// Timeout bounds each request; 0 means 20 s.
	Timeout time.Duration
	// CA is a PEM bundle to trust instead of the system's; nil for the system's.
	CA []byte
	// Wrap, where set, goes around what sends requests.
	Wrap func(http.RoundTripper) http.RoundTripper
	// Metrics count the requests; nil for none. Clients may share them.
	Metrics *Metrics
}

// Client asks Argo CD's HTTP API. It may be used concurrently.
type Client struct {
	root  *url.URL
	token secret.String
	http  *http.Client
	// streaming has no limit to how long an answer may take once it has begun.
	streaming *http.Client
	metrics   *Metrics
}

// New returns a Client. It makes no request: Argo CD may be down.
func New(o Options) (*Client, error) {
	root, err := url.Parse(o.URL)
	if err != nil || root.Scheme != "http" && root.Scheme != "https" || root.Host == "" || root.User != nil {
		return nil, fmt.Errorf("argo cd url %q is not like https://argocd.example.com", o.URL)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if o.CA != nil {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(o.CA) {
			return nil, errors.New("argo cd ca holds no certificate in PEM")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Metrics == nil {
		o.Metrics, _ = NewMetrics(nil) // it fails only to register
	}
	var send http.RoundTripper = transport
	if o.Wrap != nil {
		send = o.Wrap(transport)
	}
	// A redirect would carry the token to wherever it points.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{
		root: root, token: o.Token, metrics: o.Metrics,
		http:      &http.Client{Transport: send, Timeout: o.Timeout, CheckRedirect: stay},
		streaming: &http.Client{Transport: send, CheckRedirect: stay},
	}, nil
}

// Ping asks for Argo CD's version, such as "v3.5.7+abc1234": that it answers at
// all. It says nothing of the token, which that question does not need.
func (c *Client) Ping(ctx context.Context) (version string, err error) {
	var answer struct{ Version string }
	if err := c.get(ctx, "version", "api/version", nil, &answer); err != nil {
		return "", fmt.Errorf("ping argo cd: %w", err)
	}
	return answer.Version, nil
}

// Refresh makes Argo CD read the branch again for one Application, and apply what
// changed where the Application syncs by itself. It returns once that is asked
// for. An Application that is not there (yet) is ErrNotFound.
func (c *Client) Refresh(ctx context.Context, application string) error {
	// "normal" resolves the revision again; "hard" would also drop the manifest cache.
	query := url.Values{"refresh": {"normal"}}
	if err := c.get(ctx, "refresh", "api/v1/applications/"+url.PathEscape(application), query, nil); err != nil {
		return fmt.Errorf("refresh application %s: %w", application, err)
	}
	return nil
}

// Application returns what Argo CD sees of one Application, ErrNotFound when
// there is none.
func (c *Client) Application(ctx context.Context, name string) (Application, error) {
	var answer application
	if err := c.get(ctx, "application", "api/v1/applications/"+url.PathEscape(name), nil, &answer); err != nil {
		return Application{}, fmt.Errorf("get application %s: %w", name, err)
	}
	return answer.summary(), nil
}

// get asks one question, and decodes the answer where it is given something to decode
// it into.
func (c *Client) get(ctx context.Context, operation, path string, query url.Values, into any) error {
	return c.ask(ctx, operation, path, query, func(body []byte) error {
		if into == nil {
			return nil
		}
		return json.Unmarshal(body, into)
	})
}

// ask asks one question, and has read read the answer. Errors name the operation, never
// the token.
func (c *Client) ask(ctx context.Context, operation, path string, query url.Values, read func(body []byte) error) (err error) {
	started := time.Now()
	status := "error"
	defer func() { c.metrics.observe(operation, status, time.Since(started)) }()

	u := *c.root.JoinPath(path)
	u.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	c.authorize(request)
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	status = statusClass(response.StatusCode)
	body, err := io.ReadAll(io.LimitReader(response.Body, maxResponse+1))
	switch {
	case err != nil:
		return fmt.Errorf("read answer: %w", err)
	case len(body) > maxResponse:
		return fmt.Errorf("answer is larger than %d bytes", maxResponse)
	case response.StatusCode != http.StatusOK:
		return c.refusal(response.StatusCode, body)
	}
	if err := read(body); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return nil
}

func (c *Client) authorize(request *http.Request) {
	request.Header.Set("Accept", "application/json")
	if !c.token.IsZero() {
		request.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	}
}

// refusal is the error of a status other than 200, in Argo CD's words where the
// body has some.
func (c *Client) refusal(status int, body []byte) error {
	var words struct{ Message string }
	_ = json.Unmarshal(body, &words) // a proxy's HTML has none
	detail := fmt.Sprintf("argo cd answered %d", status)
	if words.Message != "" {
		detail += ": " + c.clean(words.Message)
	}
	switch status {
	case http.StatusNotFound, http.StatusForbidden:
		return fmt.Errorf("%s: %w", detail, ErrNotFound)
	case http.StatusUnauthorized:
		return fmt.Errorf("%s: %w", detail, ErrUnauthorized)
	}
	return errors.New(detail)
}

// clean cuts a message to one short line without the token, should it repeat it.
func (c *Client) clean(message string) string {
	if token := c.token.Reveal(); token != "" {
		message = strings.ReplaceAll(message, token, secret.Redacted)
	}
	message = strings.Join(strings.Fields(message), " ")
	if len(message) > maxDetail {
		message = strings.ToValidUTF8(message[:maxDetail], "") + "…"
	}
	return message
}
