package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"maps"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// writeCertificate writes a self-signed pair for idp.example and returns its files.
func writeCertificate(t *testing.T, dir string, serial int64, until time.Time) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "idp.example"}, DNSNames: []string{"idp.example"},
		NotBefore: until.Add(-24 * time.Hour), NotAfter: until,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	secrettest.Given(key)
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: encoded}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Unix(serial, 0) // a file system's clock may be coarse
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// With a certificate, webhooks and probes are served by TLS alone, and a renewed pair
// is served without a restart.
func TestServeTLS(t *testing.T) {
	t.Parallel()
	dir := secrettest.Dir(t)
	cert, key := writeCertificate(t, dir, 1, time.Now().Add(time.Hour))
	env := complete(t, map[string]string{
		"IDP_LISTEN": "127.0.0.1:0", "IDP_METRICS_LISTEN": "127.0.0.1:0", "IDP_DATABASE_URL": "sqlite://" + filepath.Join(dir, "idp.db"),
		"IDP_GITHUB_API_URL": "http://127.0.0.1:1/", "IDP_GITOPS_URL": "http://127.0.0.1:1/acme/gitops.git", "IDP_TLS_CERT_FILE": cert, "IDP_TLS_KEY_FILE": key,
	})
	var pairs []string
	for name, value := range env {
		pairs = append(pairs, name+"="+value)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	log := newWatchedLog(t)
	ended := make(chan int, 1)
	go func() { ended <- searchedRun(ctx, t, []string{"serve"}, strings.NewReader(""), io.Discard, log, pairs) }()
	addr := log.await(t, `webhooks=https://(127\.0\.0\.1:\d+)/webhooks/github metrics=http://`)[1]
	serial := func() int64 {
		t.Helper()
		client, err := trusting(cert)
		if err != nil {
			t.Fatal(err)
		}
		defer client.CloseIdleConnections()
		resp, err := client.Get("https://" + addr + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	health := func() (int, string) {
		var errs bytes.Buffer
		status := searchedRun(t.Context(), t, []string{"healthcheck", "--listen", addr, "--tls-cert-file", cert}, strings.NewReader(""), io.Discard, &errs, nil)
		return status, errs.String()
	}
	if got := serial(); got != 1 {
		t.Errorf("served with certificate %d", got)
	}
	if resp, err := http.Get("http://" + addr + "/healthz"); err == nil {
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			t.Error("it answers without TLS too")
		}
	}
	writeCertificate(t, dir, 2, time.Now().Add(-time.Hour)) // expired: what checks whether it is alive does not mind
	if got := serial(); got != 2 {
		t.Errorf("served with certificate %d after it was renewed", got)
	}
	if status, errs := health(); status != exitOK {
		t.Errorf("healthcheck: status %d: %s", status, errs)
	}
	if err := os.WriteFile(key, []byte("half a"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := serial(); got != 2 {
		t.Errorf("served with certificate %d while the pair is broken", got)
	}
	log.await(t, "the new certificate cannot be read; the one before goes on")
	other := secrettest.Dir(t)
	theirs, _ := writeCertificate(t, other, 3, time.Now().Add(time.Hour))
	cert = theirs
	if status, errs := health(); status != exitFailure || !strings.Contains(errs, "no answer from https://") {
		t.Errorf("healthcheck of another's certificate: status %d: %s", status, errs)
	}
	cancel()
	if status := <-ended; status != exitOK {
		t.Errorf("ended with %d:\n%s", status, log.String())
	}
}

func TestTLSMistakes(t *testing.T) {
	t.Parallel()
	dir := secrettest.Dir(t)
	cert, key := writeCertificate(t, dir, 1, time.Now().Add(-time.Hour))
	otherCert, _ := writeCertificate(t, secrettest.Dir(t), 2, time.Now().Add(time.Hour))
	for name, test := range map[string]struct {
		env  map[string]string
		want string
	}{
		"no key":      {map[string]string{"IDP_TLS_CERT_FILE": cert}, "tls_key_file"},
		"no cert":     {map[string]string{"IDP_TLS_KEY_FILE": key}, "tls_cert_file"},
		"no such key": {map[string]string{"IDP_TLS_CERT_FILE": cert, "IDP_TLS_KEY_FILE": key + ".x"}, "tls_key_file"},
		"no pair":     {map[string]string{"IDP_TLS_CERT_FILE": otherCert, "IDP_TLS_KEY_FILE": key}, "it cannot be used with tls_key_file"},
	} {
		env := complete(t, map[string]string{})
		maps.Copy(env, test.env)
		var pairs []string
		for name, value := range env {
			pairs = append(pairs, name+"="+value)
		}
		var errs bytes.Buffer
		status := searchedRun(t.Context(), t, []string{"serve"}, strings.NewReader(""), io.Discard, &errs, pairs)
		if status != exitInvalid || !strings.Contains(errs.String(), test.want) {
			t.Errorf("%s: status %d:\n%s", name, status, errs.String())
		}
	}
}
