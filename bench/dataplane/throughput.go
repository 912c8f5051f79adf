// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// slotResult is one contender driven at full speed once.
type slotResult struct {
	rate, cpu float64 // requests a second; seconds of processor for 100,000
	share     float64 // copies that reached the shadow, or for ours were compared, of all requests
	bad       int     // answers that were not 200, and socket errors
	inexact   bool
}

// throughput drives every contender with 64 connections as fast as it goes.
func (r *run) throughput() error {
	script := filepath.Join(r.dir, "post.lua")
	lua := `wrk.method="POST"; wrk.body=string.rep("a",1024); wrk.headers["Content-Type"]="application/json"` + "\n"
	if err := os.WriteFile(script, []byte(lua), 0o600); err != nil {
		return err
	}
	all := map[string][]slotResult{}
	for round := range r.rounds {
		for i := range r.contenders() {
			name := r.contenders()[(i+round)%len(r.contenders())]
			for _, method := range []string{"GET", "POST"} {
				res, err := r.full(name, method, script)
				if err != nil {
					return fmt.Errorf("%s %s: %w", name, method, err)
				}
				all[name+method] = append(all[name+method], res)
				r.say("round %d: %s %s: %.0f/s, %.2f CPU s per 100,000, mirrored %.2f", round+1, name, method, res.rate, res.cpu, res.share)
			}
		}
	}
	r.throughputTable(all)
	return nil
}

// full is one slot: fresh backends and a fresh proxy, warmed for a second.
func (r *run) full(name, method, script string) (res slotResult, err error) {
	up, shadow, end, err := r.backends(name, modeOK, 0)
	if err != nil {
		return res, err
	}
	defer end()
	s, err := r.serve(name, up, 0)
	if err != nil {
		return res, err
	}
	defer func() {
		t, e := s.end()
		if err == nil {
			err = e
		}
		if t != nil && t.Received > 0 {
			res.share = float64(t.Compared) / float64(t.Received)
			res.inexact = !exact(t)
		}
	}()
	argv := []string{"-t1", "-c64", "-d", "", "http://" + s.addr + "/"}
	if method == "POST" {
		argv = append([]string{"-s", script}, argv...)
	}
	if _, _, _, err = r.wrk(argv, time.Second); err != nil {
		return res, err
	}
	var before float64
	if s.proc != nil {
		s.settled(r.ctx)
		before = s.cpu()
	}
	mirroredBefore := shadow.counts(r.ctx).Requests
	count, rate, bad, err := r.wrk(argv, r.slot)
	if err != nil {
		return res, err
	}
	res.rate, res.bad = rate, bad
	if s.proc != nil && count > 0 {
		s.settled(r.ctx)
		res.cpu = (s.cpu() - before) / float64(count) * 1e5
		res.share = float64(shadow.counts(r.ctx).Requests-mirroredBefore) / float64(count)
	}
	return res, nil
}

// backends starts what a contender forwards to.
func (r *run) backends(name, mode string, priority int) (up upstreams, shadow *server, end func(), err error) {
	var open []*server
	end = func() {
		for _, s := range open {
			s.end()
		}
	}
	start := func(mode string) *server {
		s := &server{}
		if err == nil {
			if s, err = r.backend(mode, priority); err == nil {
				open = append(open, s)
			}
		}
		return s
	}
	primary := start(modeOK)
	shadow = start(mode)
	var control string
	if name == oursControl {
		if c := start(modeOK); err == nil {
			control = c.addr
		}
	}
	if err != nil {
		end()
		return up, nil, nil, err
	}
	return upstreams{primary: primary.addr, shadow: shadow.addr, control: control}, shadow, end, nil
}

var (
	wrkCount  = regexp.MustCompile(`(\d+) requests in`)
	wrkRate   = regexp.MustCompile(`Requests/sec:\s+([\d.]+)`)
	wrkStatus = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)`)
	wrkErrors = regexp.MustCompile(`Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`)
)

// wrk runs wrk for d; argv has a place for it behind -d.
func (r *run) wrk(argv []string, d time.Duration) (count int, rate float64, bad int, err error) {
	args := append([]string(nil), argv...)
	for i := range args {
		if args[i] == "-d" {
			// wrk takes whole seconds.
			args[i+1] = strconv.Itoa(int(max(d.Round(time.Second), time.Second)/time.Second)) + "s"
		}
	}
	out, err := exec.CommandContext(r.ctx, tool("wrk"), args...).CombinedOutput()
	if err != nil {
		return 0, 0, 0, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	first := func(re *regexp.Regexp) string {
		if m := re.FindSubmatch(out); m != nil {
			return string(m[1])
		}
		return "0"
	}
	count, _ = strconv.Atoi(first(wrkCount))         //nolint:errcheck // digits
	rate, _ = strconv.ParseFloat(first(wrkRate), 64) //nolint:errcheck // likewise
	bad, _ = strconv.Atoi(first(wrkStatus))          //nolint:errcheck // likewise
	if m := wrkErrors.FindSubmatch(out); m != nil {
		for _, x := range m[1:] {
			n, _ := strconv.Atoi(string(x)) //nolint:errcheck // likewise
			bad += n
		}
	}
	if count == 0 {
		return 0, 0, 0, fmt.Errorf("wrk counted nothing:\n%s", out)
	}
	return count, rate, bad, nil
}
