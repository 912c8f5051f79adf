// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"microstax/internal/environment"
	"microstax/internal/fault"
)

const (
	// followEvery is how often a followed log is looked at when it is at its end.
	followEvery = 50 * time.Millisecond
	// cutWithin is how many looks a log may take to shrink after its copy appeared, before it is taken as cut and grown
	// again.
	cutWithin = 20
	// tailBlock is how much is read at once when a log is searched backwards for lines.
	tailBlock = 32 << 10
)

// Logs opens an instance's log. An instance that has written nothing has an empty one. Following, Read returns io.EOF
// when ctx ends or the reader is closed.
func (d *Driver) Logs(ctx context.Context, i environment.Instance, tail int, follow bool) (io.ReadCloser, error) {
	op := "read logs of " + i.Key()
	path, err := instancePath(i)
	if err != nil {
		return nil, fault.E(op, fault.Invalid, err)
	}
	r := &reader{path: d.logPath(path), ended: ctx.Done(), closed: make(chan struct{}), follow: follow}
	if err := r.begin(tail); err != nil {
		return nil, fault.E(op, fault.Unavailable, err)
	}
	return r, nil
}

// reader reads a log that may be written, cut and deleted meanwhile. Only Close may be called beside Read.
type reader struct {
	path   string
	follow bool
	ended  <-chan struct{}

	mu     sync.Mutex  // guards what follows; held while reading, which closed cuts short
	older  *os.File    // being read before the log itself; nil when that is done
	cut    os.FileInfo // .1 as it was when the offset was right; nil when there was none
	offset int64       // in the log

	closeOnce sync.Once
	closed    chan struct{}
}

// begin places the reader: at the beginning, or tail lines before the end.
func (r *reader) begin(tail int) error {
	older, err := openIfThere(olderName(r.path))
	if err != nil {
		return err
	}
	if older != nil {
		if r.cut, err = older.Stat(); err != nil {
			return errors.Join(err, older.Close())
		}
		r.older = older
	}
	if tail <= 0 {
		return nil
	}
	left := tail
	log, err := openIfThere(r.path)
	if err != nil {
		return err
	}
	if log != nil {
		defer log.Close() //nolint:errcheck // only read
		if r.offset, left, err = linesBack(log, tail); err != nil {
			return err
		}
	}
	if older == nil {
		return nil
	}
	if left == 0 {
		r.older = nil
		return older.Close()
	}
	at, _, err := linesBack(older, left)
	if err == nil {
		_, err = older.Seek(at, io.SeekStart)
	}
	return err
}

// Read reads on; at the end it waits when the log is followed.
func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		n, err := r.next(p)
		if n > 0 || err != nil {
			return n, err
		}
		if !r.follow {
			return 0, io.EOF
		}
		if !r.pause() {
			return 0, io.EOF
		}
	}
}

// Close ends a Read that waits.
func (r *reader) Close() error {
	r.closeOnce.Do(func() { close(r.closed) })
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropOlder()
	return nil
}

// pause waits until it is worth looking again; false when nobody wants to.
func (r *reader) pause() bool {
	t := time.NewTimer(followEvery)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.ended:
	case <-r.closed:
	}
	return false
}

// next reads what is there now; 0 and no error at the end.
func (r *reader) next(p []byte) (int, error) {
	select {
	case <-r.closed:
		return 0, os.ErrClosed
	default:
	}
	if r.older != nil {
		n, err := r.older.Read(p)
		if n > 0 {
			return n, nil
		}
		r.dropOlder()
		if !errors.Is(err, io.EOF) {
			return 0, err
		}
	}
	n, shrunk, err := r.current(p)
	if err != nil {
		return 0, err
	}
	was, err := r.wasCut()
	switch {
	case err != nil:
		return 0, err
	case was: // what was read may be from after the cut, at the wrong place
		return r.afterCut(p)
	case shrunk: // deleted and begun anew, or cut by somebody else
		r.offset = 0
		return 0, nil
	}
	r.offset += int64(n)
	return n, nil
}

// current reads the log at the offset, and says whether it no longer reaches that far.
func (r *reader) current(p []byte) (n int, shrunk bool, err error) {
	f, err := openIfThere(r.path)
	if f == nil || err != nil {
		return 0, r.offset > 0 && err == nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil || info.Size() < r.offset {
		return 0, err == nil, err
	}
	n, err = f.ReadAt(p, r.offset)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, false, err
}

// wasCut says whether a copy was made since the offset was right, and remembers that copy.
func (r *reader) wasCut() (bool, error) {
	now, err := os.Stat(olderName(r.path))
	if os.IsNotExist(err) {
		r.cut = nil
		return false, nil
	}
	if err != nil {
		return false, err
	}
	same := r.cut != nil && os.SameFile(r.cut, now)
	r.cut = now
	return !same, nil
}

// afterCut goes on in the copy where the log was left off, and then at the log's new beginning.
func (r *reader) afterCut(p []byte) (int, error) {
	f, err := openIfThere(olderName(r.path))
	if f == nil || err != nil {
		return 0, err
	}
	// The cut comes a moment after the copy has its name; the log is shorter then.
	for range cutWithin {
		log, err := os.Stat(r.path)
		if os.IsNotExist(err) || err == nil && log.Size() < r.cut.Size() {
			break
		}
		if !r.pause() {
			break
		}
	}
	if _, err := f.Seek(r.offset, io.SeekStart); err != nil {
		return 0, errors.Join(err, f.Close())
	}
	r.older, r.offset = f, 0
	return r.next(p)
}

func (r *reader) dropOlder() {
	if r.older != nil {
		_ = r.older.Close() // only read
		r.older = nil
	}
}

// openIfThere opens a file to read; nil when there is none.
func openIfThere(path string) (*os.File, error) {
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil, nil //nolint:nilnil // a missing file is no error here
	}
	return f, err
}

// linesBack finds where the last n lines of a file begin, and how many lines it lacks. A last line without its end
// counts.
func linesBack(f *os.File, n int) (at int64, lacking int, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	end := info.Size()
	block := make([]byte, tailBlock)
	left := n // line ends still to be passed
	for pos := end; pos > 0; {
		size := min(int64(len(block)), pos)
		pos -= size
		if _, err := f.ReadAt(block[:size], pos); err != nil && !errors.Is(err, io.EOF) {
			return 0, 0, err
		}
		part := block[:size]
		if pos+size == end && part[size-1] == '\n' {
			part = part[:size-1] // ends the last line, begins none
		}
		for {
			i := bytes.LastIndexByte(part, '\n')
			if i < 0 {
				break
			}
			if left--; left == 0 {
				return pos + int64(i) + 1, 0, nil
			}
			part = part[:i]
		}
	}
	if end > 0 {
		left-- // the first line has no end before it
	}
	return 0, left, nil
}
