// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"slices"
	"syscall"
	"testing"
	"time"

	v1 "microstax/api/v1"
)

// Roles, as the API names them.
const (
	primary   = "primary"
	candidate = "candidate"
	control   = "control"
)

// calm drives a world that nothing is wrong with, so that everything has been started once and is warm. It returns how
// many requests were received, and what the server holds at rest.
func (w *world) calm() (int64, usage) {
	w.t.Helper()
	d := w.drive("calm")
	d.more(200)
	d.stop()
	d.none()
	d.written()
	r := w.report(d.ok.Load())
	if r.Traffic.Received != d.ok.Load() {
		w.t.Errorf("received %d of %d", r.Traffic.Received, d.ok.Load())
	}
	return d.ok.Load(), w.usage()
}

// all checks that exactly n requests were received, and that nothing leaked.
func (w *world) all(n int64, before usage) {
	w.t.Helper()
	r := w.report(n)
	if r.Traffic.Received != n {
		w.t.Errorf("received %d, sent %d: %+v", r.Traffic.Received, n, r.Traffic)
	}
	w.t.Logf("traffic: received %d, compared %d, dropped %v", r.Traffic.Received, r.Traffic.Compared, r.Traffic.Dropped)
	w.noLeak(before)
}

func TestKilledShadowIsNotFelt(t *testing.T) {
	t.Parallel()
	for _, role := range []string{candidate, control} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{})
			n, before := w.calm()
			d := w.drive("kill")
			d.more(50)
			pid := w.pid(w.over.ID, "orders", role)
			w.signal(pid, syscall.SIGKILL)
			w.another(w.over.ID, "orders", role, pid)
			w.compares(100)
			d.more(100)
			d.stop()
			d.none()
			d.written()
			w.all(n+d.ok.Load(), before)
		})
	}
}

func TestStoppedShadowIsNotFelt(t *testing.T) {
	t.Parallel()
	for _, role := range []string{candidate, control} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			// Nothing can wait for the shadow and still get so many answers: each such wait would take a minute.
			w := newWorld(t, options{timeout: "60s"})
			n, before := w.calm()
			d := w.drive("stop")
			d.more(50)
			pid := w.pid(w.over.ID, "orders", role)
			w.signal(pid, syscall.SIGSTOP)
			d.more(500)
			w.signal(pid, syscall.SIGCONT)
			d.more(50)
			d.stop()
			d.none()
			d.written()
			w.all(n+d.ok.Load(), before)
		})
	}
}

func TestHungShadowTimesOut(t *testing.T) {
	t.Parallel()
	for _, role := range []string{candidate, control} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{timeout: "200ms"})
			n, before := w.calm()
			pid := w.pid(w.over.ID, "orders", role)
			w.signal(pid, syscall.SIGSTOP)
			d := w.drive("hang")
			d.more(100)
			d.stop()
			d.none()
			d.written()
			w.all(n+d.ok.Load(), before) // while it still hangs: nothing may stay in flight
			r := w.report(0)
			// It must show: as time-outs, as what the breaker then kept from it, or as a finding.
			shown := r.Traffic.Dropped["timeout"]+r.Traffic.Dropped["breakerOpen"] > 0
			if !shown && !slices.ContainsFunc(r.Findings, func(f v1.Finding) bool { return f.Kind == "error" }) {
				t.Errorf("that a shadow does not answer is nowhere to be seen: %+v, %+v", r.Traffic, r.Findings)
			}
			if r.Verdict.Decision == "promote" {
				t.Errorf("verdict %+v", r.Verdict)
			}
			w.signal(pid, syscall.SIGCONT)
		})
	}
}

// window allows failures of some kinds between two moments.
func window(from, to time.Time, kinds ...int) func(failure) bool {
	return func(f failure) bool {
		return slices.Contains(kinds, f.kind) && !f.end.Before(from) && !f.begin.After(to)
	}
}

func TestKilledServiceOfTheBaselineIsFeltByItsUsersOnly(t *testing.T) {
	t.Parallel()
	rows := []struct {
		service string
		signal  syscall.Signal
		felt    []int // kinds of request that need it
	}{
		{"stock", syscall.SIGKILL, []int{postOrder, getPage}},
		{"front", syscall.SIGKILL, []int{getPage}},
		{"orders", syscall.SIGKILL, []int{getItem, postEcho, postOrder, getPage}},
		{"orders", syscall.SIGTERM, []int{getItem, postEcho, postOrder, getPage}},
	}
	for _, row := range rows {
		t.Run(row.service+" "+row.signal.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{})
			n, before := w.calm()
			d := w.drive("base")
			d.more(50)
			pid := w.pid(w.base.ID, row.service, primary)
			from := time.Now()
			w.signal(pid, row.signal)
			w.another(w.base.ID, row.service, primary, pid)
			w.ready(w.base.ID)
			to := time.Now()
			d.more(200)
			d.stop()
			d.only(window(from, to, row.felt...))
			d.written()
			// A request that failed may have been received or not: not if front was dead or refused.
			r := w.report(n + d.ok.Load())
			if most := n + d.ok.Load() + int64(len(d.failures)); r.Traffic.Received > most {
				t.Errorf("received %d of at most %d", r.Traffic.Received, most)
			}
			w.noLeak(before)
		})
	}
}

func TestKilledServerIsBackWithEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	n, before := w.calm()
	d := w.drive("server")
	var gaps [][2]time.Time
	for range 2 {
		d.more(100)
		running := len(w.processes())
		was := w.pid(w.base.ID, "orders", primary)
		from := time.Now()
		w.kill()
		if now := len(w.processes()); now != running {
			t.Errorf("%d services ran, and %d after the server's death", running, now)
		}
		w.serve()
		w.ready(w.base.ID)
		w.ready(w.over.ID)
		gaps = append(gaps, [2]time.Time{from, time.Now()})
		if now := w.pid(w.base.ID, "orders", primary); now != was {
			t.Errorf("orders was process %d and is %d", was, now)
		}
	}
	w.compares(100)
	d.more(100)
	d.stop()
	d.only(func(f failure) bool {
		for _, g := range gaps {
			if f.refused && !f.end.Before(g[0]) && !f.begin.After(g[1]) {
				return true
			}
		}
		return false
	})
	d.written()
	r := w.report(n)
	t.Logf("traffic %+v", r.Traffic)
	w.noLeak(before)
}
