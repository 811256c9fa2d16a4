package campaign

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// replica is one "idp serve": the real program, started again and again in one place.
type replica struct {
	name, program string
	env           []string
	// log is the file that all its lives write to; begins is told of each.
	log    string
	begins func(life string)

	mu      sync.Mutex
	lives   int
	cmd     *exec.Cmd
	ended   chan struct{}
	stopped bool
	// webhooks and metrics are where the present life serves, "" while none does.
	webhooks, metrics string
	// last are the newest lines of its log.
	last []string
}

// serving is the log line of an idp that serves.
type serving struct{ Webhooks, Metrics string }

// start starts the program and returns once it serves.
func (r *replica) start(ctx context.Context) error {
	log, err := os.OpenFile(r.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.Command(r.program, "serve")
	cmd.Env = r.env
	pipe, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", r.name, err)
	}
	serves, ended := make(chan serving, 1), make(chan struct{})
	r.mu.Lock()
	r.cmd, r.ended, r.stopped = cmd, ended, false
	r.lives++
	life := fmt.Sprintf("%s, life %d", r.name, r.lives)
	r.mu.Unlock()
	r.begins(life)
	go func() {
		defer close(ended)
		defer log.Close()
		r.follow(pipe, log, serves)
		_ = cmd.Wait() // how it ended is what whoever ended it knows
		r.mu.Lock()
		r.webhooks, r.metrics = "", ""
		r.mu.Unlock()
	}()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case at := <-serves:
		r.mu.Lock()
		r.webhooks, r.metrics = at.Webhooks, at.Metrics
		r.mu.Unlock()
		return nil
	case <-ended:
		return &refusedToStart{r.name, cmd.ProcessState.ExitCode(), r.tail(8)}
	case <-ctx.Done():
		r.kill()
		return fmt.Errorf("%s does not serve: %w; it says\n%s", r.name, ctx.Err(), r.tail(20))
	}
}

// refusedToStart is the error of a program that ended before it served.
type refusedToStart struct {
	name   string
	status int
	says   string
}

func (e *refusedToStart) Error() string {
	return fmt.Sprintf("%s ended with status %d before it served; it says\n%s", e.name, e.status, e.says)
}

// follow copies what the program logs until it ends, and hears where it serves.
func (r *replica) follow(from io.Reader, to io.Writer, serves chan<- serving) {
	const kept = 400
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			_, _ = io.WriteString(to, line) // what is lost of a log is no finding
			r.mu.Lock()
			r.last = append(r.last, strings.TrimSuffix(line, "\n"))
			r.last = r.last[max(0, len(r.last)-kept):]
			r.mu.Unlock()
		}
		var at serving
		if json.Unmarshal([]byte(line), &at) == nil && at.Webhooks != "" {
			select {
			case serves <- at:
			default:
			}
		}
		if err != nil {
			return
		}
	}
}

// tail is the newest lines of the log.
func (r *replica) tail(n int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.last[max(0, len(r.last)-n):], "\n")
}

// forget empties what tail returns.
func (r *replica) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = nil
}

// address is where webhooks go, "" while it does not serve.
func (r *replica) address() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.webhooks
}

// scrape is where metrics are.
func (r *replica) scrape() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.metrics
}

// kill is "kill -9", and waits for the end. It says whether there was a life to end.
func (r *replica) kill() bool {
	return r.end(syscall.SIGKILL)
}

// strike is kill without waiting, for whoever the program waits for.
func (r *replica) strike() { r.signal(syscall.SIGKILL) }

// terminate is SIGTERM, and waits for the end.
func (r *replica) terminate() bool { return r.end(syscall.SIGTERM) }

func (r *replica) end(with syscall.Signal) bool {
	r.mu.Lock()
	cmd, ended := r.cmd, r.ended
	r.mu.Unlock()
	if cmd == nil {
		return false
	}
	select {
	case <-ended:
		return false
	default:
	}
	_ = cmd.Process.Signal(with) // it may have ended just now
	select {
	case <-ended:
	case <-time.After(patience):
		_ = cmd.Process.Kill()
		<-ended
	}
	return true
}

// pause is SIGSTOP, resume SIGCONT.
func (r *replica) pause() {
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	r.signal(syscall.SIGSTOP)
}

func (r *replica) resume() {
	r.signal(syscall.SIGCONT)
	r.mu.Lock()
	r.stopped = false
	r.mu.Unlock()
}

func (r *replica) signal(s syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd != nil {
		_ = r.cmd.Process.Signal(s) // it may have ended
	}
}

// run runs another of the program's commands to its end and returns what it prints.
func (r *replica) run(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.program, args...)
	cmd.Env = r.env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("idp %s: %w: %s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return out, nil
}
