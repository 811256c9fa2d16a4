package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github"
)

// The checks of the GitHub App.
const (
	checkApp           = "GitHub App"
	checkPermissions   = "GitHub permissions"
	checkEvents        = "GitHub events"
	checkInstallations = "GitHub installations"
	checkWebhook       = "GitHub webhook"
	checkDeliveries    = "GitHub deliveries"
)

var ofTheApp = []string{checkPermissions, checkEvents, checkInstallations, checkWebhook, checkDeliveries}

// ownTransport is what the checks send with: nothing is kept open between them.
func ownTransport() http.RoundTripper {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	return transport
}

func (x *examination) github(ctx context.Context, app *github.App) {
	if app == nil {
		x.lacks([]string{"github_api_url", "github_app_id", "github_private_key_file"}, append([]string{checkApp}, ofTheApp...)...)
		return
	}
	registered, err := app.Registration(ctx)
	if err == nil && registered.ID != app.ID() {
		err = fmt.Errorf("GitHub answered as App %d", registered.ID)
	}
	if err != nil {
		x.fail(checkApp, err.Error(), fixOfGitHub(err))
		for _, check := range ofTheApp {
			x.skip(check, "GitHub has to know the App first", "")
		}
		return
	}
	x.known = true
	settings := htmlURL(x.cfg.GitHubAPIURL) + registered.Settings()
	x.ok(checkApp, "%s, App %d: its key is right", registered.Slug, registered.ID)
	wanted := wantedPermissions(x.appPushes())
	x.findings = append(x.findings, judgePermissions(registered.Grants, wanted, settings)...)
	x.findings = append(x.findings, judgeEvents(registered.Events, settings)...)
	x.installations(ctx, app, registered, wanted)
	x.webhook(ctx, app, settings)
}

// fixOfGitHub says what to do about an error of GitHub's.
func fixOfGitHub(err error) string {
	answer, answered := errors.AsType[*github.APIError](err)
	switch {
	case errors.Is(err, bot.ErrNotFound):
		return "check github_app_id, and that github_api_url is the API's root: https://api.github.com/, or https://HOST/api/v3/"
	case answered && answer.Status == http.StatusUnauthorized:
		return "check that github_private_key_file holds a key of App github_app_id (its settings generate new ones), and this machine's clock"
	case answered && answer.Temporary():
		return "GitHub has trouble: https://www.githubstatus.com tells when it is over"
	case answered:
		return "GitHub's words say why"
	}
	return "check github_api_url and this machine's way there: its DNS, HTTPS_PROXY, and SSL_CERT_FILE for an authority of your own"
}

// appPushes says whether the App itself writes the GitOps repository.
func (x *examination) appPushes() bool {
	return x.cfg.GitOpsTokenFile == "" && x.cfg.GitOpsAppID == 0 && strings.HasPrefix(x.cfg.GitOpsURL, "http")
}

// wantedPermissions is what the App needs: to write contents, too, where it pushes itself.
func wantedPermissions(pushes bool) []github.Permission {
	wanted := github.Permissions()
	for _, more := range github.WriterPermissions() {
		at := slices.IndexFunc(wanted, func(p github.Permission) bool { return p.Name == more.Name })
		if pushes && more.Access == "write" {
			wanted[at].Access = more.Access
		}
	}
	return wanted
}

// judgePermissions names each permission that is missing, or more than needed.
func judgePermissions(granted github.Grants, wanted []github.Permission, settings string) (out []diagnosis) {
	page := settings + "/permissions"
	for _, p := range granted.Missing(wanted) {
		scope := "Repository"
		if p.Organisation {
			scope = "Organization"
		}
		f := diagnosis{
			Check: checkPermissions, State: verdictFailure, Seen: fmt.Sprintf("%s: %s is missing", p.Name, p.Access),
			Fix: fmt.Sprintf("under %s permissions of %s set %s to %s, and accept it where the App is installed", scope, page, p.Title, p.AccessTitle()),
		}
		if p.Optional {
			f.State, f.Seen = verdictWarning, f.Seen+"; it is for: "+plainText(p.For)
		}
		out = append(out, f)
	}
	for _, more := range granted.Excess(wanted) {
		fix := "take it away on " + page
		if strings.HasPrefix(more, "contents:") {
			fix += ", unless the App writes the gitops_url of a class"
		}
		out = append(out, diagnosis{Check: checkPermissions, State: verdictWarning, Seen: more, Fix: fix})
	}
	if len(out) == 0 {
		out = append(out, diagnosis{Check: checkPermissions, State: verdictOK, Seen: "all that idp needs, and nothing more"})
	}
	return out
}

// judgeEvents names each event that the App does not subscribe to, or needlessly.
func judgeEvents(subscribed []string, settings string) (out []diagnosis) {
	page := settings + "/permissions"
	var wanted []string
	for _, s := range github.Subscriptions() {
		wanted = append(wanted, s.Name)
		if slices.Contains(subscribed, s.Name) {
			continue
		}
		f := diagnosis{Check: checkEvents, State: verdictFailure, Seen: s.Name + " is missing", Fix: fmt.Sprintf("tick %s under Subscribe to events of %s", s.Title, page)}
		if s.Optional {
			f.State = verdictWarning
		}
		out = append(out, f)
	}
	for _, name := range subscribed {
		if !slices.Contains(wanted, name) {
			out = append(out, diagnosis{Check: checkEvents, State: verdictWarning, Seen: name + " is not needed", Fix: "take the tick away on " + page})
		}
	}
	if len(out) == 0 {
		out = append(out, diagnosis{Check: checkEvents, State: verdictOK, Seen: "all that idp needs, and nothing more"})
	}
	return out
}

// plainText takes the links out of Markdown.
func plainText(markdown string) string {
	for {
		before, rest, found := strings.Cut(markdown, "](#")
		_, after, closed := strings.Cut(rest, ")")
		if !found || !closed {
			return strings.NewReplacer("[", "", "`", "").Replace(markdown)
		}
		markdown = before + after
	}
}

func (x *examination) installations(ctx context.Context, app *github.App, registered github.Registration, wanted []github.Permission) {
	list, err := app.Installed(ctx)
	if err != nil {
		x.fail(checkInstallations, err.Error(), fixOfGitHub(err))
		return
	}
	before := len(x.findings)
	var accounts []string
	for _, one := range list {
		accounts = append(accounts, one.Account)
		if one.Suspended {
			x.fail(checkInstallations, one.Account+": suspended, so that idp reaches nothing there", "have an owner of "+one.Account+" unsuspend it on "+one.Page)
		}
		var waits []string
		for _, p := range one.Grants.Missing(wanted) {
			if registered.Grants.Holds(p) {
				waits = append(waits, p.Name+": "+p.Access)
			}
		}
		if len(waits) > 0 {
			x.warn(checkInstallations, one.Account+" has not accepted what the App asks for: "+strings.Join(waits, ", "), "have an owner of "+one.Account+" accept it on "+one.Page)
		}
	}
	switch {
	case len(list) == 0:
		x.fail(checkInstallations, "the App is installed nowhere", fmt.Sprintf("install it: %s/apps/%s/installations/new", htmlURL(x.cfg.GitHubAPIURL), registered.Slug))
	case len(x.findings) == before:
		x.ok(checkInstallations, "on %s", strings.Join(accounts, ", "))
	}
}

func (x *examination) webhook(ctx context.Context, app *github.App, settings string) {
	hook, err := app.Hook(ctx)
	if err != nil {
		x.fail(checkWebhook, err.Error(), fixOfGitHub(err))
		x.skip(checkDeliveries, "the webhook is not known", "")
		return
	}
	x.findings = append(x.findings, judgeHook(hook, settings)...)
	if hook.URL == "" {
		x.skip(checkDeliveries, "there is no webhook", "")
		return
	}
	attempts, err := app.Attempts(ctx)
	if err != nil {
		x.fail(checkDeliveries, err.Error(), fixOfGitHub(err))
		return
	}
	x.add(judgeDeliveries(attempts, settings))
}

// hookPath is where idp takes webhooks.
const hookPath = "/webhooks/github"

func judgeHook(hook github.Hook, settings string) (out []diagnosis) {
	say := func(state verdict, seen, fix string) {
		out = append(out, diagnosis{Check: checkWebhook, State: state, Seen: seen, Fix: fix})
	}
	if hook.URL == "" {
		say(verdictFailure, "the App has no webhook URL, so that idp hears of nothing before its next sweep", "on "+settings+" tick Active, and enter https://HOST"+hookPath)
		return out
	}
	at, err := url.Parse(hook.URL)
	switch {
	case err != nil || at.Host == "":
		say(verdictFailure, hook.URL+" is no URL", "on "+settings+" enter https://HOST"+hookPath)
	case !strings.HasSuffix(at.Path, hookPath):
		say(verdictWarning, hook.URL+" does not end in "+hookPath+", where idp takes webhooks", "on "+settings+" enter https://HOST"+hookPath+", unless a proxy leads there")
	case at.Scheme != "https" && !isLoopback(at.Hostname()):
		say(verdictWarning, hook.URL+" is not encrypted: titles and comments of private repositories can be read on the way", "on "+settings+" enter an https URL")
	}
	if hook.ContentType != "json" {
		say(verdictFailure, "its content type is "+hook.ContentType+", which idp refuses", "on "+settings+" set it to application/json")
	}
	if !hook.Secret {
		say(verdictFailure, "it has no secret, and idp refuses what is not signed", "on "+settings+" enter what github_webhook_secret is")
	}
	if hook.InsecureTLS {
		say(verdictWarning, "GitHub does not verify the certificate of "+at.Host, "on "+settings+" enable SSL verification")
	}
	if len(out) == 0 {
		say(verdictOK, hook.URL+", as application/json, signed", "")
	}
	return out
}

// judgeDeliveries goes by whether each event arrived in the end. attempts are the newest
// first. GitHub tells whether a webhook is active only by what it sends.
func judgeDeliveries(attempts []github.Attempt, settings string) diagnosis {
	f := diagnosis{Check: checkDeliveries, State: verdictOK}
	page := settings + "/advanced"
	if len(attempts) == 0 {
		f.State, f.Seen = verdictWarning, "GitHub has sent nothing in the last days, and does not tell whether the webhook is active"
		f.Fix = "see that Active is ticked on " + settings + ", open a pull request, and run this again"
		return f
	}
	arrived, last := map[string]bool{}, map[string]github.Attempt{}
	var order []string
	for _, a := range attempts {
		if _, seen := last[a.GUID]; !seen {
			last[a.GUID] = a
			order = append(order, a.GUID)
		}
		arrived[a.GUID] = arrived[a.GUID] || a.OK()
	}
	lost := slices.DeleteFunc(slices.Clone(order), func(guid string) bool { return arrived[guid] })
	f.Seen = fmt.Sprintf("%d of the last %d arrived", len(order)-len(lost), len(order))
	if len(lost) == 0 {
		return f
	}
	newest := last[lost[0]]
	f.State = verdictWarning
	if lost[0] == order[0] {
		f.State = verdictFailure
	}
	f.Seen += fmt.Sprintf("; the %s of %s was answered %s", newest.Event, newest.At.UTC().Format("2006-01-02 15:04 UTC"), answerOf(newest))
	f.Fix = fixOfDelivery(newest.Code) + "; " + page + " shows each, and idp asks for what it missed by itself"
	return f
}

func answerOf(a github.Attempt) string {
	if a.Code == 0 {
		return "by nobody (" + a.Status + ")"
	}
	return fmt.Sprint(a.Code)
}

func fixOfDelivery(code int) string {
	switch code {
	case 0:
		return "let GitHub reach the webhook's host: its DNS, firewall, certificate and proxy"
	case http.StatusUnauthorized:
		return "enter the same secret in the App's settings and in github_webhook_secret"
	case http.StatusUnsupportedMediaType:
		return "set the webhook's content type to application/json"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return "have the webhook's URL end in " + hookPath + ", and the proxy in front of idp pass it on"
	case http.StatusServiceUnavailable:
		return "look into idp's log: it could not store it"
	}
	return "look into the log of idp, or of the proxy in front of it"
}
