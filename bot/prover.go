package bot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/provenance"
	"github.com/idp-bot/idp/previews"
)

// Attestations reads what GitHub keeps about the images of a repository.
type Attestations interface {
	DefaultBranch(ctx context.Context, repo RepositoryRef) (string, error)
	// Attestations returns the bundles with an image's provenance, none where there are none;
	// ErrNoAccess where the App may not read them.
	Attestations(ctx context.Context, repo RepositoryRef, digest string) ([][]byte, error)
}

// Prover holds images to what a class asks of their provenance: each was built by the
// workflow that the class names, of the environment's own repository, on its default branch
// and from the commit that is deployed.
type Prover struct {
	// GitHub returns the client of an installation.
	GitHub func(installationID int64) Attestations
	// Web is the root of GitHub's pages, without a slash at its end.
	Web string
	Log *slog.Logger
}

// proveTimeout bounds the reading for one environment.
const proveTimeout = 30 * time.Second

// Prove returns the images that are not proven to be what is asked for. What GitHub does
// not tell is unproven, with the reason; an error is for what is only not our turn to ask,
// and the context's.
func (p Prover) Prove(ctx context.Context, asked platform.Provenance, env previews.Environment, images []previews.Image) ([]previews.Unproven, error) {
	bounded, cancel := context.WithTimeout(ctx, proveTimeout)
	defer cancel()
	repo := RepositoryRef{ID: env.Ref.RepositoryID, Owner: env.Owner, Name: env.Repo, Private: env.Private}
	of := p.words(asked, env, "the default branch")
	if len(images) == 0 {
		return []previews.Unproven{{Image: previews.Image{Service: env.Ref.Service}, Why: "is not known", Asked: of}}, nil
	}
	gh := p.GitHub(env.InstallationID)
	branch, err := gh.DefaultBranch(bounded, repo)
	if err != nil {
		why, yet, err := p.unread(ctx, env, err)
		if err != nil {
			return nil, err
		}
		return all(images, previews.Unproven{Why: why, Asked: of, Yet: yet}), nil
	}
	want := provenance.Expectation{
		Issuer: asked.Issuer, Repository: p.Web + "/" + repo.Owner + "/" + repo.Name, RepositoryID: repo.ID,
		Workflow: asked.Workflow, Ref: "refs/heads/" + branch, SHA: env.SHA,
	}
	of = p.words(asked, env, want.Ref)
	var out []previews.Unproven
	for _, image := range images {
		found, err := p.prove(bounded, gh, repo, asked.Roots, image, want)
		if err == nil {
			continue
		}
		u := previews.Unproven{Image: image, Asked: of}
		if wrong, ok := errors.AsType[*provenance.Error](err); ok && found {
			u.Why, u.Yet = wrong.Error(), wrong.Missing()
		} else if u.Why, u.Yet, err = p.unread(ctx, env, err); err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return out, nil
}

// words say what would do.
func (p Prover) words(asked platform.Provenance, env previews.Environment, ref string) string {
	return fmt.Sprintf("%s of %s/%s, on %s at %s", asked.Workflow, env.Owner, env.Repo, ref, shortSHA(env.SHA))
}

// prove verifies one image; found says that GitHub answered.
func (p Prover) prove(ctx context.Context, gh Attestations, repo RepositoryRef, roots provenance.Roots, image previews.Image, want provenance.Expectation) (found bool, err error) {
	if image.Digest == "" {
		return true, roots.Verify(nil, image.Digest, want)
	}
	bundles, err := gh.Attestations(ctx, repo, image.Digest)
	if err != nil {
		return false, err
	}
	return true, roots.Verify(bundles, image.Digest, want)
}

// unread words why GitHub did not tell, and says whether it may; it returns the error where
// it is only not our turn to ask.
func (p Prover) unread(ctx context.Context, env previews.Environment, err error) (why string, yet bool, _ error) {
	var later interface{ RetryAt() time.Time }
	if errors.As(err, &later) || ctx.Err() != nil {
		return "", false, err
	}
	p.Log.Warn("the provenance of an image cannot be read", "env", env.Ref.String(), "error", err)
	const unread = "has a provenance that could not be read: "
	switch {
	case denied(err):
		return unread + "the App may not read attestations, which an owner of " + env.Owner + " can let it (Attestations: read)", false, nil
	case errors.Is(err, context.DeadlineExceeded):
		return unread + "GitHub took too long; try again in a while", true, nil
	}
	return unread + strings.TrimSuffix(err.Error(), "."), true, nil
}

// all says the same of every image.
func all(images []previews.Image, of previews.Unproven) []previews.Unproven {
	out := make([]previews.Unproven, len(images))
	for i, image := range images {
		out[i] = of
		out[i].Image = image
	}
	return out
}
