package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// auditCopier copies the audit log to a file or a stream as it grows. What was written
// is noted afterwards: a crash between writes a line again, and never leaves one out.
type auditCopier struct {
	store *store.Store
	sink  string
	// out is where - leads.
	out io.Writer
}

const (
	auditBatch = 1000
	idleAudit  = 10 * time.Second
)

func (c auditCopier) loop(m *Main) previews.Loop {
	return previews.Loop{Name: "audit", Step: c.step, Wake: m.wake.audit, Idle: idleAudit, Log: m.log}
}

func (c auditCopier) step(ctx context.Context) (bool, error) {
	last, err := c.store.AuditExported(ctx, c.sink)
	if err != nil {
		return false, err
	}
	var lines []byte
	n := 0
	err = c.store.EachAudit(ctx, last, auditBatch, func(a previews.Audit) error {
		lines = append(append(lines, a.Line()...), '\n')
		last = a.Seq
		n++
		return nil
	})
	if err != nil || n == 0 {
		return false, err
	}
	if err := c.write(lines); err != nil {
		return false, fmt.Errorf("copy the audit log: %w", err)
	}
	return n == auditBatch, c.store.SetAuditExported(ctx, c.sink, last)
}

func (c auditCopier) write(lines []byte) (err error) {
	if c.sink == "-" {
		_, err := c.out.Write(lines)
		return err
	}
	// Opened anew each time: whoever rotates it only has to move it away.
	file, err := os.OpenFile(c.sink, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if torn, err := endsTorn(file); err != nil {
		return err
	} else if torn {
		lines = append([]byte{'\n'}, lines...)
	}
	if _, err := file.Write(lines); err != nil {
		return err
	}
	return file.Sync()
}

// endsTorn says that the last line has no end: the machine died, or the disk was full.
func endsTorn(file *os.File) (bool, error) {
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil || end == 0 {
		return false, err
	}
	last := make([]byte, 1)
	_, err = file.ReadAt(last, end-1)
	return last[0] != '\n', err
}
