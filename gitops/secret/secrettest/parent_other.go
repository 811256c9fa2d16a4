//go:build !linux

package secrettest

import "syscall"

// endsWithParent is for Linux alone: elsewhere the child ends by the signals it is sent.
func endsWithParent() *syscall.SysProcAttr { return nil }
