// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Log files: Dir/logs/environment/service-role-replica.log, written by the instance itself through a descriptor in
// append mode. When one is beyond its bound it is copied to the same name with .1 (replacing what was there) and cut to
// nothing; the instance goes on at its new end. What an instance writes between the last read of the copy and the cut, a
// matter of microseconds, is lost: that is the price of a log that needs no server to be written.
//
// The copy takes its name before the file is cut. A reader can rely on that: while .1 is the same file, nothing was cut.

// logPath is where the instance of that path logs to.
func (d *Driver) logPath(path string) string {
	env, rest, _ := strings.Cut(path, "/")
	return filepath.Join(d.dir, "logs", env, strings.ReplaceAll(rest, "/", "-")+".log")
}

// olderName is what was written before the log was cut.
func olderName(log string) string { return log + ".1" }

// copyName is the copy while it is made.
func copyName(log string) string { return log + ".copy" }

// openLog opens a log for an instance to append to, within its bound.
func openLog(path string, bound int64) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("create log folder: %w", err)
	}
	if err := boundLog(path, bound); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return f, nil
}

// boundLog cuts a log that is beyond its bound. A missing one is within it.
func boundLog(path string, bound int64) error {
	info, err := os.Stat(path)
	if os.IsNotExist(err) || err == nil && info.Size() <= bound {
		return nil
	}
	if err != nil {
		return fmt.Errorf("bound log: %w", err)
	}
	if err := copyLog(path); err != nil {
		return fmt.Errorf("bound log: %w", err)
	}
	return nil
}

// copyLog moves a log's content to .1.
func copyLog(path string) error {
	from, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer from.Close() //nolint:errcheck // only cut, and that is checked
	to, err := os.OpenFile(copyName(path), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if err == nil {
		err = os.Rename(copyName(path), olderName(path))
	}
	if err == nil {
		_, err = io.Copy(to, from) // what came meanwhile
	}
	if err == nil {
		err = from.Truncate(0)
	}
	if cerr := to.Close(); err == nil {
		err = cerr
	}
	return err
}
