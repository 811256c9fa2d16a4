package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo"
	"github.com/idp-bot/idp/gitops/repo/gittest"
)

// perRepository is how many previews a repository has where there are many: GitHub
// recommends 3,000 entries in a folder at most.
const perRepository = 100

// oneChange is W3: one environment of many is changed, by the writer itself on a GitOps
// repository served over HTTP; against one of the fewest environments. What the remote itself
// needs for a push is told apart: git's receive-pack looks through every tree that the branch
// has, to be sure that nothing is missing, and no client can spare it that.
func oneChange(ctx context.Context, r *run) (rows []Row, err error) {
	dir, err := os.MkdirTemp("", "idp-loadtest-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var fields []*field
	defer func() {
		for _, f := range fields {
			err = errors.Join(err, f.close())
		}
	}()
	for _, n := range r.Environments {
		f, err := newField(ctx, filepath.Join(dir, fmt.Sprint(n)), n)
		if err != nil {
			return nil, err
		}
		fields = append(fields, f)
		r.tell("%d environments are there", n)
	}
	for i := range r.Changes + 1 {
		for _, f := range fields {
			if err := f.measure(ctx, i); err != nil {
				return nil, err
			}
		}
	}
	return fieldRows(fields, r.Changes), nil
}

func fieldRows(fields []*field, changes int) (rows []Row) {
	first, last := fields[0], fields[len(fields)-1]
	for _, f := range fields {
		rows = append(rows, beside(fmt.Sprintf("one change among %d environments, against git's fast-import and push there", f.environments),
			milliseconds(median(f.whole)), milliseconds(median(f.floor))))
	}
	for _, f := range fields[1:] {
		of := fmt.Sprintf("%d environments against %d", f.environments, first.environments)
		row := atMost("one change, "+of, milliseconds(median(f.whole)), milliseconds(median(first.whole)), 1.5)
		own := atMost("of that, all but the remote's receive-pack, "+of, milliseconds(median(f.own)), milliseconds(median(first.own)), 1.5)
		if f != last {
			row.Target, own.Target = "", ""
		}
		rows = append(rows, row, own,
			beside("git's own fast-import and push, "+of, milliseconds(median(f.floor)), milliseconds(median(first.floor))))
	}
	landed := 0
	for _, f := range fields {
		landed += len(f.whole)
	}
	return append(rows, exactly("changes pushed", landed, changes*len(fields)))
}

// field is a GitOps repository with many environments, the writer on it, and a clone for git
// alone of another one of the same kind.
type field struct {
	environments int
	server       *gittest.Server
	remote       *gittest.Repository
	writer       *repo.Repo
	plain        *gittest.Plain
	last         repo.Change
	whole        []time.Duration
	own          []time.Duration // without what the remote worked
	floor        []time.Duration
}

func newField(ctx context.Context, dir string, environments int) (f *field, err error) {
	f = &field{environments: environments}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	if f.server, err = gittest.Start(ctx, dir); err != nil {
		return f, err
	}
	var all gittest.Edit
	all.Message = "Begin"
	for i := range environments {
		all.Put = append(all.Put, filesOf(i, "v0")...)
		if i%perRepository == 0 {
			all.Put = append(all.Put, listOf(i, "v0"))
		}
	}
	var remotes []*gittest.Repository
	for _, name := range []string{"acme/gitops", "acme/floor"} {
		one, err := f.server.Create(ctx, name)
		if err != nil {
			return f, err
		}
		if _, err := one.Commit(ctx, "main", all); err != nil {
			return f, err
		}
		remotes = append(remotes, one)
	}
	f.remote = remotes[0]
	if f.plain, err = remotes[1].Plain(ctx, filepath.Join(dir, "plain"), "", false); err != nil {
		return f, err
	}
	f.last = changeOf(0, "v0")
	f.writer, err = repo.Open(ctx, repo.Options{URL: f.remote.URL, Branch: "main", Dir: filepath.Join(dir, "state")})
	return f, err
}

func (f *field) close() (err error) {
	if f.writer != nil {
		err = f.writer.Close()
	}
	if f.server != nil {
		err = errors.Join(err, f.server.Close())
	}
	return err
}

// measure makes one change by the writer and one by git alone. The first has the clone fetched
// and does not count.
func (f *field) measure(ctx context.Context, i int) error {
	next := changeOf(0, fmt.Sprintf("v%d", i+1), repo.TreeID(f.last.Dir, f.last.Files))
	served, began := f.remote.Served(), time.Now()
	result, err := f.writer.Commit(ctx, repo.Commit{Changes: []repo.Change{next}, Shared: []gitops.File{listOf(0, next.Key)}}, nil)
	took := time.Since(began)
	if err != nil {
		return err
	}
	if len(result.Conflicts) > 0 {
		return result.Conflicts[0].Err
	}
	served = f.remote.Served() - served
	f.last = next
	began = time.Now()
	edit := gittest.Edit{Message: next.Subject, Put: append(filesOf(0, fmt.Sprintf("v%d", i+1)), listOf(0, next.Key))}
	if err := f.plain.Import(ctx, edit); err != nil {
		return err
	}
	if i > 0 {
		f.whole, f.own, f.floor = append(f.whole, took), append(f.own, took-served), append(f.floor, time.Since(began))
	}
	return nil
}

// folderOf is the folder of the environment of that number.
func folderOf(i int) string {
	return fmt.Sprintf("%s/acme/web-%d/pr-%d", gitops.EnvironmentsDir, i/perRepository, i%perRepository+1)
}

// filesOf are as many files as a preview of one service has.
func filesOf(i int, version string) []gitops.File {
	dir := folderOf(i)
	files := []gitops.File{{Path: dir + "/environment.yaml", Content: fmt.Appendf(nil, "id: %d\n", i)}}
	for _, name := range []string{"deployment", "limitrange", "namespace", "networkpolicy", "resourcequota", "service", "serviceaccount"} {
		files = append(files, gitops.File{Path: path.Join(dir, "manifests", name+".yaml"), Content: fmt.Appendf(nil, "kind: %s\nof: %d\nversion: %s\n", name, i, version)})
	}
	return files
}

// listOf is the ApplicationSet of the repository of an environment.
func listOf(i int, version string) gitops.File {
	var elements strings.Builder
	for n := range perRepository {
		fmt.Fprintf(&elements, "- path: %s/manifests\n", folderOf(i/perRepository*perRepository+n))
	}
	return gitops.File{Path: fmt.Sprintf("%s/web-%d-previews.yaml", gitops.ApplicationSetsDir, i/perRepository), Content: []byte("version: " + version + "\n" + elements.String())}
}

func changeOf(i int, version string, accept ...string) repo.Change {
	return repo.Change{
		Key: fmt.Sprintf("%d/pr-%d@%s", i/perRepository, i%perRepository+1, version), Dir: folderOf(i), Files: filesOf(i, version),
		Accept: append(accept, repo.TreeID(folderOf(i), filesOf(i, "v0"))), Subject: fmt.Sprintf("Deploy %s", folderOf(i)),
	}
}
