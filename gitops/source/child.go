package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path"
	"regexp"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
	"time"

	"github.com/idp-bot/idp/gitops/spec"
)

const (
	// maxStack bounds recursion, in bytes.
	maxStack = 64 << 20
	// exitMemory is the status of a child that had more memory than it may.
	exitMemory = 9
	// watched is how often a child's memory is looked at.
	watched = 10 * time.Millisecond
)

// Child is the child's whole life: it gives up what it does not need, reads one question
// from in and answers on out. It returns the exit status. It confines the process for good.
func Child(in io.Reader, out, wrong io.Writer) int {
	debug.SetMemoryLimit(maxMemory)
	debug.SetMaxStack(maxStack)
	go watchMemory()
	missing := confine()
	var q question
	if err := json.NewDecoder(io.LimitReader(in, 2*maxInput)).Decode(&q); err != nil {
		_, _ = fmt.Fprintf(wrong, "read what to render: %v\n", err)
		return 1
	}
	var got answer
	if q.Probe {
		got.Missing = missing
	} else if result, err := q.work(); err != nil {
		got.Refused, got.Unloadable = oneLine(err.Error()), errors.Is(err, ErrUnloadable)
	} else {
		got.Result = result
	}
	if err := json.NewEncoder(out).Encode(got); err != nil {
		_, _ = fmt.Fprintf(wrong, "write what was rendered: %v\n", err)
		return 1
	}
	return 0
}

// watchMemory ends the process that has more memory than it may: the limit of the runtime
// is one that it only tries to keep.
func watchMemory() {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	for range time.Tick(watched) {
		metrics.Read(sample)
		if sample[0].Value.Uint64()+sample[1].Value.Uint64() > maxMemory {
			os.Exit(exitMemory)
		}
	}
}

// work does what is asked.
func (q question) work() (Result, error) {
	if q.Load {
		_, err := load(q.Request)
		return Result{}, err
	}
	return render(q.Request)
}

func render(req Request) (Result, error) {
	switch req.Source.Kind {
	case spec.Helm:
		return helmChart(req)
	case spec.Kustomize:
		return overlay(req)
	case spec.Manifests:
		return manifests(req)
	}
	return Result{}, fmt.Errorf("%q is no kind of source", req.Source.Kind)
}

// manifests are the YAML files of a folder and those below it, by path.
func manifests(req Request) (Result, error) {
	files := below(req.Files, req.Source.Path)
	var out Result
	err := sized(func(yield func(string) bool) {
		for _, name := range sorted(files) {
			if manifest(name) && !yield(string(files[name])) {
				return
			}
		}
	})
	if err != nil {
		return Result{}, err
	}
	for _, name := range sorted(files) {
		if manifest(name) {
			out.Documents = append(out.Documents, documents(string(files[name]))...)
		}
	}
	if len(out.Documents) == 0 {
		return Result{}, fmt.Errorf("there is no manifest below %s", shown(req.Source.Path))
	}
	return out, nil
}

// manifest says whether a file may hold manifests, by its name.
func manifest(name string) bool {
	return slices.Contains([]string{".yaml", ".yml", ".json"}, path.Ext(name))
}

// sized refuses what renders to more than anybody reads, before it is looked at further.
func sized(texts iter.Seq[string]) error {
	size := 0
	for text := range texts {
		if size += len(text); size > maxRendered {
			return fmt.Errorf("it renders to more than %d MiB", maxRendered>>20)
		}
	}
	return nil
}

// below are the files of a folder, by their paths from there.
func below(files map[string][]byte, dir string) map[string][]byte {
	if dir == "" {
		return files
	}
	out := map[string][]byte{}
	for name, content := range files {
		if rest, ok := strings.CutPrefix(name, dir+"/"); ok {
			out[rest] = content
		}
	}
	return out
}

func sorted(files map[string][]byte) []string {
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// between is the line between two documents, which may go on with the second.
var between = regexp.MustCompile(`(?m)^---(?:[ \t]+|$)`)

// documents splits a YAML stream.
func documents(text string) []string {
	var out []string
	for _, one := range between.Split(strings.TrimPrefix(text, "\ufeff"), -1) {
		if strings.TrimSpace(one) != "" {
			out = append(out, one)
		}
	}
	return out
}

// shown names a folder for people.
func shown(dir string) string {
	if dir == "" {
		return "the repository's root"
	}
	return dir
}

// oneLine bounds a message of a library's.
func oneLine(text string) string {
	const most = 600
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
