package load

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what was measured, and where.
type Report struct {
	Machine Machine
	Began   time.Time
	Took    time.Duration
	Sizes   Sizes
	Rows    []Row
}

// Machine is what it was measured on.
type Machine struct {
	Processor, System, Memory, Go, Git, Commit string
	Cores                                      int
}

func newReport(sizes Sizes) *Report {
	return &Report{Machine: thisMachine(), Began: time.Now(), Sizes: sizes}
}

// thisMachine describes this one, as far as it tells.
func thisMachine() Machine {
	m := Machine{Cores: runtime.NumCPU(), Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	m.Processor = fieldOf("/proc/cpuinfo", "model name")
	m.Memory = fieldOf("/proc/meminfo", "MemTotal")
	if version, err := exec.Command("git", "--version").Output(); err == nil {
		m.Git = strings.TrimSpace(strings.TrimPrefix(string(version), "git version "))
	}
	if kernel, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.System += ", Linux " + strings.TrimSpace(string(kernel))
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				m.Commit = s.Value
			}
		}
	}
	return m
}

// fieldOf reads "name : value" of a file of Linux's; "unknown" where there is none.
func fieldOf(path, name string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(content)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// Missing are the works among only, all of them where that is empty, that no row is of.
func (r *Report) Missing(only []string) (missing []string) {
	seen := map[string]bool{}
	for _, row := range r.Rows {
		seen[row.Work] = true
	}
	if len(only) == 0 {
		only = Names()
	}
	for _, name := range only {
		if !seen[name] {
			missing = append(missing, name)
		}
	}
	return missing
}

// cells are a row's, as people read it.
func (row Row) cells() []string {
	dash := func(s string) string {
		if s == "" {
			return "–"
		}
		return s
	}
	ratio, verdict := "", ""
	if row.Ratio > 0 {
		ratio = Figure{row.Ratio, ""}.String() + "×"
	}
	if row.Target != "" {
		verdict = "not met"
		if row.Met {
			verdict = "met"
		}
	}
	return []string{row.Work, row.What, dash(row.Measured), dash(row.Floor), dash(ratio), dash(row.Target), dash(verdict)}
}

var header = []string{"work", "what", "measured", "floor", "ratio", "target", ""}

// JSON prints the report for programs.
func (r *Report) JSON(to io.Writer) error {
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// Table prints the report for people.
func (r *Report) Table(to io.Writer) error {
	out := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, strings.ToUpper(strings.Join(header, "\t")))
	for _, row := range r.Rows {
		fmt.Fprintln(out, strings.Join(row.cells(), "\t"))
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	_, err := fmt.Fprintf(to, "\n%s\n", r.Machine)
	return err
}

// String says what it is in a line.
func (m Machine) String() string {
	return fmt.Sprintf("%d cores of %s, %s, %s; %s, git %s", m.Cores, m.Processor, m.Memory, m.System, m.Go, m.Git)
}
