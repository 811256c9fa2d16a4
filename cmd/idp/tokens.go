package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/oauth2"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/webhooks/api"
)

// signedIn is what "idp login" keeps of one idp, in a file of its own.
type signedIn struct {
	// Server is the root of that idp's URL.
	Server string `json:"server"`
	// ClientID and GitHub are what was signed in to, and where: the token is renewed nowhere
	// else, whatever the server says by then.
	ClientID string        `json:"client_id"`
	GitHub   string        `json:"github"`
	Token    *oauth2.Token `json:"token"`
}

// signIn is how people sign in to the App of an idp.
func (s signedIn) signIn() *oauth2.Config {
	return &oauth2.Config{ClientID: s.ClientID, Endpoint: oauth2.Endpoint{
		DeviceAuthURL: s.GitHub + "/login/device/code", TokenURL: s.GitHub + "/login/oauth/access_token", AuthStyle: oauth2.AuthStyleInParams,
	}}
}

// offered is what a server says of how to sign in to it, where that can be used.
func offered(server string, at api.Description) (signedIn, error) {
	u, err := url.Parse(at.GitHub)
	switch {
	case at.ClientID == "":
		return signedIn{}, fault.Newf(fault.Failure, "nobody can sign in to %s", server).WithHint("whoever runs it sets github_client_id and github_client_secret_file")
	case err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && !isLoopback(u.Hostname()):
		return signedIn{}, fault.Newf(fault.Failure, "%s names no GitHub to sign in at: %q", server, at.GitHub)
	}
	return signedIn{Server: server, ClientID: at.ClientID, GitHub: at.GitHub}, nil
}

// tokenFile is where the sign-in to an idp is kept.
func (p *program) tokenFile(server string) (string, error) {
	dir := p.env["XDG_CONFIG_HOME"]
	if dir == "" && p.env["HOME"] != "" {
		dir = filepath.Join(p.env["HOME"], ".config")
	}
	if dir == "" {
		return "", fault.New(fault.Failure, "there is no folder to keep tokens in", "set HOME or XDG_CONFIG_HOME, or give the token in "+tokenVariable)
	}
	dir = filepath.Join(dir, "idp", "tokens")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fault.Wrap(err, fault.Failure, "the token cannot be kept: "+reason(err), "")
	}
	sum := sha256.Sum256([]byte(server))
	return filepath.Join(dir, hex.EncodeToString(sum[:8])+".json"), nil
}

// locked calls fn while no other idp of this user changes a file.
func locked(path string, fn func() error) error {
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fault.Wrap(err, fault.Failure, "the token cannot be kept: "+reason(err), "")
	}
	defer func() { _ = lock.Close() }() // which gives the lock back
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fault.Wrap(err, fault.Failure, "the token's file cannot be locked: "+reason(err), "")
	}
	return fn()
}

// readToken reads a sign-in; os.ErrNotExist where there is none.
func readToken(path string) (signedIn, error) {
	var s signedIn
	info, err := os.Stat(path)
	if err != nil {
		return s, err
	}
	if readableByOthers(info.Mode()) {
		return s, fault.Newf(fault.Failure, "%s can be read by others than you", path).WithHint("chmod 600 it, and sign in anew if others are on this machine")
	}
	content, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(content, &s)
	}
	if err != nil || s.Token == nil {
		return s, fault.Wrap(err, fault.Failure, path+" cannot be read", "mend or remove it")
	}
	return s, nil
}

// keep writes a sign-in for its owner alone, all of it or nothing.
func (s signedIn) keep(path string) error {
	content, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".new-") // mode 0600
	if err == nil {
		_, err = file.Write(content)
		err = errors.Join(err, file.Sync(), file.Close())
		if err == nil {
			err = os.Rename(file.Name(), path)
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
// kept, a new one where that ran out. Who comes second uses what the first renewed.
func (p *program) token(ctx context.Context, r *apiClient) (string, error) {
	if given := p.env[tokenVariable]; given != "" {
		return "Bearer " + given, nil
	}
	path, err := p.tokenFile(r.root)
	if err != nil {
		return "", err
	}
	var out string
	err = locked(path, func() error {
		held, err := readToken(path)
		switch {
		case errors.Is(err, os.ErrNotExist):
			return fault.Newf(fault.Denied, "you are not signed in to %s", r.root).WithHint("idp login --server %s", r.root)
		case err != nil:
			return err
		case held.Token.Valid():
			out = "Bearer " + held.Token.AccessToken
			return nil
		}
		fresh, err := held.signIn().TokenSource(context.WithValue(ctx, oauth2.HTTPClient, r.client), held.Token).Token()
		if err != nil {
			return fault.Wrap(err, fault.Denied, fmt.Sprintf("your sign-in to %s ran out", r.root), "idp login --server "+r.root)
		}
		held.Token, out = fresh, "Bearer "+fresh.AccessToken
		return held.keep(path)
	})
	return out, err
}

// forget removes the sign-in to an idp.
func (p *program) forget(server string) error {
	path, err := p.tokenFile(server)
	if err != nil {
		return err
	}
	return locked(path, func() error {
		err := os.Remove(path)
		if errors.Is(err, os.ErrNotExist) {
			return fault.Newf(fault.NotFound, "you are not signed in to %s", server)
		}
		return err
	})
}
