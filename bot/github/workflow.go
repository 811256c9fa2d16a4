package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/time/rate"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops/secret"
)

// Workflow is a run of a GitHub Actions workflow, as GitHub vouches for it.
type Workflow struct {
	// RepositoryID is GitHub's id of the repository that it ran in, SHA the commit that it
	// ran at: for a pull request the one that would merge it.
	RepositoryID int64
	SHA          string
	// Event is what started it, such as "push", and Ref what it ran on.
	Event, Ref string
	// Actor started it. Run names it, with its file and where that is from.
	Actor bot.Actor
	Run   string
}

// OfPull says that it ran for a pull request, at the commit that would merge it.
func (w Workflow) OfPull() bool { return w.Event == "pull_request" }

// Workflows verifies the tokens that GitHub gives workflow runs. It may be used
// concurrently.
type Workflows struct {
	issuer, audience string
	client           *http.Client
	now              func() time.Time

	mu       sync.Mutex
	verifier *oidc.IDTokenVerifier
}

const (
	// vouchTimeout bounds how long GitHub is asked for the keys that it signs with.
	vouchTimeout = 10 * time.Second
	// keysEvery is how often it is asked, keysAtOnce how often at once: whoever makes a
	// token up can name a key that is not known.
	keysEvery  = 10 * time.Second
	keysAtOnce = 6
)

// NewWorkflows returns what verifies tokens that are meant for an audience, and signed by
// the GitHub of an API.
// Source: docs.github.com/actions/reference/security/oidc.
func NewWorkflows(apiURL, audience string, now func() time.Time) *Workflows {
	issuer := "https://token.actions.githubusercontent.com"
	if root := strings.TrimRight(apiURL, "/"); root != "https://api.github.com" {
		issuer = strings.TrimSuffix(root, "/api/v3") + "/_services/token"
	}
	return &Workflows{issuer: issuer, audience: audience, now: now, client: &http.Client{Timeout: vouchTimeout, Transport: seldom(now)}}
}

// seldom asks only as often as it is worth.
func seldom(now func() time.Time) http.RoundTripper {
	limiter := rate.NewLimiter(rate.Every(keysEvery), keysAtOnce)
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		if !limiter.AllowN(now(), 1) {
			return nil, errors.New("it was asked only just now")
		}
		return http.DefaultTransport.RoundTrip(req)
	})
}

// Workflow returns the run that a token is of. bot.ErrNotFound says that the token is not
// good: not GitHub's, not meant for this audience, or over.
func (w *Workflows) Workflow(ctx context.Context, token secret.String) (Workflow, error) {
	verifier, err := w.verify(ctx)
	if err != nil {
		return Workflow{}, fmt.Errorf("ask GitHub what it signs the tokens of workflows with: %w", err)
	}
	verified, err := verifier.Verify(oidc.ClientContext(ctx, w.client), token.Reveal())
	if err != nil {
		return Workflow{}, fmt.Errorf("verify the token of a workflow: %w", notVouchedFor(ctx, err))
	}
	var claims struct {
		RepositoryID string `json:"repository_id"`
		SHA          string `json:"sha"`
		Ref          string `json:"ref"`
		Event        string `json:"event_name"`
		Actor        string `json:"actor"`
		ActorID      string `json:"actor_id"`
		Workflow     string `json:"workflow_ref"`
		Run          string `json:"run_id"`
		Attempt      string `json:"run_attempt"`
	}
	if err := verified.Claims(&claims); err != nil {
		return Workflow{}, fmt.Errorf("read the token of a workflow: %w", err)
	}
	out := Workflow{SHA: claims.SHA, Event: claims.Event, Ref: claims.Ref, Run: fmt.Sprintf("%s, run %s.%s", claims.Workflow, claims.Run, claims.Attempt)}
	out.RepositoryID, err = strconv.ParseInt(claims.RepositoryID, 10, 64)
	if err != nil || out.RepositoryID <= 0 || !fullSHA.MatchString(claims.SHA) || claims.Workflow == "" {
		return Workflow{}, fmt.Errorf("the token is of no workflow: %w", bot.ErrNotFound)
	}
	out.Actor.Login = claims.Actor
	if out.Actor.ID, err = strconv.ParseInt(claims.ActorID, 10, 64); err != nil {
		return Workflow{}, fmt.Errorf("the token names no actor: %w", bot.ErrNotFound)
	}
	return out, nil
}

// notVouchedFor makes bot.ErrNotFound of a token that is not good, and leaves what says
// that GitHub could not be asked.
func notVouchedFor(ctx context.Context, err error) error {
	if ctx.Err() != nil || strings.Contains(err.Error(), "fetching keys") {
		return err
	}
	return fmt.Errorf("%w: %w", bot.ErrNotFound, err)
}

// verify finds out where the keys are, once.
func (w *Workflows) verify(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.verifier != nil {
		return w.verifier, nil
	}
	// The provider keeps the context for when keys change.
	provider, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), w.client), w.issuer)
	if err != nil {
		return nil, err
	}
	w.verifier = provider.Verifier(&oidc.Config{ClientID: w.audience, Now: w.now, SupportedSigningAlgs: []string{oidc.RS256}})
	return w.verifier, nil
}
