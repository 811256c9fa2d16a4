package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/webhooks/api"
)

// The variables that commands read which speak to an idp elsewhere.
const (
	serverVariable = "IDP_SERVER_URL"
	tokenVariable  = "IDP_USER_TOKEN"
)

const (
	apiTimeout = 30 * time.Second
	// maxAnswer is the largest answer that is read, in bytes.
	maxAnswer = 4 << 20
)

// apiClient speaks to an idp elsewhere.
type apiClient struct {
	root   string
	client *http.Client
}

func addServerFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("server", "", "root of idp's URL, such as https://idp.example.com (default $"+serverVariable+")")
}

// newAPIClient returns the idp at a URL.
func (p *program) newAPIClient(server string) (*apiClient, error) {
	server = strings.TrimRight(cmp.Or(server, p.env[serverVariable]), "/")
	if server == "" {
		return nil, fault.New(fault.Usage, "it is not known where idp is", "give --server URL, or set "+serverVariable)
	}
	u, err := url.Parse(server)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "":
		return nil, fault.Newf(fault.Usage, "%s is not the root of a URL", server).WithHint("write it like https://idp.example.com")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, fault.Newf(fault.Usage, "%s would send your token unencrypted", server).WithHint("use https")
	}
	// A token goes to nobody but whom it was meant for.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &apiClient{root: server, client: &http.Client{Timeout: apiTimeout, CheckRedirect: stay}}, nil
}

// request is one call of the API.
type request struct {
	method, path, token string
	// key, where it is set, makes a request that is sent again no second one.
	key  string
	body any
}

// errLater is in the chain of an error that the same request may not have in a while.
var errLater = errors.New("right later")

// call sends a request and decodes its answer into out.
func (r *apiClient) call(ctx context.Context, q request, out any) error {
	var content []byte
	if q.body != nil {
		var err error
		if content, err = json.Marshal(q.body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, q.method, r.root+q.path, bytes.NewReader(content))
	if err != nil {
		return err
	}
	for name, value := range map[string]string{"Authorization": q.token, "Idempotency-Key": q.key, "Content-Type": "application/json"} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	resp, err := r.client.Do(req)
	if err != nil {
		if wire, ok := errors.AsType[*url.Error](err); ok {
			err = wire.Err
		}
		return fault.Wrap(errors.Join(errLater, err), fault.Failure, r.root+" cannot be reached: "+reason(err), "")
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fault.Wrap(errors.Join(errLater, err), fault.Failure, r.root+" broke off: "+reason(err), "")
	}
	if resp.StatusCode >= 300 {
		return r.refused(resp.StatusCode, answer)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fault.Wrap(err, fault.Failure, r.root+" answers with something else than idp's API", "is it the root of idp's URL?")
	}
	return nil
}

// insist calls until it works, or fails for good, or the time is over.
func (r *apiClient) insist(ctx context.Context, q request, out any, until time.Time) error {
	const first, most = 200 * time.Millisecond, 5 * time.Second
	for pause := first; ; pause = min(2*pause, most) {
		err := r.call(ctx, q, out)
		if !errors.Is(err, errLater) || time.Now().Add(pause).After(until) {
			return err
		}
		if err := wait(ctx, pause); err != nil {
			return err
		}
	}
}

// wait returns after a while, or when ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refused is the error of an answer that is no success.
func (r *apiClient) refused(status int, answer []byte) error {
	var told api.Refusal
	if err := json.Unmarshal(answer, &told); err != nil || told.Message == "" {
		if status == http.StatusNotFound {
			return fault.Newf(fault.NotFound, "%s has no API", r.root).WithHint("whoever runs it sets github_client_id and github_client_secret_file")
		}
		return fault.Newf(fault.Failure, "%s answered %d", r.root, status)
	}
	codes := map[int]fault.Code{
		http.StatusForbidden: fault.Denied, http.StatusBadRequest: fault.Invalid, http.StatusRequestEntityTooLarge: fault.Invalid, http.StatusUnauthorized: fault.Denied, http.StatusNotFound: fault.NotFound,
	}
	code := fault.Failure
	if known, ok := codes[status]; ok {
		code = known
	}
	message, hint := printable(told.Message), printable(told.Hint)
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		return fault.Wrap(errLater, code, message, hint)
	}
	return fault.New(code, message, hint)
}

// describe asks how to sign in.
func (r *apiClient) describe(ctx context.Context) (api.Description, error) {
	var out api.Description
	err := r.call(ctx, request{method: http.MethodGet, path: api.Root}, &out)
	return out, err
}
