package images

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// errCredentials is for a credentials file that cannot be used.
var errCredentials = errors.New("pull credentials")

// keychain reads a Docker configuration file each time, so that rotated
// credentials need no restart. Unlike authn.DefaultKeychain it looks nowhere
// else: no home folder, no environment.
type keychain struct{ file string }

// Resolve implements authn.Keychain, with the credentials of the repository
// before those of its registry.
func (k keychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	if k.file == "" {
		return authn.Anonymous, nil
	}
	f, err := os.Open(k.file)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCredentials, err)
	}
	defer f.Close()
	file, err := config.LoadFromReader(f)
	if err != nil {
		// The parser's message may quote the file.
		return nil, fmt.Errorf("%w: %s is not a Docker configuration file", errCredentials, k.file)
	}
	for _, key := range []string{target.String(), target.RegistryStr()} {
		if key == name.DefaultRegistry {
			key = authn.DefaultAuthKey
		}
		auth, err := file.GetAuthConfig(key)
		if err != nil {
			return nil, fmt.Errorf("%w for %s: %w", errCredentials, key, err)
		}
		if auth.ServerAddress = ""; auth != (types.AuthConfig{}) {
			return authn.FromConfig(authn.AuthConfig{
				Username: auth.Username, Password: auth.Password, Auth: auth.Auth,
				IdentityToken: auth.IdentityToken, RegistryToken: auth.RegistryToken,
			}), nil
		}
	}
	return authn.Anonymous, nil
}

// registries are those that the file has credentials for, or says who has; none where it
// cannot be read, which Resolve tells.
func (k keychain) registries() []string {
	if k.file == "" {
		return nil
	}
	f, err := os.Open(k.file)
	if err != nil {
		return nil
	}
	defer f.Close()
	file, err := config.LoadFromReader(f)
	if err != nil {
		return nil
	}
	var out []string
	for _, key := range slices.Concat(slices.Collect(maps.Keys(file.AuthConfigs)), slices.Collect(maps.Keys(file.CredentialHelpers))) {
		_, rest, schemed := strings.Cut(key, "://")
		if !schemed {
			rest = key
		}
		host, _, _ := strings.Cut(rest, "/")
		out = append(out, host)
	}
	return out
}
