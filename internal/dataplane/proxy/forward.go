// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"time"

	"microstax/internal/dataplane/dial"
	"microstax/internal/dataplane/http1"
	"microstax/internal/dataplane/tap"
	"microstax/internal/exchange"
)

// transit is one request on its way to an upstream and its answer on the way back.
type transit struct {
	head    []byte // as it goes out
	body    []byte // the whole body, framed, when it was read before; then nothing is read from the client
	addr    string
	isHead  bool
	target  *target
	plan    *plan
	capture *tap.Capture // may be nil
	level   int          // requests that the provider had under way when this one came

	upgraded   bool // the connection changed protocol
	badRequest bool // the body turned out malformed, or the client left in the middle of it
	answered   bool // bytes of an answer went to the client
}

// forward sends the request, passes the answer back as it arrives, and says whether the client's connection can go on.
func (c *conn) forward(tr *transit) (keep bool) {
	if c.web != nil {
		return c.web.forward(tr)
	}
	c.resp.Raw, c.begun = nil, false
	c.body = http1.Body{}
	body := &c.body
	closing := c.head.Close
	idempotent := isIdempotent(c.head.Method)
	first := tr.head
	if tr.body != nil {
		first = append(first, tr.body...)
	} else {
		*body = http1.NewBody(http1.RequestFraming(&c.head))
		var err error
		if first, err = c.firstBytes(tr, body); err != nil {
			c.p.stats.malformed.Add(1)
			tr.badRequest = true
			tr.finish(exchange.Canceled, err.Error())
			c.answer(400, err.Error())
			return false
		}
	}
	if !body.Done() {
		c.disarm()
	}
	c.await()
	up, err := c.reach(tr, first, body.Done(), idempotent)
	if err != nil {
		c.settle()
		c.using(nil)
		c.unreachable(tr, err)
		return false
	}
	keepUp := false
	defer func() {
		c.settle()
		c.using(nil)
		if keepUp && !c.upEnded {
			c.p.ups.put(tr.addr, up)
		} else {
			up.Close() //nolint:errcheck,gosec // of no more use
		}
	}()
	upload := c.upload(tr, body, up)
	keep, keepUp = c.download(tr, up)
	keepUp = keepUp && !closing // the upstream closes too, whether or not its answer says so
	if !upload.wait(c, up, keep) {
		keepUp = false
		return false
	}
	return keep && !closing
}

func isIdempotent(method []byte) bool {
	switch string(method) {
	case "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE":
		return true
	}
	return false
}

// firstBytes is the head and as much of the body as has arrived, consumed from the reader.
func (c *conn) firstBytes(tr *transit, body *http1.Body) ([]byte, error) {
	data := c.rd.Buffered()
	n, err := body.Take(data, tr.requestSink())
	if err != nil || n == 0 {
		return tr.head, err
	}
	first := tr.head
	if &first[0] == &c.head.Raw[0] { // the body's bytes lie right behind an unchanged head
		first = c.head.Raw[:len(c.head.Raw)+n]
	} else {
		c.out = append(c.out, data[:n]...)
		first = c.out
	}
	c.rd.Discard(n)
	return first, nil
}

func (tr *transit) requestSink() http1.Sink {
	if tr.capture == nil {
		return nil
	}
	return &tr.capture.Request
}

func (tr *transit) responseSink() http1.Sink {
	if tr.capture == nil {
		return nil
	}
	return &tr.capture.Response
}

func (tr *transit) finish(o exchange.Outcome, why string) {
	if tr.capture != nil {
		tr.capture.Finished(time.Now(), o, why)
	}
}

// reach connects, sends the first bytes, and waits for the answer's head in c.resp. A kept connection that turns out dead
// before anything came back is replaced once, if sending again is harmless.
func (c *conn) reach(tr *transit, first []byte, whole, idempotent bool) (*upstream, error) {
	up, reused, err := c.p.ups.get(c.p.ctx, tr.addr, reuse(idempotent))
	if err != nil {
		return nil, err
	}
	c.using(up.Conn) // from here on abort has to reach it: an upstream that hangs must not keep the plane from closing
	if _, err = up.Write(first); err == nil && whole {
		c.expectAnswer(up)
		err = up.rd.ReadResponse(&c.resp, maxUpstreamHead)
	}
	if err == nil {
		return up, nil
	}
	up.Close() //nolint:errcheck,gosec // dead
	if !reused || !whole || !idempotent || !isDead(err) {
		return nil, err
	}
	if up, _, err = c.p.ups.get(c.p.ctx, tr.addr, fresh); err != nil {
		return nil, err
	}
	c.using(up.Conn)
	if _, err = up.Write(first); err == nil {
		c.expectAnswer(up)
		err = up.rd.ReadResponse(&c.resp, maxUpstreamHead)
	}
	if err != nil {
		up.Close() //nolint:errcheck,gosec // dead
		return nil, err
	}
	return up, nil
}

// isDead says whether an error is that of a connection that the peer had closed.
func isDead(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, syscall.ECONNRESET)
}

// unreachable answers for an upstream that did not.
func (c *conn) unreachable(tr *transit, err error) {
	c.p.stats.upstreamErrors.Add(1)
	why, outcome := tr.diagnose(err)
	status := statusOf(outcome)
	raw := errorAnswer(status, tr.plan.Service+" "+why)
	if tr.capture != nil {
		tr.capture.Answered(headOf(raw), time.Now())
		tr.capture.Response.Content(raw[len(headOf(raw)):])
	}
	tr.finish(outcome, why)
	if tr.answered {
		return
	}
	c.answer(status, tr.plan.Service+" "+why)
}

// statusOf is what a client is told of a provider that gave no answer.
func statusOf(o exchange.Outcome) int {
	if o == exchange.Timeout {
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway
}

// diagnose says what an error of the way to an upstream means.
func (tr *transit) diagnose(err error) (why string, outcome exchange.Outcome) {
	why, outcome = "cannot be reached: "+err.Error(), exchange.Reset
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		why, outcome = "refuses connections at "+tr.addr, exchange.Refused
	case errors.Is(err, http1.ErrMalformed), errors.Is(err, http1.ErrHeadTooLarge):
		why, outcome = "answers what is not HTTP: "+err.Error(), exchange.Garbled
	case isDead(err), dial.IsReset(err):
		why = "closed the connection without an answer"
	case isTimeout(err):
		why, outcome = "does not answer in time", exchange.Timeout
	}
	return why, outcome
}

func headOf(raw []byte) []byte {
	for i := 3; i < len(raw); i++ {
		if raw[i] == '\n' && raw[i-2] == '\n' {
			return raw[:i+1]
		}
	}
	return raw
}

// download passes the answer back. Interim answers go through as they are.
func (c *conn) download(tr *transit, up *upstream) (keep, keepUp bool) {
	have := up.rd != nil && c.resp.Raw != nil
	for {
		if !have {
			if err := up.rd.ReadResponse(&c.resp, maxUpstreamHead); err != nil {
				c.unreachable(tr, err)
				return false, false
			}
		}
		have = false
		if c.resp.Status >= 200 || c.resp.Status == 101 {
			break
		}
		tr.answered = true
		if _, err := c.nc.Write(c.resp.Raw); err != nil {
			tr.finish(exchange.Canceled, "client left")
			return false, false
		}
	}
	defer func() { c.resp.Raw = nil }()
	c.answerBegins(up)
	if tr.capture != nil {
		tr.capture.Answered(c.resp.Raw, time.Now())
	}
	if c.resp.Status == 101 && !c.head.Upgrade {
		c.unreachable(tr, fmt.Errorf("%w: a change of protocol that nobody asked for", http1.ErrMalformed))
		return false, false
	}
	if c.resp.Status == 101 {
		tr.upgraded = true
		tr.target.leave() // what follows is no request, and may last for days
		c.settle()
		c.splice(tr, up)
		tr.finish(exchange.OK, "")
		return false, false
	}
	return c.passAnswer(tr, up)
}

func (c *conn) passAnswer(tr *transit, up *upstream) (keep, keepUp bool) {
	method := ""
	if tr.isHead {
		method = "HEAD"
	}
	body := http1.NewBody(http1.ResponseFraming(&c.resp, method))
	keepUp = !c.resp.Close && body.Kind != http1.UntilEOF
	keep = keepUp
	n, err := body.Take(up.rd.Buffered(), tr.responseSink())
	first := c.resp.Raw[:len(c.resp.Raw)+n] // the body's bytes lie right behind the head
	tr.answered = true
	if _, werr := c.nc.Write(first); werr != nil {
		tr.finish(exchange.Canceled, "client left")
		return false, false
	}
	up.rd.Discard(n)
	if err == nil && !body.Done() {
		dial.QuickAck(up.Conn)
		err = body.Copy(c.nc, up.rd, c.answerBuffer(), tr.responseSink(), false)
	}
	switch {
	case err == nil:
		tr.finish(exchange.OK, "")
		if tr.capture != nil {
			tr.capture.Simple = keepUp && body.Kind != http1.Chunked
		}
	case isWriteError(err):
		tr.finish(exchange.Canceled, "client left")
		return false, false
	default:
		// The user sees the same broken answer as without us: cut off where the upstream cut it off.
		tr.finish(exchange.Reset, "answer was cut off")
		c.p.stats.upstreamErrors.Add(1)
		return false, false
	}
	return keep, keepUp && len(up.rd.Buffered()) == 0
}

// answerBuffer is not the upload's buffer: both directions may be under way.
func (c *conn) answerBuffer() []byte {
	if c.down == nil {
		c.down = make([]byte, upstreamReadSize)
	}
	return c.down
}
