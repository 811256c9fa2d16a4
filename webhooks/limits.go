package webhooks

import (
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// Every limit of the edge stands here. They bound what somebody without the
// secret can cost: maxConns × (freeBody + maxHeader) + allBodies is 104 MiB, and
// with what the garbage collector has not come to yet about twice that.
const (
	// MaxBody is the largest payload that GitHub sends: 25 MB.
	// Source: docs.github.com/webhooks/webhook-events-and-payloads#payload-cap.
	MaxBody = 25 << 20
	// maxConns is how many connections are open at once; further ones wait in the
	// kernel's queue. GitHub opens one per delivery.
	maxConns = 512
	// freeBody is how much of each body is read without asking; GitHub's payloads
	// are 8 to 30 KiB, so that large ones under way never hold up the usual ones.
	freeBody = 64 << 10
	// allBodies is how much the bodies under way may take beyond that, together.
	allBodies = 64 << 20
	// maxHeader bounds the request's header; GitHub's are below 2 KiB.
	maxHeader = 16 << 10

	// readHeaderTimeout and readTimeout bound a slow sender, writeTimeout a slow
	// reader, idleTimeout a connection kept for later. GitHub itself gives up after
	// 10 s (GitHub Enterprise Server after 30 s).
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 60 * time.Second
	// storeTimeout and the 5 s that the database may wait for a lock, which nothing
	// interrupts, end before GitHub's 10 s do.
	storeTimeout = 4 * time.Second
	// retryAfter is what a 429 and a 503 ask for, in seconds.
	retryAfter = "30"

	// forgedBurst is how many unsigned requests an address may send at once, and
	// forgedRate how many a second after that; more are refused before they are read.
	// signedFor is how long an address that sent something signed is not held to it.
	forgedBurst = 100
	forgedRate  = 1
	signedFor   = 24 * time.Hour
	// installationBurst is how many deliveries one installation may have stored at
	// once, and installationRate how many a second after that. Ten thousand pull
	// requests opened at a time are about thirty thousand deliveries.
	installationBurst = 50_000
	installationRate  = 50
	// maxSources is how many addresses, and installations, are remembered: those that
	// sent last.
	maxSources = 4096
)

// Listen listens on a TCP address such as ":8080" or "127.0.0.1:0", for so many
// connections at once as the limits allow.
func Listen(address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return netutil.LimitListener(listener, maxConns), nil
}

// NewServer returns a server for the handler with the edge's timeouts. Serve it
// with a listener of Listen.
func NewServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
	}
}
