package bot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

var (
	// ErrNotFound is what a Reader returns for what GitHub answers 404 to.
	ErrNotFound = errors.New("not found on GitHub")
	// ErrNoAccess says that there is no token for a repository: the App is not
	// installed there (any more), is suspended, or was not granted what it asks for.
	// It says nothing about whether the thing asked for exists.
	ErrNoAccess = errors.New("idp has no access to the repository")
)

// Reader reads the live facts that decisions are taken from. Missing things are
// ErrNotFound; every other error makes the event be handled again later.
type Reader interface {
	PullRequest(ctx context.Context, repo RepositoryRef, number int) (PullRequest, error)
	// File returns a file's content at a commit; what stands there and is no file,
	// or too large a one, is a fault.Invalid.
	File(ctx context.Context, repo RepositoryRef, path, sha string) ([]byte, error)
	// ChangedFiles returns the paths that a pull request touches: 3,000 or more
	// where GitHub lists only a part.
	ChangedFiles(ctx context.Context, repo RepositoryRef, number int) ([]string, error)
	// Permission is that of an account, whatever its login is by now.
	Permission(ctx context.Context, repo RepositoryRef, who Actor) (access.Permission, error)
}

// Reactor puts a reaction on a comment; one that is there already is fine.
type Reactor interface {
	React(ctx context.Context, repo RepositoryRef, commentID int64, content string) error
}

// Handling is what the handler needs of GitHub for one installation.
type Handling interface {
	Reader
	Reactor
	Revisions
	Teams
}

// Rows is what the handler needs of the store.
type Rows interface {
	Environment(ctx context.Context, repositoryID int64, id string) (previews.Environment, error)
	Environments(ctx context.Context, f store.Filter) ([]previews.Environment, error)
	Paths(ctx context.Context, repositoryID int64, owner, repo string) (gitops.EnvironmentRef, error)
	LivePreviews(ctx context.Context, of store.LiveOf) (store.Lives, error)
	Update(ctx context.Context, rowID int64, fn func(*previews.Environment) error) (previews.Environment, error)
	UpdateAll(ctx context.Context, rowIDs []int64, fn func(*previews.Environment) error) error
	Apply(ctx context.Context, o store.Outcome) error
	AddDelivery(ctx context.Context, d store.Delivery) (stored bool, err error)
	ParkReports(ctx context.Context, rowIDs []int64) error
	ResumeReports(ctx context.Context, repositoryID int64) (resumed int, err error)
}

// Handler takes events to decisions and stores them.
type Handler struct {
	Store Rows
	// GitHub returns the client of an installation.
	GitHub func(installationID int64) Handling
	Class  platform.Class
	// Platform reads what the platform team declares now. Recent, when set, takes its place
	// for previews: as it was a moment ago and, beside an error, as it was read last.
	Platform, Recent func(context.Context) (platform.Platform, error)
	// Guard, when set, returns the platform team's policies as they are now; it never fails,
	// for what cannot be read refuses.
	Guard func(context.Context) Guard
	// Logs, when set, reads the last lines that a service of an environment wrote, where
	// policy lets people see them.
	Logs func(ctx context.Context, env previews.Environment, service string) Logs
	// Compare, when set, says in what the manifests of a part of a declared environment, as
	// it would be, differ from those that are in Git.
	Compare func(ctx context.Context, would previews.Environment) report.Planned
	// Roots, when set, returns the paths of a repository that a source is made of at a commit,
	// nil where that cannot be said now.
	Roots func(ctx context.Context, installationID int64, repo RepositoryRef, sha string, from []spec.Source) ([]string, error)
	// Images returns the images that an environment would be made of, as they are now, and
	// Prove holds them to what a class asks of their provenance. Where one is not set, nothing
	// is proven.
	Images func(ctx context.Context, would previews.Environment) ([]previews.Image, error)
	Prove  func(ctx context.Context, asked platform.Provenance, of previews.Environment, images []previews.Image) ([]previews.Unproven, error)
	AppID  int64
	// Decided is called after each stored decision, to wake who acts on it. Told, when set,
	// is given the decision before.
	Decided func()
	Told    func(Decision)
	Now     func() time.Time
	Log     *slog.Logger
}

// maxStale bounds how often a decision is taken anew because its row moved on.
const maxStale = 5

// accessGrace is how long an event waits for access that GitHub says is not there:
// a new installation is not known everywhere at once.
const accessGrace = time.Minute

// Handle does everything an event asks for. It is safe to repeat: a decision is
// applied once per delivery. An event about what idp has no access to is ignored
// when it has waited: nothing can be done about it, and the sweep looks at every
// repository that access is given to later.
func (h *Handler) Handle(ctx context.Context, event Event) error {
	if event.Swept {
		ctx = WithImportance(ctx, ForUpkeep)
	}
	err := h.handle(ctx, event)
	if !errors.Is(err, ErrNoAccess) {
		return err
	}
	if h.Now().Sub(event.ReceivedAt) < accessGrace {
		return tooEarly{err}
	}
	h.Log.Info("an event is ignored", "delivery", event.Delivery, "event", event.Name+"."+event.Action, "error", err)
	return h.ignore(ctx, event, ErrNoAccess.Error())
}

// tooEarly is the error of an event that waits for what GitHub does not know everywhere
// yet, such as access; it did not fail.
type tooEarly struct{ error }

// Unwrap returns what GitHub said.
func (n tooEarly) Unwrap() error { return n.error }

// RetryAfter returns how long to wait before asking again.
func (tooEarly) RetryAfter() time.Duration { return 5 * time.Second }

func (h *Handler) handle(ctx context.Context, event Event) error {
	switch event.Kind {
	case EventPullRequest:
		return h.pullRequest(ctx, event)
	case EventComment:
		return h.comment(ctx, event)
	case EventRequest:
		return h.decide(ctx, event, event.PR)
	case EventButton:
		return h.button(ctx, event)
	case EventRerequest:
		return h.rerequest(ctx, event)
	case EventBuild:
		return h.build(ctx, event)
	case EventRepository:
		return h.repository(ctx, event)
	case EventInstallation:
		return h.installation(ctx, event)
	default:
		return h.ignore(ctx, event, "not an event for idp")
	}
}

// pullRequest decides about the event's pull request, unless idp has done so since the event:
// webhooks come late, in bursts and twice, and each decision costs requests to GitHub.
func (h *Handler) pullRequest(ctx context.Context, event Event) error {
	row, err := h.Store.Environment(ctx, event.Repository.ID, gitops.PreviewID(event.PR))
	if err != nil && !errors.Is(err, previews.ErrNotFound) {
		return err
	}
	if err == nil && event.seenBy(row) {
		return h.ignore(ctx, event, "idp has looked at the pull request since")
	}
	return h.decide(ctx, event, event.PR)
}

func (h *Handler) comment(ctx context.Context, event Event) error {
	if event.Comment == nil || event.Actor.Bot || event.Comment.ViaApp != 0 {
		return h.ignore(ctx, event, "comment of a bot")
	}
	if len(Parse(event.Comment.Body)) == 0 {
		return h.ignore(ctx, event, "comment without a command")
	}
	// Seen, before anything that may take a while. It is only a courtesy: the
	// decision is what counts.
	if err := h.GitHub(event.InstallationID).React(ctx, event.Repository, event.Comment.ID, "eyes"); err != nil {
		h.Log.Info("no reaction yet", "delivery", event.Delivery, "error", err)
	}
	return h.decide(ctx, event, event.PR)
}

// decide reads, decides and applies; again when the row moved on meanwhile.
func (h *Handler) decide(ctx context.Context, event Event, number int) error {
	for range maxStale {
		snapshot, err := h.snapshot(ctx, event, number)
		if errors.Is(err, ErrNotFound) {
			return h.ignore(ctx, event, "there is no such pull request")
		}
		if err != nil {
			return err
		}
		err = h.apply(ctx, event, snapshot, Decide(snapshot, event))
		if errors.Is(err, previews.ErrBreaker) {
			// The next sweep finds it again, for as long as it takes to be confirmed.
			return h.held(ctx, event, snapshot)
		}
		if errors.Is(err, store.ErrNameTaken) {
			return h.nameTaken(ctx, event, snapshot, err)
		}
		if !errors.Is(err, previews.ErrStale) {
			return err
		}
	}
	return fmt.Errorf("decide about %s/%s#%d: %w", event.Repository.Owner, event.Repository.Name, number, previews.ErrStale)
}

func (h *Handler) apply(ctx context.Context, event Event, s Snapshot, d Decision) error {
	outcome := store.Outcome{Delivery: event.Delivery, Once: once(event), Environment: d.Environment, Declared: d.Declared, Room: d.Room, Result: "decided"}
	if len(d.Room) > 0 || len(d.Taken) > 0 {
		outcome.Beside = s.liveOf()
	}
	if d.Environment != nil && (s.Environment == nil || s.Environment.Generation != d.Environment.Generation) {
		d.Environment.AskedAt, d.Environment.Actor = event.ReceivedAt, event.Actor.Login
	}
	if event.Kind == EventButton && (d.Environment != nil || len(d.Declared) > 0) {
		outcome.Once = event.press() // where nothing came of it, it may be pressed again
	}
	for _, taken := range d.Taken {
		taken.Environment.AskedAt, taken.Environment.Actor = event.ReceivedAt, event.Actor.Login
		outcome.Taken = append(outcome.Taken, taken)
	}
	for _, effect := range d.Effects {
		outcome.Effects = append(outcome.Effects, store.Effect{
			Kind: string(effect.Kind), InstallationID: event.InstallationID, RepositoryID: s.PR.Repository.ID,
			Owner: s.PR.Repository.Owner, Repo: s.PR.Repository.Name, PR: s.PR.Number,
			CommentID: effect.CommentID, Content: effect.Content,
		})
	}
	for _, entry := range d.Audit {
		outcome.Audit = append(outcome.Audit, previews.Audit{
			ActorID: entry.Actor.ID, Actor: entry.Actor.Login, Action: entry.Action,
			Environment: entry.Environment, SHA: entry.SHA, Allowed: entry.Allowed, Reason: entry.Reason, Rule: entry.Rule,
		})
	}
	if err := h.Store.Apply(ctx, outcome); err != nil {
		return fmt.Errorf("apply decision about %s/%s#%d: %w", s.PR.Repository.Owner, s.PR.Repository.Name, s.PR.Number, err)
	}
	h.Log.Info("decided", "delivery", event.Delivery, "repo", s.PR.Repository.Owner+"/"+s.PR.Repository.Name,
		"pr", s.PR.Number, "event", event.Name+"."+event.Action, "reasons", d.Reasons)
	if h.Told != nil {
		h.Told(d)
	}
	h.Decided()
	return nil
}

// once names the comment whose commands an event runs. Whoever got hold of a signed
// webhook can send it again under another GUID, which is not signed.
func once(event Event) string {
	if event.Kind != EventComment {
		return ""
	}
	return fmt.Sprintf("comment %d/%d", event.Repository.ID, event.Comment.ID)
}

// nameTaken tells whoever opened the pull request, once, and whoever asks for its preview
// that the name it would have on the cluster belongs to another.
func (h *Handler) nameTaken(ctx context.Context, event Event, s Snapshot, cause error) error {
	h.Log.Error("a preview cannot be made", "delivery", event.Delivery, "error", cause)
	outcome := store.Outcome{
		Delivery: event.Delivery, Result: "ignored: " + store.ErrNameTaken.Error(),
		Audit: []previews.Audit{unmet(event, s, cause.Error())},
	}
	if event.asks() || event.Name == "pull_request" || event.Swept {
		outcome.Effects = []store.Effect{{
			Kind: string(event.replies()), InstallationID: event.InstallationID, RepositoryID: s.PR.Repository.ID,
			Owner: s.PR.Repository.Owner, Repo: s.PR.Repository.Name, PR: s.PR.Number,
			Content: "😕 There is no preview of this pull request: another one has the name that it would get on the cluster. " +
				"That is a coincidence which no push changes; a new pull request of the same branch has another name.",
		}}
	}
	if !event.asks() {
		outcome.SaidOnce = fmt.Sprintf("name taken %d/%d", s.PR.Repository.ID, s.PR.Number)
	}
	defer h.Decided()
	return h.Store.Apply(ctx, outcome)
}

// held ends an event whose inferred removal the breaker holds back. Each sweep finds it
// again, and the audit log has it once for as long as the row stays as it is.
func (h *Handler) held(ctx context.Context, event Event, s Snapshot) error {
	outcome := store.Outcome{Delivery: event.Delivery, Result: "ignored: " + previews.ErrBreaker.Error()}
	if e := s.Environment; e != nil {
		outcome.Once = fmt.Sprintf("held %d version %d", e.RowID, e.Version)
		outcome.Audit = []previews.Audit{unmet(event, s, previews.ErrBreaker.Error())}
	}
	return h.Store.Apply(ctx, outcome)
}

// unmet is the audit entry of an event that nothing came of.
func unmet(event Event, s Snapshot, why string) previews.Audit {
	ref := newDeciding(s, event).ref()
	if s.Environment != nil {
		ref = s.Environment.Ref
	}
	return previews.Audit{
		ActorID: event.Actor.ID, Actor: cmp.Or(event.Actor.Login, "idp"), Action: event.asked(),
		Environment: ref.String(), SHA: s.PR.HeadSHA, Reason: why,
	}
}

// ignore marks the delivery done without a decision.
func (h *Handler) ignore(ctx context.Context, event Event, why string) error {
	outcome := store.Outcome{Delivery: event.Delivery, Result: "ignored: " + why}
	if event.Kind == EventRequest || event.Kind == EventButton { // somebody asked
		outcome.Audit = []previews.Audit{{
			ActorID: event.Actor.ID, Actor: event.Actor.Login, Action: event.asked(),
			Environment: strings.ToLower(event.Repository.Owner+"/"+event.Repository.Name) + "/", Reason: why,
		}}
	}
	return h.Store.Apply(ctx, outcome)
}

// snapshot reads every fact that the decision may need.
func (h *Handler) snapshot(ctx context.Context, event Event, number int) (Snapshot, error) {
	gh := h.GitHub(event.InstallationID)
	s := Snapshot{Now: h.Now(), AppID: h.AppID, Class: h.Class}
	var err error
	if s.PR, err = gh.PullRequest(ctx, event.Repository, number); err != nil {
		return s, err
	}
	s.PR.InstallationID = event.InstallationID
	row, err := h.Store.Environment(ctx, s.PR.Repository.ID, gitops.PreviewID(number))
	switch {
	case err == nil:
		s.Environment = &row
	case !errors.Is(err, previews.ErrNotFound):
		return s, err
	default:
		repo := s.PR.Repository
		if s.Paths, err = h.Store.Paths(ctx, repo.ID, strings.ToLower(repo.Owner), strings.ToLower(repo.Name)); err != nil {
			return s, err
		}
	}
	if s.PR.Open { // nothing of a closed one is wanted as a preview, and its head may be gone
		if s.Spec, err = readSpec(ctx, gh, s.PR.Repository, s.PR.HeadSHA); err != nil {
			return s, err
		}
	}
	if err := baseFacts(ctx, gh, &s); err != nil {
		return s, err
	}
	if err := h.declarations(ctx, event, &s); err != nil {
		return s, err
	}
	s.Class = s.ofPreviews()
	s.Spec, s.Base = s.charted(s.owned(s.Spec)), s.owned(s.Base)
	if s.asksFiles() {
		if s.ChangedFiles, err = gh.ChangedFiles(ctx, s.PR.Repository, number); err != nil {
			return s, err
		}
	}
	if from := s.asksRoots(); from != nil && h.Roots != nil {
		if s.BaseRoots, err = h.Roots(ctx, s.PR.InstallationID, s.PR.Repository, s.BaseSHA, from); err != nil {
			return s, err
		}
	}
	if event.asks() || event.Kind == EventRerequest {
		if s.Permission, s.PermissionErr, err = permission(ctx, gh, s.PR.Repository, event.Actor); err != nil {
			return s, err
		}
	}
	if err := h.deployFacts(ctx, gh, event, &s); err != nil {
		return s, err
	}
	if err := readPushers(ctx, gh, s.Now, event, &s); err != nil {
		return s, err
	}
	if err := h.memberships(ctx, gh, event, &s); err != nil {
		return s, err
	}
	if err := h.readGuard(ctx, event, &s); err != nil {
		return s, err
	}
	if err := h.readProofs(ctx, event, &s); err != nil {
		return s, err
	}
	h.readLogs(ctx, event, &s)
	h.readPlanned(ctx, event, &s)
	return s, ctx.Err()
}

// readSpec reads .idp/deploy.yaml at a commit. What stands there and cannot be a
// spec, such as a directory, is a mistake of the author's as any other.
func readSpec(ctx context.Context, gh Reader, repo RepositoryRef, sha string) (SpecAt, error) {
	raw, err := gh.File(ctx, repo, spec.Path, sha)
	if errors.Is(err, ErrNotFound) {
		return SpecAt{}, nil
	}
	if wrong, ok := errors.AsType[*fault.Error](err); ok && wrong.Code == fault.Invalid {
		return SpecAt{Found: true, Errors: []spec.Error{{
			Path: spec.Path, Line: 1, Column: 1, EndLine: 1, Kind: spec.KindLimit, Message: wrong.Message,
		}}}, nil
	}
	if err != nil {
		return SpecAt{}, err
	}
	parsed, errs := spec.Parse(spec.Path, raw)
	return SpecAt{Found: true, Raw: raw, Spec: parsed, Errors: errs}, nil
}

// permission reads the actor's permission; an error denies and says so. Where it
// is only not our turn to ask, the event waits: nobody is told that they may not.
func permission(ctx context.Context, gh Reader, repo RepositoryRef, who Actor) (p access.Permission, cause string, err error) {
	p, err = gh.Permission(ctx, repo, who)
	var later interface{ RetryAt() time.Time }
	switch {
	case errors.Is(err, ErrNotFound):
		return access.None, "", nil
	case errors.As(err, &later):
		return access.None, "", err
	case err != nil:
		return access.None, err.Error(), nil
	}
	return p, "", nil
}
