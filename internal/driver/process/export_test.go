// SPDX-License-Identifier: Apache-2.0

package process

import "errors"

// ForbidPidfd makes the driver do without pidfd, as on an old kernel.
func (d *Driver) ForbidPidfd() {
	d.pidfd = func(int) (int, error) { return -1, errors.New("forbidden by the test") }
}

// The names and functions that tests look at from outside.
var (
	BoundLog  = boundLog
	OlderName = olderName
	ParseStat = func(b []byte) (pid, parent, session int, started uint64, dead bool, err error) {
		s, err := parseStat(b)
		return s.pid, s.parent, s.session, s.started, s.dead(), err
	}
)

// LogPath is where the instance with that path logs to.
func (d *Driver) LogPath(path string) string { return d.logPath(path) }

// Alive says whether that very process still runs.
func Alive(pid int, started uint64) bool {
	s, err := readStat(pid)
	return err == nil && s.started == started && !s.dead()
}

// StartedAt is the start time by which Alive knows a process.
func StartedAt(pid int) (uint64, error) {
	s, err := readStat(pid)
	return s.started, err
}
