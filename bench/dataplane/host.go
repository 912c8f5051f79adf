// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// host is where and with what a run was made.
type host struct {
	cpu, kernel, memory string
	cores               int
	versions            []string
	at                  time.Time
	load                string
}

func describeHost(ctx context.Context, ours, traefik string) host {
	h := host{cores: runtime.NumCPU(), at: time.Now().UTC(), cpu: fieldOf("/proc/cpuinfo", "model name"),
		kernel: oneLineOf("/proc/sys/kernel/osrelease"), memory: fieldOf("/proc/meminfo", "MemTotal"), load: oneLineOf("/proc/loadavg")}
	add := func(cut string, argv ...string) {
		if argv[0] == "" {
			return
		}
		out, _ := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput() //nolint:errcheck // wrk -v ends with 1
		line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		if cut != "" {
			line, _, _ = strings.Cut(line, cut)
		}
		h.versions = append(h.versions, strings.TrimSpace(line))
	}
	add("", "go", "version")
	add("", tool("nginx"), "-v")
	add(" - ", tool("haproxy"), "-v")
	add(" [", tool("wrk"), "-v")
	if traefik != "" {
		h.versions = append(h.versions, "traefik at "+traefik)
	}
	add("", ours, "version")
	return h
}

func fieldOf(file, name string) string {
	data, err := os.ReadFile(file) //nolint:gosec // of the kernel
	if err != nil {
		return "?"
	}
	for line := range strings.Lines(string(data)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return "?"
}

func oneLineOf(file string) string {
	data, err := os.ReadFile(file) //nolint:gosec // of the kernel
	if err != nil {
		return "?"
	}
	return strings.TrimSpace(string(data))
}

func (h host) String() string {
	return fmt.Sprintf("%s, %s, %d cores, memory %s, Linux %s, load before %s; %s",
		h.at.Format("2006-01-02 15:04 UTC"), h.cpu, h.cores, h.memory, h.kernel, h.load, strings.Join(h.versions, "; "))
}
