// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "microstax/api/v1"
)

// table is everything that is printed.
type table struct {
	rows   []row
	detail strings.Builder
}

// row is one figure beside what is to be reached.
type row struct{ figure, target, reached, verdict string }

func (t *table) add(figure, target, reached string, ok bool) {
	verdict := "yes"
	if !ok {
		verdict = "NO"
	}
	t.rows = append(t.rows, row{figure, target, reached, verdict})
}

func (t *table) state(figure, reached string) {
	t.rows = append(t.rows, row{figure, "stated", reached, "–"})
}

func (t *table) section(title, head string) {
	fmt.Fprintf(&t.detail, "\n### %s\n\n| %s |\n|%s\n", title, head, strings.Repeat("---|", strings.Count(head, "|")+1))
}

func (t *table) line(format string, args ...any) { fmt.Fprintf(&t.detail, "| "+format+" |\n", args...) }

func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(list))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// spread is a median with the lowest and highest.
func spread(format string, list []float64) string {
	if len(list) == 0 {
		return "–"
	}
	f := func(v float64) string { return fmt.Sprintf(format, v) }
	return f(median(list)) + " [" + f(slices.Min(list)) + "–" + f(slices.Max(list)) + "]"
}

func column[T any](list []T, get func(T) float64) []float64 {
	c := make([]float64, len(list))
	for i, x := range list {
		c[i] = get(x)
	}
	return c
}

// ratios divides round by round.
func ratios(a, b []float64) []float64 {
	var q []float64
	for i := range min(len(a), len(b)) {
		if b[i] > 0 {
			q = append(q, a[i]/b[i])
		}
	}
	return q
}

func (r *run) throughputTable(all map[string][]slotResult) {
	t := &r.table
	rate := func(s slotResult) float64 { return s.rate }
	cpu := func(s slotResult) float64 { return s.cpu }
	t.section(fmt.Sprintf("Throughput: wrk, 64 keep-alive connections, %v slots, %d rounds", r.slot, r.rounds),
		"contender | method | requests/s | ratio to direct | ratio to nginx mirror | CPU s per 100,000 | mirrored | not 200")
	for _, name := range r.contenders() {
		for _, m := range []string{"GET", "POST"} {
			list, bad := all[name+m], 0
			for _, s := range list {
				bad += s.bad
			}
			t.line("%s | %s | %s | %.2f | %.2f | %s | %.2f | %d", name, m, spread("%.0f", column(list, rate)),
				median(ratios(column(list, rate), column(all[direct+m], rate))),
				median(ratios(column(list, rate), column(all[nginxMirror+m], rate))),
				spread("%.2f", column(list, cpu)), median(column(list, func(s slotResult) float64 { return s.share })), bad)
		}
	}
	for _, m := range []string{"GET", "POST"} {
		against := func(get func(slotResult) float64, ours, theirs string) float64 {
			return median(ratios(column(all[ours+m], get), column(all[theirs+m], get)))
		}
		share := median(column(all[oursShadow+m], func(s slotResult) float64 { return s.share }))
		q := against(rate, oursShadow, nginxMirror)
		t.add("throughput "+m+", mirror on (64 connections)", "≥ 2.5 × nginx mirror",
			fmt.Sprintf("%.2f ×, %.0f %% of copies compared", q, share*100), q >= 2.5)
		if r.traefik != "" {
			q := against(rate, oursShadow, traefikMirror)
			t.add("throughput "+m+", mirror on", "≥ 3 × Traefik mirror", fmt.Sprintf("%.2f ×", q), q >= 3)
		}
		q = against(cpu, oursShadow, nginxMirror)
		t.add("CPU per request "+m+", mirror on", "≤ 0.4 × nginx mirror", fmt.Sprintf("%.2f ×", q), q <= 0.4)
		q = against(cpu, oursForward, nginxPlain)
		t.add("CPU per request "+m+", mirror off", "≤ 1.15 × nginx plain", fmt.Sprintf("%.2f ×", q), q <= 1.15)
	}
	if r.traefik == "" {
		t.state("Traefik mirror", "not measured: no binary (-traefik PATH)")
	}
	t.sums("throughput", all)
}

// sums says whether every slot's report accounted for every request.
func (t *table) sums(what string, all map[string][]slotResult) {
	slots, inexact := 0, 0
	for key, list := range all {
		if !strings.HasPrefix(key, oursShadow) { // also with a control
			continue
		}
		for _, s := range list {
			slots++
			if s.inexact {
				inexact++
			}
		}
	}
	t.add("received = compared + dropped, "+what, "every slot", fmt.Sprintf("%d of %d slots", slots-inexact, slots), inexact == 0)
}

func (r *run) latencyTable(all map[string][]rateSlot) {
	t := &r.table
	p50 := func(s rateSlot) float64 { return s.P50 }
	p99 := func(s rateSlot) float64 { return s.P99 }
	_, d := r.rateFor()
	t.section(fmt.Sprintf("Open loop: 2,000 requests/s, 64 connections, GET and POST 1 KiB in turn, %v, %d rounds (direct is the generator's floor)", d, r.rounds),
		"contender | p50 µs | p99 µs | p99.9 µs | p99 to nginx plain | CPU s per 100,000 at this rate | failed | compared")
	for _, name := range r.contenders() {
		list, bad, share := all[name], 0, "–"
		for _, s := range list {
			bad += s.Failed
			if s.traffic != nil && s.traffic.Received > 0 {
				share = fmt.Sprintf("%.3f", float64(s.traffic.Compared)/float64(s.traffic.Received))
			}
		}
		t.line("%s | %s | %s | %s | %.2f | %.1f | %d | %s", name, spread("%.0f", column(list, p50)), spread("%.0f", column(list, p99)),
			spread("%.0f", column(list, func(s rateSlot) float64 { return s.P999 })),
			median(ratios(column(list, p99), column(all[nginxPlain], p99))),
			median(column(list, func(s rateSlot) float64 { return s.cpu })), bad, share)
	}
	for _, f := range []struct {
		name string
		get  func(rateSlot) float64
	}{{"p50", p50}, {"p99", p99}} {
		q := median(ratios(column(all[oursShadow], f.get), column(all[nginxPlain], f.get)))
		t.add(f.name+" at 2,000/s open loop, mirror on", "≤ 1.1 × nginx plain", fmt.Sprintf("%.2f ×", q), q <= 1.1)
	}
}

func (r *run) isolationTable(modes []string, all map[string][]rateSlot) {
	t := &r.table
	p99 := func(s rateSlot) float64 { return s.P99 }
	t.section(fmt.Sprintf("Isolation: 2,000 requests/s through microstax with a shadow in trouble, %d rounds", r.rounds),
		"shadow | p99 µs | to healthy | failed | PSS MiB | peak RSS MiB | descriptors | connections to the shadow | compared | dropped (last round) | sums")
	for _, mode := range modes {
		list, bad, sums := all[mode], 0, "exact"
		for _, s := range list {
			bad += s.Failed
			if !exact(s.traffic) {
				sums = "WRONG"
			}
		}
		top := func(get func(rateSlot) float64) float64 { return slices.Max(column(list, get)) }
		last := list[len(list)-1]
		q := median(column(list, p99)) / median(column(all[modeOK], p99))
		t.line("%s | %s | %.2f | %d | %.0f | %.0f | %.0f | %.0f | %.3f | %s | %s", mode, spread("%.0f", column(list, p99)), q, bad,
			top(func(s rateSlot) float64 { return s.top.pss }), top(func(s rateSlot) float64 { return s.top.peak }),
			top(func(s rateSlot) float64 { return float64(s.top.fds) }), top(func(s rateSlot) float64 { return float64(s.dials) }),
			float64(last.traffic.Compared)/float64(max(last.traffic.Received, 1)), drops(last.traffic), sums)
		if mode != modeOK {
			t.add("p99 with the shadow "+mode, "≤ 1.1 × healthy, none failed",
				fmt.Sprintf("%.2f ×, %d failed, sums %s", q, bad, sums), q <= 1.1 && bad == 0 && sums == "exact")
		}
	}
}

func drops(t *v1.Traffic) string {
	m := dropped(t)
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, m[k]))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

func (r *run) slowRow(d time.Duration, users int, res loadResult, top usage, dials int64, t *v1.Traffic) {
	share := float64(t.Compared) / float64(max(t.Received, 1))
	reached := fmt.Sprintf("%.2f %% of %d paired (dropped: %s), PSS %.0f MiB (peak RSS %.0f), %d descriptors, %d connections, %d failed",
		share*100, t.Received, drops(t), top.pss, top.peak, top.fds, dials, res.Failed)
	if users == 0 {
		r.table.state(fmt.Sprintf("the same without sessions: 64 connections are 64 sequences, %v", d), reached)
		return
	}
	r.table.add(fmt.Sprintf("500 ms slow shadow at 2,000/s of %d users, %v", users, d), "100 % paired, ≤ 80 MiB", reached,
		t.Compared == t.Received && top.pss <= 80 && exact(t))
}

func (r *run) hungRow(d time.Duration, res loadResult, list []usage, dials []int64, t *v1.Traffic) {
	top := highest(list)
	var fastest, burst int64
	for i := 1; i < len(dials); i++ {
		n := dials[i] - dials[i-1]
		if i <= 3 {
			burst += n
		} else {
			fastest = max(fastest, n)
		}
	}
	third := max(len(list)/3, 1)
	early, late := highest(list[third:2*third]), highest(list[2*third:])
	flat := late.pss <= early.pss*1.1+1 && late.fds <= early.fds+64
	r.table.add(fmt.Sprintf("hung shadow at 2,000/s for %v", d), "flat, ≤ 64 MiB; ≤ 50 dials/s; drops counted",
		fmt.Sprintf("PSS ≤ %.0f MiB (middle third %.0f, last %.0f; peak RSS %.0f), descriptors ≤ %d (%d, %d); %d dials in the first 3 s, then ≤ %d/s; "+
			"p99 %.0f µs, %d failed; received %d, compared %d, dropped: %s", top.pss, early.pss, late.pss, top.peak, top.fds, early.fds, late.fds,
			burst, fastest, res.P99, res.Failed, t.Received, t.Compared, drops(t)),
		flat && top.pss <= 64 && fastest <= 50 && exact(t) && res.Failed == 0)
}

func (r *run) memoryRow(name string, start, idle, busy usage) {
	what := fmt.Sprintf("PSS %.1f MiB at start, %.1f with %d idle, %.1f with 64 busy (peak RSS %.1f), %d descriptors",
		start.pss, idle.pss, idleConns, busy.pss, busy.peak, busy.fds)
	if name == oursShadow {
		r.table.add("1,000 idle and 64 busy connections, mirror on", "≤ 25 MiB", what, busy.pss <= 25)
		return
	}
	r.table.state("the same, "+name, what)
}

func (r *run) streamingTable(large int64, all map[string]map[string]flow) {
	t := &r.table
	t.section("Bodies and events: first byte after it was sent / whole / growth of PSS",
		"contender | 10 MiB down | 10 MiB up | "+bodyKey(large, false)+" | "+bodyKey(large, true)+" | slowest event")
	cell := func(f flow) string {
		return fmt.Sprintf("%.2f ms / %.0f ms / +%.1f MiB", ms(f.first), ms(f.whole), f.grown)
	}
	keys := []string{bodyKey(10*mib, false), bodyKey(10*mib, true), bodyKey(large, false), bodyKey(large, true)}
	for _, name := range []string{direct, nginxPlain, oursForward, oursShadow} {
		m := all[name]
		t.line("%s | %s | %s | %s | %s | %.2f ms", name, cell(m[keys[0]]), cell(m[keys[1]]), cell(m[keys[2]]), cell(m[keys[3]]), ms(m["events"].first))
	}
	for _, k := range keys {
		ours, base := all[oursShadow][k], all[direct][k]
		t.add(k+", mirror on", "first byte ≤ direct + 2 ms, ≤ + 8 MiB", fmt.Sprintf("%+.2f ms, +%.1f MiB", ms(ours.first-base.first), ours.grown),
			ours.first-base.first <= 2*time.Millisecond && ours.grown <= 8)
	}
	late := all[oursShadow]["events"].first - all[direct]["events"].first
	t.add("server-sent events, mirror on", "first byte ≤ direct + 2 ms", fmt.Sprintf("slowest of %d: %+.2f ms", eventCount, ms(late)),
		late <= 2*time.Millisecond)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (r *run) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n\n| figure | to reach | reached | ok |\n|---|---|---|---|\n", r.host)
	for _, x := range r.table.rows {
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", x.figure, x.target, x.reached, x.verdict)
	}
	r.missed(w)
	io.WriteString(w, r.table.detail.String()) //nolint:errcheck,gosec // a terminal
}

func (r *run) writeDoc() error {
	var b strings.Builder
	b.WriteString(docHead)
	fmt.Fprintf(&b, "Rounds %d, slots of %v, sections %s.\n", r.rounds, r.slot, strings.Join(r.only, ", "))
	r.print(&b)
	return os.WriteFile(filepath.Join(r.root, "docs", "performance.md"), []byte(b.String()), 0o644) //nolint:gosec // a public document
}
