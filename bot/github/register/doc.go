// Package register has a person register a GitHub App from a manifest: a page on loopback
// sends the manifest to GitHub with the person's browser, GitHub sends the browser back
// with a code, and the code is exchanged for the App's key.
//
// Guarantees: the page answers only at its own address, under a path that nobody guesses;
// what comes back counts once, with the state that the page was made with, compared in
// constant time; the App's key and secret are in no error, no page and no log. A Flow may
// be used concurrently. It writes nothing: see Keep for the files.
package register
