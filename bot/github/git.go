package github

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops/secret"
)

// GitToken returns a token that can read and write the contents of the one
// repository that a git URL names, such as https://github.com/acme/gitops.git,
// and nothing else. It is good for five minutes at least; the user name that
// goes with it is "x-access-token". The URL must lead to the GitHub that the App
// belongs to: a token is given to no other host.
func (a *App) GitToken(ctx context.Context, gitURL string) (secret.String, error) {
	return a.gitToken(ctx, gitURL, useGit)
}

// CloneToken is GitToken for one that can read, and not write.
func (a *App) CloneToken(ctx context.Context, gitURL string) (secret.String, error) {
	return a.gitToken(ctx, gitURL, useClone)
}

func (a *App) gitToken(ctx context.Context, gitURL string, as use) (secret.String, error) {
	owner, name, err := OwnRepository(a.base, gitURL)
	if err != nil {
		return secret.String{}, err
	}
	s, err := a.gitScope(ctx, gitURL, owner, name)
	if err != nil {
		return secret.String{}, err
	}
	s.use = as
	made, err := a.tokens.get(ctx, s)
	if err != nil {
		// It may have been installed anew, or made anew under the same name.
		a.forgetGit(gitURL)
		return secret.String{}, wrap(err, "make a git token for %s/%s", owner, name)
	}
	return made, nil
}

// GitRepository returns the repository that a git URL names, as GitToken takes it,
// and the installation that reaches it.
func (a *App) GitRepository(ctx context.Context, gitURL string) (repo bot.RepositoryRef, installation int64, err error) {
	owner, name, err := OwnRepository(a.base, gitURL)
	if err != nil {
		return bot.RepositoryRef{}, 0, err
	}
	s, err := a.gitScope(ctx, gitURL, owner, name)
	if err != nil {
		return bot.RepositoryRef{}, 0, err
	}
	// By its name and as no more than metadata: an App that only writes may read no more.
	repo, err = a.Installation(s.installation).FindRepository(ctx, owner, name)
	if err == nil && repo.ID != s.repository {
		err = fmt.Errorf("read repository %s/%s: %w: another one has its name now", owner, name, bot.ErrNotFound)
	}
	if err != nil {
		// As in GitToken.
		a.forgetGit(gitURL)
		return bot.RepositoryRef{}, 0, err
	}
	return repo, s.installation, nil
}

// gitScope looks the installation and the repository's id up, once for each URL.
func (a *App) gitScope(ctx context.Context, gitURL, owner, name string) (scope, error) {
	a.mu.Lock()
	known, ok := a.git[gitURL]
	a.mu.Unlock()
	if ok {
		return known, nil
	}
	installation, err := a.FindInstallation(ctx, owner, name)
	if err != nil {
		return scope{}, err
	}
	repo, err := a.Installation(installation).FindRepository(ctx, owner, name)
	if err != nil {
		return scope{}, err
	}
	if repo.ID == 0 {
		return scope{}, fmt.Errorf("read repository %s/%s: GitHub's answer holds no id", owner, name)
	}
	found := scope{installation: installation, repository: repo.ID, use: useGit}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.git[gitURL] = found
	return found, nil
}

func (a *App) forgetGit(gitURL string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.git, gitURL)
}

// OwnRepository returns the owner and the name that a git URL ends in, when it
// leads to the GitHub whose API's root is api: only such a URL gets a token of the
// App.
func OwnRepository(api *url.URL, gitURL string) (owner, name string, err error) {
	u, err := url.Parse(gitURL)
	if err != nil || u.Host == "" {
		return "", "", errors.New("the git URL is not an absolute URL")
	}
	if !trusts(api, u) {
		return "", "", fmt.Errorf("%s://%s is not the GitHub of the API at %s: it gets no token of the App", u.Scheme, u.Host, api.Host)
	}
	parts := strings.Split(strings.Trim(strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git"), "/"), "/")
	if len(parts) < 2 || parts[len(parts)-1] == "" || parts[len(parts)-2] == "" {
		return "", "", fmt.Errorf("%s://%s%s names no owner and repository", u.Scheme, u.Host, u.Path)
	}
	return parts[len(parts)-2], parts[len(parts)-1], nil
}

// trusts says whether a URL leads to the API's own GitHub: to the same host, or
// from api.HOST to HOST as at github.com and ghe.com; and never over plain HTTP
// where the API itself is not.
func trusts(api, u *url.URL) bool {
	apiHost := strings.ToLower(api.Hostname())
	host := strings.ToLower(u.Hostname())
	secure := u.Scheme == "https" || u.Scheme == "http" && api.Scheme == "http"
	return secure && (apiHost == host || apiHost == "api."+host)
}
