package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"sync"
	"time"

	gh "github.com/google/go-github/v60/github"
	"golang.org/x/sync/singleflight"

	"github.com/idp-bot/idp/gitops/secret"
)

// use is what a token is for; each has permissions of its own.
type use string

const (
	// useRead reads one source repository.
	useRead use = "read"
	// useReport writes comments, reactions, checks and deployments of one source
	// repository. It cannot read its contents.
	useReport use = "report"
	// useStatus reads the commit statuses of one source repository: by itself, so that an
	// App that was not given that permission lacks nothing else.
	useStatus use = "status"
	// useTeams reads who is in a team of the organisation that one source repository
	// belongs to: by itself, as useStatus.
	useTeams use = "teams"
	// useAttest reads the attestations of one source repository: by itself, as useStatus.
	useAttest use = "attest"
	// useActions reads what runs of one source repository's workflows: by itself, as
	// useStatus.
	useActions use = "actions"
	// usePropose opens, follows and closes pull requests of one GitOps repository.
	usePropose use = "propose"
	// useList sees which repositories there are.
	useList use = "list"
	// useGit pushes to one repository, the GitOps repository.
	useGit use = "git"
	// useClone fetches from one repository, that of the platform folder.
	useClone use = "clone"
)

// permissions are GitHub's, with what this go-github does not know yet.
type permissions struct {
	*gh.InstallationPermissions
	Attestations *string `json:"attestations,omitempty"`
}

// tokenOptions is the body that asks for a token.
type tokenOptions struct {
	RepositoryIDs []int64     `json:"repository_ids,omitempty"`
	Permissions   permissions `json:"permissions"`
}

// permissions are what a token for the use may do.
// Source: docs.github.com/rest/authentication/permissions-required-for-github-apps.
func (u use) permissions() permissions {
	out := permissions{InstallationPermissions: u.known()}
	if u == useAttest {
		out.Attestations = gh.String("read")
	}
	return out
}

// readOnly takes the right to write away.
func (p permissions) readOnly() {
	fields := reflect.ValueOf(p.InstallationPermissions).Elem()
	for i := range fields.NumField() {
		if granted, ok := fields.Field(i).Interface().(*string); ok && granted != nil {
			*granted = "read"
		}
	}
}

func (u use) known() *gh.InstallationPermissions {
	read, write := gh.String("read"), gh.String("write")
	switch u {
	case useRead:
		return &gh.InstallationPermissions{Metadata: read, Contents: read, PullRequests: read, Checks: read, Deployments: read}
	case useReport:
		return &gh.InstallationPermissions{Metadata: read, PullRequests: write, Checks: write, Deployments: write}
	case useStatus:
		return &gh.InstallationPermissions{Metadata: read, Statuses: read}
	case useTeams:
		return &gh.InstallationPermissions{Metadata: read, Members: read}
	case useActions:
		return &gh.InstallationPermissions{Metadata: read, Actions: read}
	case usePropose:
		return &gh.InstallationPermissions{Metadata: read, Contents: read, PullRequests: write}
	case useGit:
		return &gh.InstallationPermissions{Metadata: read, Contents: write}
	case useClone:
		return &gh.InstallationPermissions{Metadata: read, Contents: read}
	default:
		return &gh.InstallationPermissions{Metadata: read}
	}
}

// scope is what a token reaches. Repository 0 is all of the installation's.
type scope struct {
	installation, repository int64
	use                      use
}

func (s scope) String() string { return fmt.Sprintf("%d/%d/%s", s.installation, s.repository, s.use) }

type token struct {
	value   secret.String
	expires time.Time
}

const (
	// tokenMargin is how long before its end a token is no longer handed out: long
	// enough for a slow push. GitHub's tokens last an hour.
	tokenMargin = 5 * time.Minute
	// mintTimeout bounds the making of a token, retries included.
	mintTimeout = time.Minute
)

// tokens holds a token for each scope until shortly before its end. Several that
// need the same token at once wait for one request, each by its own context.
type tokens struct {
	mint   func(context.Context, scope) (token, error)
	now    func() time.Time
	flight singleflight.Group

	mu   sync.Mutex
	held map[scope]token
}

// tokenError says why there is no token. It is never taken for an answer to the
// request that needed one.
type tokenError struct{ cause error }

func (e *tokenError) Error() string { return e.cause.Error() }
func (e *tokenError) Unwrap() error { return e.cause }

func (t *tokens) get(ctx context.Context, s scope) (secret.String, error) {
	if held, ok := t.lookup(s); ok {
		return held.value, nil
	}
	made := t.flight.DoChan(s.String(), func() (any, error) {
		// One who gives up must not take the others' token away.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mintTimeout)
		defer cancel()
		fresh, err := t.mint(ctx, s)
		if err != nil {
			return nil, err
		}
		t.keep(s, fresh)
		return fresh, nil
	})
	select {
	case <-ctx.Done():
		return secret.String{}, ctx.Err()
	case result := <-made:
		if result.Err != nil {
			return secret.String{}, result.Err
		}
		return result.Val.(token).value, nil
	}
}

func (t *tokens) lookup(s scope) (token, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	held, ok := t.held[s]
	return held, ok && t.now().Before(held.expires.Add(-tokenMargin))
}

func (t *tokens) keep(s scope, fresh token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	for other, held := range t.held {
		if !now.Before(held.expires) {
			delete(t.held, other)
		}
	}
	t.held[s] = fresh
}

// forget drops the scope's token if it still is the given one.
func (t *tokens) forget(s scope, used secret.String) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if held, ok := t.held[s]; ok && held.value.Equal(used) {
		delete(t.held, s)
	}
}

// mint asks GitHub for a token, as the App.
func (a *App) mint(ctx context.Context, s scope) (token, error) {
	opts := tokenOptions{Permissions: s.use.permissions()}
	if a.readOnly {
		opts.Permissions.readOnly()
	}
	if s.repository != 0 {
		opts.RepositoryIDs = []int64{s.repository}
	}
	client := a.rest()
	req, err := client.NewRequest(http.MethodPost, fmt.Sprintf("app/installations/%d/access_tokens", s.installation), opts)
	var made gh.InstallationToken
	if err == nil {
		_, err = client.Do(ctx, req, &made)
	}
	if err != nil {
		return token{}, noToken(s, err)
	}
	if made.GetToken() == "" || made.GetExpiresAt().IsZero() {
		return token{}, &tokenError{fmt.Errorf("make a %s token of installation %d: GitHub's answer holds none", s.use, s.installation)}
	}
	return token{value: secret.New(made.GetToken()), expires: made.GetExpiresAt().Time}, nil
}

// noToken explains a refusal. A limit stays a limit; everything else is about
// the token and not about the request that needed it.
func noToken(s scope, err error) error {
	if limit, ok := errors.AsType[*RateLimited](err); ok {
		return limit
	}
	cause := plain(err)
	answer, ok := errors.AsType[*APIError](cause)
	if !ok {
		return &tokenError{fmt.Errorf("make a %s token of installation %d: %w", s.use, s.installation, cause)}
	}
	switch answer.Status {
	case http.StatusForbidden, http.StatusNotFound, http.StatusGone, http.StatusUnprocessableEntity:
		// answer is not wrapped: a 404 here is not what was asked for being absent.
		return &tokenError{fmt.Errorf("make a %s token of installation %d for repository %d: %w: %s",
			s.use, s.installation, s.repository, ErrNoAccess, answer)}
	}
	return &tokenError{fmt.Errorf("make a %s token of installation %d: %w", s.use, s.installation, answer)}
}
