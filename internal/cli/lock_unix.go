// SPDX-License-Identifier: Apache-2.0

//go:build unix

package cli

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// lockFile takes an exclusive lock on a file for as long as the returned file is open. It is the kernel's, so it ends with
// the process that holds it, however that ends. held says that somebody else has it.
func lockFile(path string) (f *os.File, held bool, err error) {
	f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, false, fmt.Errorf("open lock: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return f, false, nil
	}
	f.Close() //nolint:errcheck // nothing was written
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, true, nil
	}
	return nil, false, fmt.Errorf("lock %s: %w", path, err)
}

// detach makes a command outlive this process and its terminal.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// exited says how a child of ours has ended, and "" while it runs. It does not wait.
func exited(pid int) string {
	var ws unix.WaitStatus
	got, err := unix.Wait4(pid, &ws, unix.WNOHANG, nil)
	switch {
	case err != nil:
		return "it is gone"
	case got == 0:
		return ""
	case ws.Signaled():
		return "it was ended by signal " + ws.Signal().String()
	}
	return fmt.Sprintf("it ended with exit code %d", ws.ExitStatus())
}

// terminate asks a process to end in order.
func terminate(pid int) error {
	if err := unix.Kill(pid, unix.SIGTERM); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signal process %d: %w", pid, err)
	}
	return nil
}

// openFiles is how many files this process may have open.
func openFiles() (uint64, error) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 0, fmt.Errorf("read limit of open files: %w", err)
	}
	return uint64(r.Cur), nil //nolint:unconvert // signed on some systems
}
