// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"

	v1 "microstax/api/v1"
)

// rateSlot is a contender under the open-loop load once.
type rateSlot struct {
	loadResult
	cpu     float64 // seconds for 100,000 requests, at this rate
	top     usage   // the highest of each
	traffic *v1.Traffic
	dials   int64 // connections that the shadow was asked for
}

// Durations of the open-loop slots.
func (r *run) rateFor() (warm, d time.Duration) {
	if r.quick {
		return 500 * time.Millisecond, 1500 * time.Millisecond
	}
	return time.Second, 3 * time.Second
}

// paced drives one contender at 2,000 requests a second, GET and POST 1 KiB in turn, with the shadow in a mode.
func (r *run) paced(name, mode string, warm, d time.Duration) (res rateSlot, err error) {
	up, shadow, end, err := r.backends(name, mode, r.priority(1))
	if err != nil {
		return res, err
	}
	defer end()
	s, err := r.serve(name, up, r.priority(1))
	if err != nil {
		return res, err
	}
	defer func() {
		shadow.end() // what waits for it need not wait any longer
		t, e := s.end()
		if err == nil {
			err = e
		}
		res.traffic = t
	}()
	samples := func() []usage { return nil }
	var before float64
	if s.proc != nil {
		before = s.cpu()
		samples = s.watch(time.Second, nil)
	}
	res.loadResult, err = r.drive(s.addr, 0, warm, d)
	for _, u := range samples() {
		res.top = usage{pss: max(res.top.pss, u.pss), peak: max(res.top.peak, u.peak), fds: max(res.top.fds, u.fds)}
	}
	if s.proc != nil {
		res.cpu = (s.cpu() - before) / (warm + d).Seconds() / 2000 * 1e5
	}
	res.dials = shadow.counts(r.ctx).Connections
	return res, err
}

// latency measures what a proxy adds when the machine is not busy.
func (r *run) latency() error {
	warm, d := r.rateFor()
	all := map[string][]rateSlot{}
	names := r.contenders()
	for round := range r.rounds {
		for i := range names {
			name := names[(i+round)%len(names)]
			res, err := r.paced(name, modeOK, warm, d)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			all[name] = append(all[name], res)
			r.say("round %d: %s: p50 %.0f µs, p99 %.0f µs, %d of %d answered", round+1, name, res.P50, res.P99, res.OK, res.Requests)
		}
	}
	r.latencyTable(all)
	return nil
}

// isolation measures what users feel of a shadow in trouble.
func (r *run) isolation() error {
	warm, d := r.rateFor()
	all := map[string][]rateSlot{}
	modes := []string{modeOK, modeSlow, modeHang, modeRefuse, modeReset, modeNoRead}
	for round := range r.rounds {
		for i := range modes {
			mode := modes[(i+round)%len(modes)]
			res, err := r.paced(oursShadow, mode, warm, d)
			if err != nil {
				return fmt.Errorf("shadow %s: %w", mode, err)
			}
			all[mode] = append(all[mode], res)
			r.say("round %d: shadow %s: p99 %.0f µs, failed %d, PSS %.0f MiB, %d descriptors, compared %d of %d, dropped %v, exact %v",
				round+1, mode, res.P99, res.Failed, res.top.pss, res.top.fds, res.traffic.Compared, res.traffic.Received,
				dropped(res.traffic), exact(res.traffic))
		}
	}
	r.isolationTable(modes, all)
	return nil
}

// slowUsers send the requests to a slow shadow: each of them one in five seconds. Requests of one session keep their
// order, and with a shadow that takes 500 ms a session has at most two a second.
const slowUsers = 10_000

// slow measures a shadow that answers after 500 ms: nothing of it may be lost.
func (r *run) slow() error {
	for _, users := range []int{slowUsers, 0} {
		if err := r.slowWith(users); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) slowWith(users int) error {
	d := 20 * time.Second
	if r.quick {
		d = 6 * time.Second
	}
	up, shadow, end, err := r.backends(oursShadow, modeSlow, r.priority(1))
	if err != nil {
		return err
	}
	defer end()
	s, err := r.serve(oursShadow, up, r.priority(1))
	if err != nil {
		return err
	}
	samples := s.watch(time.Second, nil)
	res, err := r.drive(s.addr, users, time.Second, d)
	top := highest(samples())
	dials := shadow.counts(r.ctx).Connections
	t, e := s.end()
	if err != nil {
		return err
	}
	if e != nil {
		return e
	}
	r.slowRow(d, users, res, top, dials, t)
	return nil
}

func highest(list []usage) (top usage) {
	for _, u := range list {
		top = usage{pss: max(top.pss, u.pss), peak: max(top.peak, u.peak), fds: max(top.fds, u.fds)}
	}
	return top
}

// hung measures a minute of a shadow that never answers.
func (r *run) hung() error {
	d := time.Minute
	if r.quick {
		d = 15 * time.Second
	}
	up, shadow, end, err := r.backends(oursShadow, modeHang, r.priority(1))
	if err != nil {
		return err
	}
	defer end()
	s, err := r.serve(oursShadow, up, r.priority(1))
	if err != nil {
		return err
	}
	var dials []int64
	samples := s.watch(time.Second, func() { dials = append(dials, shadow.counts(r.ctx).Connections) })
	res, err := r.drive(s.addr, 0, time.Second, d)
	list := samples()
	shadow.end()
	t, e := s.end()
	if err != nil {
		return err
	}
	if e != nil {
		return e
	}
	r.hungRow(d, res, list, dials, t)
	return nil
}

func dropped(t *v1.Traffic) map[string]int64 {
	m := map[string]int64{}
	for k, n := range t.Dropped {
		if n > 0 {
			m[k] = n
		}
	}
	return m
}
