package stage

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

// Program is one "idp serve": the real program, started again and again in one place.
type Program struct {
	// Name is what it is called, Path its binary, and Env its whole environment.
	Name, Path string
	Env        []string
	// Log is the file that all its lives write to; Begins, when set, is told of each.
	Log    string
	Begins func(life string)

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

// Start starts the program and returns once it serves.
func (p *Program) Start(ctx context.Context) error {
	log, err := os.OpenFile(p.Log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.Command(p.Path, "serve")
	cmd.Env = p.Env
	pipe, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	serves, ended := make(chan serving, 1), make(chan struct{})
	p.mu.Lock()
	p.cmd, p.ended, p.stopped = cmd, ended, false
	p.lives++
	life := fmt.Sprintf("%s, life %d", p.Name, p.lives)
	p.mu.Unlock()
	if p.Begins != nil {
		p.Begins(life)
	}
	go func() {
		defer close(ended)
		defer log.Close()
		p.follow(pipe, log, serves)
		_ = cmd.Wait() // how it ended is what whoever ended it knows
		p.mu.Lock()
		p.webhooks, p.metrics = "", ""
		p.mu.Unlock()
	}()
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	select {
	case at := <-serves:
		p.mu.Lock()
		p.webhooks, p.metrics = at.Webhooks, at.Metrics
		p.mu.Unlock()
		return nil
	case <-ended:
		return &RefusedToStart{p.Name, cmd.ProcessState.ExitCode(), p.Tail(8)}
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("%s does not serve: %w; it says\n%s", p.Name, ctx.Err(), p.Tail(20))
	}
}

// RefusedToStart is the error of a program that ended before it served.
type RefusedToStart struct {
	Name   string
	Status int
	// Says are the last lines of its log.
	Says string
}

// Error says with which status it ended, and its last lines.
func (e *RefusedToStart) Error() string {
	return fmt.Sprintf("%s ended with status %d before it served; it says\n%s", e.Name, e.Status, e.Says)
}

// follow copies what the program logs until it ends, and hears where it serves.
func (p *Program) follow(from io.Reader, to io.Writer, serves chan<- serving) {
	const kept = 400
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			_, _ = io.WriteString(to, line) // what is lost of a log is no finding
			p.mu.Lock()
			p.last = append(p.last, strings.TrimSuffix(line, "\n"))
			p.last = p.last[max(0, len(p.last)-kept):]
			p.mu.Unlock()
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

// Tail is the newest lines of the log.
func (p *Program) Tail(n int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.last[max(0, len(p.last)-n):], "\n")
}

// Forget empties what tail returns.
func (p *Program) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = nil
}

// Address is where webhooks go, "" while it does not serve.
func (p *Program) Address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.webhooks
}

// Scrape is where metrics are.
func (p *Program) Scrape() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.metrics
}

// Kill is "kill -9", and waits for the end. It says whether there was a life to end.
func (p *Program) Kill() bool {
	return p.end(syscall.SIGKILL)
}

// Strike is kill without waiting, for whoever the program waits for.
func (p *Program) Strike() { p.signal(syscall.SIGKILL) }

// Terminate is SIGTERM, and waits for the end.
func (p *Program) Terminate() bool { return p.end(syscall.SIGTERM) }

func (p *Program) end(with syscall.Signal) bool {
	p.mu.Lock()
	cmd, ended := p.cmd, p.ended
	p.mu.Unlock()
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
	case <-time.After(Patience):
		_ = cmd.Process.Kill()
		<-ended
	}
	return true
}

// Pause is SIGSTOP.
func (p *Program) Pause() {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	p.signal(syscall.SIGSTOP)
}

// Resume is SIGCONT.
func (p *Program) Resume() {
	p.signal(syscall.SIGCONT)
	p.mu.Lock()
	p.stopped = false
	p.mu.Unlock()
}

func (p *Program) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(s) // it may have ended
	}
}

// Run runs another of the program's commands to its end and returns what it prints.
func (p *Program) Run(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.Path, args...)
	cmd.Env = p.Env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("idp %s: %w: %s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return out, nil
}

// PID is the process id of the present life, 0 before the first.
func (p *Program) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}
