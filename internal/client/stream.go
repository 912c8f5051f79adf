// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"

	v1 "microstax/api/v1"
	"microstax/internal/fault"
)

// maxEvent bounds one line of a stream, in bytes; a report with examples is the largest thing sent.
const maxEvent = 64 << 20

// follow reads a stream of server-sent events and calls each with the documents of those named name ("" for all). The
// stream's end is an error of kind unavailable: the server ends a stream only when it stops.
func follow[T any](ctx context.Context, c *Client, k call, name string, each func(T) error) error {
	resp, err := c.send(ctx, k)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	err = readEvents(resp.Body, func(event string, data []byte) error {
		if event == "error" {
			var p v1.Problem
			if err := json.Unmarshal(data, &p); err != nil {
				return fault.E(k.op, fault.Unavailable, err)
			}
			return fromProblem(k.op, p)
		}
		if name != "" && event != name {
			return nil
		}
		var v T
		if err := json.Unmarshal(data, &v); err != nil {
			return fault.Errorf(k.op, fault.Unavailable, "read event %s: %w", event, err)
		}
		return each(v)
	})
	switch {
	case ctx.Err() != nil:
		return fault.E(k.op, fault.Canceled, ctx.Err())
	case err == nil:
		return fault.Errorf(k.op, fault.Unavailable, "the server ended the stream").
			WithHint("see whether it still runs with: microstax server status")
	}
	var broken *readError
	if errors.As(err, &broken) {
		return fault.Errorf(k.op, fault.Unavailable, "the connection broke: %w", broken.err)
	}
	return err
}

// readError tells a broken connection from an error of the callback.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }

// readEvents parses the event stream format (WHATWG HTML, 9.2.6): fields event and data; comments, id and retry are skipped.
func readEvents(r io.Reader, each func(event string, data []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxEvent)
	event, data := "", []byte(nil)
	for lines.Scan() {
		line := bytes.TrimSuffix(lines.Bytes(), []byte("\r"))
		if len(line) == 0 {
			if data != nil {
				if event == "" {
					event = "message"
				}
				if err := each(event, data); err != nil {
					return err
				}
			}
			event, data = "", nil
			continue
		}
		field, value, _ := strings.Cut(string(line), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			event = value
		case "data":
			if data != nil {
				data = append(data, '\n')
			}
			data = append(data, value...)
			if data == nil {
				data = []byte{}
			}
		}
	}
	if err := lines.Err(); err != nil {
		return &readError{err}
	}
	return nil
}
