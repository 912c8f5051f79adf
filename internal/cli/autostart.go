// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"microstax/internal/client"
	"microstax/internal/fault"
)

// logTail is how much of the server's log is shown when it dies, in lines.
const logTail = 15

// autostart starts a local server in the background and waits until it is ready. A lock keeps two commands from starting two.
func (a *app) autostart(ctx context.Context, c *client.Client, listen string) error {
	const op = "start server"
	if err := os.MkdirAll(a.set.Home, 0o700); err != nil {
		return fault.E(op, fault.Invalid, err).WithHint("set MICROSTAX_HOME to a folder that you may write to")
	}
	lock, err := a.startLock(ctx)
	if err != nil {
		return err
	}
	defer lock.Close() //nolint:errcheck // nothing was written
	if a.answers(ctx, c) == nil {
		return nil // somebody else was faster
	}
	if r, ok, err := findServer(a.set.DataDir); err == nil && ok {
		if r.URL == c.URL() {
			return a.awaitReady(ctx, c, nil)
		}
		return fault.Errorf(op, fault.Conflict, "nobody answers at %s, and the local server is at %s", c.URL(), r.URL).
			WithHint("set MICROSTAX_API_URL=%s, or stop it with: microstax server stop", r.URL)
	}
	began := a.Now()
	log, pid, err := a.spawn(listen)
	if err != nil {
		return fault.E(op, fault.Unavailable, err)
	}
	err = a.awaitReady(ctx, c, func() error {
		if how := exited(pid); how != "" {
			return fmt.Errorf("%s", how)
		}
		return nil
	})
	if err != nil {
		if tail := lastLines(log, logTail); tail != "" {
			a.say("%s", tail)
		}
		return fault.Errorf(op, fault.Unavailable, "%w", cause(err)).WithHint("its log is in %s", log)
	}
	a.started = true
	if !a.quiet {
		a.say("started a local server at %s in %s (process %d, state in %s)", c.URL(), seconds(a.Now().Sub(began)), pid, a.set.DataDir)
	}
	return nil
}

// cause takes the outer operation off an error that gets another.
func cause(err error) error {
	if f, ok := err.(*fault.Error); ok && f.Err != nil { //nolint:errorlint // only the outermost
		return f.Err
	}
	return err
}

// startLock waits for the lock of those who start servers.
func (a *app) startLock(ctx context.Context) (*os.File, error) {
	const op = "start server"
	deadline := time.NewTimer(startTimeout)
	defer deadline.Stop()
	for {
		f, held, err := lockFile(filepath.Join(a.set.Home, startName))
		if err != nil {
			return nil, fault.E(op, fault.Unavailable, err)
		}
		if !held {
			return f, nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-deadline.C:
			return nil, fault.Errorf(op, fault.Unavailable, "another command has been starting one for %s", startTimeout).
				WithHint("see its log: %s", filepath.Join(a.set.Home, logName))
		case <-ctx.Done():
			return nil, fault.E(op, fault.Canceled, ctx.Err())
		}
	}
}

// spawn runs this program as a server that outlives this command, and gives its log and process id.
func (a *app) spawn(listen string) (string, int, error) {
	path := filepath.Join(a.set.Home, logName)
	log, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return "", 0, fmt.Errorf("open log: %w", err)
	}
	defer log.Close()                                                                                //nolint:errcheck // the child has its own
	cmd := exec.Command(a.deps.Executable, "serve", "--listen", listen, "--data-dir", a.set.DataDir) //nolint:gosec,noctx // this program; it shall outlive ctx
	cmd.Dir = a.set.Home                                                                             // so that the folder the user stands in can be removed
	cmd.Stdout, cmd.Stderr = log, log
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return "", 0, fmt.Errorf("run %s: %w", a.deps.Executable, err)
	}
	return path, cmd.Process.Pid, nil
}

// lastLines are the last n lines of a file, of which it reads at most 64 KiB.
func lastLines(path string, n int) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close() //nolint:errcheck // read only
	if info, err := f.Stat(); err == nil && info.Size() > 64<<10 {
		if _, err := f.Seek(-64<<10, io.SeekEnd); err != nil {
			return ""
		}
	}
	raw, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return ""
	}
	lines := strings.Split(string(bytes.TrimRight(raw, "\n")), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
