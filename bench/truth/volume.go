// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"runtime"
	"time"

	"microstax/internal/engine"
	"microstax/internal/observation"
)

// volume judges very many observations, and looks at what that costs.
func volume(o options) (*section, error) {
	const endpoints, distinct = 200, 20_000
	s := &section{name: "volume", title: "What judging costs"}
	s.note("%s observations over %d endpoints with eight noisy fields each, of %s different user sessions, through the engine one after "+
		"the other. Memory is what the Go heap holds for the analysis; the peak is everything that the program has from the operating system, the prepared observations included.",
		thousands(o.volume), endpoints, thousands(o.volume/8))
	w := newWorld(o.seed, manyRoutes(endpoints), 8)
	prepared := make([]*observation.Observation, min(distinct, o.volume))
	for i := range prepared {
		prepared[i], _ = w.next()
	}
	before := heap()
	a := engine.New(engine.Config{Control: true})
	start := time.Now()
	for i := range o.volume {
		x := *prepared[i%len(prepared)]
		x.ID = fmt.Sprintf("obs_%08d", i)
		x.Unit = fmt.Sprint("u", i/8)
		x.At = w.start.Add(time.Duration(i) * time.Millisecond)
		a.Tally(observation.Tally{Session: x.Session, At: x.At, Received: 1, Mirrored: 1})
		a.Observe(&x)
	}
	took := time.Since(start)
	after := heap()
	runtime.KeepAlive(prepared)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)

	report := fastest(5, func() { a.Report(engine.Meta{}) })
	st := fastest(5, func() { a.Standing() })
	b, err := a.State()
	if err != nil {
		return nil, err
	}
	restored, err := engine.Restore(engine.Config{Control: true}, b)
	if err != nil {
		return nil, err
	}
	if got := restored.Report(engine.Meta{}).Traffic.Compared; got != int64(o.volume) {
		return nil, fmt.Errorf("the restored analysis compared %d, want %d", got, o.volume)
	}
	held := float64(after-min(before, after)) / (1 << 20)
	s.add(fmt.Sprintf("judging %s observations over %d endpoints: memory", thousands(o.volume), endpoints), "≤ 256 MiB",
		fmt.Sprintf("%.0f MiB (peak of the program %.0f MiB)", held, float64(m.Sys)/(1<<20)), "", held <= 256)
	s.add("the same: time of a report", "≤ 200 ms", report.Round(100*time.Microsecond).String(), "", report <= 200*time.Millisecond)
	s.rows = append(s.rows, row{what: "the same: size of the stored state", want: "stated", ours: fmt.Sprintf("%.1f MiB", float64(len(b))/(1<<20)), stated: true})
	s.head = []string{"", ""}
	s.line("each observation, three noisy answers", (took / time.Duration(o.volume)).Round(100*time.Nanosecond).String())
	s.line("observations a second", thousands(int(float64(o.volume)/took.Seconds())))
	s.line("report", report.Round(100*time.Microsecond).String())
	s.line("short standing, as after each observation", st.Round(time.Microsecond).String())
	s.line("stored state", fmt.Sprintf("%.1f MiB", float64(len(b))/(1<<20)))
	return s, nil
}

// heap is what is in use after a collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// fastest is the shortest of several times: the machine has other work.
func fastest(n int, f func()) time.Duration {
	best := time.Duration(1 << 62)
	for range n {
		start := time.Now()
		f()
		best = min(best, time.Since(start))
	}
	return best
}
