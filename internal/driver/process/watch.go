// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// pollEvery is how often a process is looked at where the kernel has no pidfd (before Linux 5.3, or forbidden).
const pollEvery = 50 * time.Millisecond

// watch tells when a process has ended, also before its parent has collected it.
type watch struct {
	gone chan struct{} // closes then

	file *os.File      // nil when polling
	quit chan struct{} // ends polling
	wg   sync.WaitGroup
}

// openPidfd opens a descriptor that becomes readable when the process ends (pidfd_open(2)).
func openPidfd(pid int) (int, error) { return unix.PidfdOpen(pid, 0) }

// watch begins to watch the process that s is about. Whoever calls has just read s, or not collected it yet.
func (d *Driver) watch(s stat) *watch {
	w := &watch{gone: make(chan struct{}), quit: make(chan struct{})}
	w.wg.Add(1)
	fd, err := d.pidfd(s.pid)
	if err == nil {
		// Non-blocking, the runtime's poller waits for it and no thread is held.
		err = unix.SetNonblock(fd, true)
		w.file = os.NewFile(uintptr(fd), "pidfd")
	}
	// The descriptor could be of a process that took the number over since s was read.
	if now, serr := readStat(s.pid); err != nil || serr != nil || now.started != s.started {
		go w.poll(s)
		return w
	}
	go w.wait(s)
	return w
}

// wait lets the poller wait; it falls back to polling when the descriptor cannot be waited for.
func (w *watch) wait(s stat) {
	conn, err := w.file.SyscallConn()
	if err == nil {
		err = conn.Read(readable)
	}
	switch {
	case err == nil:
		close(w.gone)
		w.wg.Done()
	case errors.Is(err, os.ErrClosed):
		w.wg.Done()
	default:
		w.poll(s)
	}
}

// readable says whether the process has ended.
func readable(fd uintptr) bool {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} //nolint:gosec // descriptors fit
	for {
		n, err := unix.Poll(p, 0)
		if !errors.Is(err, unix.EINTR) {
			return n > 0
		}
	}
}

// poll looks at /proc again and again.
func (w *watch) poll(s stat) {
	defer w.wg.Done()
	t := time.NewTicker(pollEvery)
	defer t.Stop()
	for {
		if now, err := readStat(s.pid); err != nil || now.started != s.started || now.dead() {
			close(w.gone)
			return
		}
		select {
		case <-t.C:
		case <-w.quit:
			return
		}
	}
}

// close ends the watch and waits for its goroutine.
func (w *watch) close() {
	close(w.quit)
	if w.file != nil {
		_ = w.file.Close()
	}
	w.wg.Wait()
}
