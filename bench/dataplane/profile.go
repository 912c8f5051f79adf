// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// profileFor is how long the profile is taken.
const profileFor = 4 * time.Second

// profile shows where the processor's time goes at full speed with a shadow: what the ten functions at the top take
// themselves, and what the data plane's own take with everything that they call.
func (r *run) profile() error {
	program := filepath.Join(r.dir, "profiled")
	build := exec.CommandContext(r.ctx, "go", "build", "-o", program, "./bench/dataplane/profiled")
	build.Dir = r.root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	up, _, end, err := r.backends(oursShadow, modeOK, 0)
	if err != nil {
		return err
	}
	defer end()
	addr, err := r.procs.addr(r.ctx)
	if err != nil {
		return err
	}
	samples := filepath.Join(r.dir, "cpu.pprof")
	p, err := r.procs.start("profiled", 0, nil, program, samples, addr, "http://"+up.primary, "http://"+up.shadow)
	if err != nil {
		return err
	}
	stopped := false
	stop := func() {
		if !stopped {
			stopped = true
			p.stop(syscall.SIGINT, 30*time.Second)
		}
	}
	defer stop()
	if err := p.ready(r.ctx, addr); err != nil {
		return err
	}
	argv := []string{"-t1", "-c64", "-d", "", "http://" + addr + "/"}
	if _, _, _, err := r.wrk(argv, time.Second); err != nil {
		return err
	}
	p.cmd.Process.Signal(syscall.SIGUSR1) //nolint:errcheck,gosec // without it the profile is empty, which shows
	_, rate, _, err := r.wrk(argv, profileFor)
	if err != nil {
		return err
	}
	stop()
	fmt.Fprintf(&r.table.detail, "\n### CPU profile: `microstax shadow` under wrk, 64 connections, GET, %.0f requests/s\n", rate)
	for _, view := range []struct {
		title string
		args  []string
	}{
		{"The ten functions that take the most themselves", []string{"-nodecount=10"}},
		{"Functions of the data plane and what judges, with what they call", []string{"-cum", "-nodecount=24", "-show=microstax/internal|dial"}},
	} {
		args := append(append([]string{"tool", "pprof", "-top"}, view.args...), program, samples)
		out, err := exec.CommandContext(r.ctx, "go", args...).Output()
		if err != nil {
			return fmt.Errorf("read profile: %w", err)
		}
		_, lines, _ := strings.Cut(string(out), "Duration:")
		fmt.Fprintf(&r.table.detail, "\n%s:\n\n```\nDuration:%s```\n", view.title, lines)
	}
	return nil
}
