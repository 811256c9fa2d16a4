package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/repo"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

func newAuditVerify(p *program) *cobra.Command {
	var copies, clones []string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Find what was altered, dropped or swapped in the audit log",
		Long: `Computes the chain of the audit log anew, and finds every entry that was altered,
dropped or swapped since it was written.

Whoever can write the database can forge the whole chain, or cut off its end. That
shows against copies that idp cannot rewrite: --against compares with the log as
"audit_log" has it copied, one JSON object in each line, and --clone with the
` + previews.AuditTrailer + ` trailers of the commits in a clone of the GitOps repository, which name the
entry that the log had come to. Both may be given more than once.`,
		Example: `  idp audit verify
  idp audit verify --against /var/log/idp/audit.jsonl --clone ~/gitops`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringArrayVar(&copies, "against", nil, "a copy of the log, as a file; - for standard input")
	cmd.Flags().StringArrayVar(&clones, "clone", nil, "a clone of a GitOps repository, as a folder")
	output := addOutputFlag(cmd)
	config := addConfigFlags(cmd, databaseKey)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		v := auditVerdict{Problems: []string{}, known: map[int64][]witness{}}
		for _, path := range copies {
			if err := p.witnessCopy(&v, path); err != nil {
				return err
			}
		}
		for _, dir := range clones {
			if err := v.witnessClone(cmd.Context(), dir); err != nil {
				return err
			}
		}
		if err := p.withStore(cmd.Context(), config, func(s *store.Store) error { return v.walk(cmd.Context(), s) }); err != nil {
			return err
		}
		if err := output.print(p.stdout, p.styled(p.stdout), v, v.table()); err != nil {
			return err
		}
		return v.err()
	}
	return cmd
}

// auditVerdict is what became of verifying the log; its names are a contract.
type auditVerdict struct {
	Intact  bool  `json:"intact"`
	Entries int64 `json:"entries"`
	// Compared counts the entries of copies and the trailers that were compared.
	Compared int `json:"compared"`
	// Seq and Hash are the log's end, At when that was written.
	Seq      int64      `json:"seq"`
	Hash     string     `json:"hash,omitempty"`
	At       *time.Time `json:"at,omitempty"`
	Problems []string   `json:"problems"`

	known map[int64][]witness
}

// witness is what a copy says of one entry's hash.
type witness struct{ hash, source string }

// maxAuditProblems is how many are listed; a log that was forged has as many as entries.
const maxAuditProblems = 100

func (v *auditVerdict) report(format string, args ...any) {
	switch len(v.Problems) {
	case maxAuditProblems:
		v.Problems = append(v.Problems, "and more")
	case maxAuditProblems + 1:
	default:
		v.Problems = append(v.Problems, fmt.Sprintf(format, args...))
	}
}

// remember takes down what a copy says; the same again from one place is no news.
func (v *auditVerdict) remember(seq int64, w witness) {
	if !slices.Contains(v.known[seq], w) {
		v.known[seq] = append(v.known[seq], w)
		v.Compared++
	}
}

// maxAuditLine is the longest line of a copy that is read.
const maxAuditLine = 1 << 20

// witnessCopy reads an exported log. Lines may be there twice, for what idp is not sure
// to have written it writes again; each has to have the hash that it claims.
func (p *program) witnessCopy(v *auditVerdict, path string) error {
	from, name := p.stdin, "standard input"
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return fault.New(fault.Invalid, fmt.Sprintf("cannot read %s: %s", path, reason(err)), "name the file that audit_log names")
		}
		defer file.Close()
		from, name = file, path
	}
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxAuditLine)
	number := 0
	for lines.Scan() {
		number++
		var a previews.Audit
		err := json.Unmarshal(lines.Bytes(), &a)
		switch {
		case err != nil || a.Seq <= 0 || a.Hash == "":
			v.report("%s:%d is no entry of an audit log", name, number)
		case a.Hash != a.Sum():
			v.report("%s:%d: entry %d was altered in this copy", name, number, a.Seq)
		default:
			v.remember(a.Seq, witness{a.Hash, name})
		}
	}
	if err := lines.Err(); err != nil {
		return fault.New(fault.Invalid, fmt.Sprintf("cannot read %s: %s", name, reason(err)), "")
	}
	return nil
}

// witnessClone reads the trailers of every commit that a clone has.
func (v *auditVerdict) witnessClone(ctx context.Context, dir string) error {
	trailers, err := repo.Trailers(ctx, dir, previews.AuditTrailer)
	if errors.Is(err, repo.ErrInvalid) {
		return fault.New(fault.Invalid, fmt.Sprintf("%s is not a clone of a Git repository", dir), "name the folder of a clone of the GitOps repository")
	}
	if err != nil {
		return err
	}
	for _, t := range trailers {
		source := fmt.Sprintf("commit %s of %s", shortened(t.Commit), dir)
		if head, ok := previews.ParseAuditChain(t.Value); ok {
			v.remember(head.Seq, witness{head.Hash, source})
		} else {
			v.report("%s has a trailer %s that names no entry", source, previews.AuditTrailer)
		}
	}
	return nil
}

// walk goes through the log from its beginning to its end.
func (v *auditVerdict) walk(ctx context.Context, s *store.Store) error {
	var chain previews.AuditChain
	err := s.EachAudit(ctx, 0, -1, func(a previews.Audit) error {
		if problem := chain.Check(a); problem != "" {
			v.report("%s", problem)
		}
		for _, w := range v.known[a.Seq] {
			if w.hash != a.Hash {
				v.report("entry %d is another one in %s", a.Seq, w.source)
			}
		}
		delete(v.known, a.Seq)
		v.Entries, v.Seq, v.Hash, v.At = v.Entries+1, a.Seq, a.Hash, &a.At
		return nil
	})
	if err != nil {
		return err
	}
	for _, seq := range slices.Sorted(maps.Keys(v.known)) {
		v.report("entry %d is in %s and missing from the log", seq, v.known[seq][0].source)
	}
	v.Intact = len(v.Problems) == 0
	return nil
}

func (v *auditVerdict) table() table {
	intact, at, hash := "yes", "–", "–"
	if !v.Intact {
		intact = "no"
	}
	if v.At != nil {
		at, hash = v.At.Format(time.DateTime), v.Hash
	}
	return table{
		header: []string{"INTACT", "ENTRIES", "COMPARED", "LAST", "HASH"},
		rows:   [][]string{{intact, fmt.Sprint(v.Entries), fmt.Sprint(v.Compared), at, hash}},
	}
}

// err is what makes the exit status say that the log is not intact.
func (v *auditVerdict) err() error {
	if v.Intact {
		return nil
	}
	return brokenChain{v.Problems}
}

// brokenChain lists what is wrong with the log.
type brokenChain struct{ problems []string }

func (b brokenChain) Error() string { return strings.Join(b.problems, "; ") }

// Unwrap gives the error its exit status, its message and its hint.
func (b brokenChain) Unwrap() error {
	return fault.New(fault.Invalid, "the audit log is not as it was written: "+plural(len(b.problems), "problem"),
		"keep the database as it is, and compare it with a backup")
}

// Details lists the problems.
func (b brokenChain) Details() []string { return b.problems }
