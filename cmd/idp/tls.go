package main

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// certificate is the pair of files that idp serves with. It is read again once either
// changes: whoever renews it need not restart idp.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu     sync.Mutex
	loaded *tls.Certificate
	// seen is when the files that were read last had been changed.
	seen [2]time.Time
}

// newCertificate reads the pair for the first time.
func newCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	_, err := c.get(nil)
	return c, err
}

// listener is one that speaks TLS over another.
func (c *certificate) listener(inner net.Listener) net.Listener {
	return tls.NewListener(inner, &tls.Config{GetCertificate: c.get, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
}

// get returns the certificate as its files have it. While they hold no pair, as in the
// middle of being replaced, the one before goes on.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed, err := changedAt(c.certFile, c.keyFile)
	if err == nil && c.loaded != nil && changed == c.seen {
		return c.loaded, nil
	}
	var pair tls.Certificate
	if err == nil {
		pair, err = tls.LoadX509KeyPair(c.certFile, c.keyFile)
	}
	switch {
	case err == nil:
		if c.loaded != nil {
			c.log.Info("serving with a new certificate", "file", c.certFile, "expires", pair.Leaf.NotAfter)
		}
		c.loaded, c.seen = &pair, changed
	case c.loaded == nil:
		return nil, fmt.Errorf("read the certificate: %w", err)
	default:
		if changed != c.seen {
			c.log.Warn("the new certificate cannot be read; the one before goes on", "file", c.certFile, "error", err)
		}
		c.seen = changed
	}
	return c.loaded, nil
}

func changedAt(files ...string) (at [2]time.Time, err error) {
	for i, file := range files {
		info, failed := os.Stat(file)
		if failed != nil {
			return at, failed
		}
		at[i] = info.ModTime()
	}
	return at, nil
}

// trusting returns a client that takes the first certificate in a file, expired or not,
// and no other.
func trusting(certFile string) (*http.Client, error) {
	data, err := os.ReadFile(certFile)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("it holds no certificate")
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS12,
		// It is asked by address, which the certificate is not for: what counts is that it
		// is this certificate.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			if !bytes.Equal(state.PeerCertificates[0].Raw, block.Bytes) {
				return errors.New("it has another certificate")
			}
			return nil
		},
	}}}, nil
}
