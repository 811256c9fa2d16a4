package policy

import (
	"context"
	"slices"
	"time"

	"github.com/idp-bot/idp/gitops/spec"
)

// Actor is somebody at GitHub.
type Actor struct {
	ID    int64
	Login string
	Bot   bool
	// Permission is the live permission for the repository; "" where it was not read.
	Permission string
}

// PullRequest is the pull request that something is asked for in.
type PullRequest struct {
	Number      int
	Author      Actor
	Fork, Draft bool
	Labels      []string
	// Base and Head are branches.
	Base, Head string
}

// Environment is what is deployed to.
type Environment struct {
	// Name is "pr-42" or that of a declared environment, Class the name of its class.
	Name, Class string
	// Preview tells previews from declared environments, which may be Protected.
	Preview, Protected bool
	// TTL is how long a preview lives from its last push.
	TTL time.Duration
	// CPU and Memory are the limits of containers that name none, as their namespace gives
	// them; "" where it gives none.
	CPU, Memory string
}

// Repository is the repository of the pull request.
type Repository struct {
	ID          int64
	Owner, Name string
	Private     bool
}

// Revision is the commit that is deployed.
type Revision struct {
	SHA       string
	OnDefault bool
}

// Live is how many previews live beside the one that is asked for.
type Live struct {
	Count int
	// Oldest is the one that nobody pushed to for longest and may be named here; nil where
	// there is none.
	Oldest *Preview
	// Takeable is the one that may make room for another: the longest idle, nothing of it under
	// way, not pinned; nil where there is none.
	Takeable *Takeable
}

// Takeable is a preview that may be taken.
type Takeable struct {
	RepositoryID int64
	Environment  string
	// Preview names it, nil where it may not be named here.
	Preview *Preview
	// Idle is how long nobody did anything about it.
	Idle time.Duration
}

// Preview is a preview by its pull request.
type Preview struct {
	// Repository is "owner/name".
	Repository  string
	PullRequest int
}

// Previews is Live by what they have in common with the one that is asked for.
type Previews struct{ Repository, Team, Author Live }

// Request is what somebody, or an event, asks for.
type Request struct {
	// Action is "preview", "deploy", "promote" or "merge".
	Action      string
	Actor       Actor
	PullRequest PullRequest
	Environment Environment
	Repository  Repository
	Revision    Revision
	// Team is the owner, "" where none is named; Services those asked for, by name.
	Team     string
	Services []string
	// Spec is the file at the revision, SpecRaw its bytes.
	Spec    *spec.Spec
	SpecRaw []byte
	// Previews are counted where a preview is asked for.
	Previews Previews
	Now      time.Time
}

// Request judges a request before it is decided. It is a pure function of r, as long as
// the policies stay within their bounds.
func (s *Set) Request(r Request) Verdict {
	if s.broken != nil {
		return Verdict{Broken: s.broken}
	}
	places := spec.Locate(spec.Path, r.SpecRaw)
	about := s.about(r.Environment, r.Repository, r.Revision, r.Now)
	return s.evaluate(context.Background(), about, r.Now, []document{{input: s.request(r, places)}}, r.Spec, places)
}

func (s *Set) request(r Request, places spec.Places) map[string]any {
	return map[string]any{
		"apiVersion": "idp/v1", "kind": "Request", "action": r.Action,
		"actor": map[string]any{"id": r.Actor.ID, "login": r.Actor.Login, "bot": r.Actor.Bot, "permission": r.Actor.Permission},
		"pull_request": map[string]any{
			"number": r.PullRequest.Number, "fork": r.PullRequest.Fork, "draft": r.PullRequest.Draft, "labels": list(r.PullRequest.Labels),
			"base": r.PullRequest.Base, "head": r.PullRequest.Head,
			"author": map[string]any{"id": r.PullRequest.Author.ID, "login": r.PullRequest.Author.Login, "bot": r.PullRequest.Author.Bot},
		},
		"environment": s.environment(r.Environment), "repository": repository(r.Repository), "revision": revision(r.Revision),
		"team": r.Team, "services": list(r.Services), "spec": specDocument(r.Spec, places), "places": placesDocument(places),
		"previews": map[string]any{"repository": live(r.Previews.Repository), "team": live(r.Previews.Team), "author": live(r.Previews.Author)},
	}
}

// about is data.idp.
func (s *Set) about(e Environment, r Repository, rev Revision, now time.Time) map[string]any {
	return map[string]any{
		"environment": s.environment(e), "repository": repository(r), "revision": revision(rev), "now": now.UTC().Format(time.RFC3339),
	}
}

func (s *Set) environment(e Environment) map[string]any {
	out := map[string]any{
		"name": e.Name, "class": e.Class, "preview": e.Preview, "protected": e.Protected,
		"production": !e.Preview && (e.Protected || slices.Contains(s.settings.production, e.Name) || slices.Contains(s.settings.production, e.Class)),
	}
	limits := map[string]any{}
	for name, amount := range map[string]string{"cpu": e.CPU, "memory": e.Memory} {
		if amount != "" {
			limits[name] = amount
		}
	}
	out["limits"] = limits
	if e.TTL > 0 {
		out["ttl"], out["ttl_seconds"] = spec.FormatDuration(e.TTL), int(e.TTL/time.Second)
	}
	return out
}

func repository(r Repository) map[string]any {
	return map[string]any{"id": r.ID, "owner": r.Owner, "name": r.Name, "full_name": r.Owner + "/" + r.Name, "private": r.Private}
}

func revision(r Revision) map[string]any {
	return map[string]any{"sha": r.SHA, "on_default": r.OnDefault}
}

func live(l Live) map[string]any {
	out := map[string]any{"count": l.Count}
	if l.Oldest != nil {
		out["oldest"] = l.Oldest.document()
	}
	if t := l.Takeable; t != nil {
		takeable := map[string]any{
			"repository_id": t.RepositoryID, "environment": t.Environment,
			"idle": spec.FormatDuration(t.Idle.Truncate(time.Minute)), "idle_seconds": int(t.Idle / time.Second),
		}
		if t.Preview != nil {
			takeable["preview"] = t.Preview.document()
		}
		out["takeable"] = takeable
	}
	return out
}

func (p Preview) document() map[string]any {
	return map[string]any{"repository": p.Repository, "pull_request": p.PullRequest}
}

func placesDocument(places spec.Places) map[string]any {
	out := map[string]any{}
	for field, at := range places.Each {
		out[field] = map[string]any{"line": at.Line, "column": at.Column}
	}
	return out
}

// specDocument is the normalised spec under the keys of the file. Each service has its
// place as "field".
func specDocument(file *spec.Spec, places spec.Places) map[string]any {
	if file == nil {
		return map[string]any{}
	}
	p := pointer{file, places}
	var services []any
	for i, svc := range file.Services {
		services = append(services, serviceDocument(svc, p.fieldOf(i)))
	}
	return map[string]any{
		"services": services,
		"preview": map[string]any{
			"enabled": file.Preview.Enabled, "trigger": string(file.Preview.Trigger), "label": file.Preview.Label, "drafts": file.Preview.Drafts,
			"paths": list(file.Preview.Paths), "ignoreLabels": list(file.Preview.IgnoreLabels), "ttl_seconds": int(file.Preview.TTL / time.Second),
		},
	}
}

func serviceDocument(svc spec.Service, field string) map[string]any {
	out := map[string]any{
		"field": field, "name": svc.Name, "team": svc.Team, "path": svc.Path, "image": svc.Image, "kind": string(svc.Kind), "schedule": svc.Schedule,
		"port": svc.Port, "replicas": svc.Replicas, "env": env(svc.Env), "resources": resources(svc.Resources),
		"command": list(svc.Command), "args": list(svc.Args), "deploy": deployDocument(svc.Deploy),
		"rollback": map[string]any{"auto": svc.Rollback.Auto, "on_error_rate": svc.Rollback.OnErrorRate},
	}
	var volumes []any
	for _, v := range svc.Volumes {
		volumes = append(volumes, map[string]any{"name": v.Name, "mountPath": v.MountPath, "size": v.Size})
	}
	out["volumes"] = volumes
	if svc.Migrate != nil {
		out["migrate"] = map[string]any{"command": list(svc.Migrate.Command)}
	}
	if h := svc.Healthcheck; h != nil {
		out["healthcheck"] = map[string]any{"path": h.Path, "interval_seconds": int(h.Interval / time.Second), "threshold": h.Threshold}
	}
	environments := map[string]any{}
	for name, o := range svc.Environments {
		over := map[string]any{"env": env(o.Env), "resources": resources(o.Resources)}
		if o.Replicas != nil {
			over["replicas"] = *o.Replicas
		}
		environments[name] = over
	}
	out["environments"] = environments
	return out
}

func deployDocument(d spec.Deploy) map[string]any {
	var steps []any
	for _, step := range d.Canary {
		steps = append(steps, map[string]any{"weight": step.Weight, "pause_seconds": int(step.Pause / time.Second)})
	}
	return map[string]any{"strategy": string(d.Strategy), "canary": steps}
}

func env(vars []spec.EnvVar) map[string]any {
	out := map[string]any{}
	for _, v := range vars {
		out[v.Name] = v.Value
	}
	return out
}

func resources(r spec.Resources) map[string]any {
	amount := func(l spec.ResourceList) map[string]any {
		out := map[string]any{}
		if l.CPU != "" {
			out["cpu"] = l.CPU
		}
		if l.Memory != "" {
			out["memory"] = l.Memory
		}
		return out
	}
	return map[string]any{"requests": amount(r.Requests), "limits": amount(r.Limits)}
}
