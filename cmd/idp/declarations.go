package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/render"
	"github.com/idp-bot/idp/gitops/repo"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// declarationsTimeout bounds how long the platform folder may take to be read where
// nobody else says.
const declarationsTimeout = 30 * time.Second

// declarations are what the platform team declares in the GitOps repository: read
// again before each decision that they bear on, and remembered for what is rendered and
// said in between. What does not parse leaves the last that did in force.
type declarations struct {
	base platform.Class
	// api is the GitHub that pull requests may be opened on.
	api string
	// argocds are the Argo CDs that classes may name, beside the server's own.
	argocds []string
	repo    interface {
		Tip(ctx context.Context) (string, error)
		FilesBut(ctx context.Context, commit, dir, but string) ([]gitops.File, error)
		chartTree
	}

	now func() time.Time

	mu   sync.Mutex
	tip  string
	last platform.Platform
	read bool
	// at is when the folder was last found to be what last is.
	at time.Time
}

// unreadError says that something could not be read: nothing is wrong with it that anybody
// knows of.
type unreadError struct {
	what string
	err  error
}

func (e *unreadError) Error() string { return e.what + " cannot be read: " + e.err.Error() }

// Unwrap returns what was in the way.
func (e *unreadError) Unwrap() error { return e.err }

// recently is how old what was read may be for a preview: reading waits for a push that is
// under way, and there are as many events as people push.
const recently = time.Minute

// recent returns what the platform folder said within the last minute, reading it again
// where that is longer ago. Beside an error it returns what was read last, if anything.
func (d *declarations) recent(ctx context.Context) (platform.Platform, error) {
	d.mu.Lock()
	last, fresh := d.last, d.read && d.now().Sub(d.at).Abs() < recently
	d.mu.Unlock()
	if fresh {
		return last, nil
	}
	loaded, err := d.current(ctx)
	if err != nil {
		return last, err
	}
	return loaded, nil
}

// current reads the platform folder as it is now.
func (d *declarations) current(ctx context.Context) (platform.Platform, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	tip, err := d.repo.Tip(ctx)
	if err != nil {
		return platform.Platform{}, &unreadError{"the GitOps repository", err}
	}
	if d.read && tip == d.tip {
		d.at = d.now()
		return d.last, nil
	}
	var files []gitops.File
	if tip != "" {
		// What is in a chart is looked at when it is rendered, and stands in nobody else's way.
		if files, err = d.repo.FilesBut(ctx, tip, platform.Dir, platform.ChartsDir); err != nil {
			return platform.Platform{}, &unreadError{"the platform folder of the GitOps repository", err}
		}
	}
	loaded, wrong := platform.Load(files, d.base)
	if err := errors.Join(wrong.Err(), d.servable(loaded)); err != nil {
		return platform.Platform{}, err
	}
	d.tip, d.last, d.read, d.at = tip, loaded, true, d.now()
	return loaded, nil
}

// servable refuses classes that this server would have to ignore a part of.
func (d *declarations) servable(p platform.Platform) error {
	for _, name := range slices.Sorted(maps.Keys(p.Classes)) {
		class, file := p.Classes[name], platform.ClassesDir+"/"+name+".yaml"
		if err := errors.Join(repo.CheckURL(class.PushURL), repo.CheckBranch(class.Branch)); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if why := d.unasked(class); why != "" {
			return fmt.Errorf("%s: %s", file, why)
		}
		if class.Mode != platform.ModePullRequest {
			continue
		}
		api, err := url.Parse(d.api)
		if err == nil {
			_, _, err = github.OwnRepository(api, class.PushURL)
		}
		if err != nil {
			return fmt.Errorf("%s: gitops_mode pull_request needs a repository on the App's GitHub: %w", file, err)
		}
	}
	return nil
}

// unasked says that this server has no token of a class's Argo CD: it would neither tell it
// of a commit nor see what becomes of one.
func (d *declarations) unasked(class platform.Class) string {
	if class.ArgoCDURL == d.base.ArgoCDURL || slices.Contains(d.argocds, class.ArgoCDURL) {
		return ""
	}
	return "argocd_url " + class.ArgoCDURL + " is no Argo CD that idp has a token of: add " + class.ArgoCDURL + "=FILE to argocd_token_files of the server's configuration"
}

// latest returns what was read last, reading it where nothing was yet.
func (d *declarations) latest() (platform.Platform, error) {
	d.mu.Lock()
	last, read := d.last, d.read
	d.mu.Unlock()
	if read {
		return last, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), declarationsTimeout)
	defer cancel()
	return d.current(ctx)
}

// class returns the class that an environment belongs to. One that is not declared any
// more is an error, never another class: that would be another cluster.
func (d *declarations) class(env previews.Environment) (platform.Class, error) {
	if env.Class == "" || !env.Declared() {
		return d.base, nil
	}
	declared, err := d.latest()
	if err != nil {
		return platform.Class{}, err
	}
	class, ok := declared.Class(env.Class)
	if !ok {
		return platform.Class{}, fault.Newf(fault.NotFound, "class %s, which %s belongs to, is not declared any more", env.Class, env.Ref).
			WithHint("the platform team has to declare it in %s/%s.yaml", platform.ClassesDir, env.Class)
	}
	return class, nil
}

// rendering is class for what is rendered: previews get the base objects and the gate that
// the platform folder declares for the class of their name, and nothing else of it. Where
// nobody knows what that says, nothing is rendered: it would take what runs its objects
// away, and be open to everybody.
func (d *declarations) rendering(env previews.Environment) (platform.Class, error) {
	class, err := d.class(env)
	if err != nil || env.Declared() {
		return class, err
	}
	declared, err := d.latest()
	if _, unread := errors.AsType[*unreadError](err); unread {
		return class, &previews.LaterError{Err: err}
	}
	if err != nil {
		return class, fault.Wrap(err, fault.Failure, "the platform's declarations cannot be read, so it is not known what belongs to this preview",
			"The platform team has to mend that; then comment /idp preview.")
	}
	return declared.OfPreviews(class), nil
}

// reporting is class for what is said of an environment, which is something in any
// case, with what the environment itself says of logs.
func (d *declarations) reporting(env previews.Environment) platform.Class {
	declared, err := d.latest()
	if err != nil {
		return d.base
	}
	if !env.Declared() {
		return declared.OfPreviews(d.base)
	}
	class, ok := declared.Class(env.Class)
	if !ok {
		class = d.base
	}
	if named, ok := declared.Environment(env.Ref.ID); ok {
		class.Logs = named.Logs
	}
	return class
}

// notes are what an environment's spec asks for and does not get. Of a preview that is
// what the commit would not get in the environments that it may come to: better heard in
// the pull request than after it.
func (d *declarations) notes(env previews.Environment) []string {
	parsed, _ := spec.Parse(spec.Path, env.Spec)
	if parsed == nil || env.SHA != env.HeadSHA {
		return nil
	}
	if env.Declared() {
		return render.Notes(render.Input{Ref: env.Ref, Environment: env.Ref.ID, Spec: parsed, Class: d.reporting(env)})
	}
	if len(render.Notes(render.Input{Environment: env.Ref.ID, Spec: parsed})) == 0 {
		return nil // not even with a class that has nothing
	}
	declared, err := d.latest()
	if err != nil {
		return nil
	}
	var out []string
	for _, named := range declared.Environments {
		class, ok := declared.ClassOf(named.Name)
		if !ok {
			continue
		}
		for _, note := range render.Notes(render.Input{Environment: named.Name, Spec: parsed, Class: class}) {
			if !slices.Contains(out, note) {
				out = append(out, note)
			}
		}
	}
	return out
}
