package images

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// ofPlatform is an image whose configuration says what it runs on.
func ofPlatform(t *testing.T, p v1.Platform) v1.Image {
	t.Helper()
	image, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant = p.OS, p.Architecture, p.Variant
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	return image
}

func TestLacking(t *testing.T) {
	t.Parallel()
	layers := 0
	host := serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
				layers++
			}
			next.ServeHTTP(w, r)
		})
	})
	r := New(Options{Named: named(host)})
	amd, arm, armv7 := v1.Platform{OS: "linux", Architecture: "amd64"}, v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}, v1.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}
	var index v1.ImageIndex = empty.Index
	for _, p := range []v1.Platform{amd, arm, {OS: "unknown", Architecture: "unknown"}} { // the last is an attestation
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: ofPlatform(t, p), Descriptor: v1.Descriptor{Platform: &p}})
	}
	if err := remote.WriteIndex(parse(t, host+"/acme/web:multi"), index); err != nil {
		t.Fatal(err)
	}
	for tag, p := range map[string]v1.Platform{"amd": amd, "armv7": armv7} {
		if err := remote.Write(parse(t, host+"/acme/web:"+tag), ofPlatform(t, p)); err != nil {
			t.Fatal(err)
		}
	}
	layers = 0
	for _, test := range []struct {
		tag    string
		wanted []string
		want   []string
	}{
		{"multi", []string{"linux/amd64", "linux/arm64"}, nil},
		{"multi", []string{"linux/arm64/v8", "linux/s390x", "windows/amd64"}, []string{"linux/s390x", "windows/amd64"}},
		{"amd", []string{"linux/amd64", "linux/arm64"}, []string{"linux/arm64"}},
		{"armv7", []string{"linux/arm", "linux/arm/v6", "linux/arm/v7"}, []string{"linux/arm/v6"}},
		{"amd", nil, nil},
	} {
		got, err := r.Lacking(t.Context(), host+"/acme/web:"+test.tag, test.wanted)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s lacks %v of %v (%v), want %v", test.tag, got, test.wanted, err, test.want)
		}
	}
	if layers != 3 { // the configuration of each image that is no index
		t.Errorf("%d blobs were read", layers)
	}
	if _, err := r.Lacking(t.Context(), host+"/acme/web:none", []string{"linux/amd64"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("no image: %v", err)
	}
	if _, err := r.Lacking(t.Context(), host+"/acme/web:amd", []string{"a/b/c/d"}); !errors.Is(err, ErrInvalid) {
		t.Errorf("no platform: %v", err)
	}
}
