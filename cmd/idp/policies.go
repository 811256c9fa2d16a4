package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"log/slog"
	"sync"
	"time"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/policy"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// policies are the platform team's policies in the GitOps repository: read again before
// each decision that they bear on, and compiled when they are others. Where the
// repository cannot be read those that were read last are in force, and where none were
// nothing new passes.
type policies struct {
	repo interface {
		Remote(ctx context.Context) (string, error)
		Tip(ctx context.Context) (string, error)
		Files(ctx context.Context, commit, dir string) ([]gitops.File, error)
	}
	log *slog.Logger

	mu sync.Mutex
	// began is when the last reading began: whoever waited for it since before that needs
	// none of their own.
	began   time.Time
	tip     string
	content [sha256.Size]byte
	set     *policy.Set
}

// current returns the policies as they are now.
func (p *policies) current(ctx context.Context) *policy.Set {
	asked := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.set != nil && p.began.After(asked) {
		return p.set
	}
	began := time.Now()
	if err := p.read(ctx); err != nil {
		if ctx.Err() == nil {
			p.log.Error("the policies cannot be read", "error", err)
		}
		if p.set == nil {
			return policy.Broken(&previews.LaterError{Err: err})
		}
	}
	p.began = began
	return p.set
}

func (p *policies) read(ctx context.Context) error {
	// Only what has changed waits for a push that is under way.
	tip, err := p.repo.Remote(ctx)
	if err == nil && p.set != nil && tip == p.tip {
		return nil
	}
	if err == nil {
		tip, err = p.repo.Tip(ctx)
	}
	if err != nil {
		return fmt.Errorf("the GitOps repository cannot be read: %w", err)
	}
	var files []gitops.File
	if tip != "" {
		if files, err = p.repo.Files(ctx, tip, policy.Dir); err != nil {
			return fmt.Errorf("%s of the GitOps repository cannot be read: %w", policy.Dir, err)
		}
	}
	if content := contentOf(files); p.set == nil || content != p.content {
		p.content, p.set = content, policy.Compile(ctx, files)
		if err := p.set.Err(); err != nil {
			p.log.Error("the policies are broken: nothing new is deployed", "error", err)
		}
	}
	p.tip = tip
	return nil
}

// contentOf tells files from others by their paths and contents.
func contentOf(files []gitops.File) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, f := range files {
		write(h, f.Path)
		write(h, string(f.Content))
	}
	h.Sum(sum[:0])
	return sum
}

func write(h hash.Hash, text string) { fmt.Fprintf(h, "%d:%s", len(text), text) }

// latest returns the policies that are in force, reading them where none are yet.
func (p *policies) latest(ctx context.Context) *policy.Set {
	p.mu.Lock()
	set := p.set
	p.mu.Unlock()
	if set != nil {
		return set
	}
	return p.current(ctx)
}

// guard is current for decisions.
func (p *policies) guard(ctx context.Context) bot.Guard { return p.current(ctx) }

// judging is current for commits: what judges the files of a batch.
func (m *Main) judging(ctx context.Context) previews.Judge {
	set := m.policies.current(ctx)
	return func(ctx context.Context, row previews.Environment, files []gitops.File) policy.Verdict {
		return set.Objects(ctx, m.renderedOf(row, files))
	}
}

// renderedOf is what policies are told of a row beside its files.
func (m *Main) renderedOf(row previews.Environment, files []gitops.File) policy.Rendered {
	parsed, _ := spec.Parse(spec.Path, row.Spec)
	out := policy.Rendered{
		Environment: policy.Environment{Name: row.Ref.ID, Class: row.Class, Preview: !row.Declared(), TTL: row.TTL},
		Repository:  policy.Repository{ID: row.Ref.RepositoryID, Owner: row.Owner, Name: row.Repo, Private: row.Private},
		Revision:    policy.Revision{SHA: row.SHA},
		Files:       files, Manifests: row.Ref.ManifestsDir(), Spec: parsed, SpecRaw: row.Spec, Now: m.now().Truncate(time.Second),
	}
	if class, err := m.declared.class(row); err == nil {
		out.Environment.Class, out.Environment.CPU, out.Environment.Memory = class.Name, class.Quota.DefaultCPU, class.Quota.DefaultMem
	}
	if !row.Declared() {
		return out
	}
	if declared, err := m.declared.latest(); err == nil {
		if named, ok := declared.Environment(row.Ref.ID); ok {
			out.Environment.Protected = named.Protected
		}
	}
	return out
}
