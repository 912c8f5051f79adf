// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
)

// gcPercent is by how much the heap may grow between two collections, in percent. What serves a request lives in buffers
// that are used again, so that collections are rare all the same.
const gcPercent = 50

// trim lowers what the process holds once it has started: memory that only starting needed goes back to the kernel, and so
// do pages of the program's own file, of which the kernel maps again those that are touched. It is best effort.
func trim() {
	const byDefault = 100
	if was := debug.SetGCPercent(gcPercent); was != byDefault {
		debug.SetGCPercent(was) // GOGC says otherwise
	}
	debug.FreeOSMemory()
	exe, err := os.Executable()
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	for _, m := range mappings(maps, exe) {
		syscall.Syscall(syscall.SYS_MADVISE, m.start, m.end-m.start, syscall.MADV_DONTNEED) //nolint:errcheck // best effort
	}
}

// mapping is a range of addresses.
type mapping struct{ start, end uintptr }

// mappings are where a file is mapped to be read only, and every page is still the file's.
func mappings(smaps []byte, file string) (list []mapping) {
	var at mapping
	ours := false
	for line := range bytes.Lines(smaps) {
		f := strings.Fields(string(line))
		switch {
		case len(f) >= 6 && strings.Contains(f[0], "-"):
			n, err := fmt.Sscanf(f[0], "%x-%x", &at.start, &at.end)
			ours = n == 2 && err == nil && strings.HasPrefix(f[1], "r-") && f[len(f)-1] == file
		case ours && len(f) == 3 && f[0] == "Anonymous:" && f[1] == "0":
			list = append(list, at)
		}
	}
	return list
}
