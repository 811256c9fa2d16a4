package github

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops/fault"
)

const (
	// maxTree bounds the files that Tree returns and maxTreeFiles their number; maxArchive
	// bounds what an archive may unpack to, in bytes. The archive itself is bounded as every
	// answer is.
	maxTree      = 16 << 20
	maxTreeFiles = 5000
	maxArchive   = 512 << 20
	// maxEntries bounds the number of files of an archive, those that are not asked for
	// included.
	maxEntries = 200_000
	// keptTrees is how many trees are kept: a commit's files never change.
	keptTrees = 8
)

var (
	errArchive      = errors.New("GitHub's archive is not as git writes it")
	errArchiveAway  = errors.New("GitHub's archive is at a host that is not GitHub's")
	errTreeTooLarge = fault.Newf(fault.Invalid, "the files there are larger than %d MiB, or more than %d", maxTree>>20, maxTreeFiles)
)

// treeKey is a tree that was read.
type treeKey struct {
	installation, repository int64
	sha, under               string
}

// Tree returns the files of a commit below any of the given paths, which are files or
// folders, by their paths from the repository's root; "" is the root. It takes one request
// and one download. A symbolic link, or a submodule's place, among them is a fault.Invalid,
// and so is more than may be. bot.ErrNotFound says that GitHub has no such commit.
func (c *Client) Tree(ctx context.Context, repo bot.RepositoryRef, sha string, under []string) (map[string][]byte, error) {
	if !fullSHA.MatchString(sha) {
		return nil, fmt.Errorf("read the files of %s at %q: it is no whole SHA: %w", fullName(repo), cut(sha, 100), bot.ErrNotFound)
	}
	key := treeKey{c.id, repo.ID, sha, strings.Join(under, "\x00")}
	if files, ok := c.app.trees.Get(key); ok {
		return files, nil
	}
	body, err := c.archive(ctx, repo, sha)
	if err != nil {
		return nil, wrap(err, "read the files of %s at %.7s", fullName(repo), sha)
	}
	defer func() { _ = body.Close() }()
	files, err := unpack(body, under)
	if err != nil {
		return nil, wrap(err, "read the files of %s at %.7s", fullName(repo), sha)
	}
	c.app.trees.Add(key, files)
	return files, nil
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
	resp, err := c.app.wire.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("download the archive: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		discard(resp)
		return nil, fmt.Errorf("download the archive: %w", &APIError{Status: resp.StatusCode})
	}
	return resp.Body, nil
}

// unpack reads an archive as GitHub sends it.
func unpack(body io.Reader, under []string) (map[string][]byte, error) {
	zipped, err := gzip.NewReader(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errArchive, err)
	}
	return Untar(zipped, under)
}

// Untar reads an archive as "git archive --format=tar" writes it, everything below one folder:
// the files that are asked for, within the bounds of Client.Tree and with its errors.
func Untar(body io.Reader, under []string) (map[string][]byte, error) {
	limited := &io.LimitedReader{R: body, N: maxArchive}
	archive := tar.NewReader(limited)
	out, size := map[string][]byte{}, int64(0)
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
		if err != nil {
			return nil, err
		}
		if name == "" || !asked(name, under) {
			continue
		}
		if header.Typeflag != tar.TypeReg {
			return nil, fault.Newf(fault.Invalid, "%s is no plain file: links are not followed", cut(name, 200)).WithHint("copy what it leads to")
		}
		if size += header.Size; size > maxTree || len(out) >= maxTreeFiles {
			return nil, errTreeTooLarge
		}
		if out[name], err = io.ReadAll(archive); err != nil {
			return nil, fmt.Errorf("%w: %w", errArchive, err)
		}
	}
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

// asked says whether a path is one of those asked for, or below it.
func asked(name string, under []string) bool {
	for _, dir := range under {
		if dir == "" || name == dir || strings.HasPrefix(name, dir+"/") {
			return true
		}
	}
	return false
}
