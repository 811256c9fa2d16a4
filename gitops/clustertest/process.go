package clustertest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
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

// process is a program that runs beside this one.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	// ended is closed when it has ended, with err.
	ended chan struct{}
	err   error
}

// run starts a program of the cluster, with a log file of its own.
func (c *Cluster) run(name, program string, env []string, args ...string) error {
	p := &process{name: name, log: c.path(name + ".log"), ended: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	defer log.Close() // the process has its own
	p.cmd = exec.Command(program, args...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = c.dir, log, log
	p.cmd.Env = append([]string{"HOME=" + c.dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + c.dir}, env...)
	// A group of its own, so that a Ctrl-C at the terminal is ours to act on; and no
	// life without us.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go p.live(started)
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	c.processes = append(c.processes, p)
	return nil
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
		for _, p := range c.processes {
			select {
			case <-p.ended:
				return fmt.Errorf("%s has ended (%v); its last lines:\n%s", p.name, p.err, p.lastLines())
			default:
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			last := c.processes[len(c.processes)-1]
			return fmt.Errorf("%s: %w; the last lines of %s:\n%s", what, errors.Join(err, ctx.Err()), last.name, last.lastLines())
		}
	}
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

// freePorts finds a free port for every part. All are held until the last is
// found, so that none is given out twice.
func freePorts() (found ports, err error) {
	for i := range found {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return found, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close() // it never had a connection
		found[i] = l.Addr().(*net.TCPAddr).Port
	}
	return found, nil
}

// programMissing says how to get a program of the distribution.
func programMissing(program, pkg string) error {
	return fmt.Errorf("%s is missing: apt-get update && apt-get install -y %s", program, pkg)
}

// look finds a program that Debian brings.
func look(program, pkg string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return "", programMissing(program, pkg)
	}
	return path, nil
}
