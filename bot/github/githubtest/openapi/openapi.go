// Package openapi holds the stand-in GitHub, and whoever talks to it, to
// GitHub's own published description: every request received and every answer
// sent is checked, and whatever differs is a violation, but for the exceptions
// that Exceptions lists with their reasons.
//
// A Schema is loaded once (a test binary shares one by Shared) and is read-only
// after; a Validator belongs to one server and is safe for concurrent use. It
// never changes a request or an answer.
package openapi

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// Prefix is where the stand-in has its API.
const Prefix = "/api/v3"

// file is the description, from the module's root; testdata/github/prune.mjs
// makes it.
const file = "testdata/github/openapi.json"

// Schema is GitHub's description, loaded.
type Schema struct {
	doc    *openapi3.T
	router routers.Router
}

// Load reads a description made by testdata/github/prune.mjs. The document is
// not validated as such: GitHub's own is not valid by kin-openapi.
func Load(path string) (*Schema, error) {
	doc, err := openapi3.NewLoader().LoadFromFile(path)
	if err != nil {
		return nil, fmt.Errorf("load GitHub's description: %w", err)
	}
	doc.Servers = openapi3.Servers{{URL: Prefix}}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		return nil, fmt.Errorf("route GitHub's description %s: %w", path, err)
	}
	return &Schema{doc: doc, router: router}, nil
}

// Shared loads the module's own description, once for the whole process. It
// looks for the module's root from the working directory upwards, where go test
// starts.
func Shared() (*Schema, error) { return shared() }

var shared = sync.OnceValues(func() (*Schema, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	return Load(filepath.Join(root, filepath.FromSlash(file)))
})

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the module's root: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		} else if !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("find the module's root: %w", err)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find the module's root: no go.mod above the working directory")
		}
		dir = parent
	}
}
