package repo

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/gittest"
)

const theirs = "apps/web/staging/values.yaml"

// setTag is an edit of theirs that puts tag in the place of the last word of its first line.
func setTag(tag string) Edit {
	return Edit{Path: theirs, Apply: func(content, _ []byte) ([]byte, error) {
		first, rest, ok := bytes.Cut(content, []byte("\n"))
		if !ok || !bytes.HasPrefix(first, []byte("tag: ")) {
			return nil, errors.New("no tag")
		}
		return []byte("tag: " + tag + "\n" + string(rest)), nil
	}}
}

func edits(id string, e ...Edit) Change {
	c := deploy(id, id)
	c.Edits = e
	return c
}

func put(t testing.TB, remote *gittest.Repository, path, content string) {
	t.Helper()
	mustEdit(t, remote, gittest.Edit{Put: []gitops.File{{Path: path, Content: []byte(content)}}})
}

func content(t testing.TB, remote *gittest.Repository, path string) string {
	t.Helper()
	got, err := remote.Content(t.Context(), tipOf(t, remote), path)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestEditsLandWithTheirFolder(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	put(t, remote, theirs, "tag: v1\r\n# é\r\n")
	put(t, remote, "apps/other.yaml", "a: b\n")
	before := len(messages(t, remote))
	result := mustCommit(t, r, edits("staging.web", setTag("v2")), edits("staging.api", Edit{Path: "apps/other.yaml", Apply: func(content, _ []byte) ([]byte, error) { return append([]byte("# x\n"), content...), nil }}))
	equal(t, "applied", len(result.Applied), 2)
	equal(t, "commits", len(messages(t, remote))-before, 1)
	equal(t, theirs, content(t, remote, theirs), "tag: v2\n# é\r\n")
	equal(t, "other", content(t, remote, "apps/other.yaml"), "# x\na: b\n")
	equal(t, "record", content(t, remote, "environments/acme/web/staging.web/environment.yaml"), "id: staging.web\n")
	read, err := r.Text(t.Context(), result.Commit, theirs)
	equal(t, "read", string(read), "tag: v2\n# é\r\n")
	equal(t, "error", err, nil)
	if _, err := r.Text(t.Context(), result.Commit, "apps/web"); !errors.Is(err, ErrNoFile) {
		t.Errorf("a folder is read with %v, want ErrNoFile", err)
	}

	// Somebody changes the file after that. What landed has landed.
	put(t, remote, theirs, "tag: v3\n")
	result = mustCommit(t, r, edits("staging.web", setTag("v2")))
	equal(t, "nothing new", result.NoOp, true)
	equal(t, theirs, content(t, remote, theirs), "tag: v3\n")
}

func TestEditsOfOneFileAddUp(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	put(t, remote, theirs, "tag: v1\n")
	more := Edit{Path: theirs, Apply: func(content, _ []byte) ([]byte, error) {
		return append(content[:len(content):len(content)], "more: x\n"...), nil
	}}
	broken := Edit{Path: theirs, Apply: func([]byte, []byte) ([]byte, error) { return nil, errors.New("not so") }}
	result := mustCommit(t, r, edits("staging.web", setTag("v2")), edits("staging.api", more, broken), edits("staging.job", more))
	equal(t, theirs, content(t, remote, theirs), "tag: v2\nmore: x\n")
	equal(t, "conflicts", len(result.Conflicts), 1)
	equal(t, "conflict", result.Conflicts[0].Err.Error(), "not so")
	equal(t, "file", result.Conflicts[0].File, theirs)
	equal(t, "who touched it is known", result.Conflicts[0].Commit != "", true)
}

// TestEditsAreMadeOnTheTip has somebody else push while a commit is under way: the file is
// read again, and theirs stays.
func TestEditsAreMadeOnTheTip(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	put(t, remote, theirs, "tag: v1\n")
	tried := 0
	_, err := r.Commit(t.Context(), Commit{Changes: []Change{edits("staging.web", setTag("v2"))}, Whole: true}, func(Prepared) error {
		if tried++; tried == 1 {
			put(t, remote, theirs, "tag: v1\nreplicas: 5\n")
		}
		return nil
	})
	equal(t, "error", err, nil)
	equal(t, "tried", tried, 2)
	equal(t, theirs, content(t, remote, theirs), "tag: v2\nreplicas: 5\n")
}

// TestEditBeside gives an edit what stands beside its file at the same tip.
func TestEditBeside(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	put(t, remote, theirs, "tag: v1\n")
	change := edits("staging.web", setTag("v2"))
	record := change.Dir + "/environment.yaml"
	var beside []string
	change.Edits[0].Beside = record
	change.Edits[0].Apply = func(content, was []byte) ([]byte, error) {
		beside = append(beside, string(was))
		return content, nil
	}
	mustCommit(t, r, change)
	again := change
	again.Files = []gitops.File{{Path: record, Content: []byte("next\n")}}
	again.Key, again.Accept = "next", []string{treeOf(change)}
	mustCommit(t, r, again)
	equal(t, "beside", strings.Join(beside, "|"), "|id: staging.web\n")
}

func TestEditsRefused(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	mustEdit(t, remote, gittest.Edit{Put: []gitops.File{{Path: "apps/real.yaml", Content: []byte("tag: v1\n")}}, Links: map[string]string{"apps/link.yaml": "real.yaml", "linked": "apps"}})
	for _, c := range []struct {
		path string
		want error
	}{
		{"apps/none.yaml", ErrNoFile}, {"apps", ErrIrregular}, {"apps/real.yaml/x.yaml", ErrIrregular}, {"apps/link.yaml", ErrIrregular}, {"linked/real.yaml", ErrIrregular},
		{"../x.yaml", ErrInvalid}, {"/x.yaml", ErrInvalid}, {".git/config", ErrInvalid}, {"platform/environments.yaml", ErrInvalid},
		{"environments/acme/api/staging/environment.yaml", ErrInvalid}, {"applicationsets/web.yaml", ErrInvalid}, {"Platform/x.yaml", ErrInvalid},
	} {
		tip := tipOf(t, remote)
		e := setTag("v2")
		e.Path = c.path
		result := mustCommit(t, r, edits("staging.web", e))
		if len(result.Conflicts) != 1 || !errors.Is(result.Conflicts[0].Err, c.want) {
			t.Errorf("%s: conflicts %v, want %v", c.path, result.Conflicts, c.want)
		}
		equal(t, c.path+": tip", tipOf(t, remote), tip)
	}
	nowhere := Change{Key: "x", Edits: []Edit{setTag("v2")}}
	if result := mustCommit(t, r, nowhere); len(result.Conflicts) != 1 || !errors.Is(result.Conflicts[0].Err, ErrInvalid) {
		t.Errorf("edits without a folder: %v", result.Conflicts)
	}
}

// TestEditsWhosePushLanded pushes nothing twice where the answer was lost.
func TestEditsWhosePushLanded(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	put(t, remote, theirs, "tag: v1\n")
	remote.DropPushAnswers(1)
	result := mustCommit(t, r, edits("staging.web", setTag("v2")))
	equal(t, "applied", len(result.Applied), 1)
	equal(t, theirs, content(t, remote, theirs), "tag: v2\n")
	equal(t, "commits", len(messages(t, remote)), 2)
}
