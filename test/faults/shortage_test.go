// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFullRingDropsAndCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{timeout: "60s", vars: []string{"MICROSTAX_LIMIT_RING=4"}})
	warm := w.drive("warm") // the ring is so small that this may drop some already
	warm.more(100)
	warm.stop()
	warm.none()
	before := w.report(warm.ok.Load()).Traffic
	rest := w.usage()
	for _, role := range []string{candidate, control} {
		w.signal(w.pid(w.over.ID, "orders", role), syscall.SIGSTOP)
	}
	d := w.drive("ring")
	d.more(400)
	for _, role := range []string{candidate, control} {
		w.signal(w.pid(w.over.ID, "orders", role), syscall.SIGCONT)
	}
	d.stop()
	d.none()
	d.written()
	w.all(warm.ok.Load()+d.ok.Load(), rest)
	now := w.report(0).Traffic
	var dropped int64
	for _, why := range []string{"queueFull", "shed"} { // sessions are shed when that goes on
		dropped += now.Dropped[why] - before.Dropped[why]
	}
	if now.Dropped["queueFull"] == before.Dropped["queueFull"] {
		t.Error("the ring was never full")
	}
	// 16 are under way, one is held by the dispatcher, 4 wait in the ring: all others have no place.
	if most := int64(16 + 1 + 4); dropped < 400-most {
		t.Errorf("only %d of %d were dropped: %+v", dropped, d.ok.Load(), now)
	}
	if now.Received-before.Received != now.Compared-before.Compared+dropped {
		t.Errorf("another reason than a full ring: %+v", now)
	}
}

// smallDisk mounts a file system of so many bytes, or skips the test.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("a small disk needs root with CAP_SYS_ADMIN: mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
			syscall.Unmount(dir, syscall.MNT_DETACH) //nolint:errcheck // best effort
		}
	})
	return dir
}

// fill takes all that is left of a disk, to the last byte.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // written below
	for block := make([]byte, 64<<10); len(block) > 0; {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2]
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestFullDiskLosesNoCountAndNoUserFeelsIt(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 24<<20)
	w := newWorld(t, options{data: filepath.Join(disk, "data")})
	n, before := w.calm()
	d := w.drive("disk")
	d.more(50)
	fill(t, filepath.Join(disk, "filler"))
	w.await("storing evidence fails", func() error {
		if w.metrics()["microstax_ingest_flush_errors_total"] == 0 {
			return errors.New("it does not yet")
		}
		return nil
	})
	d.more(200)
	pid := w.pid(w.over.ID, "orders", candidate)
	w.signal(pid, syscall.SIGKILL) // even what cannot be noted must not stay undone
	d.more(50)
	if _, err := w.api.Report(t.Context(), w.over.ID); err != nil && !strings.Contains(err.Error(), "full") {
		t.Errorf("a report that cannot be made does not say why: %v", err)
	}
	if err := os.Remove(filepath.Join(disk, "filler")); err != nil {
		t.Fatal(err)
	}
	w.another(w.over.ID, "orders", candidate, pid)
	w.ready(w.over.ID)
	w.compares(50)
	d.stop()
	d.none()
	d.written()
	w.all(n+d.ok.Load(), before)
}

func TestServerWithoutDescriptorsRecovers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	n, before := w.calm()
	d := w.drive("before")
	d.more(50)
	d.stop()
	d.none()
	limit := func(most uint64) {
		t.Helper()
		var was unix.Rlimit
		if err := unix.Prlimit(w.server.pid(), unix.RLIMIT_NOFILE, nil, &was); err != nil {
			t.Fatal(err)
		}
		was.Cur = min(most, was.Max)
		if err := unix.Prlimit(w.server.pid(), unix.RLIMIT_NOFILE, &was, nil); err != nil {
			t.Fatal(err)
		}
	}
	limit(uint64(before.descriptors) + 100)
	// While there are none the API may have none either: whether all are taken is seen in /proc.
	crowd := w.crowd(300, "GET / HTTP/1.1\r\n")
	w.await("all descriptors are taken", func() error {
		fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", w.server.pid()))
		if err == nil && len(fds) < int(before.descriptors)+99 {
			err = fmt.Errorf("%d", len(fds))
		}
		return err
	})
	crowd.leave()
	limit(1 << 20)
	after := w.drive("after")
	after.more(100)
	after.stop()
	after.none()
	after.written()
	w.all(n+d.ok.Load()+after.ok.Load(), before)
}
