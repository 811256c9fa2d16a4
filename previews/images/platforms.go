package images

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// maxConfig bounds the configuration of an image that is read, in bytes.
const maxConfig = 4 << 20

// Lacking returns which of some platforms, as OS/ARCHITECTURE and perhaps a variant, what ref
// names has no image for: an index has one for each of its own, an image that is none is for
// one. Errors are those of Resolve.
func (r *Resolver) Lacking(ctx context.Context, ref string, platforms []string) (lacking []string, err error) {
	wanted := make([]v1.Platform, 0, len(platforms))
	for _, text := range platforms {
		one, err := v1.ParsePlatform(text)
		if err != nil {
			return nil, fmt.Errorf("platform %q: %w: %s", text, ErrInvalid, err.Error())
		}
		wanted = append(wanted, *one)
	}
	err = r.inTurn(ctx, ref, func(ctx context.Context, parsed name.Reference) error {
		has, err := r.platforms(ctx, parsed)
		if err != nil {
			return err
		}
		for i, one := range wanted {
			if !satisfied(one, has) {
				lacking = append(lacking, platforms[i])
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return lacking, nil
}

func satisfied(wanted v1.Platform, has []v1.Platform) bool {
	for _, one := range has {
		if one.Satisfies(wanted) {
			return true
		}
	}
	return false
}

// platforms are those that a reference has an image for.
func (r *Resolver) platforms(ctx context.Context, ref name.Reference) ([]v1.Platform, error) {
	puller, err := r.puller(ctx, ref)
	if err != nil {
		return nil, err
	}
	got, err := puller.Get(ctx, ref)
	if err != nil {
		return nil, err
	}
	if !got.MediaType.IsIndex() {
		one, err := platformOf(got)
		return []v1.Platform{one}, err
	}
	index, err := got.ImageIndex()
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	var out []v1.Platform
	for _, one := range manifest.Manifests {
		if one.Platform != nil {
			out = append(out, *one.Platform)
		}
	}
	return out, nil
}

// platformOf is what an image's own configuration says.
func platformOf(got *remote.Descriptor) (v1.Platform, error) {
	image, err := got.Image()
	if err != nil {
		return v1.Platform{}, err
	}
	manifest, err := image.Manifest()
	if err != nil {
		return v1.Platform{}, err
	}
	if manifest.Config.Size > maxConfig {
		return v1.Platform{}, errors.New("the image's configuration is too large")
	}
	config, err := image.ConfigFile()
	if err != nil {
		return v1.Platform{}, err
	}
	return v1.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant}, nil
}
