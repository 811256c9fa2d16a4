package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/adopt"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/manifests"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/render"
	"github.com/idp-bot/idp/gitops/source"
	"github.com/idp-bot/idp/gitops/source/roots"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// sourced renders environments, those among them whose objects come from a chart, an
// overlay or manifests of the repository's.
type sourced struct {
	classOf classes
	// platform is what the platform team declares now.
	platform func() (platform.Platform, error)
	// tree reads the files of an environment's repository that sources are made of at a commit.
	tree func(ctx context.Context, env previews.Environment, sha string, from []spec.Source) (map[string][]byte, error)
	// charts reads the platform's charts by their names.
	charts func(ctx context.Context, env previews.Environment, names []string) (platformCharts, error)
	// pin, when set, asks a registry for the digest of an image that is none of the services',
	// or says in words why there is none. Where it is not set, such images keep their tags.
	pin func(ctx context.Context, reference string) (digest, why string)
	// children renders sources; it is asked for when the first is.
	children func(context.Context) (*source.Renderer, error)
	// elsewhere, when set, is asked of a service whose image no container has whether that
	// may yet be right; nothing is refused then.
	elsewhere func(service, image string) bool
}

// sourced returns what renders environments here.
func (m *Main) sourced() sourced {
	return sourced{
		classOf: m.declared.rendering, platform: m.declared.latest, charts: m.declared.chartsFor,
		tree: func(ctx context.Context, env previews.Environment, sha string, from []spec.Source) (map[string][]byte, error) {
			repo := bot.RepositoryRef{ID: env.Ref.RepositoryID, Owner: env.Owner, Name: env.Repo}
			return m.sources(env.InstallationID).Tree(ctx, repo, sha, from...)
		},
		children: m.children, pin: m.pin,
	}
}

// forest reads the files of repositories that sources are made of.
type forest interface {
	Tree(ctx context.Context, repo bot.RepositoryRef, sha string, from ...spec.Source) (map[string][]byte, error)
}

// lookTimeout is how long it is tried to find out what a source is made of, where an event
// asks: what takes longer is read when it is rendered.
const lookTimeout = 30 * time.Second

// rootsOf are the paths that sources are made of at a commit; nil where that cannot be said.
func (m *Main) rootsOf(ctx context.Context, installationID int64, repo bot.RepositoryRef, sha string, from []spec.Source) ([]string, error) {
	bounded, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	files, err := m.sources(installationID).Tree(bounded, repo, sha, from...)
	switch {
	case err == nil:
	case ctx.Err() == nil && bounded.Err() != nil, errors.Is(err, bot.ErrNotFound), fault.CodeOf(err) != fault.Failure:
		return nil, nil // whoever renders it says so
	default:
		return nil, err
	}
	made := []string{} // nil would be that it is not known
	for _, one := range from {
		made = append(made, roots.Of(one, roots.In(files))...)
	}
	return made, nil
}

// children starts the renderer of sources once, and says what keeps it in that this
// machine does not have. Where it does not start, the next who asks tries again.
func (m *Main) children(ctx context.Context) (*source.Renderer, error) {
	m.renderer.mu.Lock()
	defer m.renderer.mu.Unlock()
	if m.renderer.of != nil {
		return m.renderer.of, nil
	}
	binary, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the program itself: %w", err)
	}
	started, missing, err := source.New(ctx, binary)
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		m.log.Warn("charts are rendered with less to keep them in than there could be", "missing", strings.Join(missing, "; "))
	}
	m.renderer.of = started
	return started, nil
}

// startedRenderer is the renderer of sources, once it is started.
type startedRenderer struct {
	mu sync.Mutex
	of *source.Renderer
}

// errUnsourced is for a row that was rebuilt (see bot.Restorer): rendered by idp itself it
// would lose what its chart gives it.
var errUnsourced = &previews.LaterError{Err: errors.New("it is not known yet which commit its source is read at; the next sweep asks")}

// render renders an environment.
func (s sourced) render(ctx context.Context, env previews.Environment) (previews.Rendered, error) {
	in, err := renderInput(env, s.classOf)
	if err != nil {
		return previews.Rendered{}, err
	}
	if env.Source == nil && !env.Declared() && in.Spec.Sources() != nil {
		return previews.Rendered{}, errUnsourced
	}
	if env.Declared() {
		declared, err := s.platform()
		if err != nil {
			return previews.Rendered{}, &previews.LaterError{Err: err}
		}
		u, err := updateOf(declared, env)
		if err != nil {
			return previews.Rendered{}, err
		}
		if u != nil {
			return updated(env, in, *u)
		}
	}
	var got adopted
	var charts platformCharts
	if env.Sourced() {
		if charts, err = s.chartsOf(ctx, env); err != nil {
			return previews.Rendered{}, err
		}
		if got, err = s.adopted(ctx, env, in, charts); err != nil {
			return previews.Rendered{}, err
		}
		in.Adopted, in.Charts = got.from, charts.recorded()
		if in.Source != nil {
			in.Source.Pins = digests(got.pins)
		}
	}
	files, err := render.Environment(in)
	if err != nil {
		return previews.Rendered{}, err
	}
	would, err := s.proposed(ctx, env, files, got.pins)
	return previews.Rendered{
		Files: files, Notes: got.notes, Pins: got.pins, Would: would, Charts: charts.of(env.Generation), Unrouted: !env.Declared() && in.Class.Closed(),
	}, err
}

// chartsOf reads the platform's charts that an environment's source names.
func (s sourced) chartsOf(ctx context.Context, env previews.Environment) (platformCharts, error) {
	names := chartNames(env.Source.From...)
	if len(names) == 0 {
		return platformCharts{}, nil
	}
	return s.charts(ctx, env, names)
}

// proposed is what the pull request's own source would change of the files of its preview,
// nil where it has none of its own. It is rendered and filtered as they were, in the same
// confined child, and nothing of it is committed. What is wrong with it is its author's to
// mend and keeps nothing from being committed. No registry is asked for what nobody approved.
func (s sourced) proposed(ctx context.Context, env previews.Environment, files []gitops.File, pins []previews.Pin) (*previews.Proposed, error) {
	if env.Source == nil || env.Source.Head == nil || env.Declared() {
		return nil, nil
	}
	if known := env.Source.Would; known != nil {
		return known, nil // only its expiry or the like is committed
	}
	own := env
	own.Source, s.pin = &previews.Source{Base: env.SHA, Branch: env.HeadRef, From: env.Source.Head, Pins: pins}, nil
	rendered, err := s.render(ctx, own)
	if _, later := errors.AsType[*previews.LaterError](err); later || ctx.Err() != nil {
		return nil, err
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return &previews.Proposed{Failed: f.Message}, nil
	}
	if err != nil {
		return nil, err
	}
	dir := env.Ref.ManifestsDir()
	return previews.Propose(manifests.Compare(below(files, dir), below(rendered.Files, dir))), nil
}

// adopted is what comes of the sources of an environment.
type adopted struct {
	// from are the objects that are let through, by source.
	from []render.Adopted
	// notes are what there is to say of the others, and of what was changed.
	notes []string
	// pins are the images that are no service's.
	pins []previews.Pin
}

// add counts what comes of one more source. Each is bounded as the first was, so that they
// have to be together.
func (a *adopted) add(one adopted) error {
	a.from, a.notes, a.pins = append(a.from, one.from...), append(a.notes, one.notes...), one.pins
	objects, size := 0, 0
	for _, from := range a.from {
		for _, f := range from.Files {
			objects, size = objects+1, size+len(f.Content)
		}
	}
	if objects > adopt.MaxObjects || size > adopt.MaxTaken {
		return fault.Newf(fault.Invalid, "what would be committed of the sources of all services is more than %d objects or %d MiB together", adopt.MaxObjects, adopt.MaxTaken>>20)
	}
	return nil
}

// adopted is what comes of an environment's sources, each rendered by itself.
func (s sourced) adopted(ctx context.Context, env previews.Environment, in render.Input, charts platformCharts) (adopted, error) {
	files, err := s.files(ctx, env)
	if err != nil {
		return adopted{}, err
	}
	children, err := s.children(ctx)
	if err != nil {
		return adopted{}, &previews.LaterError{Err: err}
	}
	out := adopted{pins: env.Source.Pins}
	for _, from := range env.Source.From {
		got, err := children.Render(ctx, source.Request{
			Source: from.Source, Release: cmp.Or(from.Service, gitops.Slug(env.Ref.Repo, 40)), Namespace: env.NamespaceName(), Files: heldBy(from, files),
			Chart: charts.files[from.Chart],
		})
		if fault.CodeOf(err) == fault.Failure {
			return adopted{}, &previews.LaterError{Err: err}
		}
		if from.Chart != "" && errors.Is(err, source.ErrUnloadable) {
			return adopted{}, ofPlatform(fault.Wrap(err, fault.Invalid, fmt.Sprintf("the platform's chart %s cannot be loaded: %s", from.Chart, messageOf(err)), ""))
		}
		var one adopted
		if err == nil {
			one, err = s.adoptedFrom(ctx, got, from, in, out.pins)
		}
		if err != nil {
			return adopted{}, ofSource(env, err, from)
		}
		if err := out.add(one); err != nil {
			return adopted{}, err
		}
	}
	return out, nil
}

// files are those of the repository that the sources of an environment are made of.
func (s sourced) files(ctx context.Context, env previews.Environment) (map[string][]byte, error) {
	if !slices.ContainsFunc(env.Source.From, func(one spec.SourceOf) bool { return one.Read() }) {
		return nil, nil // the platform's charts, with values alone
	}
	files, err := s.tree(ctx, env, env.Source.Base, env.Source.From.Plain())
	switch {
	case errors.Is(err, bot.ErrNotFound):
		what, hint := "the preview is", "push again, or comment /idp preview"
		if env.Declared() {
			what, hint = env.Ref.Service+" in "+env.Ref.ID+" would be", "deploy another commit"
		}
		return nil, fault.Wrap(err, fault.NotFound, fmt.Sprintf("commit %.7s of %s, which %s rendered from, is not there any more", env.Source.Base, env.Source.Branch, what), hint)
	case fault.CodeOf(err) == fault.Failure:
		return nil, &previews.LaterError{Err: err}
	case err != nil:
		return nil, ofSource(env, err, env.Source.From...)
	}
	return files, nil
}

// heldBy are the files that a source is made of.
func heldBy(from spec.SourceOf, files map[string][]byte) map[string][]byte {
	made := roots.Of(from.Source, roots.In(files))
	out := map[string][]byte{}
	for name, content := range files {
		if roots.Hold(made, name) {
			out[name] = content
		}
	}
	return out
}

// adoptedFrom is what comes of what one source rendered to; known are the images of others
// that were looked up already.
func (s sourced) adoptedFrom(ctx context.Context, got source.Result, from spec.SourceOf, in render.Input, known []previews.Pin) (adopted, error) {
	into, err := adoptInput(in, from.Service)
	if err != nil {
		return adopted{}, err
	}
	documents := make([][]byte, len(got.Documents))
	for i, d := range got.Documents {
		documents[i] = []byte(d)
	}
	result, err := adopt.Objects(documents, into)
	if err != nil {
		return adopted{}, err
	}
	if err := s.unplaced(result, into); err != nil {
		return adopted{}, err
	}
	pins, err := s.pinned(ctx, known, result.Unpinned)
	if err != nil {
		return adopted{}, err
	}
	if into.Pins = digests(pins); len(result.Unpinned) > 0 && len(into.Pins) > 0 {
		if result, err = adopt.Objects(documents, into); err != nil {
			return adopted{}, err
		}
	}
	notes := slices.Clone(got.Notes)
	notes = append(notes, tagged(pins, result.Unpinned)...)
	for _, n := range result.Notes {
		notes = append(notes, n.String())
	}
	for _, service := range result.Unrouted {
		notes = append(notes, fmt.Sprintf("nothing answers at the host of service %s: no Service is named so, or ends in -%s", service, service))
	}
	if from.Service != "" && in.Environment == "" && len(in.Spec.Services) > 1 {
		for i := range notes {
			notes[i] = from.Service + ": " + notes[i]
		}
	}
	out := render.Adopted{Service: from.Service, Source: titleOf(from)}
	for _, o := range result.Objects {
		out.Files = append(out.Files, gitops.File{Path: render.AdoptedPath(o.Kind, o.Name), Content: o.Content})
	}
	return adopted{from: []render.Adopted{out}, notes: notes, pins: pins}, nil
}

// adoptInput is what idp decides of the services that a source is of, whatever it says: of
// one, or for "" of all.
func adoptInput(in render.Input, service string) (adopt.Input, error) {
	out := adopt.Input{
		Environment: in.Ref.Shared().Name(), Namespace: in.Home(), Class: in.Class, Owner: service,
		LongLived: in.Environment != "", Attempt: in.Attempt,
	}
	hosts := render.Hosts(in)
	for _, svc := range in.Spec.Services {
		if service != "" && service != svc.Name {
			continue
		}
		image := in.Images[svc.Name]
		if image == "" {
			var err error
			if image, err = render.ImageReference(in, svc); err != nil {
				return adopt.Input{}, err
			}
		}
		out.Services = append(out.Services, adopt.Service{Name: svc.Name, Image: image, Host: hosts[svc.Name], Replicas: in.Copies(svc)})
	}
	return out, nil
}

// unplaced refuses a source that runs something else than what the pull request built.
func (s sourced) unplaced(result adopt.Result, in adopt.Input) error {
	for _, svc := range in.Services {
		image := repositoryOf(svc.Image)
		if !slices.Contains(result.Unplaced, svc.Name) || s.elsewhere != nil && s.elsewhere(svc.Name, image) {
			continue
		}
		return fault.Newf(fault.Invalid, "no container has the image of service %s, %s, with any tag", svc.Name, image).
			WithHint("name it there, or set image of %s to the one that is named", svc.Name)
	}
	return nil
}

// repositoryOf is an image reference without its tag and digest.
func repositoryOf(reference string) string {
	reference, _, _ = strings.Cut(reference, "@")
	if i := strings.LastIndexByte(reference, ':'); i > strings.LastIndexByte(reference, '/') {
		reference = reference[:i]
	}
	return reference
}

// ofSource says which source a fault is about, or which ones it may be.
func ofSource(env previews.Environment, err error, sources ...spec.SourceOf) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	titles := make([]string, len(sources))
	for i, from := range sources {
		titles[i] = titleOf(from)
	}
	what := strings.Join(titles, " or ")
	if env.Source.Base != noCommit {
		what += fmt.Sprintf(" at %.7s of %s", env.Source.Base, env.Source.Branch)
	}
	return fault.Wrap(err, f.Code, what+": "+f.Message, f.Hint)
}

// titleOf names a source in a message.
func titleOf(from spec.SourceOf) string {
	text := fmt.Sprintf("the %s source in %s", from.Kind, cmp.Or(from.Path, "the repository's root"))
	if from.Chart != "" {
		text = fmt.Sprintf("the platform's chart %s with the values", from.Chart)
	}
	if from.Service != "" {
		text += " of service " + from.Service
	}
	return text
}

// messageOf is what a fault says to people.
func messageOf(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Message
	}
	return err.Error()
}
