package load

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// resident is the memory of a process that is in RAM, in MB.
func resident(pid int) (Figure, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Figure{}, fmt.Errorf("read the memory of a process: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmRSS:" {
			kilobytes, err := strconv.ParseFloat(fields[1], 64)
			return Figure{kilobytes / 1024, "MB"}, err
		}
	}
	return Figure{}, fmt.Errorf("read the memory of a process: process %d tells none", pid)
}

// ticks is how many parts of a second Linux counts a process's time in; see proc_pid_stat(5).
const ticks = 100

// cpu is the time that a process has had, its children's that have ended included.
func cpu(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read the time of a process: %w", err)
	}
	// The name may hold blanks; what follows it begins with the state, the third field.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 15 {
		return 0, fmt.Errorf("read the time of a process: unexpected %q", stat)
	}
	var sum int64
	for _, field := range fields[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read the time of a process: %w", err)
		}
		sum += n
	}
	return time.Duration(sum) * time.Second / ticks, nil
}
