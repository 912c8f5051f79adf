// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// remainsGrace is how long processes have that outlive their instance's main process.
	remainsGrace = time.Second
	// stuckAfter is how long processes may survive SIGKILL (in an uninterruptible wait) before that is an error.
	stuckAfter = 5 * time.Second
	// lookEvery is how often /proc is read while processes end: first the former, then slower up to the latter.
	lookEvery, lookEveryAtMost = 2 * time.Millisecond, 100 * time.Millisecond
)

// family is all that belongs to an instance.
type family struct {
	leader  int            // process number and session of the main process; 0 when it is not to be used any more
	started uint64         // of the leader: nothing of the family is older
	mark    string         // what the mark in the environment begins with
	known   map[int]uint64 // start times of members seen: they stay members when what showed it is gone
}

// members finds the family's living processes, the leader first, and remembers them.
func (f *family) members() ([]stat, error) {
	all, err := readAll()
	if err != nil {
		return nil, err
	}
	self := os.Getpid()
	in := make(map[int]bool)
	for _, s := range all {
		switch {
		case s.pid == self || s.started < f.started:
		case f.known[s.pid] == s.started:
			in[s.pid] = true
		case f.leader > 0 && (s.session == f.leader || s.pid == f.leader):
			in[s.pid] = true
		case strings.HasPrefix(readMark(s.pid), f.mark):
			in[s.pid] = true
		}
	}
	for grown := true; grown; { // children of members, at any depth
		grown = false
		for _, s := range all {
			if in[s.parent] && !in[s.pid] && s.pid != self {
				in[s.pid], grown = true, true
			}
		}
	}
	var out []stat
	for _, s := range all {
		if !in[s.pid] || s.dead() {
			continue
		}
		out = append(out, s)
		f.known[s.pid] = s.started
		if s.pid == f.leader {
			out[0], out[len(out)-1] = out[len(out)-1], out[0]
		}
	}
	return out, nil
}

// signal sends a signal to each process, never to another that took over its number.
func signal(to []stat, sig unix.Signal) {
	for _, s := range to {
		signalOne(s, sig)
		if s.state == 'T' && sig != unix.SIGKILL {
			signalOne(s, unix.SIGCONT) // a stopped process takes no signal before it goes on
		}
	}
}

func signalOne(s stat, sig unix.Signal) {
	fd, err := unix.PidfdOpen(s.pid, 0)
	if err == nil {
		defer unix.Close(fd) //nolint:errcheck // nothing was written
	} else if errors.Is(err, unix.ESRCH) {
		return
	}
	if now, serr := readStat(s.pid); serr != nil || now.started != s.started {
		return
	}
	// An error means that it is gone, or not ours to signal; the next look at /proc tells.
	if err == nil {
		_ = unix.PidfdSendSignal(fd, sig, nil, 0)
	} else {
		_ = unix.Kill(s.pid, sig)
	}
}

// ending is how a family is brought to its end.
type ending struct {
	grace time.Duration
	force <-chan struct{}     // closes when waiting is over
	quit  <-chan struct{}     // closes when nobody is interested any more
	wake  <-chan struct{}     // closes when it is worth looking at once
	stuck func(remain []stat) // called once when SIGKILL has not helped for stuckAfter
	fail  func(doing error)   // told once when /proc cannot be read
}

// end asks everybody to end, then makes them. It returns true when nobody is left, false when quit closed before.
func (f family) end(e ending) bool {
	f.known = make(map[int]uint64)
	grace := time.NewTimer(e.grace)
	defer grace.Stop()
	look := time.NewTimer(0)
	defer look.Stop()
	var told, forced, empty bool
	pause, killing := lookEvery, time.Duration(0)
	for {
		left, err := f.members()
		switch {
		case err != nil:
			e.report(err)
		case len(left) == 0 && empty:
			return true
		case len(left) == 0:
			empty = true // /proc is no snapshot: a child may have been missed whose parent ended just then
			continue
		case forced:
			signal(left, unix.SIGKILL)
		case !told:
			signal(left, unix.SIGTERM)
			told = true
		}
		empty = false
		if forced {
			killing += pause
			e.complain(left, killing)
		}
		look.Reset(pause)
		pause = min(pause*3/2, lookEveryAtMost)
		select {
		case <-look.C:
		case <-e.wake:
			e.wake = nil
		case <-grace.C:
			forced, pause = true, lookEvery
		case <-e.force:
			e.force, forced, pause = nil, true, lookEvery
		case <-e.quit:
			return false
		}
	}
}

// report passes the first error on.
func (e *ending) report(err error) {
	if e.fail != nil {
		e.fail(err)
		e.fail = nil
	}
}

// complain says once that killing has gone on for too long.
func (e *ending) complain(left []stat, killing time.Duration) {
	if killing >= stuckAfter && e.stuck != nil {
		e.stuck(left)
		e.stuck = nil
	}
}
