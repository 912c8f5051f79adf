// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"microstax/internal/fault"
)

// The files that the server and those who start and stop it share, in the data directory; start.lock and server.log are in the home directory.
const (
	lockName  = "server.lock" // locked by the server for as long as it lives
	startName = "start.lock"  // locked by whoever starts one
	pidName   = "server.pid"  // written by the holder of server.lock: a running
	logName   = "server.log"  // what a server in the background prints
)

// running is what a server says of itself in server.pid. It is true only while server.lock is held, so a process that has
// got the number of a dead server is never taken for it.
type running struct {
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	URL     string    `json:"url"`
	Version string    `json:"version"`
}

// claimed is a data directory that this process serves from.
type claimed struct {
	dir  string
	lock *os.File
}

// claim makes this process the server of a data directory, or says which process is.
func claim(dir string) (*claimed, error) {
	const op = "open data directory"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.E(op, fault.Invalid, err).WithHint("set MICROSTAX_HOME or --data-dir to a folder that you may write to")
	}
	f, held, err := lockFile(filepath.Join(dir, lockName))
	if err != nil {
		return nil, fault.E(op, fault.Unavailable, err)
	}
	if held {
		who := "another server"
		if r, err := readPID(dir); err == nil {
			who = fmt.Sprintf("the server with process id %d, at %s,", r.PID, r.URL)
		}
		return nil, fault.Errorf(op, fault.Conflict, "%s uses %s already", who, dir).
			WithHint("use that one, stop it with: microstax server stop, or give another --data-dir")
	}
	return &claimed{dir: dir, lock: f}, nil
}

// announce writes server.pid.
func (c *claimed) announce(r running) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode %s: %w", pidName, err)
	}
	tmp := filepath.Join(c.dir, pidName+".new")
	if err := os.WriteFile(tmp, raw, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", pidName, err)
	}
	if err := os.Rename(tmp, filepath.Join(c.dir, pidName)); err != nil { // so that nobody reads half of it
		return fmt.Errorf("write %s: %w", pidName, err)
	}
	return nil
}

// release gives the folder up.
func (c *claimed) release() error {
	return errors.Join(os.Remove(filepath.Join(c.dir, pidName)), c.lock.Close())
}

func readPID(dir string) (running, error) {
	var r running
	raw, err := os.ReadFile(filepath.Join(dir, pidName))
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(raw, &r)
}

// findServer finds the server of a data directory; ok is false when there is none.
func findServer(dir string) (r running, ok bool, err error) {
	if _, err := os.Stat(filepath.Join(dir, lockName)); errors.Is(err, fs.ErrNotExist) {
		return r, false, nil
	}
	f, held, err := lockFile(filepath.Join(dir, lockName))
	if err != nil {
		return r, false, fault.E("find server", fault.Unavailable, err)
	}
	if !held {
		return r, false, f.Close()
	}
	r, err = readPID(dir)
	if err != nil {
		return r, false, fault.Errorf("find server", fault.Unavailable, "a server holds %s, and says nothing about itself: %w", dir, err).
			WithHint("try again in a moment: it may be starting")
	}
	return r, true, nil
}
