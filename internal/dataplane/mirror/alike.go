// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"bytes"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"microstax/internal/dataplane/tap"
	"microstax/internal/engine/pairing"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// answers remembers which requests were seen, and a hash of what the baseline answered last. What it has room for can be
// told as "alike" without being taken apart.
type answers struct {
	mu    sync.Mutex
	last  map[uint64]uint64 // context → hash of the answer
	older map[uint64]uint64 // the generation before
}

// maxAnswers bounds one generation.
const maxAnswers = 32 << 10

func (a *answers) init() { a.last = map[uint64]uint64{} }

// swap notes an answer and gives the one before it.
func (a *answers) swap(context, answer uint64) (before uint64, known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before, known = a.last[context]
	if !known {
		before, known = a.older[context]
	}
	if len(a.last) >= maxAnswers {
		a.older, a.last = a.last, make(map[uint64]uint64, maxAnswers)
	}
	a.last[context] = answer
	return before, known
}

// alike says whether all answers are the baseline's, to the byte but for the clock's Date, and nothing else is to be
// learnt from them: the request has been seen before, and where no control runs the baseline answers as it did then.
func (a *answers) alike(context uint64, baseline, control, candidate *tap.Capture) bool {
	sum := answerHash(baseline)
	before, known := a.swap(context, sum)
	if !known || control == nil && before != sum {
		return false
	}
	return sameAnswer(baseline, candidate) && (control == nil || sameAnswer(baseline, control))
}

// sameAnswer says whether a shadow answered what the baseline did, to the byte but for Date.
func sameAnswer(x, y *tap.Capture) bool {
	if y.Echo {
		return true
	}
	return x.Outcome == exchange.OK && y.Outcome == exchange.OK &&
		x.Response.Same(&y.Response) && sameHead(x.ResponseHead, y.ResponseHead)
}

// dateValue is where the value of the field begins that differs by the clock alone, or -1. HTTP/2 writes it small.
func dateValue(head []byte) int {
	const field = "\nDate: "
	i := bytes.Index(head, []byte(field))
	if i < 0 {
		if i = bytes.Index(head, []byte("\ndate: ")); i < 0 {
			return -1
		}
	}
	return i + len(field)
}

// sameHead compares raw heads, Date's value left out: two heads of which one was a second later are alike.
func sameHead(x, y []byte) bool {
	if bytes.Equal(x, y) {
		return true
	}
	if len(x) != len(y) {
		return false
	}
	from := dateValue(x)
	if from < 0 {
		return false
	}
	n := bytes.IndexByte(x[from:], '\n')
	if n < 0 || from+n > len(y) {
		return false
	}
	to := from + n
	return bytes.Equal(x[:from], y[:from]) && bytes.Equal(x[to:], y[to:]) && isDate(x[from:to]) && isDate(y[from:to])
}

// isDate says whether a field's value is a date as RFC 9110, 5.6.7 prefers it.
func isDate(v []byte) bool {
	_, err := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", string(bytes.TrimSuffix(v, []byte("\r"))))
	return err == nil
}

// answerHash is a hash of an answer, Date's value left out.
func answerHash(c *tap.Capture) uint64 {
	head := c.ResponseHead
	if from := dateValue(head); from >= 0 {
		if n := bytes.IndexByte(head[from:], '\n'); n >= 0 {
			return xxhash.Sum64(head[:from])*31 ^ xxhash.Sum64(head[from+n:])*17 ^ c.Response.Sum()
		}
	}
	return xxhash.Sum64(head) ^ c.Response.Sum()
}

// contextOf is a hash of the service and the request: method, target and body.
func contextOf(j *Job) uint64 {
	line := j.Capture.RequestHead
	if i := bytes.IndexByte(line, '\n'); i >= 0 {
		line = line[:i]
	}
	sum := xxhash.Sum64String(j.Entry.Service)*31 ^ xxhash.Sum64(line)*17
	if s := j.Capture.Socket; s != nil { // its raw bytes are masked, and never the same
		said, _, _ := s.Talk()
		return sum ^ xxhash.Sum64(said)
	}
	return sum ^ j.Capture.Request.Sum()
}

// summary is what is left of a job of which nothing else is to be told.
func (r *Runner) summary(j *Job, w *worker, context uint64, control, candidate *tap.Capture) observation.Alike {
	a := observation.Alike{
		Service: j.Entry.Service, At: j.Capture.Start, TraceID: j.TraceID, Unit: r.unit(j), OwnUnit: j.OwnUnit,
		Lane: r.Lanes(j.Entry), Context: context, Status: j.Capture.Status(), Twin: control != nil, Inclusion: r.inclusion(j),
		Baseline: timing(j.Capture), Candidate: timing(candidate),
	}
	a.Method, a.Path = j.Capture.LineAgain(w.path)
	w.path = a.Path
	if c := j.Capture; pairing.MayName(a.Method, a.Path, c.Request.Data()) { // whoever judges it sees no body
		x := c.Exchange()
		if operation := pairing.Operation(&x.Request); operation != "" {
			a.Path += pairing.OperationMark + operation
		}
	}
	if control != nil { // only then one may be named: as an example of a slow answer
		a.ID, a.Control = r.newID(), timing(control)
	}
	return a
}

func timing(c *tap.Capture) observation.Timing {
	return observation.Timing{FirstByte: c.FirstByte, Duration: c.Duration}
}
