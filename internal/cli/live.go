// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"fmt"
	"math"
	"sync"
	"time"

	v1 "microstax/api/v1"
)

// plainPace is how often progress is printed where it can't be redrawn.
const plainPace = 5 * time.Second

// liveView shows progress on standard error: on a terminal one line that is redrawn, elsewhere a line now and then. What else
// is to be said goes above that line. Safe for concurrent use.
type liveView struct {
	a *app

	mu      sync.Mutex
	drawn   bool            // a status line stands at the cursor; guarded by mu
	status  string          // guarded by mu
	printed time.Time       // when a plain line was printed last; guarded by mu
	known   map[string]bool // findings that were told; guarded by mu
}

func (a *app) liveView() *liveView {
	return &liveView{a: a, known: map[string]bool{}}
}

// show shows the state of a report, and findings that are new in it.
func (v *liveView) show(r v1.Report) {
	v.mu.Lock()
	defer v.mu.Unlock()
	t := table{color: v.a.ErrTerminal && v.a.set.Color}
	for _, f := range r.Findings {
		if f.Confidence == "suspected" && r.Traffic.Compared > 0 && hasControl(r) || v.known[f.ID] || f.Status != "open" {
			continue // with a control a suspicion may pass; without one nothing is ever more
		}
		v.known[f.ID] = true
		v.above(fmt.Sprintf("%s %s: %s (%d of %d) %s", t.state(f.Severity), printable(f.Endpoint), printable(f.Summary), f.Count, f.Compared,
			t.paint(dim, f.ID)))
	}
	v.status = fmt.Sprintf("%d received, %d compared, %d identical, %d in flight, %d dropped, %s; verdict so far: %s", r.Traffic.Received,
		r.Traffic.Compared, r.Traffic.Identical, r.Traffic.InFlight, sum(r.Traffic.Dropped), plural(len(v.known), "finding"), t.state(r.Verdict.Decision))
	if c := r.Traffic.Capture; c != nil {
		v.status = fmt.Sprintf("tap saw %s (%d missed); ", seenShare(c.Rate), c.Missed) + v.status
	}
	if v.a.ErrTerminal {
		v.draw()
		return
	}
	if now := v.a.Now(); !v.a.quiet && now.Sub(v.printed) >= plainPace {
		v.printed = now
		fmt.Fprintln(v.a.Err, v.status)
	}
}

// seenShare is the share that a tap saw, never rounded up: what was missed has to show.
func seenShare(rate float64) string { return fmt.Sprintf("%g %%", math.Floor(rate*1e4)/100) }

// hasControl says whether the report rests on a control.
func hasControl(r v1.Report) bool {
	for _, l := range r.Latency {
		if l.Control.P50 > 0 {
			return true
		}
	}
	return false
}

// talk says something above the status line.
func (v *liveView) talk(format string, args ...any) {
	if v.a.quiet {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.above(fmt.Sprintf(format, args...))
	v.draw()
}

// Write lets a logger write above the status line.
func (v *liveView) Write(b []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.above(string(bytes.TrimRight(b, "\n")))
	v.draw()
	return len(b), nil
}

// end takes the status line away.
func (v *liveView) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.erase()
	v.status = ""
}

// above prints a line where the status line was; mu is held.
func (v *liveView) above(line string) {
	v.erase()
	fmt.Fprintln(v.a.Err, line)
}

// draw puts the status line back; mu is held.
func (v *liveView) draw() {
	if !v.a.ErrTerminal || v.status == "" || v.a.quiet {
		return
	}
	v.erase()
	fmt.Fprint(v.a.Err, v.status)
	v.drawn = true
}

// erase takes the status line away; mu is held.
func (v *liveView) erase() {
	if v.drawn {
		fmt.Fprint(v.a.Err, "\r\x1b[2K")
		v.drawn = false
	}
}
