package secrettest

import "syscall"

// endsWithParent has the kernel end the child when the thread that started it does.
func endsWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
