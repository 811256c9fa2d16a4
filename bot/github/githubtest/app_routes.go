package githubtest

import (
	"maps"
	"slices"
	"strings"
)

func getApp(c *call) reply {
	shape := merged(c.s.appShape(c.cred.app).(object), object{"installations_count": len(c.cred.app.installs)})
	return ok(shape)
}

// getHookConfig shows that there is a secret, never the secret.
func getHookConfig(c *call) reply {
	a := c.cred.app
	config := object{"content_type": "json", "insecure_ssl": "0"}
	if a.webhookForm {
		config["content_type"] = "form"
	}
	if a.webhookLax {
		config["insecure_ssl"] = "1"
	}
	if a.webhookURL != "" {
		config["url"] = a.webhookURL
	}
	if a.webhookSecret != "" {
		config["secret"] = "********"
	}
	return ok(config)
}

// installation finds {installation_id} among those of the App that asks.
func (c *call) installation() *Installation {
	for _, i := range c.cred.app.installs {
		if i.id == c.number("installation_id") {
			return i
		}
	}
	return nil
}

func (c *call) installationReply(i *Installation) reply {
	if i == nil {
		return *notFound()
	}
	return ok(c.s.installationShape(i))
}

func listInstallations(c *call) reply {
	return listed(c, c.cred.app.installs, func(i *Installation) any { return c.s.installationShape(i) })
}

func getInstallation(c *call) reply { return c.installationReply(c.installation()) }

func getRepositoryInstallation(c *call) reply {
	if refusal := c.findRepository(); refusal != nil {
		return *refusal
	}
	return c.installationReply(c.cred.app.covering(c.repo))
}

func getAccountInstallation(c *call) reply {
	login := c.params["org"] + c.params["username"]
	for _, i := range c.cred.app.installs {
		if i.account == c.s.account(login) {
			return c.installationReply(i)
		}
	}
	return *notFound()
}

func listInstallationRepositories(c *call) reply {
	var all []*Repository
	for _, id := range slices.Sorted(maps.Keys(c.s.repositories)) {
		if r := c.s.repositories[id]; c.cred.token.covers(r) {
			all = append(all, r)
		}
	}
	out := counted(c, "repositories", all, func(r *Repository) any { return c.s.repositoryShape(r) })
	out.body.(object)["repository_selection"] = c.cred.token.installation.selection()
	return out
}

func getUser(c *call) reply {
	a := c.s.accounts[strings.ToLower(c.params["username"])]
	if a == nil {
		return *notFound()
	}
	return ok(merged(c.s.userShape(a).(object), object{
		"name": nil, "company": nil, "blog": "", "location": nil, "email": nil, "hireable": nil, "bio": nil,
		"user_view_type": "public", "public_repos": 0, "public_gists": 0, "followers": 0, "following": 0,
		"created_at": "2020-01-01T00:00:00Z", "updated_at": "2020-01-01T00:00:00Z",
	}))
}
