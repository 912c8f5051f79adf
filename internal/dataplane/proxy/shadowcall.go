// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"microstax/internal/dataplane/http1"
	"microstax/internal/dataplane/mirror"
	"microstax/internal/dataplane/tap"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// maxShadowBody is the largest request body of a shadow's outgoing call, in bytes.
const maxShadowBody = 16 << 20

// errTooLarge is the body of a shadow's call beyond maxShadowBody.
var errTooLarge = errors.New("request body of a shadow's call is too large")

// shadowCall serves an outgoing call of a candidate or a control: it is read whole, decided, and answered from the
// recording, refused, or really made.
func (c *conn) shadowCall(plan *plan, t *target, x *belonging) bool {
	e := c.edit(plan, t, x)
	e.traceparent = ""
	head := append([]byte(nil), rewriteInto(c.out, &c.head, &e)...)
	isHead, closing := string(c.head.Method) == "HEAD", c.head.Close
	trace := traceID(&c.head)
	capture := tap.New(time.Now(), head, mirror.DefaultMaxBody, nil)
	defer capture.Release()
	framed, err := c.wholeBody(capture)
	if err != nil {
		c.p.stats.malformed.Add(1)
		c.answer(400, err.Error())
		return false
	}
	request := capture.Exchange().Request
	call := t.shadow.Decide(t.Effect, plan.Service, trace, &request)
	if call.Forward && len(t.Addrs) > 0 {
		tr := transit{head: head, body: framed, addr: t.addr(), isHead: isHead, target: t, plan: plan, capture: capture}
		keep := c.forward(&tr)
		t.shadow.Finish(call, capture.Exchange())
		return keep
	}
	keep := c.playback(call, capture, isHead)
	t.shadow.Finish(call, capture.Exchange())
	return keep && !closing
}

// wholeBody reads the request's body into the capture, and returns it as it has to be sent on: framed as it came.
func (c *conn) wholeBody(capture *tap.Capture) ([]byte, error) {
	if c.web != nil {
		return c.web.wholeBody(capture)
	}
	body := http1.NewBody(http1.RequestFraming(&c.head))
	if body.Done() {
		return []byte{}, nil
	}
	if c.head.Expect {
		if _, err := io.WriteString(c.nc, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
			return nil, err
		}
	}
	c.arm(c.p.opts.Limits.BodyTimeout, true)
	framed := &bounded{}
	if err := body.Copy(framed, c.rd, c.bodyBuffer(), &capture.Request, false); err != nil {
		return nil, err
	}
	return framed.Bytes(), nil
}

// bounded is a buffer that refuses to grow past maxShadowBody.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxShadowBody {
		return 0, errTooLarge
	}
	return b.Buffer.Write(p)
}

// playback answers a shadow's call without the dependency.
func (c *conn) playback(call *mirror.Call, capture *tap.Capture, isHead bool) bool {
	if c.web != nil {
		c.web.playback(call, capture)
		return true
	}
	var raw []byte
	switch {
	case call.Answer != nil && call.Answer.Status == http.StatusSwitchingProtocols:
		raw = errorAnswer(503, "this is a shadow: a connection that changes its protocol is not replayed")
	case call.Answer != nil:
		raw = recordedAnswer(call.Answer, isHead)
	case call.Failed != "":
		raw = errorAnswer(502, "the baseline's call failed: "+string(call.Failed))
	default:
		raw = errorAnswer(503, refusal(call.Effect))
	}
	c.pause(call.Delay - time.Since(capture.Start))
	head := headOf(raw)
	capture.Answered(head, time.Now())
	capture.Response.Content(raw[len(head):])
	_, err := c.nc.Write(raw)
	capture.Finished(time.Now(), exchange.OK, "")
	return err == nil && call.Answer != nil
}

func (c *conn) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	select {
	case <-t.C:
	case <-c.p.ctx.Done():
		t.Stop()
	}
}

func refusal(e observation.Effect) string {
	switch e {
	case observation.Fenced:
		return "this is a shadow: a write that the baseline did not make is kept from leaving"
	case observation.Blocked:
		return "this is a shadow: its outgoing calls are blocked"
	default:
		return "this is a shadow: the dependency is not there"
	}
}

// recordedAnswer writes a recorded answer, its framing made anew.
func recordedAnswer(r *exchange.Response, isHead bool) []byte {
	raw := []byte("HTTP/1.1 " + strconv.Itoa(r.Status) + " " + r.Reason + "\r\n")
	bodyless := isHead || r.Status < 200 || r.Status == 204 || r.Status == 304
	for _, h := range r.Headers {
		switch {
		case exchange.EqualFold(h.Name, "transfer-encoding"), exchange.EqualFold(h.Name, "connection"),
			exchange.EqualFold(h.Name, "keep-alive"), exchange.EqualFold(h.Name, "trailer"):
			continue
		case exchange.EqualFold(h.Name, "content-length") && !bodyless:
			continue
		}
		raw = append(append(append(append(raw, h.Name...), ": "...), h.Value...), "\r\n"...)
	}
	if bodyless {
		return append(raw, "\r\n"...)
	}
	raw = append(append(raw, "Content-Length: "...), strconv.Itoa(len(r.Body.Data))...)
	raw = append(raw, "\r\n\r\n"...)
	return append(raw, bytes.Clone(r.Body.Data)...)
}
