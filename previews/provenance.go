package previews

import (
	"context"
	"fmt"
	"strings"
)

// Unproven is an image whose provenance is not what the class of its environment asks for.
type Unproven struct {
	Image Image `json:"image"`
	// Why follows "the image", without its full stop; Asked is what would do.
	Why   string `json:"why"`
	Asked string `json:"asked"`
	// Yet says that waiting may help: there is no attestation, or GitHub did not tell. Else
	// something is wrong with one.
	Yet bool `json:"yet,omitempty"`
}

// Prove returns the images of an environment that are not proven to be what its class asks
// for, none where it asks for nothing. What cannot be read is unproven; an error is for
// what is only not our turn to ask, and the context's.
type Prove func(ctx context.Context, row Environment, images []Image) ([]Unproven, error)

// AttestAction is where people read how a workflow attests what it builds.
const AttestAction = "https://github.com/actions/attest-build-provenance"

// ProvenanceProblem is why a revision is not committed whose images are unproven.
func ProvenanceProblem(row Environment, unproven []Unproven) Problem {
	texts := make([]string, len(unproven))
	for i, u := range unproven {
		texts[i] = fmt.Sprintf("image %s of %s %s", u.Image.Reference, u.Image.Service, u.Why)
	}
	return Problem{
		Kind: ProblemProvenance, Message: strings.Join(texts, "; "),
		Hint: fmt.Sprintf("%s takes only images with an attestation of %s.", row.Ref.ID, unproven[0].Asked),
	}
}

// prove holds a row's images to what its class asks of their provenance. Like judge, it
// never stands in the way of what runs already, nor of going back to what ran.
func (c *Committer) prove(ctx context.Context, row Environment) error {
	if c.Prove == nil || !row.Declared() || row.Shared() || row.Known() {
		return nil
	}
	unproven, err := c.Prove(ctx, row, row.Images)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return &refusedError{Problem{
			Kind: ProblemProvenance, Message: "the provenance of the images could not be read: " + err.Error(),
			Hint: "It is asked again with the next attempt.",
		}}
	}
	if len(unproven) > 0 {
		return &refusedError{ProvenanceProblem(row, unproven)}
	}
	return nil
}

// unattested marks the images whose attestation has not come yet as missing: a workflow
// attests an image after it has pushed it. Everything else is for the commit to judge.
func (w *ImageWatcher) unattested(ctx context.Context, env Environment, images []Image) {
	if w.Prove == nil || !env.Declared() || len(images) == 0 || firstMissing(images) != nil || w.Now().Sub(env.WantedAt) >= w.Timeout {
		return
	}
	unproven, err := w.Prove(ctx, env, images)
	if err != nil {
		images[0].Missing = "in the registry, but its provenance could not be read: " + err.Error()
		return
	}
	for _, u := range unproven {
		for i := range images {
			if u.Yet && images[i].Service == u.Image.Service {
				images[i].Missing = "in the registry, but it " + u.Why
			}
		}
	}
}
