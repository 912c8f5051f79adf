// SPDX-License-Identifier: Apache-2.0

// Package faults breaks things under a running server, while clients check every answer: a user of the baseline may
// notice only what the baseline alone would have made him notice, every request is accounted for afterwards, and nothing
// of the server's grows for good.
package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long a test waits for what must come.
const patience = 45 * time.Second

// programs are built once.
var programs struct{ dir, microstax, service string } //nolint:gochecknoglobals // set once by TestMain

// worlds counts worlds, so that each has ports of its own.
var worlds atomic.Int32 //nolint:gochecknoglobals // a counter

func TestMain(m *testing.M) {
	code := build(m)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code) //nolint:forbidigo // the end of a test binary
}

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "microstax-faults-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	programs.dir = dir
	programs.microstax, programs.service = filepath.Join(dir, "microstax"), filepath.Join(dir, "faultsvc")
	for out, pkg := range map[string]string{
		programs.microstax: "microstax/cmd/microstax", programs.service: "microstax/test/faults/service",
	} {
		cmd := exec.Command("go", "build", "-o", out, pkg) //nolint:noctx // bounded by the test's timeout
		if said, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build %s: %v\n%s", pkg, err, said)
			return 1
		}
	}
	return m.Run()
}
