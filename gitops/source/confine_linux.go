package source

import (
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// keepApart starts a child in namespaces of its own, where that is asked for: it has no
// network to be in, and shares no memory with others.
func keepApart(cmd *exec.Cmd, apart bool) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if apart {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC
	}
}

// landlockNet is the version of landlock that knows of networks.
const landlockNet = 4

// confine takes from this process what a child does not need, for good, and says in words
// which of the means the kernel does not have.
func confine() []string {
	var missing []string
	version, err := ll.LandlockGetABIVersion()
	switch {
	case err != nil || version < 1:
		missing = append(missing, "landlock")
	case version < landlockNet:
		missing = append(missing, fmt.Sprintf("landlock for networks (its version is %d)", version))
	}
	if err := landlock.V6.BestEffort().Restrict(); err != nil {
		missing = append(missing, "landlock: "+err.Error())
	}
	if err := limit(); err != nil {
		missing = append(missing, "resource limits: "+err.Error())
	}
	if err := filterCalls(); err != nil {
		missing = append(missing, "a filter of system calls: "+err.Error())
	}
	return missing
}

// limit bounds what the kernel counts. What is mapped is not bounded where the race
// detector runs, which maps many times what it uses.
func limit() error {
	limits := map[int]uint64{
		unix.RLIMIT_CPU: cpuSeconds, unix.RLIMIT_FSIZE: 0, unix.RLIMIT_CORE: 0, unix.RLIMIT_NOFILE: 32, unix.RLIMIT_MEMLOCK: 0,
	}
	if !racing {
		limits[unix.RLIMIT_DATA] = 2 * maxMemory
	}
	for which, most := range limits {
		if err := unix.Setrlimit(which, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return fmt.Errorf("resource %d: %w", which, err)
		}
	}
	return nil
}

// refusedCalls are the system calls by which a process reaches others, the network or
// another program.
var refusedCalls = []uint32{
	unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_PTRACE,
	unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_IO_URING_SETUP, unix.SYS_BPF, unix.SYS_MOUNT, unix.SYS_UNSHARE,
	unix.SYS_SETNS, unix.SYS_PIDFD_GETFD, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_PERF_EVENT_OPEN,
	unix.SYS_USERFAULTFD, unix.SYS_SHMGET, unix.SYS_MEMFD_CREATE,
}

// architectures are what the kernel calls the ones that idp is built for.
var architectures = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}

// The offsets in struct seccomp_data (seccomp(2)), and where numbers of another ABI of
// amd64 begin (x32).
const (
	offsetCall, offsetArchitecture = 0, 4
	foreignCalls                   = 0x40000000
)

// filterCalls has the kernel refuse refusedCalls to every thread of the process.
func filterCalls() error {
	architecture, ok := architectures[runtime.GOARCH]
	if !ok {
		return fmt.Errorf("not known for %s", runtime.GOARCH)
	}
	refuse := uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.EPERM)
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	give := func(what uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: what} }
	program := []unix.SockFilter{
		load(offsetArchitecture),
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: architecture, Jt: 1},
		give(unix.SECCOMP_RET_KILL_PROCESS),
		load(offsetCall),
		{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: foreignCalls, Jf: 1},
		give(refuse),
	}
	for _, call := range refusedCalls {
		program = append(program, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1}, give(refuse))
	}
	program = append(program, give(unix.SECCOMP_RET_ALLOW))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up new privileges: %w", err)
	}
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&filter)))
	if errno != 0 {
		return fmt.Errorf("set it: %w", errno)
	}
	return nil
}
