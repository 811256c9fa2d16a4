package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/idp-bot/idp/gitops/argocd"
	"github.com/idp-bot/idp/gitops/inplace"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/repo"
)

// checkUpdates is of the files and Applications of teams that deployments change values in.
const checkUpdates = "files of teams"

// updates asks whether the values are there that update lists, and whether the Applications
// read them. Where nothing is listed there is nothing to say.
func (x *examination) updates(ctx context.Context) {
	own := x.cfg.Class()
	count, elsewhere := 0, 0
	var wrong []string
	err := x.inGitOps(ctx, func(r *repo.Repo, tip string) error {
		for _, env := range x.declared.Environments {
			class, _ := x.declared.Class(env.Class)
			for _, u := range env.AllUpdates() {
				count++
				if class.PushURL != own.PushURL || class.Branch != own.Branch {
					elsewhere++
					continue
				}
				for _, f := range u.Fields {
					if err := readField(ctx, r, tip, f); err != nil {
						wrong = append(wrong, err.Error())
					}
				}
			}
		}
		return nil
	})
	if count == 0 && err == nil {
		return
	}
	if err != nil {
		x.skip(checkUpdates, "the GitOps repository has to be readable first", "")
		return
	}
	wrong = append(wrong, x.unread(ctx)...)
	switch {
	case len(wrong) > 0:
		x.fail(checkUpdates, strings.Join(wrong, "; "), "mend update in "+platform.EnvironmentsPath+", the files or the Applications: idp validate --platform DIR looks at the files")
	case elsewhere > 0:
		x.ok(checkUpdates, "%s; of the values of %s in other GitOps repositories nothing was asked", plural(count, "service"), plural(elsewhere, "service"))
	default:
		x.ok(checkUpdates, "every value is there, and the Application of each of %s reads it", plural(count, "service"))
	}
}

// readField reads one value at the tip.
func readField(ctx context.Context, r *repo.Repo, tip string, f inplace.Field) error {
	content, err := r.Text(ctx, tip, f.File)
	if err != nil {
		return err
	}
	_, err = inplace.Read(content, f)
	return err
}

// unread asks the server's own Argo CD about each Application that is there, where it answers.
func (x *examination) unread(ctx context.Context) (wrong []string) {
	if x.client == nil {
		return nil
	}
	for _, env := range x.declared.Environments {
		class, _ := x.declared.Class(env.Class)
		if class.ArgoCDURL != x.cfg.Class().ArgoCDURL {
			continue
		}
		for _, u := range env.AllUpdates() {
			var files []argocd.Place
			for _, f := range u.Fields {
				files = append(files, argocd.Place{URLs: []string{class.RepoURL, class.PushURL}, Branch: class.Branch, File: f.File})
			}
			_, unread, err := x.client.Theirs(ctx, u.Application, files)
			switch {
			case errors.Is(err, argocd.ErrNotFound):
				wrong = append(wrong, fmt.Sprintf("Application %s is not there, or the token may not see it", u.Application))
			case err != nil:
				wrong = append(wrong, err.Error())
			case unread != "":
				wrong = append(wrong, unread)
			}
		}
	}
	return wrong
}

// inGitOps reads the tip of the GitOps repository in a clone of its own, which goes again;
// only where something is listed that asks for it.
func (x *examination) inGitOps(ctx context.Context, read func(r *repo.Repo, tip string) error) error {
	listed := false
	for _, env := range x.declared.Environments {
		listed = listed || len(env.AllUpdates()) > 0
	}
	if !listed {
		return nil
	}
	dir, err := os.MkdirTemp("", "idp-doctor-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // the system clears what stays
	o := repo.Options{URL: x.cfg.GitOpsURL, Branch: x.cfg.GitOpsBranch, Dir: dir, Credentials: gitCredentials(x.cfg, x.apps), Now: x.now}
	_, err = asked(ctx, o, func(r *repo.Repo, ctx context.Context) (string, error) {
		tip, err := r.Tip(ctx)
		if err != nil {
			return "", err
		}
		return tip, read(r, tip)
	})
	return err
}
