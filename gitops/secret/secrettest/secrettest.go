// Package secrettest makes secrets for tests, and finds them in whatever the tests write.
//
// A secret of a test is a canary: it begins with Prefix, and nothing else does. What a test
// writes is searched for canaries, and for what GitHub's tokens, JWTs and private keys
// begin with: its folder when it ends (Dir), its logs and the requests to its peers as they
// are written (Logger, Writer, Requests, Text), its PostgreSQL database before that is dropped
// (previews/storetest/postgrestest), and what the test binary prints, a crash included
// (Main). A file that holds a secret because somebody put it there is named where it is
// written (Given).
//
// Only tests, what stands in for idp's peers in them, and the programs that try idp
// (cmd/faulttest, cmd/threats) import the package. All functions may be called concurrently.
package secrettest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"sync"
	"testing"
)

// Prefix is what every canary begins with. It is letters alone, so that it stands as it is
// in URLs, JSON and shells.
const Prefix = "idpcanary"

// New returns a new canary, which tells what it is for: "idpcanarywebhook3f…", longer than
// 32 bytes. The word is of letters.
func New(what string) string {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails (crypto/rand)
	return Prefix + what + hex.EncodeToString(raw)
}

// everywhere is the search of what no more is known of.
var everywhere = sync.OnceValue(func() *Search { return For() })

var given sync.Map

// Given says that a file, or a folder, holds secrets because an operator puts them there, and
// returns its path.
func Given(path string) string {
	given.Store(path, true)
	return path
}

func isGiven(path string) bool {
	_, is := given.Load(path)
	return is
}

// Dir is t.TempDir, searched before it goes: every file, the SQLite databases with their
// logs among them, and every object of the Git repositories.
func Dir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() {
		found, err := everywhere().Folder(context.WithoutCancel(t.Context()), dir, isGiven)
		if err != nil {
			t.Errorf("search %s: %v", dir, err)
		}
		for _, where := range found {
			t.Error(where)
		}
	})
	return dir
}

// Database has the test fail for each secret in what pg_dump wrote of a database.
func Database(t testing.TB, name, dump string) {
	t.Helper()
	for _, where := range everywhere().Dump("the database "+name, dump) {
		t.Error(where)
	}
}
