// Package source renders a repository's own chart, overlay or manifests, or a chart that the
// platform team keeps for it.
//
// What is rendered may have been written by anybody, and Helm's templates and Kustomize
// are programs. So they run in a child process of this same binary (Child), which is given
// all it may read on its standard input and hands back text: it has an empty environment,
// no file, no socket and no other program (confine_linux.go), and limits on time, memory
// and output. Nothing of a cluster is looked up, no name resolved, no plugin, hook or
// remote base run or fetched, and dependencies have to be in the repository. What comes
// back is not to be trusted, and goes through gitops/adopt.
//
// A Renderer keeps no state but the count of children under way, and may be used
// concurrently.
package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/spec"
)

const (
	// Command is the subcommand of the binary that is the child.
	Command = "render-source"

	// wallClock is how long a child may take, cpuSeconds how much CPU time of it.
	wallClock  = 20 * time.Second
	cpuSeconds = 5
	// maxMemory is how much a child may have of memory, in bytes.
	maxMemory = 512 << 20
	// maxInput bounds the files of a source, maxOutput what a child writes, in bytes.
	maxInput  = 16 << 20
	maxOutput = 16 << 20
	// maxRendered is how much a source may render to, in bytes: operators bring resource
	// definitions of some megabytes, of which nothing is let through.
	maxRendered = 8 << 20
	// children is how many may be under way at a time.
	children = 2
)

// Request is what is to be rendered.
type Request struct {
	Source spec.Source
	// Release and Namespace are what a chart knows of where it goes.
	Release, Namespace string
	// Files are those of the repository, by their paths from its root.
	Files map[string][]byte
	// Chart is the platform's chart that Source names, nil where it names none.
	Chart *Chart
}

// Chart is a chart that is not the repository's. One of Files and Packed has it.
type Chart struct {
	// Files are by their paths from the chart's folder.
	Files map[string][]byte
	// Packed is an archive as "helm package" makes it.
	Packed []byte
}

// ErrUnloadable is what errors are about a chart itself, whatever its values are.
var ErrUnloadable = errors.New("the chart cannot be loaded")

// unloadable is an error about a chart itself.
type unloadable struct{ err error }

func (u unloadable) Error() string { return u.err.Error() }

// Unwrap returns what is wrong with it.
func (u unloadable) Unwrap() error { return u.err }

// Is says that it is ErrUnloadable.
func (unloadable) Is(target error) bool { return target == ErrUnloadable }

// Result is what a source renders to.
type Result struct {
	// Documents are YAML, an object each or none, in the order that they were rendered in.
	Documents []string `json:"documents,omitempty"`
	// Notes are what the source asked for and did not get, a sentence each without its
	// full stop.
	Notes []string `json:"notes,omitempty"`
}

// answer is what a child writes: a Result, or what is wrong with the source.
type answer struct {
	Result
	Refused string `json:"refused,omitempty"`
	// Unloadable says that Refused is about the chart itself.
	Unloadable bool `json:"unloadable,omitempty"`
	// Missing are the means that the kernel does not have; only of a probe.
	Missing []string `json:"missing,omitempty"`
}

// question is what a child reads.
type question struct {
	Request
	// Load asks for no more than whether the chart can be loaded.
	Load, Probe bool
}

// Renderer runs children.
type Renderer struct {
	executable string
	turns      chan struct{}
	// apart says that children get namespaces of their own.
	apart bool
	// limit is how long one may take.
	limit time.Duration
}

// New returns a Renderer whose children are runs of executable with Command as their only
// argument, and what keeps them in that is missing here, in words, for the log.
func New(ctx context.Context, executable string) (*Renderer, []string, error) {
	r := &Renderer{executable: executable, turns: make(chan struct{}, children), apart: true, limit: wallClock}
	got, err := r.ask(ctx, question{Probe: true})
	if err == nil {
		return r, got.Missing, nil
	}
	r.apart = false
	if got, err = r.ask(ctx, question{Probe: true}); err != nil {
		return nil, nil, fmt.Errorf("run %s %s: %w", executable, Command, err)
	}
	return r, append(got.Missing, "namespaces of its own (unprivileged user namespaces)"), nil
}

// Render renders a source. What is wrong with it, and more time, memory or output than it
// may take, is a fault.Invalid for whoever wrote it, and ErrUnloadable where it is about a chart
// itself.
func (r *Renderer) Render(ctx context.Context, req Request) (Result, error) {
	return r.put(ctx, question{Request: req})
}

// Load says what is wrong with a chart, whatever its values are: a fault.Invalid, nil for
// nothing. Nothing of it is rendered.
func (r *Renderer) Load(ctx context.Context, c Chart) error {
	_, err := r.put(ctx, question{Request: Request{Source: spec.Source{Kind: spec.Helm}, Chart: &c}, Load: true})
	return err
}

// put asks a child about files that are not too large for it.
func (r *Renderer) put(ctx context.Context, q question) (Result, error) {
	if q.size() > maxInput {
		return Result{}, fault.Newf(fault.Invalid, "the files of the source are larger than %d MiB", maxInput>>20)
	}
	got, err := r.ask(ctx, q)
	switch {
	case err != nil:
		return Result{}, err
	case got.Unloadable:
		return Result{}, unloadable{fault.New(fault.Invalid, got.Refused, "")}
	case got.Refused != "":
		return Result{}, fault.New(fault.Invalid, got.Refused, "")
	}
	return got.Result, nil
}

// size is that of the files, in bytes.
func (r Request) size() int {
	size := 0
	for _, content := range r.Files {
		size += len(content)
	}
	if r.Chart != nil {
		size += len(r.Chart.Packed)
		for _, content := range r.Chart.Files {
			size += len(content)
		}
	}
	return size
}

// ask runs one child.
func (r *Renderer) ask(ctx context.Context, q question) (answer, error) {
	select {
	case r.turns <- struct{}{}:
		defer func() { <-r.turns }()
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
	input, err := json.Marshal(q)
	if err != nil {
		return answer{}, fmt.Errorf("write what to render: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, r.limit)
	defer cancel()
	cmd := exec.CommandContext(limited, r.executable, Command)
	out := &bounded{most: maxOutput, full: cancel}
	wrong := &bounded{most: 64 << 10, full: func() {}}
	cmd.Env, cmd.Dir = []string{}, "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), out, wrong
	cmd.WaitDelay = time.Second
	keepApart(cmd, r.apart)
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		return answer{}, ctx.Err()
	case out.over:
		return answer{}, fault.Newf(fault.Invalid, "it renders to more than %d MiB", maxOutput>>20)
	case limited.Err() != nil:
		return answer{}, fault.Newf(fault.Invalid, "it takes longer than %v to render", r.limit)
	case err != nil:
		return answer{}, died(err, wrong.Bytes(), q.Probe)
	}
	var got answer
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		return answer{}, fmt.Errorf("read what was rendered: %w", err)
	}
	return got, nil
}

// died says why a child ended without an answer. One that started and did not end as it
// should was stopped at a limit; one that did not start is nobody's fault.
func died(err error, wrong []byte, probe bool) error {
	cause := fmt.Errorf("%w: %.300q", err, wrong)
	if _, ended := errors.AsType[*exec.ExitError](err); !ended || probe {
		return fmt.Errorf("run the renderer: %w", cause)
	}
	return fault.Wrap(cause, fault.Invalid, fmt.Sprintf("it takes more than %d seconds of CPU time or %d MiB of memory to render, and was stopped", cpuSeconds, maxMemory>>20), "")
}

// bounded keeps what is written to it up to most bytes, and calls full where there is more.
// Its writer is the one goroutine that exec has for it.
type bounded struct {
	bytes.Buffer
	most int
	over bool
	full func()
}

// Write never fails, so that a child is not told where the bound is.
func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.most {
		b.over = true
		b.full()
		return len(p), nil
	}
	return b.Buffer.Write(p)
}

// ReadFrom keeps Buffer's own from being used, which knows no bound.
func (b *bounded) ReadFrom(from io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{b}, from)
}
