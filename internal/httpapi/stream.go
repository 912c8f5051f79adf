// SPDX-License-Identifier: Apache-2.0

package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

const (
	// heartbeat is how often an idle stream sends a comment, so that middle boxes keep it and a dead client is noticed.
	heartbeat = 15 * time.Second
	// sendTimeout bounds one write to a client that does not read.
	sendTimeout = 10 * time.Second
	// streamBuffer is how many messages wait for a slow client before their source waits; none is dropped.
	streamBuffer = 64
)

// message is one server-sent event.
type message struct {
	event string
	data  any
}

// stream writes server-sent events (WHATWG HTML, 9.2) to one client. One goroutine uses it.
type stream struct {
	w    http.ResponseWriter
	conn *http.ResponseController
}

// openStream sends the header.
func openStream(w http.ResponseWriter) (*stream, error) {
	s := &stream{w: w, conn: http.NewResponseController(w)}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	w.WriteHeader(http.StatusOK)
	return s, s.conn.Flush()
}

// send writes one event and flushes it.
func (s *stream) send(m message) error {
	data, err := json.Marshal(m.data)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	return s.write(fmt.Sprintf("event: %s\ndata: %s\n\n", m.event, data))
}

func (s *stream) write(text string) error {
	s.conn.SetWriteDeadline(time.Now().Add(sendTimeout)) //nolint:errcheck // not every writer in tests has one
	if _, err := s.w.Write([]byte(text)); err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	if err := s.conn.Flush(); err != nil {
		return fmt.Errorf("flush event: %w", err)
	}
	return nil
}

// serve runs source in a goroutine of its own, sends what it emits, and returns when it has ended and is waited for: by
// itself, because the client went away, or because the server drains. An error that ends the source is sent as an event
// `error` with the problem document.
func (a *API) serve(ctx huma.Context, source func(ctx context.Context, emit func(message) error) error) {
	r, w := humago.Unwrap(ctx)
	a.metrics.streams.Inc()
	defer a.metrics.streams.Dec()
	out, err := openStream(w)
	if err != nil {
		return
	}
	run, cancel := context.WithCancel(r.Context())
	messages := make(chan message, streamBuffer)
	ended := make(chan error, 1)
	go func() {
		defer close(ended)
		ended <- source(run, func(m message) error {
			select {
			case messages <- m:
				return nil
			case <-run.Done():
				return run.Err()
			}
		})
	}()
	defer func() {
		cancel()
		for range ended { //nolint:revive // waits for the source
		}
	}()
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		var err error
		select {
		case m := <-messages:
			err = out.send(m)
		case <-beat.C:
			err = out.write(": still here\n\n")
		case end := <-ended:
			a.finish(run, out, messages, end)
			return
		case <-a.draining:
			return
		case <-run.Done():
			return
		}
		if err != nil {
			return // the client has gone
		}
	}
}

// finish sends what the source left behind.
func (a *API) finish(ctx context.Context, out *stream, messages <-chan message, end error) {
	for {
		select {
		case m := <-messages:
			if out.send(m) != nil {
				return
			}
			continue
		default:
		}
		break
	}
	if end != nil && ctx.Err() == nil {
		out.send(message{event: "error", data: a.translate(ctx, end).doc}) //nolint:errcheck // the client has gone
	}
}

// eventsResponse documents a stream.
func eventsResponse(schema *huma.Schema, description string) map[string]*huma.Response {
	return map[string]*huma.Response{"200": {
		Description: description,
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: schema}},
	}}
}
