package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
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
	repo interface {
		Tip(ctx context.Context) (string, error)
		Files(ctx context.Context, commit, dir string) ([]gitops.File, error)
	}

	mu   sync.Mutex
	tip  string
	last platform.Platform
	read bool
}

// current reads the platform folder as it is now.
func (d *declarations) current(ctx context.Context) (platform.Platform, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	tip, err := d.repo.Tip(ctx)
	if err != nil {
		return platform.Platform{}, fmt.Errorf("the GitOps repository cannot be read: %w", err)
	}
	if d.read && tip == d.tip {
		return d.last, nil
	}
	var files []gitops.File
	if tip != "" {
		if files, err = d.repo.Files(ctx, tip, platform.Dir); err != nil {
			return platform.Platform{}, fmt.Errorf("the platform folder of the GitOps repository cannot be read: %w", err)
		}
	}
	loaded, wrong := platform.Load(files, d.base)
	if err := errors.Join(wrong.Err(), d.servable(loaded)); err != nil {
		return platform.Platform{}, err
	}
	d.tip, d.last, d.read = tip, loaded, true
	return loaded, nil
}

// servable refuses classes that this server would have to ignore a part of.
func (d *declarations) servable(p platform.Platform) error {
	for _, name := range slices.Sorted(maps.Keys(p.Classes)) {
		class, file := p.Classes[name], platform.ClassesDir+"/"+name+".yaml"
		switch {
		case class.RepoURL != d.base.RepoURL || class.PushURL != d.base.PushURL || class.Branch != d.base.Branch:
			return fmt.Errorf("%s: environments of another GitOps repository or branch need an idp of their own, configured with it", file)
		case class.Mode == platform.ModePullRequest:
			return fmt.Errorf("%s: gitops_mode pull_request is not served yet: leave it out, to push", file)
		}
	}
	return nil
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

// reporting is class for what is said of an environment, which is something in any
// case, with what the environment itself says of logs.
func (d *declarations) reporting(env previews.Environment) platform.Class {
	if !env.Declared() {
		return d.base
	}
	declared, err := d.latest()
	if err != nil {
		return d.base
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
