package github

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	gh "github.com/google/go-github/v60/github"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/access"
)

// Repository reads a repository by its id, which survives renames and transfers.
func (c *Client) Repository(ctx context.Context, id int64) (bot.RepositoryRef, error) {
	found, _, err := c.rest(bot.RepositoryRef{ID: id}).Repositories.GetByID(ctx, id)
	if err != nil {
		return bot.RepositoryRef{}, wrap(err, "read repository %d", id)
	}
	return repositoryRef(found), nil
}

// FindRepository reads a repository of the installation by its name, and with
// it the id that everything else wants.
func (c *Client) FindRepository(ctx context.Context, owner, name string) (bot.RepositoryRef, error) {
	found, _, err := c.listing().Repositories.Get(ctx, url.PathEscape(owner), url.PathEscape(name))
	if err != nil {
		return bot.RepositoryRef{}, wrap(err, "read repository %s/%s", owner, name)
	}
	return repositoryRef(found), nil
}

// Repositories lists the repositories that the installation reaches, but for
// archived and disabled ones, in which nothing new can happen. A list that cannot
// be read whole is an error.
func (c *Client) Repositories(ctx context.Context) ([]bot.RepositoryRef, error) {
	client := c.listing()
	all := []bot.RepositoryRef{}
	err := pages(func(page gh.ListOptions) (*gh.Response, error) {
		found, resp, err := client.Apps.ListRepos(ctx, &page)
		if err != nil {
			return nil, err
		}
		for _, one := range found.Repositories {
			if !one.GetArchived() && !one.GetDisabled() {
				all = append(all, repositoryRef(one))
			}
		}
		return resp, nil
	})
	if err != nil {
		return nil, wrap(err, "list repositories of installation %d", c.id)
	}
	return all, nil
}

// permissionLevel is GitHub's "repository-collaborator-permission". go-github's
// own type leaves role_name out.
type permissionLevel struct {
	User struct {
		ID int64 `json:"id"`
	} `json:"user"`
	Permission string `json:"permission"`
	RoleName   string `json:"role_name"`
}

// Permission returns what a person may do in a repository now, by whatever way
// they may: as owner, member, team or collaborator. bot.ErrNotFound says that
// there is no such person.
func (c *Client) Permission(ctx context.Context, repo bot.RepositoryRef, who bot.Actor) (access.Permission, error) {
	login := who.Login
	level := permissionLevel{}
	client := c.rest(repo)
	req, err := client.NewRequest(http.MethodGet,
		"repos/"+url.PathEscape(repo.Owner)+"/"+url.PathEscape(repo.Name)+"/collaborators/"+url.PathEscape(login)+"/permission", nil)
	if err == nil {
		_, err = client.Do(ctx, req, &level)
	}
	if err != nil {
		return access.None, wrap(err, "read the permission of %s on %s", login, fullName(repo))
	}
	if id := level.User.ID; id != 0 && who.ID != 0 && id != who.ID {
		return access.None, fmt.Errorf("read the permission of %s on %s: the name belongs to another account by now", login, fullName(repo))
	}
	return level.granted(), nil
}

// granted returns the role where it is one of GitHub's own and agrees with the
// permission; for a custom role, or one unheard of, the permission that it is
// built on; and none for anything else.
func (l permissionLevel) granted() access.Permission {
	legacy := map[access.Permission]string{
		access.Admin: "admin", access.Maintain: "write", access.Write: "write",
		access.Triage: "read", access.Read: "read", access.None: "none",
	}
	role := access.Permission(l.RoleName)
	if built, ok := legacy[role]; ok && built == l.Permission {
		return role
	}
	switch p := access.Permission(l.Permission); p {
	case access.Admin, access.Write, access.Read:
		return p
	}
	return access.None
}
