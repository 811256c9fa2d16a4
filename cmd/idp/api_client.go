package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/oauth2"

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

// call sends a request and decodes its answer into out.
func (r *apiClient) call(ctx context.Context, method, path, token string, header http.Header, body, out any) error {
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, r.root+path, bytes.NewReader(content))
	if err != nil {
		return err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		if wire, ok := errors.AsType[*url.Error](err); ok {
			err = wire.Err
		}
		return fault.Wrap(err, fault.Failure, r.root+" cannot be reached: "+reason(err), "")
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fault.Wrap(err, fault.Failure, r.root+" broke off: "+reason(err), "")
	}
	if resp.StatusCode >= 300 {
		return r.refused(resp.StatusCode, answer)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fault.Wrap(err, fault.Failure, r.root+" answers with something else than idp's API", "is it the root of idp's URL?")
	}
	return nil
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
	return fault.New(code, told.Message, told.Hint)
}

// describe asks how to sign in.
func (r *apiClient) describe(ctx context.Context) (api.Description, error) {
	var out api.Description
	err := r.call(ctx, http.MethodGet, api.Root, "", nil, nil, &out)
	return out, err
}

// signIn is how people sign in to the App of an idp.
func signIn(at api.Description) *oauth2.Config {
	return &oauth2.Config{ClientID: at.ClientID, Endpoint: oauth2.Endpoint{
		DeviceAuthURL: at.GitHub + "/login/device/code", TokenURL: at.GitHub + "/login/oauth/access_token", AuthStyle: oauth2.AuthStyleInParams,
	}}
}

// tokens are those that "idp login" keeps, by the roots of the URLs that they are for.
type tokens struct {
	path string
	held map[string]*oauth2.Token
}

// tokens reads what is kept.
func (p *program) tokens() (*tokens, error) {
	dir := p.env["XDG_CONFIG_HOME"]
	if dir == "" && p.env["HOME"] != "" {
		dir = filepath.Join(p.env["HOME"], ".config")
	}
	if dir == "" {
		return nil, fault.New(fault.Failure, "there is no folder to keep tokens in", "set HOME or XDG_CONFIG_HOME, or give the token in "+tokenVariable)
	}
	t := &tokens{path: filepath.Join(dir, "idp", "tokens.json"), held: map[string]*oauth2.Token{}}
	content, err := os.ReadFile(t.path)
	if errors.Is(err, os.ErrNotExist) {
		return t, nil
	}
	if err == nil {
		err = json.Unmarshal(content, &t.held)
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.Failure, t.path+" cannot be read: "+reason(err), "mend or remove it")
	}
	return t, nil
}

// keep writes them for their owner alone, all of it or nothing.
func (t *tokens) keep() error {
	content, err := json.MarshalIndent(t.held, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(t.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.Wrap(err, fault.Failure, "the token cannot be kept: "+reason(err), "")
	}
	file, err := os.CreateTemp(dir, "tokens-") // mode 0600
	if err == nil {
		_, err = file.Write(content)
		err = errors.Join(err, file.Sync(), file.Close())
		if err == nil {
			err = os.Rename(file.Name(), t.path)
		}
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}
	if err != nil {
		return fault.Wrap(err, fault.Failure, "the token cannot be kept: "+reason(err), "")
	}
	return nil
}

// token is what to sign requests with: the one of the environment, or the one that was
// kept, a new one where that ran out.
func (p *program) token(ctx context.Context, r *apiClient) (string, error) {
	if given := p.env[tokenVariable]; given != "" {
		return given, nil
	}
	kept, err := p.tokens()
	if err != nil {
		return "", err
	}
	held, found := kept.held[r.root]
	if !found {
		return "", fault.Newf(fault.Denied, "you are not signed in to %s", r.root).WithHint("idp login --server %s", r.root)
	}
	if held.Valid() {
		return held.AccessToken, nil
	}
	at, err := r.describe(ctx)
	if err != nil {
		return "", err
	}
	fresh, err := signIn(at).TokenSource(context.WithValue(ctx, oauth2.HTTPClient, r.client), held).Token()
	if err != nil {
		return "", fault.Wrap(err, fault.Denied, fmt.Sprintf("your sign-in to %s ran out", r.root), "idp login --server "+r.root)
	}
	kept.held[r.root] = fresh
	return fresh.AccessToken, kept.keep()
}
