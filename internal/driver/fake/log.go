// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"bytes"
	"context"
	"io"
	"os"
	"sync"
)

// log is what an instance has written.
type log struct {
	mu    sync.Mutex // guards what follows
	text  []byte
	more  chan struct{} // closes when text changes
	reset int           // counts clears
}

func newLog() *log { return &log{more: make(chan struct{})} }

func (l *log) write(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, text...)
	close(l.more)
	l.more = make(chan struct{})
}

func (l *log) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = nil
	l.reset++
}

func (l *log) open(ctx context.Context, tail int, follow bool) io.ReadCloser {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := 0
	if tail > 0 {
		lines := bytes.SplitAfter(l.text, []byte("\n"))
		if n := len(lines); n > 0 && len(lines[n-1]) == 0 {
			lines = lines[:n-1]
		}
		for _, line := range lines[:max(0, len(lines)-tail)] {
			at += len(line)
		}
	}
	return &reader{log: l, ended: ctx.Done(), closed: make(chan struct{}), follow: follow, at: at, reset: l.reset}
}

// reader reads a log.
type reader struct {
	log    *log
	ended  <-chan struct{}
	follow bool
	at     int
	reset  int

	once   sync.Once
	closed chan struct{}
}

// Read waits for more when the log is followed.
func (r *reader) Read(p []byte) (int, error) {
	for {
		n, more := r.take(p)
		if n > 0 || len(p) == 0 {
			return n, nil
		}
		if !r.follow {
			return 0, io.EOF
		}
		select {
		case <-more:
		case <-r.ended:
			return 0, io.EOF
		case <-r.closed:
			return 0, os.ErrClosed
		}
	}
}

func (r *reader) take(p []byte) (int, <-chan struct{}) {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	if r.reset != r.log.reset {
		r.reset, r.at = r.log.reset, 0
	}
	n := copy(p, r.log.text[r.at:])
	r.at += n
	return n, r.log.more
}

// Close ends a Read that waits.
func (r *reader) Close() error {
	r.once.Do(func() { close(r.closed) })
	return nil
}
