package repo

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Credentials are a user name and a password or token for the remote. They
// print as "[redacted]".
type Credentials struct{ Username, Password string }

// String hides the password from fmt.
func (c Credentials) String() string { return "[redacted]" }

// GoString hides the password from fmt's %#v.
func (c Credentials) GoString() string { return "[redacted]" }

// LogValue hides the password from slog.
func (c Credentials) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// user is the name to log in with; by default GitHub's for an App's token.
func (c Credentials) user() string { return cmp.Or(c.Username, "x-access-token") }

// askpassScript answers git's prompts from the environment, and only those for
// the remote's own scheme, host and port: not those of a proxy or of a host that
// the remote redirects to. The prompts are `Username for 'URL': ` and
// `Password for 'SCHEME://USER@HOST': `, see git's credential.c.
const askpassScript = `#!/bin/sh
case "$1" in
"Username for '$IDP_GIT_SCHEME://$IDP_GIT_HOST': ") printf '%s\n' "$IDP_GIT_USERNAME" ;;
"Password for '$IDP_GIT_SCHEME://"*"@$IDP_GIT_HOST': ") printf '%s\n' "$IDP_GIT_PASSWORD" ;;
*) exit 1 ;;
esac
`

func writeAskpass(dir string) (string, error) {
	path := filepath.Join(dir, "askpass")
	if err := os.WriteFile(path, []byte(askpassScript), 0o700); err != nil {
		return "", fmt.Errorf("write askpass script: %w", err)
	}
	if err := os.Chmod(path, 0o700); err != nil {
		return "", fmt.Errorf("write askpass script: %w", err)
	}
	return path, nil
}

// credentialEnv asks for the credentials and returns the environment that hands
// them to a network process, and what must not appear in anything it writes.
func (r *Repo) credentialEnv(ctx context.Context) (env []string, secrets []string, err error) {
	if r.opts.Credentials == nil || r.remote.Host == "" {
		return nil, nil, nil
	}
	c, err := r.opts.Credentials(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("credentials for the GitOps repository: %w", err)
	}
	if strings.ContainsAny(c.Username+c.Password, "\r\n\x00") {
		return nil, nil, fmt.Errorf("credentials for the GitOps repository: %w: they contain a line break", ErrInvalid)
	}
	env = []string{
		"GIT_ASKPASS=" + r.askpass,
		"IDP_GIT_SCHEME=" + r.remote.Scheme, "IDP_GIT_HOST=" + r.remote.Host,
		"IDP_GIT_USERNAME=" + c.user(), "IDP_GIT_PASSWORD=" + c.Password,
	}
	return env, c.secrets(), nil
}

// secrets are the texts that must not appear in anything that is shown.
func (c Credentials) secrets() []string {
	if c.Password == "" {
		return nil
	}
	return []string{
		base64.StdEncoding.EncodeToString([]byte(c.user() + ":" + c.Password)),
		c.Password, url.QueryEscape(c.Password), url.PathEscape(c.Password),
	}
}

// scrub makes what git or the remote wrote fit to be shown: no secrets, no
// control characters, at most 2,000 bytes.
func scrub(text string, secrets []string) string {
	for _, s := range secrets {
		text = strings.ReplaceAll(text, s, "[redacted]")
	}
	var lines []string
	for line := range strings.Lines(text) {
		if line = oneLine(line); line != "" {
			lines = append(lines, line)
		}
	}
	text = strings.Join(lines, "; ")
	if len(text) > 2000 {
		text = strings.ToValidUTF8(text[:2000], "") + "…"
	}
	return text
}
