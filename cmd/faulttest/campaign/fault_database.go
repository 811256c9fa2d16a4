package campaign

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/idp-bot/idp/cmd/internal/stage"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// illPostgres halts the server as a crash does and starts it again, and cuts every
// connection.
func illPostgres(ctx context.Context, r *round, random *mathrand.Rand) error {
	for range 6 {
		if err := stage.Pause(ctx, time.Duration(300+random.IntN(2500))*time.Millisecond); err != nil {
			return nil // the round is over
		}
		if random.IntN(2) == 0 {
			if err := r.Postgres.Cut("idp"); err != nil {
				return err
			}
			r.figures.add("connections cut", 1)
			continue
		}
		if err := r.Postgres.Halt(); err != nil {
			return err
		}
		r.figures.add("PostgreSQL halted", 1)
		_ = stage.Pause(ctx, time.Duration(random.IntN(4000))*time.Millisecond) // it is started again even at an end
		if err := r.Postgres.Resume(); err != nil {
			return err
		}
	}
	return nil
}

// locks opens the database as a second process does, and keeps its lock for longer than
// idp waits.
func locks(ctx context.Context, r *round, random *mathrand.Rand) error {
	for range 3 {
		if err := stage.Pause(ctx, time.Duration(500+random.IntN(2000))*time.Millisecond); err != nil {
			return nil // the round is over
		}
		long := time.Duration(1000+random.IntN(9000)) * time.Millisecond
		err := r.WithStore(ctx, func(s *store.Store) error {
			rows, err := s.Environments(ctx, store.Filter{})
			if err != nil || len(rows) == 0 {
				return err
			}
			return s.UpdateAll(ctx, []int64{rows[0].RowID}, func(*previews.Environment) error {
				r.figures.add("locks held", 1)
				_ = stage.Pause(ctx, long)
				return previews.ErrUnchanged
			})
		})
		if err != nil && ctx.Err() == nil && !strings.Contains(err.Error(), "locked") {
			return err
		}
	}
	return nil
}

// mount mounts a filesystem in memory of a size.
func mount(at, size string) (unmount func() error, err error) {
	if err := syscall.Mount("tmpfs", at, "tmpfs", 0, "size="+size+",mode=0700"); err != nil {
		return nil, fmt.Errorf("mount a filesystem of %s, which takes root: %w", size, err)
	}
	return func() error { return syscall.Unmount(at, syscall.MNT_DETACH) }, nil
}

// fullDisk fills the filesystem of the database and the clone, and empties it again.
func fullDisk(ctx context.Context, r *round, random *mathrand.Rand) error {
	filler := filepath.Join(r.Disk, "filler")
	defer os.Remove(filler)
	for range 6 {
		if err := stage.Pause(ctx, time.Duration(200+random.IntN(2000))*time.Millisecond); err != nil {
			return nil // the round is over
		}
		if err := fill(filler); err != nil {
			return err
		}
		r.figures.add("disk full", 1)
		_ = stage.Pause(ctx, time.Duration(500+random.IntN(3500))*time.Millisecond) // it is emptied even at an end
		if err := os.Remove(filler); err != nil {
			return err
		}
	}
	return nil
}

// fill writes until there is no more room.
func fill(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for block := make([]byte, 64<<10); len(block) > 0; {
		if _, err = f.Write(block); errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2] // the last bytes too
		} else if err != nil {
			return err
		}
	}
	return nil
}

// page is SQLite's, in bytes.
const page = 4096

// flippedPages ends idp, overwrites a page of its database, and holds that it does not
// start on that, and says so; then brings back the file as it was.
func flippedPages(ctx context.Context, r *round, random *mathrand.Rand) error {
	for range 4 {
		if err := stage.Pause(ctx, time.Duration(500+random.IntN(2000))*time.Millisecond); err != nil {
			return nil // the round is over
		}
		if err := r.alone(func() error { return r.flip(ctx, random) }); err != nil {
			return err
		}
	}
	return nil
}

func (r *round) flip(ctx context.Context, random *mathrand.Rand) error {
	one := r.replicas[0]
	one.Terminate() // in order: what is in its log is in the file then
	good, err := os.ReadFile(r.DatabaseFile())
	if err != nil {
		return err
	}
	bad := append([]byte(nil), good...)
	n := random.IntN(len(bad) / page)
	if _, err := io.ReadFull(rand.Reader, bad[n*page:(n+1)*page]); err != nil {
		return err
	}
	if err := os.WriteFile(r.DatabaseFile(), bad, 0o600); err != nil {
		return err
	}
	r.figures.add("pages overwritten", 1)
	err = one.Start(ctx)
	var refused *stage.RefusedToStart
	switch {
	case err == nil:
		one.Kill()
		r.break_("pages", fmt.Sprintf("idp started although page %d of %d was overwritten", n+1, len(bad)/page))
	case errors.As(err, &refused) && strings.Contains(refused.Says, "the database is damaged"):
	default:
		r.break_("pages", fmt.Sprintf("with page %d of %d overwritten idp does not say that the database is damaged: %v", n+1, len(bad)/page, err))
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(r.DatabaseFile() + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := os.WriteFile(r.DatabaseFile(), good, 0o600); err != nil {
		return err
	}
	return r.revive(ctx, one)
}
