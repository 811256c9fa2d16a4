package clustertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// readyTimeout is how long a part may take until it answers.
	readyTimeout = 2 * time.Minute
	// stopTimeout is how long a process may take to end before it is killed.
	stopTimeout = 5 * time.Second
	// askEvery is how often a part that is coming up is asked.
	askEvery = 100 * time.Millisecond
)

// part is a program of the cluster: how it is started and when it is up.
type part struct {
	name, program string
	env, args     []string
	// ready is no error once it is up; down says that it is not, in words.
	ready func(context.Context) error
	down  string
}

// process is a part that runs beside this program.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	// ended is closed when it has ended, with err.
	ended chan struct{}
	err   error
}

// start starts a part for the first time and waits until it is up.
func (c *Cluster) start(ctx context.Context, p part) error {
	c.running.Lock()
	c.parts = append(c.parts, p)
	c.running.Unlock()
	return c.StartPart(ctx, p.name)
}

// StartPart starts a part again that StopPart stopped, and waits until it is up.
func (c *Cluster) StartPart(ctx context.Context, name string) error {
	c.running.Lock()
	at := slices.IndexFunc(c.parts, func(p part) bool { return p.name == name })
	if at < 0 {
		c.running.Unlock()
		return fmt.Errorf("start %s: the cluster has no such part", name)
	}
	p := c.parts[at]
	started, err := c.run(p)
	if err == nil {
		c.processes = append(c.processes, started)
	}
	c.running.Unlock()
	if err != nil {
		return err
	}
	return c.await(ctx, p.down, p.ready)
}

// StopPart stops a part, as it is stopped where somebody updates it. The others go on.
func (c *Cluster) StopPart(name string) error {
	c.running.Lock()
	defer c.running.Unlock()
	at := slices.IndexFunc(c.processes, func(p *process) bool { return p.name == name })
	if at < 0 {
		return fmt.Errorf("stop %s: it does not run", name)
	}
	stopped := c.processes[at]
	c.processes = slices.Delete(c.processes, at, at+1)
	return stopped.stop()
}

// run starts a program of the cluster. Its log file goes on where it was started before.
func (c *Cluster) run(of part) (*process, error) {
	p := &process{name: of.name, log: c.path(of.name + ".log"), ended: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", of.name, err)
	}
	defer log.Close() // the process has its own
	p.cmd = exec.Command(of.program, of.args...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = c.dir, log, log
	p.cmd.Env = append([]string{"HOME=" + c.dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + c.dir}, of.env...)
	// A group of its own, so that a Ctrl-C at the terminal is ours to act on; and no
	// life without us.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go p.live(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", of.name, err)
	}
	return p, nil
}

// live starts the process and waits for its end, on one thread for all its life:
// the kernel ties a child to the thread that made it.
func (p *process) live(started chan<- error) {
	runtime.LockOSThread()
	if err := p.cmd.Start(); err != nil {
		started <- err
		return
	}
	started <- nil
	p.err = p.cmd.Wait()
	close(p.ended)
}

// stop asks the process to end, and ends it where it does not.
func (p *process) stop() error {
	group := -p.cmd.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM) // it may have ended by itself
	select {
	case <-p.ended:
	case <-time.After(stopTimeout):
		_ = syscall.Kill(group, syscall.SIGKILL)
		<-p.ended
	}
	// What it started itself, should it have left any of it.
	if err := syscall.Kill(group, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) && !errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	return nil
}

// lastLines is the end of the process' log.
func (p *process) lastLines() string {
	const most = 12
	content, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}

// await asks until the answer is no error. A process that ends meanwhile is the
// reason why there is none.
func (c *Cluster) await(ctx context.Context, what string, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		running := c.snapshot()
		for _, p := range running {
			select {
			case <-p.ended:
				return fmt.Errorf("%s has ended (%v); its last lines:\n%s", p.name, p.err, p.lastLines())
			default:
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) || len(running) == 0 {
				return fmt.Errorf("%s: %w", what, ctx.Err()) // somebody has given up, and knows why
			}
			last := running[len(running)-1]
			return fmt.Errorf("%s: %w; the last lines of %s:\n%s", what, errors.Join(err, ctx.Err()), last.name, last.lastLines())
		}
	}
}

// snapshot is what runs now, in the order of its start.
func (c *Cluster) snapshot() []*process {
	c.running.Lock()
	defer c.running.Unlock()
	return slices.Clone(c.processes)
}

// answers asks a URL and wants 200.
func answers(client *http.Client, url string) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answered %s", url, resp.Status)
		}
		return nil
	}
}

// listens wants somebody at a loopback port.
func listens(port int) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address(port))
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// Ports are taken from below those that systems give to connections and to whoever
// asks for any (32768 and up): by the time that a part listens, nobody has taken its
// port.
const firstPort, lastPort = 14000, 32000

// freePorts finds a free port for every part. All are held until the last is
// found, so that none is given out twice.
func freePorts() (found ports, err error) {
	for i := range found {
		l, port, err := freePort()
		if err != nil {
			return found, err
		}
		defer l.Close() // it never had a connection
		found[i] = port
	}
	return found, nil
}

// freePort listens on a port that nobody else does.
func freePort() (l net.Listener, port int, err error) {
	const tries = 100
	for range tries {
		port = firstPort + rand.IntN(lastPort-firstPort)
		if l, err = net.Listen("tcp", address(port)); err == nil {
			return l, port, nil
		}
	}
	return nil, 0, fmt.Errorf("find a free port: %w", err)
}

// debian are the programs that Debian brings, and the packages that they are in.
var debian = []struct{ program, pkg string }{
	{"git", "git"}, {"redis-server", "redis-server"}, {"prometheus", "prometheus"},
}

// missing names everything that the machine lacks, with the command that installs it:
// before anything is built, which takes long.
func missing(look func(string) (string, error)) error {
	var programs, packages []string
	for _, d := range debian {
		if _, err := look(d.program); err != nil {
			programs, packages = append(programs, d.program), append(packages, d.pkg)
		}
	}
	if len(programs) == 0 {
		return nil
	}
	return fmt.Errorf("not on this machine: %s; on Debian: apt-get update && apt-get install -y --no-install-recommends %s",
		strings.Join(programs, ", "), strings.Join(packages, " "))
}
