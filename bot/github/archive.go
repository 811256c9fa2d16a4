package github

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/source/roots"
	"github.com/idp-bot/idp/gitops/spec"
)

const (
	// maxTree bounds the files that Tree returns, in bytes, and maxTreeFiles their number. So
	// they do those that say what belongs to a source, wherever in the repository they are.
	maxTree      = 16 << 20
	maxTreeFiles = 5000
	// maxDownload bounds an archive, maxArchive what it may unpack to, in bytes;
	// downloadTimeout is how long the download may take.
	maxDownload     = 128 << 20
	maxArchive      = 1 << 30
	downloadTimeout = 2 * time.Minute
	// maxEntries bounds the number of files of an archive, those that are not asked for
	// included.
	maxEntries = 200_000
	// keptTrees is how many trees are kept: a commit's files never change.
	keptTrees = 8
	// treesRead is how many trees are read at a time, each from a file of its archive.
	treesRead = 2
)

var (
	errArchive      = errors.New("GitHub's archive is not as git writes it")
	errArchiveAway  = errors.New("GitHub's archive is at a host that is not GitHub's")
	errTreeTooLarge = fault.Newf(fault.Invalid, "the files there are larger than %d MiB, or more than %d", maxTree>>20, maxTreeFiles)
	// errManyDefinitions is for a repository of so many charts or kustomizations that it would
	// take too much to find out which belong together.
	errManyDefinitions = fault.Newf(fault.Invalid, "the Chart.yaml or kustomization.yaml files of the repository are larger than %d MiB together", maxTree>>20)
	errDownload        = fault.Newf(fault.Invalid, "the repository's archive is larger than %d MiB", maxDownload>>20).
				WithHint("keep what is large out of the repository, or leave it out of archives: export-ignore in .gitattributes does")
)

// treeKey is a tree that was read.
type treeKey struct {
	installation, repository int64
	sha, from                string
}

// Tree returns the files of a commit that any of the sources is made of, by their paths from
// the repository's root. It takes one request and one download, which is kept in a file of
// its own meanwhile. A symbolic link, or a submodule's place, among them is a fault.Invalid,
// and so is more than may be. bot.ErrNotFound says that GitHub has no such commit.
func (c *Client) Tree(ctx context.Context, repo bot.RepositoryRef, sha string, from ...spec.Source) (map[string][]byte, error) {
	if !fullSHA.MatchString(sha) {
		return nil, fmt.Errorf("read the files of %s at %q: it is no whole SHA: %w", fullName(repo), cut(sha, 100), bot.ErrNotFound)
	}
	select {
	case c.app.reading <- struct{}{}:
		defer func() { <-c.app.reading }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	key := treeKey{c.id, repo.ID, sha, places(from)}
	if files, ok := c.app.trees.Get(key); ok {
		return files, nil
	}
	files, err := c.tree(ctx, repo, sha, from)
	if err != nil {
		return nil, wrap(err, "read the files of %s at %.7s", fullName(repo), sha)
	}
	c.app.trees.Add(key, files)
	return files, nil
}

func (c *Client) tree(ctx context.Context, repo bot.RepositoryRef, sha string, from []spec.Source) (map[string][]byte, error) {
	body, err := c.archive(ctx, repo, sha)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	file, err := os.CreateTemp("", "idp-archive-")
	if err != nil {
		return nil, fmt.Errorf("keep the archive: %w", err)
	}
	defer func() { _ = errors.Join(file.Close(), os.Remove(file.Name())) }()
	if _, err := io.Copy(file, body); err != nil {
		return nil, fmt.Errorf("download the archive: %w", err)
	}
	return Untar(func() (io.Reader, error) {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return nil, fmt.Errorf("read the archive: %w", err)
		}
		zipped, err := gzip.NewReader(bufio.NewReader(file))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errArchive, err)
		}
		return zipped, nil
	}, from...)
}

// places say where sources are: their values have no part in which files they are made of.
func places(from []spec.Source) string {
	var b strings.Builder
	for _, s := range from {
		fmt.Fprintf(&b, "%s %q %q %q\n", s.Kind, s.Path, s.Chart, s.ValuesFiles)
	}
	return b.String()
}

// archive asks where the archive of a commit is, and opens it. The token goes to the API
// alone: the address that it gives has one of its own.
func (c *Client) archive(ctx context.Context, repo bot.RepositoryRef, sha string) (io.ReadCloser, error) {
	client := c.rest(repo)
	chain, ok := client.Client().Transport.(redirecting)
	if !ok {
		return nil, errors.New("the client has no redirects of its own")
	}
	chain.leave = func(at *url.URL) bool {
		return !strings.HasPrefix(at.Path, c.app.base.Path) || at.Host != c.app.base.Host
	}
	asking := gh.NewClient(&http.Client{Transport: chain, CheckRedirect: ownRedirects})
	asking.BaseURL, asking.UserAgent = client.BaseURL, client.UserAgent
	at, resp, err := asking.Repositories.GetArchiveLink(ctx, repo.Owner, repo.Name, gh.Tarball, &gh.RepositoryContentGetOptions{Ref: sha}, 0)
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusFound {
			return nil, answered(resp.Response)
		}
		return nil, err
	}
	if !trusts(c.app.base, at) && !servesArchives(c.app.base, at) {
		return nil, errArchiveAway
	}
	return c.download(ctx, at)
}

// answered is GitHub's refusal, without its words: they were read already.
func answered(resp *http.Response) error {
	if resp.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%w: GitHub answered 404", bot.ErrNotFound)
	}
	return &APIError{Status: resp.StatusCode, RequestID: resp.Header.Get("X-Github-Request-Id")}
}

// servesArchives says whether a URL leads to codeload.HOST of the API's GitHub.
func servesArchives(api, at *url.URL) bool {
	host := strings.TrimPrefix(strings.ToLower(api.Hostname()), "api.")
	return at.Scheme == "https" && strings.ToLower(at.Hostname()) == "codeload."+host
}

func (c *Client) download(ctx context.Context, at *url.URL) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, errArchiveAway // the error would have the address, and that a token
	}
	req.Header.Set("User-Agent", userAgent)
	resp, err := c.app.downloads.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("download the archive: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		discard(resp)
		return nil, fmt.Errorf("download the archive: %w", &APIError{Status: resp.StatusCode})
	}
	return resp.Body, nil
}

// Untar reads an archive as "git archive --format=tar" writes it, everything below one folder:
// the files that the sources are made of, within the bounds of Client.Tree and with its errors.
// open returns the archive from its beginning; it is asked for again as long as files name
// others that were not kept.
func Untar(open func() (io.Reader, error), from ...spec.Source) (map[string][]byte, error) {
	// What a kustomization names, and what its transformers do, which name nothing further.
	const most = 4
	wanted := wanting{from: from}
	wanted.roots = wanted.of(nil)
	for range most {
		archive, err := open()
		if err != nil {
			return nil, err
		}
		files, err := wanted.pass(archive)
		if err != nil {
			return nil, err
		}
		if !wanted.more(files) {
			maps.DeleteFunc(files, func(name string, _ []byte) bool { return !roots.Hold(wanted.roots, name) })
			return files, nil
		}
	}
	return nil, fault.New(fault.Invalid, "its files name others, and those others, without an end", "")
}

// wanting is what is kept of an archive.
type wanting struct {
	from  []spec.Source
	roots []string
	// defined are the files that say what the roots are, once an archive was read.
	defined map[string][]byte
}

// of are the roots of the sources by what files say.
func (w *wanting) of(files map[string][]byte) []string {
	var found []string
	for _, one := range w.from {
		found = append(found, roots.Of(one, func(name string) ([]byte, bool) {
			if content, ok := files[name]; ok {
				return content, true
			}
			content, ok := w.defined[name]
			return content, ok
		})...)
	}
	return found
}

// more says whether, by what files say, the sources are made of more than was kept.
func (w *wanting) more(files map[string][]byte) bool {
	if w.defined == nil {
		w.defined = maps.Clone(files)
	}
	found := w.of(files)
	grown := slices.ContainsFunc(found, func(root string) bool {
		_, there := files[root]
		return !there && !slices.Contains(w.roots, root)
	})
	w.roots = found
	return grown
}

// defines says whether a file may say what a source is made of, so that it is kept until that
// is known.
func (w *wanting) defines(name string) bool {
	return w.defined == nil && slices.ContainsFunc(w.from, func(s spec.Source) bool { return roots.Define(s.Kind, name) })
}

// pass reads an archive once.
func (w *wanting) pass(body io.Reader) (map[string][]byte, error) {
	limited := &io.LimitedReader{R: body, N: maxArchive}
	archive := tar.NewReader(limited)
	out, size, defining := map[string][]byte{}, int64(0), int64(0)
	for entries := 0; ; entries++ {
		header, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			return out, nil
		case limited.N <= 0 || entries > maxEntries:
			return nil, fault.Newf(fault.Invalid, "the repository is larger than %d MiB, or has more than %d files", maxArchive>>20, maxEntries)
		case err != nil:
			return nil, fmt.Errorf("%w: %w", errArchive, err)
		}
		name, err := entryName(header)
		switch {
		case err != nil:
			return nil, err
		case name == "":
		case roots.Hold(w.roots, name):
			if header.Typeflag != tar.TypeReg {
				return nil, noPlainFile(name)
			}
			if size += header.Size; size > maxTree || len(out) >= maxTreeFiles {
				return nil, errTreeTooLarge
			}
			out[name], err = io.ReadAll(archive)
		case header.Typeflag != tar.TypeReg && slices.ContainsFunc(w.roots, func(root string) bool { return strings.HasPrefix(root, name+"/") }):
			return nil, noPlainFile(name) // what is named leads through it
		case header.Typeflag == tar.TypeReg && w.defines(name):
			if defining += header.Size; defining > maxTree {
				return nil, errManyDefinitions
			}
			out[name], err = io.ReadAll(archive)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errArchive, err)
		}
	}
}

func noPlainFile(name string) error {
	return fault.Newf(fault.Invalid, "%s is no plain file: links are not followed", cut(name, 200)).WithHint("copy what it leads to")
}

// entryName is the path of an archive's entry without the folder that everything is in;
// "" for what is no file.
func entryName(header *tar.Header) (string, error) {
	if header.Typeflag == tar.TypeXGlobalHeader || header.Typeflag == tar.TypeDir {
		return "", nil
	}
	_, name, below := strings.Cut(header.Name, "/")
	if !below || name == "" || path.Clean("/"+name) != "/"+name || strings.Contains(name, `\`) {
		return "", fmt.Errorf("%w: it holds a path that is none", errArchive)
	}
	return name, nil
}
