package store

import (
	"context"
	"database/sql"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riversqlite"
)

// bell tells River, within this process, that deliveries were committed.
//
// It is SQLite's alone: on Postgres River listens to the server, which knows of all
// processes. River's own SQLite listener polls a table every 50 ms. A SQLite file has one
// server, so whoever inserts and whoever works are the same process: a channel is
// faster, costs nothing while idle, and writes nothing. River still polls the
// jobs themselves at pollInterval, for retries and in case a ring was lost.
type bell chan struct{}

func newBell() bell { return make(bell, 1) }

func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}

// bellDriver is River's SQLite driver with the bell for a listener.
type bellDriver struct {
	*riversqlite.Driver
	bell bell
}

func newDriver(db *sql.DB, b bell) *bellDriver {
	return &bellDriver{Driver: riversqlite.New(db), bell: b}
}

// SupportsListenNotify keeps River from writing notifications that nobody reads.
func (d *bellDriver) SupportsListenNotify() bool { return false }

// GetListener returns the bell as a listener.
func (d *bellDriver) GetListener(*riverdriver.GetListenenerParams) riverdriver.Listener {
	return bellListener{bell: d.bell}
}

// bellListener turns a ring into River's notification of an insert.
type bellListener struct{ bell bell }

// insertTopic is River's topic for "there are new jobs in this queue".
const insertTopic = "river_insert"

func (l bellListener) WaitForNotification(ctx context.Context) (*riverdriver.Notification, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.bell:
		return &riverdriver.Notification{Topic: insertTopic, Payload: `{"queue":"` + deliveryQueue + `"}`}, nil
	}
}

func (bellListener) Close(context.Context) error            { return nil }
func (bellListener) Connect(context.Context) error          { return nil }
func (bellListener) Listen(context.Context, string) error   { return nil }
func (bellListener) Unlisten(context.Context, string) error { return nil }
func (bellListener) Ping(context.Context) error             { return nil }
func (bellListener) Schema() string                         { return "" }
func (bellListener) SetAfterConnectExec(string)             {}
