package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// profileAt is the variable that tells an idp that was built with the tag "profile" where to
// serve profiles of itself.
const profileAt = "IDP_PROFILE_LISTEN"

// profile takes a profile of the program's CPU until stop, and then one of what it has
// allocated, and its log, into Profiles. Without that it does nothing.
func (r *run) profile(s *site, name string) (stop func() error) {
	if r.Profiles == "" {
		return func() error { return nil }
	}
	at := ""
	for _, each := range s.program.Env {
		if value, ok := strings.CutPrefix(each, profileAt+"="); ok {
			at = "http://" + value
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	started := fetch(ctx, at+"/start", "")
	return func() error {
		defer cancel()
		base := filepath.Join(r.Profiles, r.work+"-"+name)
		log, err := os.ReadFile(s.program.Log)
		return errors.Join(started, fetch(ctx, at+"/stop", base+".cpu.pprof"), fetch(ctx, at+"/allocs", base+".allocs.pprof"),
			err, os.WriteFile(base+".log", log, 0o600))
	}
}

// fetch writes what is at a URL to a file, "" for none.
func fetch(ctx context.Context, url, to string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("take a profile: %w", err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("take a profile: %s: %s", response.Status, content)
	}
	if err != nil || to == "" {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}
