package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/previews/store"
)

func newDB(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "db",
		Short: "Move to another database",
	}
	asGroup(cmd)
	cmd.AddCommand(newDBCopy(p))
	return cmd
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
