package inplace

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo"
)

const (
	// maxPath is the longest path, in bytes, and maxSteps how deep it may lead.
	maxPath  = 512
	maxSteps = 20
)

// step is one step of a path: to the value of a key, or to the item of a list in which a
// key has a value.
type step struct {
	key string
	// where and is select an item; where is "" in a step to a key.
	where, is string
}

func (s step) String() string {
	if s.where != "" {
		return "[" + s.where + "=" + s.is + "]"
	}
	return s.key
}

// ParsePath reads where a field stands: keys with dots between them, such as image.tag;
// after a list's key the item that is meant, by a value of its own, such as
// spec.template.spec.containers[name=web].image; and in quotes a key that has dots itself,
// such as metadata.annotations["example.com/version"]. An item has no number: another that
// is put before it would be edited in its place.
func ParsePath(text string) ([]step, error) {
	if text == "" || len(text) > maxPath {
		return nil, fmt.Errorf("expected 1 to %d characters", maxPath)
	}
	var steps []step
	for rest := text; rest != ""; {
		var next step
		var err error
		if next, rest, err = cutStep(rest, len(steps) == 0); err != nil {
			return nil, err
		}
		if steps = append(steps, next); len(steps) > maxSteps {
			return nil, fmt.Errorf("it leads more than %d levels down", maxSteps)
		}
	}
	if steps[len(steps)-1].where != "" {
		return nil, errors.New("it ends with an item: name the key of the value in it, such as [name=web].image")
	}
	return steps, nil
}

// cutStep reads the step at the beginning of a path.
func cutStep(text string, first bool) (s step, rest string, err error) {
	if strings.HasPrefix(text, "[") {
		return cutBracket(text[1:])
	}
	if !first {
		if !strings.HasPrefix(text, ".") {
			return s, "", fmt.Errorf(`expected "." or "[" before %.40q`, text)
		}
		text = text[1:]
	}
	end := strings.IndexAny(text, ".[")
	if end < 0 {
		end = len(text)
	}
	key := text[:end]
	if key == "" {
		return s, "", errors.New("a key is empty")
	}
	if strings.ContainsAny(key, " \t\r\n\"'*?]=") {
		return s, "", fmt.Errorf(`%q is no key: put one with such characters in ["…"]`, key)
	}
	return step{key: key}, text[end:], nil
}

// cutBracket reads what stands after "[".
func cutBracket(text string) (s step, rest string, err error) {
	if strings.HasPrefix(text, `"`) {
		key, rest, closed := strings.Cut(text[1:], `"]`)
		if !closed || key == "" || strings.ContainsAny(key, "\"\r\n") {
			return s, "", errors.New(`expected a key and "] after ["`)
		}
		return step{key: key}, rest, nil
	}
	inside, rest, closed := strings.Cut(text, "]")
	if !closed {
		return s, "", errors.New(`"[" is not closed with "]"`)
	}
	where, is, selects := strings.Cut(inside, "=")
	if !selects || where == "" || is == "" || strings.ContainsAny(inside, "[\r\n\"'") {
		return s, "", fmt.Errorf("[%s] selects nothing: expected an item by a value of its own, such as [name=web]", inside)
	}
	return step{where: where, is: is}, rest, nil
}

// CheckFile says why a file of a GitOps repository is none that is edited; nil for one that
// is. Folders that are idp's, the platform team's and the host's own are not.
func CheckFile(file string) error {
	if err := repo.ValidPath(file); err != nil {
		return err
	}
	top, _, below := strings.Cut(file, "/")
	for _, own := range []string{gitops.ApplicationSetsDir, gitops.EnvironmentsDir, gitops.PlatformDir, ".github", ".gitlab", ".gitea", ".forgejo"} {
		if below && strings.EqualFold(top, own) {
			return fmt.Errorf("%s is no folder for deployments", own)
		}
	}
	if !slices.Contains([]string{".yaml", ".yml", ".json"}, path.Ext(file)) {
		return errors.New("expected a .yaml, .yml or .json file")
	}
	return nil
}
