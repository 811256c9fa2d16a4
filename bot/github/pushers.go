package github

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	gh "github.com/google/go-github/v60/github"

	"github.com/idp-bot/idp/bot"
)

// activity is what idp reads of GitHub's "activity": one change of a branch.
type activity struct {
	After string   `json:"after"`
	Kind  string   `json:"activity_type"`
	Actor *gh.User `json:"actor"`
}

// Pushers returns who pushed a branch of the repository to which commit, by whole SHA, as
// far as GitHub's newest hundred changes of the branch tell. Unlike a commit's author that
// is no word of whoever wrote the commit. Where several did, one of whom is a bot, it is
// the bot. bot.ErrNotFound says that this GitHub does not tell.
// https://docs.github.com/en/rest/repos/repos#list-repository-activities
func (c *Client) Pushers(ctx context.Context, repo bot.RepositoryRef, branch string) (map[string]bot.Actor, error) {
	client := c.rest(repo)
	query := url.Values{"ref": {"refs/heads/" + branch}, "per_page": {"100"}}
	req, err := client.NewRequest(http.MethodGet, "repos/"+url.PathEscape(repo.Owner)+"/"+url.PathEscape(repo.Name)+"/activity?"+query.Encode(), nil)
	var found []activity
	if err == nil {
		_, err = client.Do(ctx, req, &found)
	}
	if err != nil {
		return nil, wrap(err, "read who pushed to a branch of %s", fullName(repo))
	}
	pushers := map[string]bot.Actor{}
	for _, one := range slices.Backward(found) { // the oldest first
		if one.Kind == "branch_deletion" || !fullSHA.MatchString(one.After) {
			continue
		}
		if known, again := pushers[one.After]; !again || !known.Bot {
			pushers[one.After] = actor(one.Actor)
		}
	}
	return pushers, nil
}
