// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// stat is what is needed of /proc/PID/stat (proc_pid_stat(5)).
type stat struct {
	pid     int
	state   byte // R, S, D, T, Z, …
	parent  int
	session int
	threads int
	started uint64 // clock ticks since boot
}

// dead says that nothing of the process runs: it only waits for its parent to collect it. A process whose first thread
// ended while others go on looks like a zombie too, but counts them.
func (s stat) dead() bool { return s.state == 'X' || s.state == 'Z' && s.threads <= 1 }

// readStat reads /proc/PID/stat.
func readStat(pid int) (stat, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, err
	}
	return parseStat(b)
}

// parseStat reads a stat line. The command's name stands in parentheses and may hold anything, also parentheses.
func parseStat(b []byte) (stat, error) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return stat{}, fmt.Errorf("read process status: no name in %q", b)
	}
	f := strings.Fields(string(b[end+1:]))
	const state, parent, session, threads, started = 0, 1, 3, 17, 19
	if len(f) <= started {
		return stat{}, fmt.Errorf("read process status: %d fields in %q", len(f), b)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[:open])))
	if err != nil {
		return stat{}, fmt.Errorf("read process status: %w", err)
	}
	s := stat{pid: pid, state: f[state][0]}
	for _, n := range []struct {
		field int
		to    *int
	}{{parent, &s.parent}, {session, &s.session}, {threads, &s.threads}} {
		if *n.to, err = strconv.Atoi(f[n.field]); err != nil {
			return stat{}, fmt.Errorf("read process status: %w", err)
		}
	}
	if s.started, err = strconv.ParseUint(f[started], 10, 64); err != nil {
		return stat{}, fmt.Errorf("read process status: %w", err)
	}
	return s, nil
}

// readAll reads the status of every process that can be seen. Processes that end meanwhile are left out.
func readAll() ([]stat, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	all := make([]stat, 0, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if s, err := readStat(pid); err == nil {
			all = append(all, s)
		}
	}
	return all, nil
}

// readMark is the value of the mark in the environment that a process was started with; "" when there is none, or when
// the process belongs to somebody else.
func readMark(pid int) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return ""
	}
	for _, line := range bytes.Split(b, []byte{0}) {
		if v, ok := bytes.CutPrefix(line, []byte(markKey+"=")); ok {
			return string(v)
		}
	}
	return ""
}

// readBoot identifies the boot of this machine: process numbers and start times mean nothing beyond it.
func readBoot() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read boot id: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}
