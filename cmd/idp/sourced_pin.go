package main

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/idp-bot/idp/previews"
)

// maxPins is how many images of others are looked up, and kept, for one environment.
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

// pinned are the images of others that an environment runs: the known ones, which stay as they
// were when the revision was rendered first, and references, which are looked up together
// where they are not known. There are maxPins of them at most.
func (s sourced) pinned(ctx context.Context, known []previews.Pin, references []string) ([]previews.Pin, error) {
	out := slices.Clone(known)
	for _, reference := range references {
		if len(out) < maxPins && !slices.ContainsFunc(out, func(p previews.Pin) bool { return p.Image == reference }) {
			out = append(out, previews.Pin{Image: reference})
		}
	}
	var asked sync.WaitGroup
	for i := len(known); i < len(out); i++ {
		switch {
		case s.pin == nil:
			out[i].Why = "no registry is asked here"
		default:
			asked.Go(func() { out[i].Digest, out[i].Why = s.pin(ctx, out[i].Image) })
		}
	}
	asked.Wait()
	return out, ctx.Err()
}

// tagged says of images that have no digest why they keep their tags.
func tagged(pins []previews.Pin, references []string) []string {
	var out []string
	for _, pin := range pins {
		if pin.Digest == "" && slices.Contains(references, pin.Image) {
			out = append(out, fmt.Sprintf("image %s keeps its tag: %s", pin.Image, pin.Why))
		}
	}
	if more := len(references) - len(out); more > 0 {
		out = append(out, fmt.Sprintf("%d more images keep their tags: no more than %d are looked up", more, maxPins))
	}
	return out
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
