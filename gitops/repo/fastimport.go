package repo

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/idp-bot/idp/gitops/repo/internal/gitexec"
)

// pendingRef is where fast-import leaves its commit. Nothing reads it; it offers
// the commit to the next fetch as something that need not be sent.
const pendingRef = "refs/idp/pending"

// importer talks to one git fast-import process: first questions about the tip,
// then, perhaps, one commit.
type importer struct {
	process *gitexec.Process
	in      *bufio.Writer
	out     *bufio.Reader
	tip     string
	known   map[string]entry // of paths at the tip
	err     error            // the first failed write
}

func (r *Repo) startImport(ctx context.Context, tip string) (*importer, error) {
	p, err := r.git.Start(ctx, gitexec.Command{
		Args: []string{"fast-import", "--quiet", "--force", "--done", "--date-format=raw"},
	})
	if err != nil {
		return nil, err
	}
	return &importer{process: p, in: bufio.NewWriterSize(p.Stdin, 64<<10), out: bufio.NewReader(p.Stdout), tip: tip}, nil
}

func (i *importer) printf(format string, args ...any) {
	if i.err == nil {
		_, i.err = fmt.Fprintf(i.in, format, args...)
	}
}

// data writes b as fast-import's "data" command.
func (i *importer) data(b []byte) {
	i.printf("data %d\n", len(b))
	if i.err == nil {
		_, i.err = i.in.Write(b)
	}
	i.printf("\n")
}

// ask sends a command and reads its one line of answer.
func (i *importer) ask(format string, args ...any) (string, error) {
	i.printf(format+"\n", args...)
	if i.err == nil {
		i.err = i.in.Flush()
	}
	if i.err != nil {
		return "", fmt.Errorf("ask git fast-import: %w", i.err)
	}
	line, err := i.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("answer of git fast-import: %w", err)
	}
	return strings.TrimSuffix(line, "\n"), nil
}

// at is the lookup of the tip's paths.
func (i *importer) at(path string) (entry, error) {
	if i.tip == "" {
		return entry{}, nil
	}
	if known, ok := i.known[path]; ok {
		return known, nil
	}
	return i.ls(i.tip, path)
}

// ls asks for what a path is in a commit.
func (i *importer) ls(commit, path string) (entry, error) {
	line, err := i.ask("ls %s %s", commit, quotePath(path))
	if err != nil {
		return entry{}, err
	}
	return readEntry(line)
}

// readEntry reads "<mode> SP <kind> SP <id> HT <path>" or "missing SP <path>"; see
// git-fast-import(1), "ls".
func readEntry(line string) (entry, error) {
	if strings.HasPrefix(line, "missing ") {
		return entry{}, nil
	}
	facts, _, _ := strings.Cut(line, "\t")
	fields := strings.Split(facts, " ")
	if len(fields) != 3 || !isSHA(fields[2]) {
		return entry{}, fmt.Errorf("answer of git fast-import: unexpected %.200q", line)
	}
	return entry{mode: fields[0], kind: fields[1], id: fields[2]}, nil
}

// commit writes p on the tip, checks that the folders became what was wanted,
// and returns the new commit.
func (i *importer) commit(p plan, message string, author Signature, now time.Time) (string, error) {
	by := fmt.Sprintf("%s <%s> %d +0000", identity(author.Name), identity(author.Email), now.Unix())
	i.printf("commit %s\nmark :1\nauthor %s\ncommitter %s\n", pendingRef, by, by)
	i.data([]byte(message))
	if i.tip != "" {
		i.printf("from %s\n", i.tip)
	}
	for _, w := range p.write {
		if p.present[w.Dir] {
			i.printf("D %s\n", quotePath(w.Dir))
		}
		for _, f := range w.Files {
			i.printf("M %s inline %s\n", modeFile, quotePath(f.Path))
			i.data(f.Content)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(p.edited)) {
		i.printf("M %s inline %s\n", p.texts[path].mode, quotePath(path))
		i.data(p.texts[path].content)
	}
	for _, f := range p.shared {
		if f.Content == nil {
			i.printf("D %s\n", quotePath(f.Path))
			continue
		}
		i.printf("M %s inline %s\n", modeFile, quotePath(f.Path))
		i.data(f.Content)
	}
	i.printf("\n")
	sha, err := i.ask("get-mark :1")
	if err != nil {
		return "", err
	}
	if !isSHA(sha) {
		return "", fmt.Errorf("answer of git fast-import: unexpected %.200q", sha)
	}
	return sha, i.verify(p, sha)
}

// verify compares what git made of each folder and each edited file with what was computed for it:
// the intent that is recorded must be what is pushed.
func (i *importer) verify(p plan, sha string) error {
	if len(p.write) > fewFolders {
		return i.verifyEdits(p, sha) // the folders are looked at once fast-import has ended
	}
	for _, w := range p.write {
		if w.Dir == "" {
			continue
		}
		e, err := i.ls(sha, w.Dir)
		if err != nil {
			return err
		}
		if e.id != w.tree {
			return becameOther(w, e.id)
		}
	}
	return i.verifyEdits(p, sha)
}

func becameOther(w wanted, tree string) error {
	return fmt.Errorf("folder %s became tree %s instead of %s", w.Dir, strconv.Quote(tree), strconv.Quote(w.tree))
}

// finish ends the process; objects that were made are on disk when it returns nil.
func (i *importer) finish() error {
	i.printf("done\n")
	if i.err == nil {
		i.err = i.in.Flush()
	}
	if i.err != nil {
		return i.abort(i.err)
	}
	return i.process.Wait()
}

// abort ends the process without its result and returns err, with what git said
// where that explains it.
func (i *importer) abort(err error) error {
	if said := i.process.Kill(); said != nil {
		return fmt.Errorf("%w (%w)", err, said)
	}
	return err
}

// identity keeps a name or address from breaking fast-import's line.
func identity(s string) string {
	return strings.NewReplacer("<", "", ">", "").Replace(oneLine(s))
}
