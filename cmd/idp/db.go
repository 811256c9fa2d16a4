package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/previews/store"
)

func newDB(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "db",
		Short: "Back up the database, or move to another",
	}
	asGroup(cmd)
	cmd.AddCommand(newDBBackup(p), newDBCopy(p))
	return cmd
}

func newDBBackup(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy an SQLite database into a file, beside a running server",
		Long: `Copies an SQLite database, as it is at one instant, into a new file, beside a running
"idp serve" and without holding it up. The copy is checked, and its audit log
verified, before the file is there; one that is there already is left alone.

To go back to it, stop "idp serve", move idp.db, idp.db-wal and idp.db-shm away, put the
copy in the place of idp.db and start it again. What happened since is found out from
GitHub and the GitOps repository, as far as they know it.`,
		Example: `  idp db backup --database-url sqlite:///var/lib/idp/idp.db "/backup/idp-$(date +%F).db"`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fault.New(fault.Usage, "expected the file to write", "such as idp db backup /backup/idp.db")
			}
			return nil
		},
	}
	output := addOutputFlag(cmd)
	config := addConfigFlags(cmd, databaseKey)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var made store.BackedUp
		err := p.withStore(cmd.Context(), config, func(s *store.Store) (err error) {
			made, err = s.Backup(cmd.Context(), args[0])
			return err
		})
		if err != nil {
			return notBackedUp(err)
		}
		facts := backupFacts{File: args[0], Bytes: made.Bytes, AuditSeq: made.Audit.Seq, AuditHash: made.Audit.Hash}
		lines := table{header: []string{"FILE", "BYTES", "AUDIT LOG ENDS WITH"}, rows: [][]string{{facts.File, fmt.Sprint(facts.Bytes), fmt.Sprintf("entry %d", facts.AuditSeq)}}}
		return output.print(p.stdout, p.styled(p.stdout), facts, lines)
	}
	return cmd
}

// backupFacts is a backup as scripts see it; its names are a contract.
type backupFacts struct {
	File      string `json:"file"`
	Bytes     int64  `json:"bytes"`
	AuditSeq  int64  `json:"auditSeq"`
	AuditHash string `json:"auditHash,omitempty"`
}

// notBackedUp says what to do about what kept a database from being backed up.
func notBackedUp(err error) error {
	at, _ := errors.AsType[*fs.PathError](err)
	switch {
	case errors.Is(err, store.ErrNotBackedUp):
		return fault.New(fault.Usage, err.Error(), "pg_dump --format=custom --file FILE --dbname URL")
	case errors.Is(err, fs.ErrExist) && at != nil:
		return fault.Newf(fault.Conflict, "%s is there already; nothing was written", at.Path).WithHint("name a file that is not there yet")
	case errors.Is(err, fs.ErrNotExist) && at != nil:
		return fault.Newf(fault.NotFound, "there is no folder %s", filepath.Dir(at.Path)).WithHint("create it, or name a file in another")
	}
	return err
}

func newDBCopy(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "copy FROM TO",
		Short: "Copy an SQLite database into an empty PostgreSQL one",
		Long: `Copies all that an SQLite database holds into an empty PostgreSQL database, in one
transaction there, and tells how many rows each table has. The audit log is verified
on both sides. What waits to be handled is handled by the next "idp serve" there.

Stop "idp serve" first: it is refused while that is at work, and what it took in
afterwards would be lost. The SQLite file is not changed; once "idp serve" runs on
the new database, keep it as a backup, and start nothing on it.

A password need not stand in TO, where others on this machine could see it: leave it
out and set PGPASSWORD.`,
		Example: `  PGPASSWORD=… idp db copy sqlite:///var/lib/idp/idp.db postgres://idp@db.example.com/idp`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fault.New(fault.Usage, "expected two databases: FROM and TO", "such as sqlite://idp.db "+postgresForm)
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	output := addOutputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !strings.HasPrefix(args[0], sqliteScheme) || !isPostgres(args[1]) {
			return fault.New(fault.Usage, "databases are copied from SQLite to PostgreSQL alone", "write FROM as sqlite://FILE and TO as "+postgresForm)
		}
		copied, err := store.Copy(cmd.Context(), args[0], args[1])
		if err != nil {
			return notCopied(err)
		}
		facts, lines := copiedFacts{AuditSeq: copied.Audit.Seq, AuditHash: copied.Audit.Hash}, table{header: []string{"TABLE", "ROWS"}}
		for _, t := range copied.Tables {
			facts.Tables = append(facts.Tables, tableFacts{t.Table, t.Rows})
			lines.rows = append(lines.rows, []string{t.Table, fmt.Sprint(t.Rows)})
		}
		if err := output.print(p.stdout, p.styled(p.stdout), facts, lines); err != nil {
			return err
		}
		fmt.Fprintf(p.stderr, "copied, and the audit log is intact on both: it ends with entry %d\nset database_url to the new database and start idp serve\n", copied.Audit.Seq)
		return nil
	}
	return cmd
}

// copiedFacts is what was copied, as scripts see it; its names are a contract.
type copiedFacts struct {
	Tables    []tableFacts `json:"tables"`
	AuditSeq  int64        `json:"auditSeq"`
	AuditHash string       `json:"auditHash,omitempty"`
}

type tableFacts struct {
	Table string `json:"table"`
	Rows  int    `json:"rows"`
}

// notCopied says what to do about what kept databases from being copied.
func notCopied(err error) error {
	switch {
	case errors.Is(err, store.ErrServed):
		return fault.New(fault.Conflict, "idp serve is at work on the SQLite database, or was a few seconds ago; nothing was copied",
			"stop it and wait 15 seconds; what has the file open is shown by: lsof FILE")
	case errors.Is(err, store.ErrNotEmpty):
		return fault.New(fault.Conflict, err.Error()+"; nothing was copied", "create another database, or drop this one and create it again")
	case errors.Is(err, store.ErrAbsent):
		return fault.New(fault.NotFound, err.Error(), "name the file as database_url has it, relative to this folder or absolute; one of an older idp is brought up to date by starting idp serve on it once")
	}
	return err
}
