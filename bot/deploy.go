package bot

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// commitArgument tells a commit from the name of an environment or a service.
var commitArgument = regexp.MustCompile(`^[0-9a-fA-F]{7,40}$`)

// fullSHA is a commit that nothing can come to stand in the place of.
var fullSHA = regexp.MustCompile(`^[0-9a-f]{40}$`)

// part returns the working copy of one part of a declared environment, its shared
// one for service ""; made where there is none yet.
func (d *deciding) part(env platform.Environment, service string) *previews.Environment {
	ref := d.refOf(env.Name).Of(service)
	if e, ok := d.existing(ref); ok {
		e.RolloutTimeout = env.RolloutTimeout
		if lane := d.laneOf(env); !e.Live() || lane.Target() == e.Lane.Target() {
			e.Lane, e.ArgoCD = lane, d.argoCDOf(env)
		}
		if !e.Live() {
			e.Update = d.updateOf(env, service)
		}
		return e
	}
	repo := d.PR.Repository
	e := &previews.Environment{
		Ref: ref, Owner: repo.Owner, Repo: repo.Name, Private: repo.Private, InstallationID: d.PR.InstallationID,
		Wanted: previews.Absent, Class: env.Class, Lane: d.laneOf(env), ArgoCD: d.argoCDOf(env), Namespace: env.NamespaceOf(ref), RolloutTimeout: env.RolloutTimeout, Deployed: &previews.Deployed{}, Update: d.updateOf(env, service),
	}
	if shared, ok := d.existing(ref.Shared()); ok {
		e.Deployed.Lock = shared.Deployed.Lock
	}
	d.parts[ref.Key()] = e
	return e
}

// laneOf is the way that the changes of an environment take into Git.
func (d *deciding) laneOf(env platform.Environment) gitops.Lane {
	return LaneOf(d.Platform, d.Class, env)
}

// LaneOf is the way that the changes of a declared environment take into Git, where the
// server's own class is own.
func LaneOf(declared platform.Platform, own platform.Class, env platform.Environment) gitops.Lane {
	class, ok := declared.Class(env.Class)
	if !ok {
		return gitops.Lane{}
	}
	lane := gitops.Lane{Proposed: class.Mode == platform.ModePullRequest}
	if class.PushURL != own.PushURL {
		lane.URL, lane.Branch = class.PushURL, class.Branch
	} else if class.Branch != own.Branch {
		lane.Branch = class.Branch
	}
	return lane
}

// argoCDOf is the Argo CD that follows the branch of an environment.
func (d *deciding) argoCDOf(env platform.Environment) string {
	return ArgoCDOf(d.Platform, d.Class, env)
}

// ArgoCDOf is the root of the API of the Argo CD that follows the branch of a declared
// environment, where the server's own class is own; "" for that of the server.
func ArgoCDOf(declared platform.Platform, own platform.Class, env platform.Environment) string {
	class, ok := declared.Class(env.Class)
	if !ok || class.ArgoCDURL == own.ArgoCDURL {
		return ""
	}
	return class.ArgoCDURL
}

// moved says that an environment's files are in another repository than its class
// names, "" where they are not: nothing of what runs would follow.
func (d *deciding) moved(env platform.Environment) string {
	lane := d.laneOf(env)
	for _, part := range d.partsOf(env.Name) {
		if part.Live() && part.Lane.Target() != lane.Target() {
			return fmt.Sprintf("%s is in another GitOps repository or branch than its class %s names now; the platform team has to move it there, or declare it under a new name", env.Name, env.Class)
		}
	}
	return ""
}

// existing returns the working copy of a part that there is.
func (d *deciding) existing(ref gitops.EnvironmentRef) (*previews.Environment, bool) {
	if e, ok := d.parts[ref.Key()]; ok {
		return e, true
	}
	for _, row := range d.Declared {
		if row.Ref.Key() == ref.Key() {
			row.Owner, row.Repo, row.Private = d.PR.Repository.Owner, d.PR.Repository.Name, d.PR.Repository.Private
			d.parts[ref.Key()] = &row
			return &row, true
		}
	}
	return nil, false
}

// partsOf returns the parts that there are of an environment: the shared one first,
// then its services by name.
func (d *deciding) partsOf(name string) []*previews.Environment {
	var out []*previews.Environment
	for _, row := range d.Declared {
		if row.Ref.ID == name {
			e, _ := d.existing(row.Ref)
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b *previews.Environment) int { return cmp.Compare(a.Ref.Service, b.Ref.Service) })
	return out
}

// servicesOf is partsOf without the shared part.
func (d *deciding) servicesOf(name string) []*previews.Environment {
	return slices.DeleteFunc(d.partsOf(name), func(e *previews.Environment) bool { return e.Shared() })
}

// changedParts are the parts that are not what they were, in order.
func (d *deciding) changedParts() []*previews.Environment {
	before := map[string]previews.Environment{}
	for _, row := range d.Declared {
		before[row.Ref.Key()] = row
	}
	var out []*previews.Environment
	for _, key := range slices.Sorted(maps.Keys(d.parts)) {
		if old, was := before[key]; !was || !reflect.DeepEqual(old, *d.parts[key]) {
			out = append(out, d.parts[key])
		}
	}
	return out
}

// declared returns the environment of a name that the actor may change, or why not.
func (r *run) declared(name string) (platform.Environment, answer, bool) {
	env, a, ok := r.known(name)
	if !ok {
		return env, a, false
	}
	if verdict := access.Authorize(r.claim(r.command.Action, ofDeclared(env), r.code())); !verdict.Allowed {
		return env, r.refused(r.command.Name()+" "+env.Name, verdict), false
	}
	return env, answer{}, true
}

// known returns the environment of a name, or says which there are.
func (r *run) known(name string) (platform.Environment, answer, bool) {
	var names []string
	for _, env := range r.Platform.Environments {
		if env.Name == strings.ToLower(name) {
			return env, answer{}, true
		}
		names = append(names, report.Code(env.Name))
	}
	text := "There is no environment " + report.Code(name) + ". "
	if len(names) == 0 {
		text += "The platform team has declared none yet, in " + report.Code("platform/environments.yaml") + " of the GitOps repository."
	} else {
		text += "Declared are " + strings.Join(names, ", ") + "."
	}
	return platform.Environment{}, sorry("unknown environment", text), false
}

// unlocked refuses to change an environment that somebody locked.
func (r *run) unlocked(env platform.Environment) (answer, bool) {
	shared, ok := r.existing(r.refOf(env.Name))
	if !ok || shared.Deployed.Lock == nil {
		return answer{}, true
	}
	lock := shared.Deployed.Lock
	text := fmt.Sprintf("%s is locked by %s since %s", report.Code(env.Name), report.Code(lock.By), report.Text(report.Instant(lock.At, r.Now)))
	if lock.Reason != "" {
		text += ": " + report.Text(lock.Reason)
	}
	return sorry("it is locked", text+". "+report.Code("/idp unlock "+env.Name)+" gives it free."), false
}

// found returns the commit that a command names, "" for the pull request's head.
func (d *deciding) found(named string) (Revision, bool) {
	rev, found := d.Revisions[cmp.Or(strings.ToLower(named), d.PR.HeadSHA)]
	return rev, found
}

func unknownCommit(shown string) answer {
	return sorry("unknown commit", "There is no commit "+shown+" in this repository, or more than one begins like that.")
}

// revision returns the commit that a command names, "" for the pull request's head,
// where there is one that has a valid spec.
func (r *run) revision(named string) (Revision, answer, bool) {
	shown := report.Code(shortSHA(cmp.Or(named, r.PR.HeadSHA)))
	rev, found := r.found(named)
	switch {
	case !found:
		return rev, unknownCommit(shown), false
	case !rev.Spec.Found:
		return rev, sorry("no spec", "There is no "+report.Code(spec.Path)+" at "+shown+", so there is nothing to deploy."), false
	case rev.Spec.Spec == nil:
		return rev, sorry("the spec has errors", fmt.Sprintf("%s at %s has %s. Nothing was deployed. %s lists them.",
			report.Code(spec.Path), shown, counted(len(rev.Spec.Errors), "error"), report.Code("idp validate"))), false
	}
	return rev, answer{}, true
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// picked are the services that a command names, all that the environment has a place for
// where it names none.
func (r *run) picked(env platform.Environment, rev Revision, names []string) ([]string, answer, bool) {
	all := allServices(rev.Spec.Spec)
	if len(names) == 0 {
		if names = r.deployableTo(env, rev); len(names) == 0 {
			names = all // each is refused with its reason
		}
		return names, answer{}, true
	}
	for _, name := range names {
		if !slices.Contains(all, name) {
			return nil, sorry("unknown service", fmt.Sprintf("There is no service %s here. There are %s.", report.Code(name), codes(all))), false
		}
	}
	if r.together(env, r.base(rev)) {
		if slices.ContainsFunc(all, func(name string) bool { return !slices.Contains(names, name) }) {
			return nil, sorry("one source renders all", fmt.Sprintf("One source renders all services of %s, so that they are deployed together: name none. Nothing was deployed.", report.Code(env.Name))), false
		}
		names = r.grouped(env, rev)
	}
	return names, answer{}, true
}

func codes(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = report.Code(name)
	}
	return strings.Join(quoted, ", ")
}

// fit says why a revision may not go into an environment; "" where it may.
func (d *deciding) fit(env platform.Environment, rev Revision) string {
	if why := cmp.Or(d.moved(env), d.converted(env), d.unsourced(env, rev), d.regrouped(env, rev)); why != "" {
		return why
	}
	if env.Protected {
		if why := unprotected(env, rev); why != "" {
			return why
		}
	}
	if !env.Protected && len(env.Checks) == 0 {
		return ""
	}
	if rev.ChecksErr != "" {
		return "the checks of the commit could not be read: " + rev.ChecksErr
	}
	return d.checksOf(env, rev)
}

// unprotected says what a revision of the default branch, which is all that access lets into
// a protected environment, lacks of what that takes: to be held there to rules at GitHub.
func unprotected(env platform.Environment, rev Revision) string {
	switch {
	case rev.BranchErr != "":
		return fmt.Sprintf("%s takes only commits of a protected branch, and whether GitHub protects the default branch could not be read: %s", env.Name, rev.BranchErr)
	case !rev.BranchProtected:
		return fmt.Sprintf("%s takes only commits of a protected branch, and GitHub does not protect the default branch: anybody with write permission could push there what nobody reviewed; an admin of the repository can add a rule for it", env.Name)
	case rev.StatusesUnread:
		return fmt.Sprintf("%s takes only commits with everything green, and commit statuses are not known, for the App may not read them here; an owner can give it that permission (Commit statuses: read)", env.Name)
	}
	return ""
}

// checksOf says which check keeps a revision out. A protected environment wants every
// check of the commit green, any the ones that it names; idp's own do not count.
func (d *deciding) checksOf(env platform.Environment, rev Revision) string {
	seen := map[string]CheckState{}
	for _, check := range rev.Checks {
		if check.AppID == d.AppID {
			continue
		}
		if old, twice := seen[check.Name]; !twice || badness(check) > badness(old) {
			seen[check.Name] = check // of two Apps' or suites' checks of one name the worse counts
		}
	}
	wanted := env.Checks
	if env.Protected {
		if len(seen)+len(wanted) == 0 {
			return fmt.Sprintf("%s takes only commits with green checks, and the commit has none yet", env.Name)
		}
		wanted = slices.Concat(wanted, slices.Sorted(maps.Keys(seen)))
	}
	for _, name := range wanted {
		check, there := seen[name]
		switch {
		case !there && rev.StatusesUnread:
			return fmt.Sprintf("%s needs check %q, and the commit has no check run of that name; whether it has a commit status is not known, for the App may not read those", env.Name, name)
		case !there:
			return fmt.Sprintf("%s needs check %q, and the commit does not have it yet", env.Name, name)
		case check.Status != "completed":
			return fmt.Sprintf("%s needs check %q, and that is not done yet", env.Name, name)
		case !green(check):
			return fmt.Sprintf("%s needs check %q to be green, and it is %s", env.Name, name, strings.ReplaceAll(check.Conclusion, "_", " "))
		}
	}
	return ""
}

// badness orders checks: what is red cannot become green by waiting.
func badness(c CheckState) int {
	switch {
	case green(c):
		return 0
	case c.Status != "completed":
		return 1
	}
	return 2
}

func green(c CheckState) bool {
	return c.Status == "completed" && slices.Contains([]string{"success", "neutral", "skipped"}, c.Conclusion)
}

// release is a release of a revision that this event asks for.
func (d *deciding) release(env platform.Environment, rev Revision, kind previews.ReleaseKind) previews.Release {
	r := previews.Release{
		Kind: kind, SHA: rev.SHA, Ref: d.PR.HeadRef, Spec: rev.Spec.Raw, PR: d.PR.Number, Author: d.PR.Author.Login, AuthorID: d.PR.Author.ID,
		By: d.event.Actor.Login, ByID: d.event.Actor.ID, At: d.arrived(), CommittedAt: rev.CommittedAt, NeedsApproval: env.Approval, Trust: d.trustOf(env, rev),
	}
	if rev.Spec.Spec != nil {
		r.Team = d.team(rev.Spec.Spec)
	}
	if rev.OnDefault && !rev.InPull || kind == previews.ReleaseMerge {
		r.Ref = d.PR.BaseRef
	}
	return r
}

// arrived is when the event did.
func (d *deciding) arrived() time.Time {
	if d.event.ReceivedAt.IsZero() {
		return d.Now
	}
	return d.event.ReceivedAt
}

// shares says that what services share is there for a release of a commit.
func shares(shared *previews.Environment, sha string) bool {
	return shared.Wanted == previews.Present && shared.SHA == sha
}

// deploy asks for a release of some services, and of what they share, and says of
// each service what became of it.
func (d *deciding) deploy(env platform.Environment, services []string, release func(service string) previews.Release) (started, queued, running []string) {
	for _, service := range services {
		part, r := d.part(env, service), release(service)
		switch {
		case runs(part, r):
			running = append(running, service)
		case part.Deploy(r, d.Now):
			started = append(started, service)
		default:
			queued = append(queued, service)
		}
		if shared := d.part(env, ""); slices.Contains(started, service) && !shares(shared, r.SHA) {
			shared.Share(r, d.Now)
		}
		d.auditOf(part.Ref, string(r.Kind)+" "+env.Name, r.SHA, true, "asked for")
	}
	return started, queued, running
}

// runs says that a part has, or is about to have, a release already.
func runs(part *previews.Environment, r previews.Release) bool {
	if now := part.Deployed.Current; now.SHA != r.SHA || now.Trust != r.Trust || !now.Source.Same(r.Source) || part.Generation == 0 {
		return false
	}
	return part.Moving() || part.State() == previews.StateReady || part.State() == previews.StateCommitted
}
