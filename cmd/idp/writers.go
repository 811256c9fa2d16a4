package main

import (
	"fmt"
	"os"

	"github.com/idp-bot/idp/bot/github"
)

// writers are the Apps that GitOps repositories are written with. One of idp's own has to
// read code and hear of it; one that only writes can be kept to the GitOps repository.
type writers struct {
	own    *github.App // idp's own, where nothing else is set
	second *github.App // that of gitops_app_id, nil for none
	beside []writer    // those of gitops_apps
}

// writer is the App of one GitOps repository.
type writer struct {
	address string
	app     *github.App
}

// newWriters returns the Apps of the configuration; own is idp's. It asks GitHub nothing.
func newWriters(cfg *Config, own *github.App, o github.Options) (w writers, err error) {
	w.own = own
	if cfg.GitOpsAppID != 0 {
		if w.second, err = appOf(cfg, cfg.GitOpsAppID, cfg.GitOpsPrivateKeyFile, o); err != nil {
			return w, err
		}
	}
	for _, item := range cfg.GitOpsApps {
		of, ok := cutWriterApp(item)
		if !ok {
			return w, fmt.Errorf("gitops_apps: %q is not of the form URL=ID=FILE", item)
		}
		app, err := appOf(cfg, of.id, of.file, o)
		if err != nil {
			return w, err
		}
		w.beside = append(w.beside, writer{of.address, app})
	}
	return w, nil
}

// appOf is an App at the GitHub of the configuration.
func appOf(cfg *Config, id int64, file string, o github.Options) (*github.App, error) {
	key, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the private key of App %d: %w", id, err)
	}
	o.APIURL, o.AppID, o.PrivateKey = cfg.GitHubAPIURL, id, key
	return github.New(o)
}

// has says whether a repository has an App of its own.
func (w writers) has(address string) bool {
	for _, of := range w.beside {
		if sameRepository(of.address, address) {
			return true
		}
	}
	return false
}

// of is the App that writes a repository.
func (w writers) of(address string) *github.App {
	for _, of := range w.beside {
		if sameRepository(of.address, address) {
			return of.app
		}
	}
	if w.second != nil {
		return w.second
	}
	return w.own
}
