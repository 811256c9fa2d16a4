//go:build !profile

package main

// startProfiles does nothing in the binary that people run: there are no profiles of it to
// be had.
func startProfiles() (stop func() error, err error) { return func() error { return nil }, nil }
