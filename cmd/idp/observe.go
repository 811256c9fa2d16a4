package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops/argocd"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/serving"
)

// tidings are the Applications that the watch has told of and that the observer
// has not looked at since.
type tidings struct {
	mu    sync.Mutex
	names map[string]bool
	wake  previews.Signal
}

func (t *tidings) add(application string) {
	t.mu.Lock()
	t.names[application] = true
	t.mu.Unlock()
	t.wake.Wake()
}

func (t *tidings) take() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	names := slices.Collect(maps.Keys(t.names))
	clear(t.names)
	return names
}

// see says what Argo CD sees of one Application, in the words of the observer: what
// the watch has heard or, while it hears nothing, what Argo CD answers.
func (a *argoCD) see(ctx context.Context, application string) (previews.Seen, error) {
	app, live, err := a.watch.Application(application)
	if !live {
		app, err = a.client.Application(ctx, application)
	}
	return seenOf(app, err)
}

// theirs says what Argo CD sees of a team's own Application, which the watch hears nothing of.
func (m *Main) theirs(ctx context.Context, in *argoCD, env previews.Environment) (previews.Seen, error) {
	class, err := m.declared.class(env)
	if err != nil {
		return previews.Seen{}, err
	}
	var files []argocd.Place
	for _, file := range env.Update.Files() {
		files = append(files, argocd.Place{URLs: []string{class.RepoURL, class.PushURL}, Branch: class.Branch, File: file})
	}
	app, unread, err := in.client.Theirs(ctx, env.Application(), files)
	seen, err := seenOf(app, err)
	seen.Unread = unread
	return seen, err
}

// seenOf words what Argo CD says for the observer.
func seenOf(app argocd.Application, err error) (previews.Seen, error) {
	if errors.Is(err, argocd.ErrNotFound) {
		return previews.Seen{}, previews.ErrNotFound
	}
	seen := previews.Seen{
		Revision: app.SyncedRevision, Sync: app.Sync, Health: app.Health, Message: app.Message, Error: app.Error, Deleting: app.Deleting,
		Steps: app.Rollouts, Compared: app.Revision, Differs: app.OutOfSync, Skipped: app.Skipped, Healed: app.Healed, HealedAt: app.HealedAt,
	}
	if app.SyncFailed() {
		seen.Failed = app.OperationRevision
	}
	return seen, err
}

// blockers says what keeps an Application that is being deleted, "" where nothing
// shows.
func (a *argoCD) blockers(ctx context.Context, application string) (string, error) {
	found, err := a.client.Blockers(ctx, application)
	if errors.Is(err, argocd.ErrNotFound) || len(found) == 0 {
		return "", nil // it has gone meanwhile, or is about to
	}
	if err != nil {
		return "", err
	}
	text := "waiting for " + found[0].String() + " since " + found[0].Since.Format("15:04 UTC")
	if more := len(found) - 1; more > 0 {
		text += ", and " + plural(more, "more object")
	}
	return text, nil
}

// looking is what the observer of an Argo CD can learn beyond its verdict.
func (m *Main) looking(a *argoCD) previews.Looking {
	visitor := &visitor{classOf: m.declared.reporting}
	return previews.Looking{
		Progress: a.progress, Fault: a.fault,
		ShowsLogs: func(e previews.Environment) bool { return m.declared.reporting(e).ShowsLogs(e.Private) },
		Serves:    visitor.serves,
		Visits: func(e previews.Environment) bool {
			return !e.Shared() && !e.Unrouted && m.declared.reporting(e).Gateway != nil
		},
	}
}

// progress tells of the Rollout that is furthest behind.
func (a *argoCD) progress(ctx context.Context, application string) (*previews.Progress, error) {
	rollouts, err := a.client.Rollouts(ctx, application, a.now())
	if err != nil {
		return nil, err
	}
	var furthest *previews.Progress
	for _, r := range rollouts {
		if r.Phase == "Healthy" || r.Canary && r.Steps == 0 {
			continue
		}
		p := &previews.Progress{
			Service: r.Name, Canary: r.Canary, Step: r.Step, Steps: r.Steps, Weight: r.Weight,
			Left: previews.Roughly(r.Left), Pauses: r.Pauses, Waits: r.Waits,
		}
		switch {
		case r.Phase == "Paused" && strings.HasPrefix(r.Message, "Inconclusive"):
			p.Message, p.Waits = "paused: the analysis is inconclusive", true
		case !r.Canary:
			p.Message = r.Message
		}
		if furthest == nil || p.Weight < furthest.Weight {
			furthest = p
		}
	}
	return furthest, nil
}

// fault says what explains best why an Application is not well: what Argo CD cannot
// apply, else the object that shows it.
func (a *argoCD) fault(ctx context.Context, application string, logs bool) (*previews.Fault, error) {
	app, err := a.client.Application(ctx, application)
	if err != nil {
		return nil, err
	}
	if app.Refused() {
		return faultOf(argocd.Refused(app.Error)), nil
	}
	f, err := a.client.Fault(ctx, application, logs)
	if err != nil || f == nil {
		return nil, err
	}
	return faultOf(f), nil
}

func faultOf(f *argocd.Fault) *previews.Fault {
	out := &previews.Fault{
		Object: f.String(), Service: f.Of, Message: f.Message, Short: f.Short, Cause: f.Cause, Next: f.Next,
		Ran: f.Ran, Logs: f.Logs, LogsMissing: f.LogsMissing,
	}
	if f.Measured != nil {
		out.Measured = f.Measured.String()
	}
	for _, e := range f.Events {
		out.Events = append(out.Events, previews.Event{At: e.At, Reason: e.Reason, Message: e.Message, Count: e.Count})
	}
	return out
}

// logs reads the last lines that a service wrote, where its class shows them.
func (m *Main) logs(ctx context.Context, env previews.Environment, service string) bot.Logs {
	class := m.declared.reporting(env)
	out := bot.Logs{URL: m.applicationURL(env, class)}
	if !class.ShowsLogs(env.Private) {
		out.Missing = "what it writes is not shown here, since everybody can read this repository, or the platform team wants it so"
		return out
	}
	a := m.argoCDNamed(env.ArgoCD)
	if a == nil {
		out.Missing = "the platform team has to let idp ask the Argo CD that it is in: " + env.ArgoCD
		return out
	}
	lines, err := a.client.Logs(ctx, env.Application(), service)
	switch {
	case errors.Is(err, argocd.ErrLogsNotPermitted):
		out.Missing = "logs are not shown here, since idp may not read them in Argo CD; the platform team can let it, with what idp bootstrap --logs prints"
	case errors.Is(err, argocd.ErrNotFound):
		out.Missing = "no pod of it runs"
	case err != nil:
		m.log.Warn("logs could not be read", "env", env.Ref.String(), "error", err)
		out.Missing = "Argo CD does not answer with them now"
	}
	out.Lines = lines
	return out
}

// visitor asks services at their hosts.
type visitor struct {
	classOf func(previews.Environment) platform.Class
}

// serves asks every web service of an environment, and says which one does not answer
// as it should; "" where all do.
func (v *visitor) serves(ctx context.Context, env previews.Environment) string {
	parsed, errs := spec.Parse(spec.Path, env.Spec)
	if errs.Err() != nil {
		return "" // it could not have been committed
	}
	class := v.classOf(env)
	at, guarded := serving.New(class.Gateway.Address, class.Gateway.TLS, nil), !env.Declared() && class.Guarded()
	for _, s := range parsed.Services {
		if s.Kind != spec.Web || !env.Has(s.Name) {
			continue
		}
		if why := visit(ctx, at.Get, env.Ref.Host(class.HostTemplate, s.Name, class.Zone), s, guarded); why != "" {
			return "service " + s.Name + " " + why
		}
	}
	return ""
}

// asksWho says whether a status is how gateways answer who is not signed in: by sending them
// to where they can, or away.
func asksWho(status int) bool {
	return status/100 == 3 || status == http.StatusUnauthorized || status == http.StatusForbidden
}

// visit asks one service. With a health check it has to answer 2xx; without, nobody
// knows what it answers on /, but that it is none of its own failures. Where the gateway asks
// who somebody is, idp gets no further than to be asked.
func visit(ctx context.Context, get func(ctx context.Context, host, path string) (status int, err error), host string, s spec.Service, guarded bool) string {
	path, well := "/", func(status int) bool { return status < http.StatusInternalServerError }
	if s.Healthcheck != nil {
		path, well = s.Healthcheck.Path, func(status int) bool { return status/100 == 2 || guarded && asksWho(status) }
	}
	switch status, err := get(ctx, host, path); {
	case err != nil:
		return "does not answer on " + path + " at its host: " + serving.Describe(err)
	case status/100 == 3 && !well(status):
		return fmt.Sprintf("answers %d on %s at its host: a redirect, which a health check may not be", status, path)
	case !well(status):
		return fmt.Sprintf("answers %d on %s at its host", status, path)
	}
	return ""
}
