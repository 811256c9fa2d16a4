// Package postgrestest runs a real PostgreSQL for tests: one server for a test
// binary, started when the first test asks for a database, with a database of its own
// for every test that does.
//
// The server listens on a socket in a temporary folder alone and syncs nothing to
// disk: what it holds would not survive a power cut, so tests of that are not for it.
// It ends with Stop, which TestMain calls, and by the kernel's doing when the test
// binary is killed. All functions may be called concurrently.
package postgrestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

const (
	// Variable, set to anything, says that the tests on PostgreSQL have to run: they
	// fail where there is none, and the scenarios are played on it too.
	Variable = "TEST_POSTGRES"
	// nobody is who runs the server where root runs the tests: as root it refuses to.
	nobody   = 65534
	patience = time.Minute
	owner    = "idp"
	// Password is that of the databases' owner.
	Password = secrettest.Prefix + "postgres"
)

// Wanted says that the tests on PostgreSQL have to run.
func Wanted() bool { return os.Getenv(Variable) != "" }

// server is the one of this test binary.
var server struct {
	sync.Mutex
	running *running
	failure error
	count   atomic.Int64
}

// running is a server that runs.
type running struct {
	bin, dir string
	process  *os.Process
	ended    chan struct{}
}

// URL returns the URL of an empty database, which goes when the test ends, searched for
// secrets. Without PostgreSQL on this machine the test is skipped, or fails where it is
// wanted.
func URL(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", server.count.Add(1))
	address, drop, err := New(name)
	if errors.Is(err, errMissing) && !Wanted() {
		t.Skipf("SKIPPED: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		held, err := Dump(context.WithoutCancel(t.Context()), address)
		if err := errors.Join(err, drop()); err != nil {
			t.Error(err)
		}
		secrettest.Database(t, name, held)
	})
	return address
}

// New makes an empty database of a name and returns its URL and what takes it away.
func New(name string) (address string, drop func() error, err error) {
	s, err := started()
	if err != nil {
		return "", nil, err
	}
	if address, err = s.create(name); err != nil {
		return "", nil, err
	}
	return address, func() error { return s.run("dropdb", "--force", name) }, nil
}

// create makes an empty database of a name and returns its URL.
func (s *running) create(name string) (address string, err error) {
	if err := s.run("createdb", "--owner", owner, "--encoding", "UTF8", "--template", "template0", name); err != nil {
		return "", err
	}
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(owner, Password), Path: "/" + name,
		RawQuery: url.Values{"host": {s.dir}}.Encode(),
	}
	return u.String(), nil
}

// Execute has the server's superuser execute a statement in a database.
func Execute(t testing.TB, database, statement string) {
	t.Helper()
	s, err := started()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.run("psql", "--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--dbname", database, "--command", statement); err != nil {
		t.Fatal(err)
	}
}

// Dump returns all that a database holds, as pg_dump writes it: bytes as hexadecimal digits.
func Dump(ctx context.Context, address string) (string, error) {
	bin, err := programs()
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "pg_dump"), "--data-only", "--dbname", address).Output()
	if err != nil {
		return "", fmt.Errorf("dump the database: %w", err)
	}
	return string(out), nil
}

// Stop stops the server, where one was started, and removes what it wrote.
func Stop() {
	server.Lock()
	defer server.Unlock()
	if server.running == nil {
		return
	}
	_ = server.running.process.Signal(syscall.SIGQUIT)
	<-server.running.ended
	_ = os.RemoveAll(server.running.dir)
	server.running = nil
}

// Stopping runs tests, and Stop once they ended.
func Stopping(m *testing.M) interface{ Run() int } { return stopping{m} }

type stopping struct{ *testing.M }

func (s stopping) Run() int {
	defer Stop()
	return s.M.Run()
}

// started returns the server, started if it was not.
func started() (*running, error) {
	server.Lock()
	defer server.Unlock()
	if server.running == nil && server.failure == nil {
		server.running, server.failure = start()
	}
	return server.running, server.failure
}

var errMissing = errors.New("there is no PostgreSQL on this machine: apt-get install -y --no-install-recommends postgresql")

// programs returns the folder of the server's programs, which Debian keeps out of
// PATH.
func programs() (string, error) {
	if path, err := exec.LookPath("postgres"); err == nil {
		// The others are beside the program, not beside a link to it.
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return "", err
		}
		return filepath.Dir(path), nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return "", errMissing
	}
	return filepath.Dir(found[len(found)-1]), nil
}

func start() (*running, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "idp-postgres-")
	if err != nil {
		return nil, err
	}
	s := &running{bin: bin, dir: dir}
	if err := s.start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

func (s *running) start() error {
	if os.Getuid() == 0 {
		if err := os.Chown(s.dir, nobody, nobody); err != nil {
			return err
		}
	}
	if err := s.run("initdb", "--pgdata", filepath.Join(s.dir, "data"), "--username", "postgres", "--no-sync",
		"--encoding", "UTF8", "--locale", "C.UTF-8", "--auth", "scram-sha-256", "--pwfile", s.passwordFile()); err != nil {
		return err
	}
	if err := s.launch(); err != nil {
		return err
	}
	// The owner of the databases is no superuser: idp needs none.
	return s.answering("CREATE ROLE " + owner + " LOGIN PASSWORD '" + Password + "'")
}

// launch starts the server's process.
func (s *running) launch() error {
	s.ended = make(chan struct{})
	begun := make(chan error)
	go s.serve(begun)
	return <-begun
}

// passwordFile is made for initdb, by whoever runs the server.
func (s *running) passwordFile() string {
	path := filepath.Join(s.dir, "password")
	// initdb says so where this failed.
	_ = os.WriteFile(path, []byte(Password+"\n"), 0o644)
	return path
}

// serve runs the server until it ends. Its thread is its own: the kernel ends the
// server when the thread that started it ends, which has to be the process.
func (s *running) serve(begun chan<- error) {
	runtime.LockOSThread()
	defer close(s.ended)
	cmd := s.command("postgres", "-D", filepath.Join(s.dir, "data"), "-k", s.dir, "-c", "listen_addresses=", "-c", "max_connections=400",
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "shared_buffers=32MB")
	cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		begun <- err
		return
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		begun <- err
		return
	}
	s.process = cmd.Process
	begun <- nil
	_ = cmd.Wait()
}

// answering waits until the server answers, to a statement that it has to do once.
func (s *running) answering(statement string) error {
	deadline := time.Now().Add(patience)
	for {
		err := s.run("psql", "--quiet", "--no-psqlrc", "--dbname", "postgres", "--command", statement)
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("PostgreSQL ended: %s", log)
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			_ = s.process.Signal(syscall.SIGQUIT)
			return err
		}
	}
}

// run runs one of PostgreSQL's programs against the server.
func (s *running) run(program string, args ...string) error {
	cmd := s.command(program, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, out.Bytes())
	}
	return nil
}

func (s *running) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, program), args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "PGHOST=" + s.dir, "PGUSER=postgres", "PGPASSWORD=" + Password}
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return cmd
}
