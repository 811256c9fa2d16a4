package argocd

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
)

// source is the part of an Application's source that is read.
type source struct {
	RepoURL        string `json:"repoURL"`
	Path           string `json:"path"`
	TargetRevision string `json:"targetRevision"`
	Chart          string `json:"chart"`
	Ref            string `json:"ref"`
	Helm           struct {
		ValueFiles []string `json:"valueFiles"`
	} `json:"helm"`
}

// Place is a file on a branch of a repository, which may have several URLs.
type Place struct {
	URLs         []string
	Branch, File string
}

// Theirs returns what Argo CD sees of an Application that is somebody else's, ErrNotFound
// when there is none, and why it does not read one of the files, "" where it reads all. Of an
// Application with several sources, revisions are those of the one that reads the files.
func (c *Client) Theirs(ctx context.Context, name string, files []Place) (a Application, unread string, err error) {
	var answer application
	if err := c.get(ctx, "application", "api/v1/applications/"+url.PathEscape(name), nil, &answer); err != nil {
		return Application{}, "", fmt.Errorf("get application %s: %w", name, err)
	}
	for _, file := range files {
		i, why := answer.reads(file)
		if why != "" {
			unread = "Application " + name + " " + why
			break
		}
		answer.pick(i)
	}
	return answer.summary(), unread, nil
}

// sources are all of an Application.
func (a *application) sources() []source {
	if len(a.Spec.Sources) > 0 {
		return a.Spec.Sources
	}
	return []source{a.Spec.Source}
}

// reads returns the source that reads a file, or says why none does.
func (a *application) reads(at Place) (index int, why string) {
	sources := a.sources()
	why = fmt.Sprintf("does not read the repository that %s is in: it reads %s", at.File, named(sources))
	for i, s := range sources {
		if s.Chart != "" || s.RepoURL == "" || !slices.ContainsFunc(at.URLs, func(u string) bool { return repository(u) == repository(s.RepoURL) }) {
			continue
		}
		branch := strings.TrimPrefix(s.TargetRevision, "refs/heads/")
		switch {
		case branch != "" && branch != "HEAD" && branch != at.Branch:
			why = fmt.Sprintf("follows %s, and %s is changed on branch %s", s.TargetRevision, at.File, at.Branch)
		case a.includes(i, at.File):
			return i, ""
		default:
			why = fmt.Sprintf("does not read %s: it reads %s", at.File, path.Join(".", s.Path))
		}
	}
	return 0, why
}

// includes says that a source reads a file of its repository: one below its path, a file of
// values that it or another source names, or what an overlay may have for a base, which stands
// below the same folder of the root.
func (a *application) includes(i int, file string) bool {
	s := a.sources()[i]
	folder := path.Join(".", s.Path)
	within := s.Path != "" && (folder == "." || strings.HasPrefix(file, folder+"/"))
	for _, other := range a.sources() {
		for _, values := range other.Helm.ValueFiles {
			ref, rest, named := strings.Cut(values, "/")
			switch {
			case s.Ref != "" && named && ref == "$"+s.Ref:
				within = within || path.Clean(rest) == file
			case other.Path == s.Path && other.RepoURL == s.RepoURL && strings.HasPrefix(values, "/"):
				within = within || path.Clean(values[1:]) == file
			case other.Path == s.Path && other.RepoURL == s.RepoURL:
				within = within || path.Join(s.Path, values) == file
			}
		}
	}
	if !within && a.kind(i) == "Kustomize" {
		top, _, _ := strings.Cut(folder, "/")
		within = strings.HasPrefix(file, top+"/")
	}
	return within
}

// kind is how Argo CD renders a source: Helm, Kustomize, Directory or Plugin.
func (a *application) kind(i int) string {
	if i < len(a.Status.SourceTypes) {
		return a.Status.SourceTypes[i]
	}
	return a.Status.SourceType
}

// pick has an Application with several sources tell the revisions of one.
func (a *application) pick(i int) {
	if len(a.Spec.Sources) == 0 {
		return
	}
	of := func(single *string, several []string) {
		if i < len(several) {
			*single = several[i]
		}
	}
	of(&a.Status.Sync.Revision, a.Status.Sync.Revisions)
	if op := a.Status.OperationState; op != nil && op.SyncResult != nil {
		of(&op.SyncResult.Revision, op.SyncResult.Revisions)
	}
	for j := range a.Status.History {
		of(&a.Status.History[j].Revision, a.Status.History[j].Revisions)
	}
}

func named(sources []source) string {
	var urls []string
	for _, s := range sources {
		urls = append(urls, oneLine(s.RepoURL))
	}
	return some(urls)
}

// repository is a repository's URL without what may be written in several ways: how it is
// reached, letter case, and its end.
func repository(raw string) string {
	rest := strings.ToLower(strings.TrimSpace(raw))
	if _, after, ok := strings.Cut(rest, "://"); ok {
		rest = after
	} else if host, after, ok := strings.Cut(rest, ":"); ok && !strings.Contains(host, "/") {
		rest = host + "/" + after // git@host:path
	}
	if user, after, ok := strings.Cut(rest, "@"); ok && !strings.Contains(user, "/") {
		rest = after
	}
	return strings.TrimSuffix(strings.TrimRight(rest, "/"), ".git")
}
