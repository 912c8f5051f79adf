// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
)

const docHead = `# Performance of the data plane

This file is written by ` + "`go run ./bench/dataplane -write`" + `; do not edit it.

The contenders, the load generators and the backends share one machine, so requests a second tell what the whole takes;
CPU is that of the proxy with its children, copies that were still under way included. Each contender has a fresh process
in each slot, contenders take turns, figures are medians [lowest–highest] over rounds, and ratios are taken within a round.
"microstax, shadow" is ` + "`microstax shadow`" + ` itself: it mirrors, captures both answers, pairs and compares them; "compared" is what
its own report says at the end, so that a high throughput with lost copies would show. "microstax, no shadow" is the same
data plane with a routing table that mirrors nothing. Latency is open loop: taken from the time at which a request was to
be sent, with requests unsent or unanswered counted at their age; "direct" is the generator's own floor.

`

// missed says which figures were not reached, and why as far as that is known.
func (r *run) missed(w io.Writer) {
	var reasons []string
	note := func(word, why string) {
		for _, x := range r.table.rows {
			if x.verdict == "NO" && strings.Contains(x.figure, word) {
				reasons = append(reasons, why)
				return
			}
		}
	}
	note("mirror on (64 connections)", whyThroughput)
	note("CPU per request", whyCPU)
	note("1,000 idle", whyMemory)
	note("p99", whyTail)
	missing := 0
	for _, x := range r.table.rows {
		if x.verdict != "NO" {
			continue
		}
		if missing++; missing == 1 {
			fmt.Fprint(w, "\n### Not reached\n\n")
		}
		fmt.Fprintf(w, "- %s: to reach %s, reached %s\n", x.figure, x.target, x.reached)
	}
	for _, why := range reasons {
		fmt.Fprintf(w, "\n%s\n", why)
	}
}

const (
	whyThroughput = `Throughput: six calls to sockets are made for a mirrored request, a read and a write for the client, the baseline and the
shadow. When this was last looked at (November 2026) they were three fifths of all samples (` + "`Syscall6`" + ` in a profile like the one below), four fifths
of that in writes: the kernel carries the segment through to the receiver, and wakes it, within the sender's call. The part of
the copy without its socket calls (order, choice of a worker, comparison, judgement) was roughly a sixth. Load generator,
both backends and the proxy share two processors, so that what the shadow itself takes to answer is part of the figure.`
	whyCPU = `CPU: forwarding alone, without a shadow, takes about a quarter of what nginx mirror takes for all; the shadow's write and read
and what is looked at of its answer were another quarter of the samples. Switches between goroutines were about 6 %. A prototype
with an event loop in place of Go's took 15 % less.`
	whyMemory = `Memory: two fifths of it are pages of the program's own file that are mapped because they were touched, which
the kernel can drop; the database, the codecs and the comparison are in the same process. Each idle connection costs about 8 KiB,
half of it the goroutine's stack, and the heap may grow by half before it is collected.`
	whyTail = `Tails: the 99th percentile rests on 60 of 6,000 requests of a round, on a machine where others work too, and the healthy case
itself varies, as its spread in the table says. That does not explain what is above the target here: no profile of the tails
was taken, so whether it is the machine's doing or the shadow's is not known.`
)
