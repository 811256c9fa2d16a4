package main

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/idp-bot/idp/bot/github"
)

// writerApp is an item of gitops_apps.
type writerApp struct {
	address string // the repository's URL
	id      int64
	file    string // of the private key
}

// cutWriterApp parts an item of gitops_apps, URL=ID=FILE.
func cutWriterApp(item string) (w writerApp, ok bool) {
	rest, file, ok := cutTokenFile(item)
	if !ok {
		return w, false
	}
	address, id, ok := cutTokenFile(rest)
	if !ok {
		return w, false
	}
	number, err := strconv.ParseInt(id, 10, 64)
	return writerApp{address, number, file}, err == nil && number > 0
}

// checkWriters wants both of what makes the second App, or none, and no token beside it.
func (l *loading) checkWriters() {
	const id, file = "gitops_app_id", "gitops_private_key_file"
	switch c := l.config; {
	case c.GitOpsAppID < 0:
		l.refuse(id, "it is not an App id", "use the number on the App's settings page")
	case c.GitOpsAppID == 0 && c.GitOpsPrivateKeyFile != "":
		l.refuse(id, "it is missing, and "+file+" is set", "use the App ID on the App's settings page, or what idp setup github --writer printed")
	case c.GitOpsAppID != 0 && c.GitOpsPrivateKeyFile == "":
		l.refuse(file, "it is missing, and "+id+" is set", "name the .pem file of that App's private key")
	case c.GitOpsAppID != 0 && c.GitOpsTokenFile != "":
		l.refuse(id, "gitops_token_file is set, too", "keep one of the two")
	case c.GitOpsAppID != 0 && c.GitOpsAppID == c.GitHubAppID:
		l.refuse(id, "it is github_app_id", "leave it out, or register an App of its own with idp setup github --writer")
	default:
		l.checkKeyFile(file, "it", c.GitOpsPrivateKeyFile)
	}
	l.checkWriterApps()
}

func (l *loading) checkWriterApps() {
	const key = "gitops_apps"
	api, err := url.Parse(l.config.GitHubAPIURL)
	for _, item := range l.config.GitOpsApps {
		w, ok := cutWriterApp(item)
		u, why := parseGitURL(w.address)
		switch {
		case !ok || why != "" || !strings.HasPrefix(w.address, "http"):
			l.refuse(key, "an item is not of the form URL=ID=FILE", "write it like https://github.com/acme/gitops-production.git=123456=/etc/idp/production-writer.pem")
			continue
		case u.User != nil:
			l.refuse(key, "the URL holds credentials", "leave them out: the App makes its own")
			continue
		case !l.sound("github_api_url") || err != nil:
			continue
		}
		if _, _, err := github.OwnRepository(api, w.address); err != nil {
			l.refuse(key, err.Error(), "name a repository on that GitHub, or a file with a token in gitops_token_files")
		}
		if _, ok := ownTokenFile(l.config, w.address); ok {
			l.refuse(key, w.address+" is in gitops_token_files, too", "keep one of the two")
		}
		l.checkKeyFile(key, w.file, w.file)
	}
}
