// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"microstax/internal/fault"
)

// acquire takes the lock file of a data directory. The kernel gives the lock back when the process ends, however it
// ends; the file's content, the holder's process id, is only for the message.
func acquire(path string) (*os.File, error) {
	const op = "lock data directory"
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the path is the operator's own choice
	if err != nil {
		return nil, fault.E(op, fault.Unavailable, err).WithHint("check the owner and the permissions of the data directory")
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		e := fault.Errorf(op, fault.Conflict, "%s is held by another server%s", path, holder(f))
		return nil, errors.Join(e.WithHint("use the server that runs (microstax server status), stop it (microstax server stop), or give this one a data directory of its own"), f.Close())
	case err != nil:
		e := fault.E(op, fault.Unavailable, fmt.Errorf("lock %s: %w", path, err))
		return nil, errors.Join(e.WithHint("keep the data directory on a local disk: this file system cannot lock files"), f.Close())
	}
	if err := write(f, strconv.Itoa(os.Getpid())+"\n"); err != nil {
		return nil, errors.Join(fault.E(op, fault.Unavailable, err).WithHint("free some space on the disk of the data directory"), f.Close())
	}
	return f, nil
}

func write(f *os.File, s string) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(s), 0)
	return err
}

func holder(f *os.File) string {
	b, err := io.ReadAll(io.LimitReader(f, 20))
	pid := strings.TrimSpace(string(b))
	if err != nil || pid == "" {
		return ""
	}
	return " (process " + pid + ")"
}

// release leaves the file where it is: removing it would let two servers lock two files of one name.
func release(f *os.File) error { return f.Close() }
