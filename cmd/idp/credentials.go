package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/gitops/repo"
)

func openGitOps(ctx context.Context, cfg *Config, apps writers, now func() time.Time, log *slog.Logger, registry prometheus.Registerer) (*repo.Repo, error) {
	return repo.Open(ctx, repo.Options{
		URL: cfg.GitOpsURL, Branch: cfg.GitOpsBranch, Dir: gitDir(cfg),
		Credentials: gitCredentials(cfg, apps), PushesPerMinute: cfg.GitOpsPushesPerMinute, ReadOnly: cfg.observes(),
		Now: now, Log: log, Registerer: registry,
	})
}

// openPlatform opens the repository that the platform folder is read from: one that is
// never written, or the GitOps repository.
func (m *Main) openPlatform(ctx context.Context) (err error) {
	if m.cfg.PlatformURL == "" {
		m.platform = m.gitops
		return nil
	}
	m.platform, err = repo.Open(ctx, repo.Options{
		URL: m.cfg.PlatformURL, Branch: m.cfg.PlatformBranch, Dir: gitDir(m.cfg) + "-platform",
		Credentials: platformCredentials(m.cfg, m.github), ReadOnly: true, Now: m.now, Log: m.log, Registerer: m.registry,
	})
	return err
}

// platformCredentials are the token file's content, or else a token of the App that can
// only read that one repository.
func platformCredentials(cfg *Config, app *github.App) func(context.Context) (repo.Credentials, error) {
	if cfg.PlatformTokenFile != "" {
		return tokenFrom(cfg.PlatformTokenFile)
	}
	if !strings.HasPrefix(cfg.PlatformURL, "http") {
		return nil // as for gitCredentials
	}
	return func(ctx context.Context) (repo.Credentials, error) {
		token, err := app.CloneToken(ctx, cfg.PlatformURL)
		return repo.Credentials{Username: tokenUser, Password: token.Reveal()}, err
	}
}

// tokenUser is the user name that goes with a token, which is GitHub's for an App's.
const tokenUser = "x-access-token"

// tokenFrom reads the token at each use, so that it may be rotated.
func tokenFrom(file string) func(context.Context) (repo.Credentials, error) {
	return func(context.Context) (repo.Credentials, error) {
		token, err := os.ReadFile(file)
		if err != nil {
			return repo.Credentials{}, fmt.Errorf("read the token of a git repository: %w", err)
		}
		return repo.Credentials{Username: tokenUser, Password: strings.TrimSpace(string(token))}, nil
	}
}

// gitCredentials are the token file's content, read at each use so that it may be
// rotated, or else a token for that one repository of the App that writes it.
func gitCredentials(cfg *Config, apps writers) func(context.Context) (repo.Credentials, error) {
	if cfg.GitOpsTokenFile != "" {
		return tokenFrom(cfg.GitOpsTokenFile)
	}
	if !strings.HasPrefix(cfg.GitOpsURL, "http") {
		return nil // ssh brings its own keys, a file needs none
	}
	app := apps.of(cfg.GitOpsURL)
	return func(ctx context.Context) (repo.Credentials, error) {
		token, err := app.GitToken(ctx, cfg.GitOpsURL)
		return repo.Credentials{Username: tokenUser, Password: token.Reveal()}, err
	}
}

// gitCredentialsFor are the credentials of a GitOps repository that a class names: those
// of its own token file or its own App, else of the server's token file where it is on the
// same host, else a token of the App that writes it.
func gitCredentialsFor(cfg *Config, apps writers, address string) func(context.Context) (repo.Credentials, error) {
	own := *cfg
	own.GitOpsURL = address
	switch file, ok := ownTokenFile(cfg, address); {
	case ok:
		own.GitOpsTokenFile = file
	case !sameHost(address, cfg.GitOpsURL), apps.has(address):
		own.GitOpsTokenFile = ""
	}
	return gitCredentials(&own, apps)
}

// ownTokenFile is the file that gitops_token_files gives a repository.
func ownTokenFile(cfg *Config, address string) (file string, ok bool) {
	for _, pair := range cfg.GitOpsTokenFiles {
		if of, file, ok := cutTokenFile(pair); ok && sameRepository(of, address) {
			return file, true
		}
	}
	return "", false
}

// cutTokenFile parts an item of gitops_token_files.
func cutTokenFile(pair string) (address, file string, ok bool) {
	i := strings.LastIndexByte(pair, '=')
	if i <= 0 || i == len(pair)-1 {
		return "", "", false
	}
	return pair[:i], pair[i+1:], true
}

// sameRepository says whether two URLs name one repository, with ".git" or without.
func sameRepository(a, b string) bool {
	short := func(address string) string {
		return strings.TrimSuffix(strings.TrimSuffix(address, "/"), ".git")
	}
	if !strings.Contains(a, "://") || !strings.Contains(b, "://") {
		return short(a) == short(b)
	}
	first, err := url.Parse(short(a))
	if err != nil {
		return false
	}
	second, err := url.Parse(short(b))
	return err == nil && sameHost(a, b) && first.Path == second.Path
}

func sameHost(a, b string) bool {
	first, err := url.Parse(a)
	if err != nil {
		return false
	}
	second, err := url.Parse(b)
	return err == nil && first.Scheme == second.Scheme && strings.EqualFold(first.Host, second.Host)
}
