package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"

	"github.com/klauspost/compress/snappy"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops/provenance"
)

// imageDigest is a digest as GitHub's attestations are found by.
var imageDigest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// attestation is what idp reads of one of GitHub's. The bundle is null, and stands at
// BundleURL, for everybody since July 2026.
// Source: docs.github.com/rest/about-the-rest-api/breaking-changes.
type attestation struct {
	Bundle    json.RawMessage `json:"bundle"`
	BundleURL string          `json:"bundle_url"`
}

// Attestations returns the Sigstore bundles with the provenance of an image, by its digest
// ("sha256:" and 64 hexadecimal digits), the newest provenance.MaxBundles, as they are:
// none is verified. Where there are none, it returns none. bot.ErrNoAccess says that the
// App may not read attestations.
func (c *Client) Attestations(ctx context.Context, repo bot.RepositoryRef, digest string) ([][]byte, error) {
	if !imageDigest.MatchString(digest) {
		return nil, fmt.Errorf("read the attestations of %.80q in %s: it is no SHA-256 digest", digest, fullName(repo))
	}
	client := c.attest(repo)
	req, err := client.NewRequest(http.MethodGet, fmt.Sprintf("repos/%s/%s/attestations/%s?per_page=%d&predicate_type=%s",
		url.PathEscape(repo.Owner), url.PathEscape(repo.Name), digest, provenance.MaxBundles, url.QueryEscape(provenance.PredicateType)), nil)
	var listed struct {
		Attestations []attestation `json:"attestations"`
	}
	if err == nil {
		_, err = client.Do(ctx, req, &listed)
	}
	if err = wrap(err, "read the attestations of %.19s in %s", digest, fullName(repo)); err != nil {
		if errors.Is(err, bot.ErrNotFound) {
			return nil, nil // that is how GitHub says that there are none
		}
		return nil, err
	}
	out := make([][]byte, 0, len(listed.Attestations))
	for _, one := range listed.Attestations[:min(len(listed.Attestations), provenance.MaxBundles)] {
		bundle, err := c.bundle(ctx, one)
		if err != nil {
			return nil, wrap(err, "read an attestation of %.19s in %s", digest, fullName(repo))
		}
		out = append(out, bundle)
	}
	return out, nil
}

// bundle returns an attestation's bundle, from where GitHub keeps it where it is not there.
func (c *Client) bundle(ctx context.Context, one attestation) ([]byte, error) {
	if len(one.Bundle) > 0 && string(one.Bundle) != "null" {
		return one.Bundle, nil
	}
	at, err := c.app.bundleURL(one.BundleURL)
	if err != nil {
		return nil, err
	}
	// The address is signed and on another host: no token goes there.
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, errors.New("GitHub's answer holds an address that is none")
	}
	req.Header.Set("User-Agent", userAgent)
	anonymous := &http.Client{Transport: c.app.wire, CheckRedirect: ownRedirects}
	resp, err := anonymous.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		// Not wrapped as GitHub's: a 404 of its storage is not that there is none.
		return nil, fmt.Errorf("GitHub's storage answered %d", resp.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, provenance.MaxBundle+1))
	if err != nil {
		return nil, err
	}
	return unpacked(raw)
}

// bundleURL reads an address that GitHub gives: https, or where the API itself is.
func (a *App) bundleURL(text string) (*url.URL, error) {
	at, err := url.Parse(text)
	switch {
	case text == "":
		return nil, errors.New("GitHub's answer holds neither a bundle nor its address")
	case err != nil || at.Host == "" || at.User != nil:
		return nil, errors.New("GitHub's answer holds an address that is none")
	case at.Scheme == "https", at.Scheme == a.base.Scheme && at.Host == a.base.Host:
		return at, nil
	}
	return nil, errors.New("GitHub's answer holds an address without TLS")
}

var errBundleTooLarge = fmt.Errorf("the bundle has more than %d bytes", provenance.MaxBundle)

// unpacked is a bundle as GitHub stores it, in Snappy's block format, or plain JSON.
func unpacked(raw []byte) ([]byte, error) {
	if len(raw) > provenance.MaxBundle {
		return nil, errBundleTooLarge
	}
	if len(raw) > 0 && json.Valid(raw) {
		return raw, nil
	}
	switch size, err := snappy.DecodedLen(raw); {
	case err != nil:
		return nil, errors.New("the bundle is neither JSON nor packed by Snappy")
	case size > provenance.MaxBundle:
		return nil, errBundleTooLarge
	}
	bundle, err := snappy.Decode(nil, raw)
	if err != nil {
		return nil, errors.New("the bundle is neither JSON nor packed by Snappy")
	}
	return bundle, nil
}
