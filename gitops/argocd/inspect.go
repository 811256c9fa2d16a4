package argocd

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Who asks for the account that the token is of; "" where Argo CD knows no such token.
func (c *Client) Who(ctx context.Context) (account string, err error) {
	var answer struct {
		LoggedIn bool   `json:"loggedIn"`
		Username string `json:"username"`
	}
	err = c.get(ctx, "userinfo", "api/v1/session/userinfo", nil, &answer)
	if errors.Is(err, ErrUnauthorized) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("ask argo cd whose the token is: %w", err)
	}
	if !answer.LoggedIn {
		return "", nil
	}
	return answer.Username, nil
}

// Right is one thing that an account may do in Argo CD: an action on a kind of resource,
// by the words of its policies.
type Right struct{ Resource, Action string }

// String returns "get applications".
func (r Right) String() string { return r.Action + " " + r.Resource }

// The rights that idp's account is asked about. Needed is what it has to have, Logged what
// it has where it shows logs, and the rest it has no use for.
var (
	Needed = Right{"applications", "get"}
	Logged = Right{"logs", "get"}
)

// Needless returns rights that idp's account has no use for, the ones that would hurt.
func Needless() []Right {
	return []Right{
		{"applications", "create"}, {"applications", "update"}, {"applications", "delete"}, {"applications", "sync"}, {"applications", "override"},
		{"applicationsets", "create"}, {"applicationsets", "update"}, {"applicationsets", "delete"},
		{"projects", "update"}, {"repositories", "update"}, {"clusters", "update"}, {"accounts", "update"}, {"exec", "create"},
	}
}

// May asks whether the token's account has a right to an object, such as PROJECT/NAME of
// an Application.
func (c *Client) May(ctx context.Context, right Right, object string) (bool, error) {
	var answer struct{ Value string }
	path := "api/v1/account/can-i/" + url.PathEscape(right.Resource) + "/" + url.PathEscape(right.Action) + "/" + object
	if err := c.get(ctx, "can-i", path, nil, &answer); err != nil {
		return false, fmt.Errorf("ask argo cd whether the token may %s: %w", right, err)
	}
	return answer.Value == "yes", nil
}

// HasProject asks whether there is an AppProject. ErrNotFound is one that there is not,
// or that the token may not see, as idp's own may not.
func (c *Client) HasProject(ctx context.Context, name string) error {
	if err := c.get(ctx, "project", "api/v1/projects/"+url.PathEscape(name), nil, nil); err != nil {
		return fmt.Errorf("get project %s: %w", name, err)
	}
	return nil
}

// Supported says whether idp is made for a version of Argo CD, as Ping returns it: 2.14
// and 3.
func Supported(version string) bool {
	version = strings.TrimPrefix(version, "v")
	return strings.HasPrefix(version, "2.14.") || strings.HasPrefix(version, "3.")
}
