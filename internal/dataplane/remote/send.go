// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// How frames are sent.
const (
	batchBytes = 1 << 20                // what one POST has, unless a single frame is larger
	gather     = 20 * time.Millisecond  // how long a frame may wait for others
	askEvery   = 250 * time.Millisecond // how often the server is asked whether it has stored what it has taken
)

// sender is the state of sending frames.
type sender struct {
	a        *Agent
	frames   *Reader
	known    bool // accepted is what the server said
	accepted uint64
	stored   uint64
}

// Send sends what is spooled to the server, and gives up what that has stored, until ctx ends.
func (a *Agent) Send(ctx context.Context) {
	s := &sender{a: a, frames: a.o.Spool.NewReader(0)}
	wait := backoffFirst
	for ctx.Err() == nil {
		if !a.connected.Load() && !pause(ctx, backoffFirst) {
			return
		}
		if !a.connected.Load() {
			continue
		}
		if err := s.step(ctx); err != nil {
			a.sending.Store(false)
			s.known = false
			a.o.Logger.Debug("send observations", "error", err)
			pause(ctx, wait)
			wait = min(2*wait, backoffMost)
			continue
		}
		a.sending.Store(true)
		wait = backoffFirst
	}
}

// Sent says whether the server has stored all that was spooled, and whether it takes frames at all.
func (a *Agent) Sent() (all, able bool) { return a.o.Spool.Report().Waiting == 0, a.sending.Load() }

// step sends one batch, or asks how it stands, or waits for something to do.
func (s *sender) step(ctx context.Context) error {
	if !s.known {
		return s.post(ctx, nil)
	}
	grown, _ := s.a.o.Spool.Grown()
	b, err := s.frames.Read(batchBytes)
	if err == nil {
		return s.post(ctx, b)
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	if s.stored < s.accepted {
		if pause(ctx, askEvery) {
			return s.post(ctx, nil)
		}
		return nil
	}
	select {
	case <-grown:
		pause(ctx, gather)
	case <-time.After(Beat):
	case <-ctx.Done():
	}
	return nil
}

// post sends frames; none asks only.
func (s *sender) post(ctx context.Context, frames []byte) error {
	q := url.Values{"stream": {s.a.o.Spool.Stream()}}
	if len(frames) > 0 {
		f, _, err := NextFrame(frames)
		if err != nil {
			return fmt.Errorf("read spool: %w", err)
		}
		if f.Seq > s.accepted+1 {
			q.Set("skip", strconv.FormatUint(s.accepted, 10)) // what lies between is nowhere
		}
	}
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	resp, err := s.a.do(ctx, http.MethodPost, "/observations?"+q.Encode(), FramesType, frames)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	problem := strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem")
	if problem || resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusConflict {
		return refusal(resp)
	}
	var answer Accepted
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&answer); err != nil {
		return fmt.Errorf("read the server's answer to observations (%s): %w", resp.Status, err)
	}
	if resp.StatusCode == http.StatusConflict || !s.known {
		s.frames.Seek(answer.Accepted + 1)
	}
	s.known, s.accepted, s.stored = true, answer.Accepted, answer.Stored
	s.a.acked.Store(answer.Accepted)
	if err := s.a.o.Spool.Release(answer.Stored); err != nil {
		s.a.o.Logger.Error("give up what is stored", "error", err)
	}
	return nil
}
