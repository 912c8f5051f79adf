// SPDX-License-Identifier: Apache-2.0

package canon

import (
	"bytes"
	"fmt"
)

// event is one event of a stream.
type event struct {
	name, id, retry string
	data            []byte
	any, hasData    bool
}

// parseEvents reads server-sent events into an array of objects (HTML, 9.2): event, id, data and retry, data as JSON where
// it is. Comments say nothing. The last event counts even when the empty line that would dispatch it is missing.
func parseEvents(src []byte, l Limits) (*Tree, error) {
	b := newBuilder(nil, l)
	return b.tree("events", b.events(bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))))
}

func (b *builder) events(src []byte) error {
	if !isText(src) {
		return errUTF8
	}
	if err := b.begin("", Array, 0); err != nil {
		return err
	}
	var e event
	for len(src) > 0 {
		var line []byte
		line, src = cutLine(src)
		if len(line) > 0 {
			e.field(line)
			continue
		}
		if err := b.event(&e); err != nil {
			return err
		}
		e = event{}
	}
	if err := b.event(&e); err != nil {
		return err
	}
	return b.end()
}

// cutLine cuts off a line, which ends with CR, LF or both.
func cutLine(src []byte) (line, rest []byte) {
	i := bytes.IndexAny(src, "\r\n")
	switch {
	case i < 0:
		return src, nil
	case src[i] == '\r' && i+1 < len(src) && src[i+1] == '\n':
		return src[:i], src[i+2:]
	}
	return src[:i], src[i+1:]
}

func (e *event) field(line []byte) {
	name, value, _ := bytes.Cut(line, []byte{':'})
	value = bytes.TrimPrefix(value, []byte{' '})
	switch string(name) {
	case "event":
		e.name = string(value)
	case "id":
		e.id = string(value)
	case "retry":
		e.retry = string(value)
	case "data":
		if e.hasData {
			e.data = append(e.data, '\n')
		}
		e.data, e.hasData = append(e.data, value...), true
	default:
		return // comments, and fields that nobody knows
	}
	e.any = true
}

func (b *builder) event(e *event) error {
	if !e.any {
		return nil
	}
	if err := b.begin("", Object, 0); err != nil {
		return err
	}
	if e.hasData {
		start := bytes.TrimLeft(e.data, " \t")
		media := "text/event"
		if len(start) > 0 && (start[0] == '{' || start[0] == '[') {
			media = "application/json"
		}
		if err := b.within("data", media, e.data, Context{}); err != nil {
			return err
		}
	}
	for _, f := range [...]struct{ name, value string }{{"event", e.name}, {"id", e.id}, {"retry", e.retry}} {
		if f.value == "" {
			continue
		}
		if err := b.text(f.name, f.value); err != nil {
			return fmt.Errorf("event %s: %w", f.name, err)
		}
	}
	return b.end()
}
