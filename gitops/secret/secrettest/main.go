package secrettest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// childVariable says to the test binary that somebody searches what it prints.
const childVariable = "IDP_TEST_SEARCHED"

// grace is how long what the tests started may hold on to the output once they ended.
const grace = 10 * time.Second

// Main is what TestMain exits with. It runs the tests in a process of their own, so that
// what they print is searched even where they end in a crash, and shows it as it comes. It
// fails where a secret was told anywhere, and says where.
//
//	func TestMain(m *testing.M) { os.Exit(secrettest.Main(m)) }
func Main(m interface{ Run() int }) int {
	if os.Getenv(childVariable) != "" {
		return status(m.Run(), os.Stdout, os.Stderr)
	}
	var printed findings
	stdout := &stream{search: everywhere(), where: "what the tests print", to: os.Stdout, leak: printed.add}
	var stderr io.Writer = stdout // as one, what is written keeps its order
	if !sameFile(os.Stdout, os.Stderr) {
		stderr = &stream{search: everywhere(), where: "what the tests print as errors", to: os.Stderr, leak: printed.add}
	}
	code := again(stdout, stderr)
	return max(code, printed.show(os.Stderr))
}

// status is what became of the tests, once everything that was found is shown; what was
// searched is told beside.
func status(tests int, out, errs io.Writer) int {
	if c := Searched(); c != (Counts{}) {
		fmt.Fprintln(out, c)
	}
	return max(tests, told.show(errs))
}

// again runs this very binary, its tests this time, and returns its exit status.
func again(stdout, stderr io.Writer) int {
	runtime.LockOSThread() // Linux ends the child when this thread ends
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "run the tests:", err)
		return 2
	}
	child := exec.Command(self, os.Args[1:]...)
	child.Args[0] = os.Args[0]
	child.Env = append(os.Environ(), childVariable+"=1")
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, stdout, stderr
	child.SysProcAttr = endsWithParent()
	child.WaitDelay = grace
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	if err := child.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "run the tests:", err)
		return 2
	}
	go func() {
		for s := range signals {
			_ = child.Process.Signal(s) // it may have ended
		}
	}()
	err = child.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		fmt.Fprint(os.Stderr, ended(exit))
		return max(exit.ExitCode(), 1)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "run the tests:", err)
		return 1
	}
	return 0
}

// ended says which signal ended the tests, where one did: the exit status cannot.
func ended(exit *exec.ExitError) string {
	if exit.Exited() {
		return ""
	}
	return fmt.Sprintf("the tests ended: %s\n", exit)
}

func sameFile(a, b *os.File) bool {
	one, err := a.Stat()
	other, err2 := b.Stat()
	return err == nil && err2 == nil && os.SameFile(one, other)
}

// findings are where secrets were told.
type findings struct {
	mu    sync.Mutex
	lines []string
}

func (f *findings) add(line string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Contains(f.lines, line) {
		f.lines = append(f.lines, line)
	}
}

// show says where, and returns 1 where there was something to say.
func (f *findings) show(to io.Writer) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.lines) == 0 {
		return 0
	}
	fmt.Fprintln(to, strings.Join(f.lines, "\n"))
	return 1
}

// told is what was found while the tests ran.
var told findings

func leak(finding string) { told.add(finding) }

// count counts what was searched.
var count struct{ folders, files, objects, databases, logs, requests atomic.Int64 }

// Counts are how much was searched: folders with their files and the objects of their Git
// repositories, PostgreSQL databases, logs, and requests to peers with what is answered.
type Counts struct{ Folders, Files, Objects, Databases, Logs, Requests int64 }

// Searched returns how much this process has searched until now.
func Searched() Counts {
	return Counts{
		count.folders.Load(), count.files.Load(), count.objects.Load(), count.databases.Load(), count.logs.Load(), count.requests.Load(),
	}
}

// countsFormat is a line that a test binary ends with.
const countsFormat = "searched for secrets: %d folders, %d files, %d Git objects, %d databases, %d logs, %d requests and answers"

// String is the line that ParseCounts reads.
func (c Counts) String() string {
	return fmt.Sprintf(countsFormat, c.Folders, c.Files, c.Objects, c.Databases, c.Logs, c.Requests)
}

// ParseCounts reads a line of what a test binary prints; ok says that it is one of counts.
func ParseCounts(line string) (c Counts, ok bool) {
	_, err := fmt.Sscanf(line, countsFormat, &c.Folders, &c.Files, &c.Objects, &c.Databases, &c.Logs, &c.Requests)
	return c, err == nil
}

// Add returns both together.
func (c Counts) Add(o Counts) Counts {
	return Counts{
		c.Folders + o.Folders, c.Files + o.Files, c.Objects + o.Objects, c.Databases + o.Databases, c.Logs + o.Logs, c.Requests + o.Requests,
	}
}
