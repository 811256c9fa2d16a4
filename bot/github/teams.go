package github

import (
	"context"
	"errors"
	"net/url"

	"github.com/idp-bot/idp/bot"
)

// Member says whether a person is in a team of the organisation that a repository
// belongs to now: an active member of it or of a team below it. Who was only invited is
// none, and nor is anybody where there is no such team. bot.ErrNoAccess says that the
// App may not read members.
func (c *Client) Member(ctx context.Context, repo bot.RepositoryRef, team, login string) (bool, error) {
	found, _, err := c.teams(repo).Teams.GetTeamMembershipBySlug(ctx, url.PathEscape(repo.Owner), url.PathEscape(team), url.PathEscape(login))
	if err = wrap(err, "read whether %s is in team %s/%s", login, repo.Owner, team); err != nil {
		if errors.Is(err, bot.ErrNotFound) {
			return false, nil
		}
		return false, err
	}
	return found.GetState() == "active", nil
}
