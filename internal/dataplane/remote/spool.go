// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// DefaultSpool is how many bytes a spool may take where SpoolOptions leave it open.
const DefaultSpool = 256 << 20

// The files of a spool.
const (
	streamFile = "stream"
	segmentExt = ".frames"
)

// ErrFull is returned when a frame finds no place in the spool.
var ErrFull = errors.New("the spool is full")

// SpoolOptions are what a Spool needs.
type SpoolOptions struct {
	Dir     string // is created; one process at a time may use it
	Limit   int64  // bytes of all segments; 0 for DefaultSpool
	Segment int64  // bytes after which a new one is begun; 0 for a sixteenth of Limit, at most 8 MiB
}

// Spool keeps numbered frames on disk, in segments with checksums, until the server has stored them. What was written
// survives the process; a power failure may tear the end, which is found and cut off when the spool is opened again.
//
// Methods may be called concurrently.
type Spool struct {
	o      SpoolOptions
	stream string
	torn   int64 // bytes that were cut off or passed over by OpenSpool

	mu       sync.Mutex // guards what follows
	segments []*segment // oldest first; the last one is written to
	size     int64
	next     uint64 // number of the next frame
	released uint64 // the last frame that need not be kept
	grown    chan struct{}
	closed   bool
}

// segment is one file of frames. It is named by its first frame, so that a spool without frames still knows its place.
type segment struct {
	path  string
	file  *os.File
	first uint64 // number of its first frame, also before that is there
	next  uint64 // number of the frame after its last
	size  int64
}

// OpenSpool reads a folder, or makes a new one with a new stream.
func OpenSpool(o SpoolOptions) (*Spool, error) {
	if o.Limit <= 0 {
		o.Limit = DefaultSpool
	}
	if o.Segment <= 0 {
		o.Segment = max(min(o.Limit/16, 8<<20), 4<<10)
	}
	s := &Spool{o: o, next: 1, grown: make(chan struct{})}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	if err := s.identify(); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	if err := s.read(); err != nil {
		return nil, fmt.Errorf("open spool: %w", errors.Join(err, s.shut()))
	}
	return s, nil
}

// identify reads the stream's name, or makes one.
func (s *Spool) identify() error {
	path := filepath.Join(s.o.Dir, streamFile)
	b, err := os.ReadFile(path) //nolint:gosec // a path of ours
	if err == nil && len(b) > 0 {
		s.stream = strings.TrimSpace(string(b))
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.stream = strings.ToLower(rand.Text())
	// Frames without a name belong to nobody.
	old, err := filepath.Glob(filepath.Join(s.o.Dir, "*"+segmentExt))
	if err != nil {
		return err
	}
	for _, p := range old {
		if err := os.Remove(p); err != nil {
			return err
		}
	}
	return replaceFile(path, []byte(s.stream+"\n"), true)
}

// replaceFile puts a whole file in the place of another, which a crash of the process leaves as it was; one of the machine
// too, when it is to be durable.
func replaceFile(path string, b []byte, durable bool) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600) //nolint:gosec // a path of ours
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil && durable {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// read finds the segments and looks at every frame in them.
func (s *Spool) read() error {
	paths, err := filepath.Glob(filepath.Join(s.o.Dir, "*"+segmentExt))
	if err != nil {
		return err
	}
	slices.Sort(paths) // their names have all the same length
	for _, p := range paths {
		var first uint64
		name := strings.TrimSuffix(filepath.Base(p), segmentExt)
		if _, err := fmt.Sscanf(name, "%016x", &first); err != nil || first == 0 {
			return fmt.Errorf("%s is not a file of this program: move it away", p)
		}
		seg, torn, err := readSegment(p, first)
		if err != nil {
			return err
		}
		s.torn += torn
		s.segments = append(s.segments, seg)
		s.size += seg.size
		s.next = seg.next
	}
	if len(s.segments) > 0 {
		s.released = s.segments[0].first - 1
		// The server may have got frames that a power failure has taken from the disk: their numbers are not used again.
		s.next += leap
	}
	return s.begin()
}

// leap is how far numbers go ahead when a spool is opened again: more than there can be frames in it.
const leap = 1 << 32

// readSegment opens a segment and cuts off what is not whole. It says how many bytes that were.
func readSegment(path string, first uint64) (*segment, int64, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0o600) //nolint:gosec // a path of ours
	if err != nil {
		return nil, 0, err
	}
	b, err := os.ReadFile(path) //nolint:gosec // likewise
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	seg := &segment{path: path, file: f, first: first, next: first}
	rest := b
	for len(rest) > 0 {
		frame, after, err := NextFrame(rest)
		if err != nil || frame.Seq != seg.next {
			break
		}
		seg.next++
		rest = after
	}
	seg.size = int64(len(b) - len(rest))
	if len(rest) > 0 {
		if err := f.Truncate(seg.size); err != nil {
			return nil, 0, errors.Join(err, f.Close())
		}
	}
	return seg, int64(len(rest)), nil
}

// begin makes a new segment for what comes next. The caller holds mu, or nobody else knows the spool yet.
func (s *Spool) begin() error {
	path := filepath.Join(s.o.Dir, fmt.Sprintf("%016x%s", s.next, segmentExt))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600) //nolint:gosec // a path of ours
	if err != nil {
		return fmt.Errorf("begin segment: %w", err)
	}
	s.segments = append(s.segments, &segment{path: path, file: f, first: s.next, next: s.next})
	return nil
}

// Stream names the numbering of the frames.
func (s *Spool) Stream() string { return s.stream }

// Torn is how many bytes were damaged or half written when the spool was opened.
func (s *Spool) Torn() int64 { return s.torn }

// Room is how many bytes of frames still have a place.
func (s *Spool) Room() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.o.Limit - s.size
}

// Report is how it stands.
func (s *Spool) Report() SpoolReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := SpoolReport{Bytes: s.size, Limit: s.o.Limit, Torn: s.torn}
	for _, seg := range s.segments {
		if from := max(seg.first, s.released+1); seg.next > from {
			r.Waiting += seg.next - from
		}
	}
	return r
}

// Append numbers frames and writes them, all or none. ErrFull: there is no place for them.
func (s *Spool) Append(frames []Frame) error {
	if len(frames) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fs.ErrClosed
	}
	var size int64
	for i := range frames {
		size += frames[i].size()
	}
	if s.size+size > s.o.Limit {
		return ErrFull
	}
	last := s.segments[len(s.segments)-1]
	if last.size > 0 && last.size+size > s.o.Segment {
		if err := s.begin(); err != nil {
			return err
		}
		last = s.segments[len(s.segments)-1]
	}
	b := make([]byte, 0, size)
	for i := range frames {
		frames[i].Seq = s.next + uint64(i) //nolint:gosec // an index
		b = AppendFrame(b, frames[i])
	}
	if _, err := last.file.WriteAt(b, last.size); err != nil {
		last.file.Truncate(last.size) //nolint:errcheck,gosec // what is half there is found by its checksum
		return fmt.Errorf("write spool: %w", err)
	}
	last.size += size
	s.size += size
	s.next += uint64(len(frames))
	last.next = s.next
	close(s.grown)
	s.grown = make(chan struct{})
	return nil
}

// Grown is a channel that closes when the next frame is appended, and the number that this will have.
func (s *Spool) Grown() (<-chan struct{}, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.grown, s.next
}

// Oldest is the number of the oldest frame that is there, or of the next one.
func (s *Spool) Oldest() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seg := range s.segments {
		if seg.next > seg.first {
			return seg.first
		}
	}
	return s.next
}

// Release gives up frames up to a number: the server has stored them. Segments go when all of them are given up.
func (s *Spool) Release(upTo uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || upTo <= s.released || upTo >= s.next {
		return nil
	}
	s.released = upTo
	last := s.segments[len(s.segments)-1]
	if upTo+1 == s.next && last.size > s.o.Segment/4 { // everything: do not let the last one keep its bytes
		if err := s.begin(); err != nil {
			return err
		}
	}
	for len(s.segments) > 1 && s.segments[0].next <= upTo+1 {
		seg := s.segments[0]
		s.segments = s.segments[1:]
		s.size -= seg.size
		if err := errors.Join(seg.file.Close(), os.Remove(seg.path)); err != nil {
			return fmt.Errorf("remove segment: %w", err)
		}
	}
	return nil
}

// Close writes what the system still holds to the disk and closes the files.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return s.shut()
}

func (s *Spool) shut() error {
	var errs []error
	for _, seg := range s.segments {
		errs = append(errs, seg.file.Sync(), seg.file.Close())
	}
	return errors.Join(errs...)
}
