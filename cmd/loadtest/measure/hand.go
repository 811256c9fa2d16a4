package measure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/gitops"
)

// byHand is the repository that what is pushed by hand is named after. Nobody has its id.
const byHand, byHandID = "by-hand", 7

// hand does by hand what idp does: it pushes an environment's files with plain git,
// and has Argo CD look. Its own list of environments grows and shrinks beside idp's.
type hand struct {
	w *world
	// dir is a clone with a work tree.
	dir string
	// like is the preview whose files are copied.
	like  gitops.EnvironmentRef
	files []gitops.File
	// list is its repository's ApplicationSet, element the preview's element in it.
	list    map[string]any
	element map[string]string
	listed  []gitops.EnvironmentRef
	made    int
}

// newHand makes a hand that copies what idp committed for a preview.
func newHand(ctx context.Context, w *world, like *change) (*hand, error) {
	h := &hand{w: w, dir: filepath.Join(w.dir, "by-hand"), like: like.ref()}
	if err := h.read(ctx, like.repo); err != nil {
		return nil, fmt.Errorf("read what idp committed for %s: %w", h.like, err)
	}
	url := strings.Replace(w.gitops.URL, "://", "://"+w.pusher+"@", 1)
	return h, h.git(ctx, "clone", "--quiet", url, h.dir)
}

func (h *hand) read(ctx context.Context, of *repository) error {
	tip, err := h.w.gitops.Tip(ctx, branch)
	if err != nil {
		return err
	}
	listed, err := h.w.gitops.List(ctx, tip)
	if err != nil {
		return err
	}
	for _, line := range listed {
		path := strings.SplitN(line, " ", 3)[2]
		if !strings.HasPrefix(path, h.like.Dir()+"/") {
			continue
		}
		content, err := h.w.gitops.Content(ctx, tip, path)
		if err != nil {
			return err
		}
		h.files = append(h.files, gitops.File{Path: path, Content: []byte(content)})
	}
	path, _ := gitops.PreviewsApplicationSet(of.ID(), of.name)
	content, err := h.w.gitops.Content(ctx, tip, path)
	if err != nil {
		return err
	}
	if err := yaml.Unmarshal([]byte(content), &h.list); err != nil {
		return err
	}
	elements, err := elementsOf(h.list)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(elements, func(e map[string]string) bool { return e["name"] == h.like.Name() })
	if at < 0 || len(h.files) == 0 {
		return fmt.Errorf("%d files, and it is at %d in %s", len(h.files), at, path)
	}
	h.element = elements[at]
	return nil
}

// elementsOf are the environments of an ApplicationSet with a list.
func elementsOf(set map[string]any) ([]map[string]string, error) {
	var read struct {
		Spec struct {
			Generators []struct {
				List struct{ Elements []map[string]string }
			}
		}
	}
	content, err := json.Marshal(set)
	if err == nil {
		err = json.Unmarshal(content, &read)
	}
	if err == nil && len(read.Spec.Generators) != 1 {
		err = fmt.Errorf("%d generators", len(read.Spec.Generators))
	}
	if err != nil {
		return nil, fmt.Errorf("read an ApplicationSet: %w", err)
	}
	return read.Spec.Generators[0].List.Elements, nil
}

// next is a new environment of the hand's.
func (h *hand) next() gitops.EnvironmentRef {
	h.made++
	return gitops.EnvironmentRef{RepositoryID: byHandID, Owner: org, Repo: byHand, ID: gitops.PreviewID(h.made)}
}

// renamed is a text about the copied preview, about another.
func (h *hand) renamed(text string, to gitops.EnvironmentRef) string {
	number := func(r gitops.EnvironmentRef) string { return strings.TrimPrefix(r.ID, "pr-") }
	return strings.NewReplacer(
		h.like.Dir(), to.Dir(), h.like.Name(), to.Name(), h.like.ID+"-"+h.like.Hash(), to.ID+"-"+to.Hash(), h.like.Hash(), to.Hash(),
		"/pull/"+number(h.like), "/pull/"+number(to),
	).Replace(text)
}

// add pushes so many environments in one commit, and returns them and when the push
// began: what went before is not counted.
func (h *hand) add(ctx context.Context, n int) (made []gitops.EnvironmentRef, began time.Time, err error) {
	for range n {
		made = append(made, h.next())
	}
	h.listed = append(h.listed, made...)
	began, err = h.push(ctx, fmt.Sprintf("Add %d by hand", n), func() error { return h.write(made...) })
	return made, began, err
}

// removeAll takes all environments out again, in one commit, and returns when its push
// began.
func (h *hand) removeAll(ctx context.Context) (began time.Time, err error) {
	gone := h.listed
	h.listed = nil
	return h.push(ctx, fmt.Sprintf("Remove %d by hand", len(gone)), func() error {
		for _, ref := range gone {
			if err := os.RemoveAll(filepath.Join(h.dir, ref.Dir())); err != nil {
				return err
			}
		}
		return nil
	})
}

// write writes the files of environments.
func (h *hand) write(refs ...gitops.EnvironmentRef) error {
	for _, ref := range refs {
		for _, file := range h.files {
			if err := h.put(h.renamed(file.Path, ref), []byte(h.renamed(string(file.Content), ref))); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *hand) put(path string, content []byte) error {
	file := filepath.Join(h.dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, content, 0o644)
}

// writeList writes the ApplicationSet of what is listed.
func (h *hand) writeList() error {
	elements := []map[string]string{}
	for _, ref := range h.listed {
		element := map[string]string{}
		for key, value := range h.element {
			element[key] = h.renamed(value, ref)
		}
		element["pullRequest"] = strings.TrimPrefix(ref.ID, "pr-")
		elements = append(elements, element)
	}
	path, name := gitops.PreviewsApplicationSet(byHandID, byHand)
	h.list["metadata"].(map[string]any)["name"] = name
	h.list["spec"].(map[string]any)["generators"] = []any{map[string]any{"list": map[string]any{"elements": elements}}}
	content, err := yaml.Marshal(h.list)
	if err != nil {
		return err
	}
	return h.put(path, content)
}

// push commits on top of what there is, pushes, and has Argo CD look at its root as idp
// does. The clock starts with the push.
func (h *hand) push(ctx context.Context, message string, edit func() error) (began time.Time, err error) {
	for _, do := range []func() error{
		func() error { return h.git(ctx, "-C", h.dir, "fetch", "--quiet", "origin", branch) },
		func() error { return h.git(ctx, "-C", h.dir, "reset", "--quiet", "--hard", "origin/"+branch) },
		edit,
		h.writeList,
		func() error { return h.git(ctx, "-C", h.dir, "add", "--all") },
		func() error { return h.git(ctx, "-C", h.dir, "commit", "--quiet", "--message", message) },
		func() error {
			began = time.Now()
			return h.git(ctx, "-C", h.dir, "push", "--quiet", "origin", "HEAD:"+branch)
		},
		func() error {
			return h.w.cluster.AskArgoCD(ctx, h.w.read, http.MethodGet, "/api/v1/applications/"+root+"?refresh=normal", nil, nil)
		},
	} {
		if err := do(); err != nil {
			return began, fmt.Errorf("push by hand: %w", err)
		}
	}
	return began, nil
}

func (h *hand) git(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=hand", "GIT_AUTHOR_EMAIL=hand@example.com", "GIT_COMMITTER_NAME=hand", "GIT_COMMITTER_EMAIL=hand@example.com")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, strings.ReplaceAll(string(out), h.w.pusher, "…"))
	}
	return nil
}

// healthy waits for environments, and returns how long each took.
func (h *hand) healthy(ctx context.Context, refs []gitops.EnvironmentRef, began time.Time) (took []time.Duration, err error) {
	for _, ref := range refs {
		at, err := h.w.seen.await(ctx, healthy(ref.Name()))
		if err != nil {
			return nil, err
		}
		took = append(took, at.Sub(began))
	}
	return took, nil
}

// gone waits until nothing is left of environments, and returns how long each took.
func (h *hand) gone(ctx context.Context, refs []gitops.EnvironmentRef, began time.Time) (took []time.Duration, err error) {
	for _, ref := range refs {
		at, err := h.w.seen.await(ctx, left(ref.Namespace()))
		if err != nil {
			return nil, err
		}
		took = append(took, at.Sub(began))
	}
	return took, nil
}

// alone makes an Application of its own, in no list, of an environment that is pushed.
func (h *hand) alone(ctx context.Context) (gitops.EnvironmentRef, error) {
	ref := h.next()
	if _, err := h.push(ctx, "Add one by hand", func() error { return h.write(ref) }); err != nil {
		return ref, err
	}
	template, ok := h.list["spec"].(map[string]any)["template"].(map[string]any)
	if !ok {
		return ref, errors.New("the ApplicationSet has no template")
	}
	application, err := json.Marshal(map[string]any{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "spec": template["spec"],
		"metadata": map[string]any{
			"name": ref.Name(), "namespace": "argocd",
			"finalizers": []string{"resources-finalizer.argocd.argoproj.io"},
		},
	})
	if err != nil {
		return ref, err
	}
	filled := strings.NewReplacer("{{ .path }}", ref.ManifestsDir(), "{{ .namespace }}", ref.Namespace()).Replace(string(application))
	if err := h.w.cluster.Apply(ctx, []byte(filled)); err != nil {
		return ref, err
	}
	_, err = h.w.seen.await(ctx, healthy(ref.Name()))
	return ref, err
}

// deleteAlone deletes such an Application with all that it has, and returns how long it
// took until nothing was left.
func (h *hand) deleteAlone(ctx context.Context, ref gitops.EnvironmentRef) (time.Duration, error) {
	admin, err := h.w.cluster.Session(ctx)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := h.w.cluster.AskArgoCD(ctx, admin, http.MethodDelete, "/api/v1/applications/"+ref.Name()+"?cascade=true", nil, nil); err != nil {
		return 0, err
	}
	at, err := h.w.seen.await(ctx, left(ref.Namespace()))
	return at.Sub(began), err
}
