// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"

	v1 "microstax/api/v1"
)

// metrics reads what the server publishes of itself; values of metrics with labels are added up.
func (w *world) metrics() map[string]float64 {
	w.t.Helper()
	m := map[string]float64{}
	sc := bufio.NewScanner(strings.NewReader(w.get(w.url + "/metrics")))
	for sc.Scan() {
		name, value, ok := strings.Cut(sc.Text(), " ")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		name, _, _ = strings.Cut(name, "{")
		if v, err := strconv.ParseFloat(value[strings.LastIndexByte(value, ' ')+1:], 64); err == nil {
			m[name] += v
		}
	}
	return m
}

// report waits until nothing of the session is in flight, checks the sums, and returns the report.
func (w *world) report(atLeast int64) v1.Report {
	w.t.Helper()
	var r v1.Report
	w.await("every mirrored request is accounted for", func() (err error) {
		if r, err = w.api.Report(w.t.Context(), w.over.ID); err != nil {
			return err
		}
		if waiting := w.metrics()["microstax_dataplane_mirror_waiting"]; waiting > 0 {
			return fmt.Errorf("%v copies wait", waiting)
		}
		if r.Traffic.Received < atLeast || r.Traffic.InFlight != 0 {
			return fmt.Errorf("of at least %d: %+v", atLeast, r.Traffic)
		}
		return nil
	})
	w.sums(r)
	return r
}

// compares waits until so many more requests are compared.
func (w *world) compares(more int64) {
	w.t.Helper()
	was := int64(-1)
	w.await(fmt.Sprintf("%d more comparisons", more), func() error {
		r, err := w.api.Report(w.t.Context(), w.over.ID)
		if err != nil {
			return err
		}
		if was < 0 {
			was = r.Traffic.Compared
		}
		if r.Traffic.Compared < was+more {
			return fmt.Errorf("%d of %d: %+v", r.Traffic.Compared, was+more, r.Traffic)
		}
		return nil
	})
}

// sums are exact.
func (w *world) sums(r v1.Report) {
	w.t.Helper()
	sum := r.Traffic.Compared + r.Traffic.InFlight
	for _, n := range r.Traffic.Dropped {
		sum += n
	}
	if sum != r.Traffic.Received {
		w.t.Errorf("received %d, and %d are accounted for: %+v", r.Traffic.Received, sum, r.Traffic)
	}
	var endpoints int64
	for _, e := range r.Traffic.Endpoints {
		endpoints += e.Received
	}
	if endpoints > r.Traffic.Received {
		w.t.Errorf("endpoints received %d of %d", endpoints, r.Traffic.Received)
	}
}

// usage is what a server holds when nothing happens.
type usage struct{ goroutines, descriptors, resident float64 }

func (w *world) usage() usage {
	m := w.metrics()
	return usage{m["go_goroutines"], m["process_open_fds"], m["process_resident_memory_bytes"]}
}

// Tolerances of what a server may hold more at rest than before. Connections to services are kept (up to one for each
// request that was under way at the same time), and so are the mirror's workers, two connections each, of which there are
// at most as many as the shadow's concurrency says (16); and the restart of an instance opens a log and watches it. The Go
// runtime gives memory back over minutes, and the analysis of a session grows with the endpoints and differences it has
// seen.
const (
	moreGoroutines  = 90
	moreDescriptors = 110
	moreResident    = 64 << 20
	// keptConnections is what more of them are kept to one service, after thousands of requests at the same time.
	keptConnections = 256
)

// noLeak waits until the server holds what it held before.
func (w *world) noLeak(before usage) {
	w.t.Helper()
	var now usage
	w.await("the server holds no more than before", func() error {
		now = w.usage()
		if now.goroutines > before.goroutines+moreGoroutines || now.descriptors > before.descriptors+moreDescriptors ||
			now.resident > before.resident+moreResident {
			return fmt.Errorf("before %v, now %v", before, now)
		}
		return nil
	})
	w.t.Logf("goroutines %v → %v, descriptors %v → %v, resident %v → %v MiB", before.goroutines, now.goroutines,
		before.descriptors, now.descriptors, int(before.resident)>>20, int(now.resident)>>20)
}

// peak is the most memory that a process ever had, in bytes.
func (w *world) peak(pid int) int64 {
	w.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		w.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	line, _, _ := strings.Cut(rest, "kB")
	kib, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	if err != nil {
		w.t.Fatal(err)
	}
	return kib << 10
}
