package github

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"github.com/idp-bot/idp/bot"
)

// MaxFile is the largest file that File returns, in bytes.
const MaxFile = 64 << 10

// noCommit begins what GitHub says of a commit that it does not have, or not
// everywhere yet: right after a push its replicas may be behind.
const noCommit = "No commit found"

// File returns the content of a file at a commit. bot.ErrNotFound says that the
// commit has no such path; a commit that cannot be seen is another error,
// because nothing follows from it. A directory, a symbolic link or a submodule
// is ErrNotFile, more than MaxFile bytes ErrTooLarge.
//
// GitHub follows a symbolic link that leads to a file in the same repository and
// shows that file's content, so such a link reads as the file.
func (c *Client) File(ctx context.Context, repo bot.RepositoryRef, path, sha string) ([]byte, error) {
	content, err := c.content(ctx, repo, path, sha)
	if err != nil {
		return nil, wrap(err, "read %s of %s at %.7s", path, fullName(repo), sha)
	}
	return content, nil
}

func (c *Client) content(ctx context.Context, repo bot.RepositoryRef, path, sha string) ([]byte, error) {
	file, _, _, err := c.rest(repo).Repositories.GetContents(ctx, repo.Owner, repo.Name, path, &gh.RepositoryContentGetOptions{Ref: sha})
	if err != nil {
		return nil, unseenCommit(err)
	}
	if file == nil || file.GetType() != "file" {
		return nil, ErrNotFile
	}
	if file.GetSize() > MaxFile {
		return nil, ErrTooLarge
	}
	if file.GetEncoding() != "base64" {
		return nil, fmt.Errorf("GitHub sent encoding %q", file.GetEncoding())
	}
	var text string
	if file.Content != nil {
		text = *file.Content
	}
	content, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(text, "\n", ""))
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	if len(content) > MaxFile {
		return nil, ErrTooLarge
	}
	return content, nil
}

// unseenCommit keeps a 404 about the commit from being taken for one about the
// path.
func unseenCommit(err error) error {
	refused, ok := errors.AsType[*gh.ErrorResponse](err)
	if ok && refused.Response.StatusCode == http.StatusNotFound && strings.HasPrefix(refused.Message, noCommit) {
		return &APIError{Status: http.StatusNotFound, Message: cut(refused.Message, maxMessage)}
	}
	return err
}
