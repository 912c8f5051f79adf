// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"errors"
	"os"
	"time"

	"microstax/internal/dataplane/dial"
	"microstax/internal/dataplane/http1"
)

// upload is the rest of a request body on its way.
type upload struct {
	done chan struct{} // nil when there was nothing left to send
	err  error
}

// upload passes the rest of the body on while the answer may already be coming back.
func (c *conn) upload(tr *transit, body *http1.Body, up *upstream) *upload {
	u := &c.sending
	*u = upload{}
	if body.Done() {
		return u
	}
	u.done = make(chan struct{})
	dial.QuickAck(c.nc)
	buf := c.bodyBuffer()
	go func() {
		defer close(u.done)
		src := &deadlineReader{c: c}
		c.rd.Rebase(src)
		u.err = body.Copy(up, c.rd, buf, tr.requestSink(), false)
		if u.err == nil {
			c.expectAnswer(up)
		}
		if u.err != nil && !isWriteError(u.err) {
			// The client is gone or sends nonsense: what was sent so far must not look whole to the upstream.
			up.Close() //nolint:errcheck,gosec // that is the purpose
		}
	}()
	return u
}

// isWriteError says whether it was the receiving side that failed.
func isWriteError(err error) bool {
	var we *http1.WriteError
	return errors.As(err, &we)
}

// deadlineReader reads from the client with a limit on how long it may pause in a body.
type deadlineReader struct{ c *conn }

func (d *deadlineReader) Read(p []byte) (int, error) {
	if d.c.hurry.Load() {
		return 0, os.ErrDeadlineExceeded
	}
	d.c.arm(d.c.p.opts.Limits.BodyTimeout, false)
	return d.c.nc.Read(p)
}

// wait returns when the upload is over, and whether the connection can go on. A client that still sends after the answer
// gets a moment; if that is too short, the connection ends.
func (u *upload) wait(c *conn, up *upstream, keep bool) bool {
	if u.done == nil {
		return true
	}
	select {
	case <-u.done:
	default:
		until := time.Now().Add(lingerTimeout)
		if !keep {
			until = time.Now()
		}
		up.SetWriteDeadline(until) //nolint:errcheck,gosec // best effort
		c.hurry.Store(true)
		c.nc.SetReadDeadline(until) //nolint:errcheck,gosec // likewise
		<-u.done
		c.hurry.Store(false)
		if u.err == nil { // it was as good as over, and nobody has cause to end the connection
			up.SetWriteDeadline(time.Time{}) //nolint:errcheck,gosec // a dead connection shows at its next use
		}
	}
	c.rd.Rebase(c.nc)
	c.armed = time.Time{}
	return u.err == nil && keep
}
