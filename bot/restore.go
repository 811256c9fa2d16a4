package bot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/holdings"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/render"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// Reach is where GitHub says every repository is that the App reaches, by its id.
type Reach map[int64]place

// ReachOf asks GitHub. Anything that cannot be read whole is an error.
func ReachOf(ctx context.Context, app Directory, installation func(id int64) Lister) (Reach, error) {
	ids, err := app.Installations(ctx)
	if err != nil {
		return nil, err
	}
	reach := Reach{}
	for _, id := range ids {
		repos, err := installation(id).Repositories(ctx)
		if denied(err) {
			continue // as the sweep does: its repositories are out of reach
		}
		if err != nil {
			return nil, err
		}
		for _, repo := range repos {
			reach[repo.ID] = place{installationID: id, repo: repo}
		}
	}
	return reach, nil
}

// Restorer makes rows of what a GitOps repository holds, for a database that was lost. A
// row comes out as it was when its commit was pushed, so that nothing is to be committed
// anew. What the record does not hold is either found out by the next sweep, which decides
// from the pull request as it then is, or gone; Lost says what.
type Restorer struct {
	// Class is the server's own, and Platform what the platform team declares.
	Class    platform.Class
	Platform platform.Platform
	Reach    Reach
	// Reference is the image that a service's template names, Pinned one by its digest.
	Reference func(previews.Environment, spec.Service, previews.Build) (string, error)
	Pinned    func(reference, digest string) (string, error)
	// Watched says that Argo CD is asked what becomes of commits.
	Watched bool
	Now     time.Time

	names, hosts map[string]string
}

// Lost are the things that a GitOps repository does not hold, in words.
var Lost = []string{
	"the audit log of before, where it was not exported",
	"commands and webhooks that were taken in and not done",
	"approvals of forks' code and of charts: what runs goes on, and the next commit waits for an approval",
	"locks, queues, quarantined revisions and the releases to roll back to of declared environments",
	"proposals that are not merged yet",
	"the breaker's count, and the pauses of idp",
	"measures: what was released before is in no count any more",
}

// Restore returns the row of a holding without a problem, found in the target, and a note about what is not as it should be, "" for none. An
// error says that it cannot be one: another that was restored before has its name, its
// namespace or its host.
func (r *Restorer) Restore(h holdings.Holding, target gitops.Lane) (row store.Restored, note string, err error) {
	record := h.Record
	parsed, problems := spec.Parse(spec.Path, []byte(record.Spec))
	if record.Environment == "" || record.Service != "" {
		if err := problems.Err(); err != nil {
			return row, "", fmt.Errorf("its spec is not valid: %w", err)
		}
	}
	if err := r.claim(record); err != nil {
		return row, "", err
	}
	if h.Commit == "" {
		h.Commit, h.CommittedAt, h.DeployedAt = h.Tip, r.Now, r.Now
		note = joinNotes(note, "no commit of idp's is known for it; it is restored as it is")
	}
	e := r.basics(h)
	if record.Environment == "" {
		note = joinNotes(note, r.preview(&e, parsed, record))
	} else {
		note = joinNotes(note, r.declared(&e, h, target))
	}
	e.Images = r.images(e, parsed, record)
	if e.Declared() {
		e.Deployed.Current.Images = e.Images
	}
	if h.Changed() {
		note = joinNotes(note, "somebody changed its folder since commit "+h.Commit[:7]+"; it is restored as idp wrote it")
	}
	if _, reached := r.Reach[record.RepositoryID]; !reached {
		note = joinNotes(note, "GitHub's App does not reach its repository")
	}
	out := store.Restored{Environment: e, Reason: "restored from the GitOps repository, tree " + h.Tree}
	if !e.Shared() && e.HeadSHA != "" {
		// They are looked for, instead of written a second time.
		out.Report = store.Report{CheckSHA: e.HeadSHA, DeploymentSHA: e.AppliedSHA, CommentPR: e.PR}
	}
	return out, note, nil
}

func joinNotes(notes ...string) string {
	return strings.Join(slices.DeleteFunc(notes, func(n string) bool { return n == "" }), "; ")
}

// claim refuses what another record has already: the folder's name, its namespace, a host.
func (r *Restorer) claim(record *render.Record) error {
	if r.names == nil {
		r.names, r.hosts = map[string]string{}, map[string]string{}
	}
	ref, owner := record.Ref(), record.Ref().Shared().String()
	for _, claimed := range []struct {
		what, value, by string
		in              map[string]string
	}{
		{"Application", record.Application, ref.String(), r.names},
		{"namespace", "namespace " + record.Namespace, owner, r.names},
	} {
		if by, taken := claimed.in[claimed.value]; taken && by != claimed.by {
			return fmt.Errorf("its %s is that of %s", claimed.what, by)
		}
	}
	for _, svc := range slices.Sorted(maps.Keys(record.Hosts)) {
		if by, taken := r.hosts[record.Hosts[svc]]; taken && by != ref.String() {
			return fmt.Errorf("its host %s is that of %s", record.Hosts[svc], by)
		}
	}
	r.names[record.Application], r.names["namespace "+record.Namespace] = ref.String(), owner
	for _, host := range record.Hosts {
		r.hosts[host] = ref.String()
	}
	return nil
}

// basics are what previews and declared environments have alike.
func (r *Restorer) basics(h holdings.Holding) previews.Environment {
	record := h.Record
	owner, name, _ := strings.Cut(record.FullName, "/")
	at, reached := r.Reach[record.RepositoryID]
	if !reached {
		at = place{repo: RepositoryRef{ID: record.RepositoryID, Owner: owner, Name: name, Private: true}}
	}
	e := previews.Environment{
		Ref: record.Ref(), InstallationID: at.installationID, Owner: at.repo.Owner, Repo: at.repo.Name, Private: at.repo.Private,
		HeadSHA: record.SHA, HeadRef: record.HeadRef, Author: record.Author, Team: record.Team,
		Wanted: previews.Present, Generation: record.Generation, SHA: record.SHA, Spec: []byte(record.Spec), Trust: platform.Trust(record.Trust),
		WantedAt: h.CommittedAt, AskedAt: h.DeployedAt, PushedAt: h.DeployedAt,
		ResolvedGeneration: record.Generation, ResolvedAt: h.CommittedAt,
		AppliedGeneration: record.Generation, AppliedSHA: record.SHA, AppliedCommit: h.Commit, AppliedAt: h.DeployedAt, Tree: h.Tree,
	}
	if team, owned := r.Platform.Teams.Of(record.RepositoryID); owned {
		e.Team = team.Team
	}
	if r.Watched {
		e.Observed = &previews.Observation{At: r.Now}
	}
	if record.Charts != nil {
		e.Charts = &previews.Charts{Generation: record.Generation, UsedCharts: *record.Charts}
	}
	if from := record.Source; from != nil {
		e.Source = &previews.Source{Base: from.Commit, Branch: from.Branch, From: from.From, Taken: from.Taken, Left: from.Left}
		for _, image := range slices.Sorted(maps.Keys(from.Pins)) {
			e.Source.Pins = append(e.Source.Pins, previews.Pin{Image: image, Digest: from.Pins[image]})
		}
		e.AppliedBase = from.Commit
	}
	if record.Update != nil {
		e.Update = &previews.Update{Application: record.Update.Application, Fields: record.Update.Fields}
		if record.Update.Application == "" {
			e.Observed = nil // nothing in Argo CD reads it
		}
	}
	return e
}

// preview fills in what is of a preview alone.
func (r *Restorer) preview(e *previews.Environment, parsed *spec.Spec, record *render.Record) (note string) {
	d := &deciding{Snapshot: Snapshot{Class: r.Class, Spec: SpecAt{Spec: parsed}}}
	e.PR, e.AskedBy, e.Concluded = record.PullRequest, record.AskedBy, record.SHA
	e.TTL, _ = d.lifetime()
	e.Unrouted = len(record.Hosts) == 0 && (r.Class.Closed() || hasWeb(parsed))
	if record.ExpiresAt == nil {
		e.Pinned = true
	} else {
		e.ExpiresAt = record.ExpiresAt.UTC()
	}
	if parsed.Sources() != nil {
		// As if its head had not been seen: the next sweep asks the base branch again.
		e.HeadSHA = ""
		return "its chart is asked for again, which takes one commit"
	}
	return ""
}

// hasWeb says that there is a service which has a host where routes lead to it.
func hasWeb(of *spec.Spec) bool {
	return slices.ContainsFunc(of.Services, func(s spec.Service) bool { return s.Kind == spec.Web })
}

// declared fills in what is of a part of a declared environment alone.
func (r *Restorer) declared(e *previews.Environment, h holdings.Holding, target gitops.Lane) (note string) {
	record := h.Record
	e.Class, e.Namespace, e.Lane = record.Class, record.Namespace, target
	named, ok := r.Platform.Environment(record.Environment)
	switch class, known := r.Platform.Class(record.Class); {
	case !ok:
		note = "the platform team declares no environment " + record.Environment + " any more"
	case known && class.Mode == platform.ModePullRequest:
		e.Lane.Proposed = true
	}
	if ok {
		e.ArgoCD = ArgoCDOf(r.Platform, r.Class, named)
	}
	e.RolloutTimeout = named.RolloutTimeout
	e.Deployed = &previews.Deployed{Current: previews.Release{
		Kind: previews.ReleaseDeploy, SHA: record.SHA, Ref: record.HeadRef, Spec: e.Spec, Team: e.Team, Trust: e.Trust, Source: e.Source, Charts: e.Charts, Author: record.Author,
		At: h.DeployedAt, CommittedAt: h.DeployedAt, Attempt: record.Attempt,
	}}
	return note
}

// images are what was committed, under the reference that the template gives where that is
// what it was found by.
func (r *Restorer) images(e previews.Environment, parsed *spec.Spec, record *render.Record) []previews.Image {
	if parsed == nil {
		return nil
	}
	var out []previews.Image
	for _, svc := range parsed.Services {
		committed, ok := record.Images[svc.Name]
		if !ok {
			continue
		}
		image := previews.Image{Service: svc.Name, Reference: committed}
		if repository, digest, byDigest := strings.Cut(committed, "@"); byDigest {
			image.Reference, image.Digest = repository, digest
			build := previews.Build{SHA: e.SHA, Merge: e.SHA}
			if image.From(record.ImagesOf[svc.Name]); image.Commit != "" {
				build.Merge = image.Commit
			}
			if image.Branch != "" {
				build.SHA = image.Commit
			}
			named, err := r.Reference(e, svc, build)
			pinned, perr := r.Pinned(named, digest)
			if errors.Join(err, perr) == nil && pinned == committed {
				image.Reference = named
			}
		}
		out = append(out, image)
	}
	return out
}
