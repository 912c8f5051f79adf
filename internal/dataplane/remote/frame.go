// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"

	"microstax/internal/observation"
)

// Kind is what a frame holds.
type Kind byte

// The kinds of frame.
const (
	KindObservation Kind = 1 // observation.Encode
	KindTally       Kind = 2 // observation.Tally in JSON
	KindAlike       Kind = 4 // observation.AlikeBatch in JSON
	// KindRestart says that the gateway's process began here: what was in flight before will never be told. No payload.
	KindRestart Kind = 3
)

// A frame is: length of the payload (4 bytes), CRC-32C of all that follows (4), number (8), kind (1), payload. Numbers
// are big endian. The same bytes lie in the spool and travel to the server.
const frameHead = 4 + 4 + 8 + 1

// MaxFrame is how large the payload of one frame may be, in bytes.
const MaxFrame = 64 << 20

// ErrTorn is returned for bytes that are not whole frames: the end of a file that was being written, or damage.
var ErrTorn = errors.New("not a whole frame")

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// Frame is one numbered item of a stream.
type Frame struct {
	Seq     uint64 // grows by one; by more where frames were lost, and when a spool was opened again
	Kind    Kind
	Payload []byte
}

// size is how many bytes the frame takes.
func (f *Frame) size() int64 { return frameHead + int64(len(f.Payload)) }

// AppendFrame adds a frame to b.
func AppendFrame(b []byte, f Frame) []byte {
	at := len(b)
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.Payload))) //nolint:gosec // bounded by MaxFrame
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, f.Seq)
	b = append(b, byte(f.Kind))
	b = append(b, f.Payload...)
	binary.BigEndian.PutUint32(b[at+4:], crc32.Checksum(b[at+8:], castagnoli()))
	return b
}

// NextFrame takes the first frame off b; its payload is part of b. Bytes that are no whole frame are ErrTorn.
func NextFrame(b []byte) (f Frame, rest []byte, err error) {
	if len(b) < frameHead {
		return f, b, fmt.Errorf("%w: %d bytes are left", ErrTorn, len(b))
	}
	n := binary.BigEndian.Uint32(b)
	if n > MaxFrame || int(n) > len(b)-frameHead {
		return f, b, fmt.Errorf("%w: it should have %d bytes, and %d are left", ErrTorn, n, len(b)-frameHead)
	}
	end := frameHead + int(n)
	if crc32.Checksum(b[8:end], castagnoli()) != binary.BigEndian.Uint32(b[4:]) {
		return f, b, fmt.Errorf("%w: its checksum is wrong", ErrTorn)
	}
	f.Seq, f.Kind, f.Payload = binary.BigEndian.Uint64(b[8:]), Kind(b[16]), b[frameHead:end]
	return f, b[end:], nil
}

// Seal makes a frame, without its number, of an envelope.
func Seal(e observation.Envelope) (Frame, error) {
	if e.Observation != nil {
		b, err := observation.Encode(e.Observation)
		return Frame{Kind: KindObservation, Payload: b}, err
	}
	kind, doc := KindTally, any(e.Tally)
	if e.Alike != nil {
		kind, doc = KindAlike, e.Alike
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return Frame{}, fmt.Errorf("encode envelope: %w", err)
	}
	return Frame{Kind: kind, Payload: b}, nil
}

// Envelope opens a frame that holds one.
func (f *Frame) Envelope() (observation.Envelope, error) {
	switch f.Kind {
	case KindObservation:
		o, err := observation.Decode(f.Payload)
		return observation.Envelope{Observation: o}, err
	case KindTally:
		var t observation.Tally
		err := json.Unmarshal(f.Payload, &t)
		return observation.Envelope{Tally: &t}, named("tally", t.Session, err)
	case KindAlike:
		var b observation.AlikeBatch
		err := json.Unmarshal(f.Payload, &b)
		return observation.Envelope{Alike: &b}, named("alike batch", b.Session, err)
	case KindRestart:
	}
	return observation.Envelope{}, fmt.Errorf("frame %d holds no envelope: kind %d", f.Seq, f.Kind)
}

func named(what, session string, err error) error {
	if err == nil && session == "" {
		err = errors.New("it names no session")
	}
	if err != nil {
		return fmt.Errorf("decode %s: %w", what, err)
	}
	return nil
}
