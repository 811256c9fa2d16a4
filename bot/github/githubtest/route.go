package githubtest

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/gorilla/mux"
)

// route is one row of the API: what is asked, who may, who answers.
type route struct {
	method   string
	template string // as in GitHub's description; "{x:.+}" may hold slashes
	need     need
	handle   func(*call) reply
}

// need is the credential and permission that a route asks for.
type need struct {
	kind  needKind
	anyOf []string // permissions, any of which does
	level string   // "read" or "write"
}

type needKind int

const (
	needNothing      needKind = iota // anybody
	needApp                          // an App's JWT
	needClient                       // an App's client id and secret
	needInstallation                 // an installation token
	needRepository                   // access to {owner}/{repo}
	needOrganisation                 // a permission on {org}
)

var (
	anybody      = need{kind: needNothing}
	appOnly      = need{kind: needApp}
	clientOnly   = need{kind: needClient}
	installation = need{kind: needInstallation}
)

func read(anyOf ...string) need {
	return need{kind: needRepository, anyOf: anyOf, level: "read"}
}

func write(anyOf ...string) need {
	return need{kind: needRepository, anyOf: anyOf, level: "write"}
}

func organisation(permission string) need {
	return need{kind: needOrganisation, anyOf: []string{permission}, level: "read"}
}

// routes lists the API. The first that matches answers: longer templates before
// those whose last parameter may hold slashes.
var routes = []route{
	{"GET", "/app", appOnly, getApp},
	{"POST", "/app-manifests/{code}/conversions", anybody, convertManifest},
	{"GET", "/app/hook/config", appOnly, getHookConfig},
	{"GET", "/app/hook/deliveries", appOnly, listDeliveries},
	{"GET", "/app/hook/deliveries/{delivery_id}", appOnly, getDelivery},
	{"POST", "/app/hook/deliveries/{delivery_id}/attempts", appOnly, redeliver},
	{"POST", "/applications/{client_id}/token", clientOnly, checkUserToken},
	{"GET", "/app/installations", appOnly, listInstallations},
	{"GET", "/app/installations/{installation_id}", appOnly, getInstallation},
	{"POST", "/app/installations/{installation_id}/access_tokens", appOnly, createToken},
	{"GET", "/orgs/{org}/installation", appOnly, getAccountInstallation},
	{"GET", "/orgs/{org}/teams/{team_slug}/memberships/{username}", organisation("members"), getMembership},
	{"GET", "/users/{username}/installation", appOnly, getAccountInstallation},
	{"GET", "/repos/{owner}/{repo}/installation", appOnly, getRepositoryInstallation},
	{"GET", "/installation/repositories", installation, listInstallationRepositories},
	{"DELETE", "/installation/token", installation, revokeToken},
	{"GET", "/rate_limit", anybody, getRateLimit},
	{"GET", "/users/{username}", anybody, getUser},

	{"GET", "/repos/{owner}/{repo}", read("metadata"), getRepository},
	{"GET", "/repos/{owner}/{repo}/attestations/{subject_digest}", read("attestations"), listAttestations},
	{"GET", "/repos/{owner}/{repo}/actions/runs", read("actions"), listWorkflowRuns},
	{"GET", "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/runs", read("actions"), listRunsOfWorkflow},
	{"GET", "/repos/{owner}/{repo}/activity", read("contents"), listActivities},
	{"GET", "/repos/{owner}/{repo}/branches", read("contents"), listBranches},
	{"GET", "/repos/{owner}/{repo}/branches/{branch:.+}", read("contents"), getBranch},
	{"GET", "/repos/{owner}/{repo}/collaborators/{username}/permission", read("metadata"), getPermission},
	{"GET", "/repos/{owner}/{repo}/commits", read("contents"), listCommits},
	{"GET", "/repos/{owner}/{repo}/commits/{ref:.+}/check-runs", read("checks"), listCommitCheckRuns},
	{"GET", "/repos/{owner}/{repo}/commits/{ref:.+}/check-suites", read("checks"), listCommitCheckSuites},
	{"GET", "/repos/{owner}/{repo}/commits/{ref:.+}/status", read("statuses"), getCombinedStatus},
	{"GET", "/repos/{owner}/{repo}/commits/{ref:.+}/pulls", read("pull_requests"), listCommitPulls},
	{"GET", "/repos/{owner}/{repo}/commits/{ref:.+}", read("contents"), getCommit},
	{"GET", "/repos/{owner}/{repo}/compare/{basehead:.+}", read("contents"), compareCommits},
	{"GET", "/repos/{owner}/{repo}/contents/{path:.+}", read("contents"), getContents},
	{"GET", "/repos/{owner}/{repo}/git/ref/{ref:.+}", read("contents"), getRef},
	{"GET", "/repos/{owner}/{repo}/rules/branches/{branch:.+}", read("metadata"), listBranchRules},
	{"GET", "/repos/{owner}/{repo}/rulesets/{ruleset_id}", read("metadata"), getRuleset},
	{"GET", "/repos/{owner}/{repo}/tarball/{ref:.+}", read("contents"), getTarball},

	{"GET", "/repos/{owner}/{repo}/pulls", read("pull_requests"), listPulls},
	{"POST", "/repos/{owner}/{repo}/pulls", write("pull_requests"), createPull},
	{"GET", "/repos/{owner}/{repo}/pulls/{pull_number}", read("pull_requests"), getPull},
	{"PATCH", "/repos/{owner}/{repo}/pulls/{pull_number}", write("pull_requests"), updatePull},
	{"GET", "/repos/{owner}/{repo}/pulls/{pull_number}/commits", read("pull_requests"), listPullCommits},
	{"GET", "/repos/{owner}/{repo}/pulls/{pull_number}/files", read("pull_requests"), listPullFiles},

	{"GET", "/repos/{owner}/{repo}/issues/{issue_number}/comments", read("issues", "pull_requests"), listComments},
	{"POST", "/repos/{owner}/{repo}/issues/{issue_number}/comments", write("issues", "pull_requests"), createComment},
	{"GET", "/repos/{owner}/{repo}/issues/comments/{comment_id}", read("issues", "pull_requests"), getComment},
	{"PATCH", "/repos/{owner}/{repo}/issues/comments/{comment_id}", write("issues", "pull_requests"), updateComment},
	{"DELETE", "/repos/{owner}/{repo}/issues/comments/{comment_id}", write("issues", "pull_requests"), deleteComment},
	{"GET", "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions", read("issues", "pull_requests"), listReactions},
	{"POST", "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions", write("issues", "pull_requests"), createReaction},
	{"DELETE", "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions/{reaction_id}", write("issues", "pull_requests"), deleteReaction},
	{"GET", "/repos/{owner}/{repo}/issues/{issue_number}/reactions", read("issues", "pull_requests"), listReactions},
	{"POST", "/repos/{owner}/{repo}/issues/{issue_number}/reactions", write("issues", "pull_requests"), createReaction},

	{"POST", "/repos/{owner}/{repo}/check-runs", write("checks"), createCheckRun},
	{"GET", "/repos/{owner}/{repo}/check-runs/{check_run_id}", read("checks"), getCheckRun},
	{"PATCH", "/repos/{owner}/{repo}/check-runs/{check_run_id}", write("checks"), updateCheckRun},
	{"GET", "/repos/{owner}/{repo}/check-runs/{check_run_id}/annotations", read("checks"), listAnnotations},
	{"GET", "/repos/{owner}/{repo}/check-suites/{check_suite_id}", read("checks"), getCheckSuite},
	{"GET", "/repos/{owner}/{repo}/check-suites/{check_suite_id}/check-runs", read("checks"), listSuiteCheckRuns},

	{"GET", "/repos/{owner}/{repo}/deployments", read("deployments"), listDeployments},
	{"POST", "/repos/{owner}/{repo}/deployments", write("deployments"), createDeployment},
	{"GET", "/repos/{owner}/{repo}/deployments/{deployment_id}", read("deployments"), getDeployment},
	{"DELETE", "/repos/{owner}/{repo}/deployments/{deployment_id}", write("deployments"), deleteDeployment},
	{"GET", "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses", read("deployments"), listDeploymentStatuses},
	{"POST", "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses", write("deployments"), createDeploymentStatus},
}

// router finds the row of a request. It is immutable after newRouter.
type router struct{ mux *mux.Router }

func newRouter(table []route) *router {
	m := mux.NewRouter().UseEncodedPath()
	for i := range table {
		m.Methods(table[i].method).Path(table[i].template).Handler(&table[i])
	}
	return &router{m}
}

// ServeHTTP makes a *route what mux stores; it is never called.
func (r *route) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "not served by mux", http.StatusInternalServerError)
}

// match returns the row and the unescaped parameters; nil where there is none,
// also for a known path with another method: GitHub answers 404 for both.
func (r *router) match(method, escapedPath string) (*route, map[string]string) {
	plain, err := url.PathUnescape(escapedPath)
	if err != nil {
		return nil, nil
	}
	var found mux.RouteMatch
	request := &http.Request{Method: method, URL: &url.URL{Path: plain, RawPath: escapedPath}}
	if !r.mux.Match(request, &found) {
		return nil, nil
	}
	row, ok := found.Handler.(*route)
	if !ok {
		return nil, nil
	}
	params := make(map[string]string, len(found.Vars))
	for name, value := range found.Vars {
		if params[name], err = url.PathUnescape(value); err != nil {
			return nil, nil
		}
	}
	return row, params
}

// label is the template without its regular expressions, for the request log.
func (r *route) label() string {
	if r == nil {
		return ""
	}
	return strings.ReplaceAll(r.template, ":.+}", "}")
}

// authorize resolves the repository and holds the credential to the need.
func (c *call) authorize() *reply {
	n := c.route.need
	switch n.kind {
	case needApp:
		if c.cred.app == nil {
			return refuse(http.StatusUnauthorized, "A JSON web token could not be decoded")
		}
	case needClient:
		if c.cred.client == nil {
			return notFound()
		}
	case needInstallation:
		if c.cred.token == nil {
			return refuse(http.StatusForbidden, "You must authenticate with an installation access token in order to list repositories for an installation.")
		}
	case needOrganisation:
		t := c.cred.token
		switch {
		case t == nil:
			return refuse(http.StatusUnauthorized, "Requires authentication")
		case !strings.EqualFold(t.installation.account.login, c.params["org"]):
			return notFound()
		case !t.allows(n.anyOf, n.level):
			return notAllowed()
		}
	case needRepository:
		if c.cred.app != nil {
			return refuse(http.StatusUnauthorized, "Bad credentials")
		}
		if refusal := c.findRepository(); refusal != nil {
			return refusal
		}
		return c.holdTo(n)
	}
	return nil
}

// holdTo checks the permission on the repository found. What the credential
// cannot see does not exist; what it sees but may not do is forbidden.
func (c *call) holdTo(n need) *reply {
	if u := c.cred.user; u != nil {
		return c.holdUserTo(u, n)
	}
	t := c.cred.token
	covered := t != nil && t.covers(c.repo)
	switch {
	case !covered && n.level == "read" && !c.repo.private:
		return nil
	case !covered && c.repo.private:
		return notFound()
	case t == nil:
		return refuse(http.StatusUnauthorized, "Requires authentication")
	case c.repo.archived && n.level != "read":
		return refuse(http.StatusForbidden, "Repository was archived so is read-only.")
	case !covered || !t.allows(n.anyOf, n.level):
		refusal := notAllowed()
		refusal.header = http.Header{"X-Accepted-Github-Permissions": {strings.Join(n.anyOf, "="+n.level+"; ") + "=" + n.level}}
		return refusal
	}
	return nil
}

// holdUserTo shows a user what both they and the App may read; nothing is written as one.
func (c *call) holdUserTo(u *userToken, n need) *reply {
	i := u.app.covering(c.repo)
	reads := i != nil && i.suspended.IsZero() && atLeast("read", n.level) && c.repo.permission(u.user) != "none"
	switch {
	case reads || n.level == "read" && !c.repo.private:
		return nil
	case c.repo.private:
		return notFound()
	}
	return notAllowed()
}

// findRepository resolves {owner}/{repo}; a former name redirects to the
// repository's numeric path, permanently for reads and with the method kept for
// writes (docs.github.com, "Redirects").
func (c *call) findRepository() *reply {
	owner, name := c.params["owner"], c.params["repo"]
	if c.repo = c.s.find(owner, name); c.repo != nil {
		return nil
	}
	moved := c.s.repositories[c.s.renamed[strings.ToLower(owner+"/"+name)]]
	if moved == nil || moved.private && !c.cred.reaches(moved) {
		return notFound()
	}
	rest := strings.TrimPrefix(c.path, "/repos/"+url.PathEscape(owner)+"/"+url.PathEscape(name))
	target := c.s.api("/repositories/"+formatID(moved.id)) + rest
	if c.request.URL.RawQuery != "" {
		target += "?" + c.request.URL.RawQuery
	}
	status := http.StatusMovedPermanently
	if c.request.Method != http.MethodGet {
		status = http.StatusTemporaryRedirect
	}
	redirect := refuse(status, http.StatusText(status))
	redirect.body.(object)["url"] = target
	redirect.header = http.Header{"Location": {target}}
	return redirect
}

// Routes lists the API as "METHOD template", for tests and for people.
func Routes() []string {
	out := make([]string, 0, len(routes))
	for i := range routes {
		out = append(out, routes[i].method+" "+routes[i].label())
	}
	return out
}
