package main

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/idp-bot/idp/previews"
)

// maxPins is how many images of others are looked up for one environment.
const maxPins = 50

// pin asks for the digest of an image now, or says why there is none.
func (m *Main) pin(ctx context.Context, reference string) (digest, why string) {
	if m.images == nil {
		return "", "registries are not asked, since image_check is off"
	}
	digest, err := m.images.Resolve(ctx, reference)
	if err != nil {
		return "", m.describeImageError(err)
	}
	return digest, ""
}

// pinned are the images of others that a source runs: those that were looked up when the
// revision was rendered first stay as they are, and the others are looked up together.
func (s sourced) pinned(ctx context.Context, env previews.Environment, references []string) ([]previews.Pin, error) {
	out := make([]previews.Pin, len(references))
	var asked sync.WaitGroup
	for i, reference := range references {
		known := slices.IndexFunc(env.Source.Pins, func(p previews.Pin) bool { return p.Image == reference })
		switch out[i].Image = reference; {
		case known >= 0:
			out[i] = env.Source.Pins[known]
		case s.pin == nil:
			out[i].Why = "no registry is asked here"
		case i >= maxPins:
			out[i].Why = fmt.Sprintf("there are more than %d such images", maxPins)
		default:
			asked.Go(func() { out[i].Digest, out[i].Why = s.pin(ctx, reference) })
		}
	}
	asked.Wait()
	return out, ctx.Err()
}

// digests are those of pins that have one, by the images' references.
func digests(pins []previews.Pin) map[string]string {
	out := map[string]string{}
	for _, pin := range pins {
		if pin.Digest != "" {
			out[pin.Image] = pin.Digest
		}
	}
	return out
}
