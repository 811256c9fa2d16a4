//go:build !unix

package gitexec

import (
	"os"
	"os/exec"
)

func ownGroup(*exec.Cmd) {}

func killGroup(*exec.Cmd) {}

// Lock does nothing where there is no flock.
func Lock(*os.File) error { return nil }

// Unlock does nothing where there is no flock.
func Unlock(*os.File) error { return nil }
