//go:build profile

package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"runtime/pprof"
	"sync"
	"time"
)

// profileVariable says where to serve profiles. Only a binary that was built for them, with
// the tag "profile", as cmd/loadtest does, reads it.
const profileVariable = "IDP_PROFILE_LISTEN"

// startProfiles serves profiles of this process on loopback, until stop.
func startProfiles() (stop func() error, err error) {
	address := os.Getenv(profileVariable)
	if address == "" {
		return func() error { return nil }, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	if !listener.Addr().(*net.TCPAddr).IP.IsLoopback() {
		return nil, errors.Join(errors.New(profileVariable+": expected an address of loopback"), listener.Close())
	}
	p := &profiles{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /start", p.start)
	mux.HandleFunc("GET /stop", p.stop)
	for _, name := range []string{"allocs", "goroutine"} {
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, _ *http.Request) {
			_ = pprof.Lookup(name).WriteTo(w, 0) // whoever asked is gone
		})
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // it ends with stop
	return func() error { return server.Shutdown(context.Background()) }, nil
}

// profiles takes one of the CPU at a time.
type profiles struct {
	mu   sync.Mutex
	file *os.File
}

func (p *profiles) start(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	file, err := os.CreateTemp("", "idp-profile-")
	if err == nil {
		err = errors.Join(pprof.StartCPUProfile(file), os.Remove(file.Name()))
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	p.file = file
}

func (p *profiles) stop(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file == nil {
		http.Error(w, "none was started", http.StatusConflict)
		return
	}
	pprof.StopCPUProfile()
	if _, err := p.file.Seek(0, 0); err == nil {
		_, _ = p.file.WriteTo(w) // whoever asked is gone
	}
	_ = p.file.Close() // it has no name any more
	p.file = nil
}
