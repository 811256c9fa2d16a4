package github

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/klauspost/compress/snappy"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops/provenance"
)

// attestedDigest is of an image that the tests' bundles are about.
var attestedDigest = "sha256:" + strings.Repeat("5", 64)

// bundleOf is a bundle as far as GitHub reads it, which does not verify.
func bundleOf(digest, kind string, n int) []byte {
	statement := fmt.Sprintf(`{"n":%d,"predicateType":%q,"subject":[{"digest":{"sha256":%q}}]}`, n, kind, strings.TrimPrefix(digest, "sha256:"))
	return fmt.Appendf(nil, `{"dsseEnvelope":{"payload":%q}}`, base64.StdEncoding.EncodeToString([]byte(statement)))
}

func TestAttestations(t *testing.T) {
	t.Parallel()
	w := setup(t)
	if got, err := w.client.Attestations(t.Context(), w.ref(), attestedDigest); err != nil || len(got) != 0 {
		t.Errorf("none: %q, %v", got, err)
	}
	older, newer := bundleOf(attestedDigest, provenance.PredicateType, 1), bundleOf(attestedDigest, provenance.PredicateType, 2)
	for _, bundle := range [][]byte{older, bundleOf(attestedDigest, "https://cyclonedx.org/bom", 3), bundleOf("sha256:"+strings.Repeat("6", 64), provenance.PredicateType, 4), newer} {
		if err := w.web.Attest(bundle); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // once from the storage, once as the list holds them
		got, err := w.client.Attestations(t.Context(), w.ref(), attestedDigest)
		if err != nil || len(got) != 2 || !bytes.Equal(got[0], newer) || !bytes.Equal(got[1], older) {
			t.Errorf("%q, %v", got, err)
		}
		w.web.EmbedAttestations()
	}
	for n := range provenance.MaxBundles + 5 {
		if err := w.web.Attest(bundleOf(attestedDigest, provenance.PredicateType, 10+n)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := w.client.Attestations(t.Context(), w.ref(), attestedDigest); err != nil || len(got) != provenance.MaxBundles {
		t.Errorf("%d, %v", len(got), err)
	}
	for _, bad := range []string{"", "latest", attestedDigest + "0", "sha256:../../../x", strings.ToUpper(attestedDigest), "sha512:" + strings.Repeat("5", 64)} {
		if got, err := w.client.Attestations(t.Context(), w.ref(), bad); err == nil || got != nil {
			t.Errorf("%q: %q, %v", bad, got, err)
		}
	}
	w.server.Inject(githubtest.Fault{Method: "GET", Path: "/repos/*/*/attestations/*", Status: http.StatusForbidden, Times: 1})
	if got, err := w.client.Attestations(t.Context(), w.ref(), attestedDigest); err == nil || got != nil {
		t.Errorf("refused: %q, %v", got, err)
	}
}

// An App that was not given the permission is told so, and reads everything else.
func TestAttestationsNotPermitted(t *testing.T) {
	t.Parallel()
	w := setup(t)
	client := w.without(t, "attestations")
	if _, err := client.Attestations(t.Context(), w.ref(), attestedDigest); !errors.Is(err, bot.ErrNoAccess) || errors.Is(err, bot.ErrNotFound) {
		t.Errorf("attestations: %v", err)
	}
	if _, err := client.Checks(t.Context(), w.ref(), w.web.Branch("main")); err != nil {
		t.Errorf("checks: %v", err)
	}
}

// TestBundles reads one bundle from storages that GitHub's may come to be.
func TestBundles(t *testing.T) {
	t.Parallel()
	w := setup(t)
	answers := map[string]func(http.ResponseWriter, *http.Request){
		"/packed":    func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(snappy.Encode(nil, []byte(`{"a":1}`))) },
		"/plain":     func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte(`{"a":1}`)) },
		"/gone":      http.NotFound,
		"/elsewhere": func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, "/plain", http.StatusFound) },
		"/bomb": func(rw http.ResponseWriter, _ *http.Request) {
			_, _ = rw.Write(snappy.Encode(nil, make([]byte, provenance.MaxBundle+1)))
		},
		"/endless": func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(make([]byte, provenance.MaxBundle+1)) },
		"/claims": func(rw http.ResponseWriter, _ *http.Request) {
			_, _ = rw.Write([]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 'x'})
		},
		"/other":   func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("<html>")) },
		"/nothing": func(http.ResponseWriter, *http.Request) {},
	}
	storage := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("a token went to the storage")
		}
		answers[r.URL.Path](rw, r)
	}))
	t.Cleanup(storage.Close)
	w.app.wire = storage.Client().Transport
	for path, because := range map[string]string{
		"/packed": "", "/plain": "", "/gone": "answered 404", "/elsewhere": "answered 302", "/bomb": "more than 1048576 bytes", "/endless": "more than 1048576 bytes",
		"/claims": "more than 1048576 bytes", "/other": "neither JSON nor packed", "/nothing": "neither JSON nor packed",
	} {
		got, err := w.client.bundle(t.Context(), attestation{BundleURL: storage.URL + path + "?sig=s3cret"})
		switch {
		case because == "" && (err != nil || string(got) != `{"a":1}`):
			t.Errorf("%s: %q, %v", path, got, err)
		case because != "" && (err == nil || !strings.Contains(err.Error(), because) || errors.Is(err, bot.ErrNotFound) || strings.Contains(err.Error(), "s3cret")):
			t.Errorf("%s: %.80q, %v", path, got, err)
		}
	}
	for address, because := range map[string]string{
		"": "neither a bundle nor its address", "http://storage.example.com/x": "without TLS", "file:///etc/passwd": "is none", "https://user@host/x": "is none", "https:///x": "is none", ":": "is none",
	} {
		if _, err := w.client.bundle(t.Context(), attestation{Bundle: []byte("null"), BundleURL: address}); err == nil || !strings.Contains(err.Error(), because) {
			t.Errorf("%q: %v", address, err)
		}
	}
}
