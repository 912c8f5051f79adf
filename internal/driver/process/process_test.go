// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"microstax/internal/driver"
	"microstax/internal/driver/drivertest"
	"microstax/internal/driver/process"
	"microstax/internal/environment"
	"microstax/internal/fault"
)

// The test binary is also the programs that the tests start: it does so when its first argument is one of these.
const (
	asProgram = "be-the-program" // drivertest.Program
	asParent  = "be-a-parent"    // start a child in the manner of the second argument, print its number, stay or end
	asServer  = "be-a-server"    // start an instance with a driver of its own, print the handle, stay
)

func TestMain(m *testing.M) {
	if len(os.Args) > 2 {
		switch os.Args[1] {
		case asProgram:
			os.Exit(drivertest.Program(os.Args[2:], os.Environ(), os.Stdout))
		case asParent:
			os.Exit(parent(os.Args[2]))
		case asServer:
			os.Exit(server(os.Args[2]))
		}
	}
	goleak.VerifyTestMain(m)
}

func self() string {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return exe
}

type world struct {
	dir   string
	pidfd bool
}

func (w world) Open(t *testing.T) driver.Driver { return w.open(t) }

func (w world) open(t *testing.T) *process.Driver {
	t.Helper()
	d := process.New(process.Options{Dir: w.dir, Inherit: map[string]string{"PATH": os.Getenv("PATH")}})
	if !w.pidfd {
		d.ForbidPidfd()
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return d
}

func (w world) Command(do string, args ...string) []string {
	return append([]string{self(), asProgram, do}, args...)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, func(t *testing.T) drivertest.World { return world{dir: t.TempDir(), pidfd: true} })
}

func TestConformanceWithoutPidfd(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, func(t *testing.T) drivertest.World { return world{dir: t.TempDir()} })
}

func spec(command ...string) driver.Spec {
	return driver.Spec{
		Instance: environment.Instance{Environment: "env_test", Service: "orders", Role: environment.Primary},
		Command:  command, Grace: time.Minute,
	}
}

// parent starts a child that prints "child PID". How says what else.
func parent(how string) int {
	child := exec.Command(self(), asProgram, drivertest.DoStubborn, "up")
	child.SysProcAttr = &syscall.SysProcAttr{}
	switch how {
	case "leave in the session":
	case "leave as a daemon":
		child.SysProcAttr.Setsid = true
	case "keep without a mark":
		child.SysProcAttr.Setsid = true
		child.Env = []string{"NOTHING=here"}
	}
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		fmt.Println("parent:", err)
		return 1
	}
	// It ignores SIGTERM before it says so.
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return 1
	}
	fmt.Println("child", child.Process.Pid)
	if strings.HasPrefix(how, "leave") {
		return 0
	}
	wait := make(chan os.Signal, 1)
	signal.Notify(wait, syscall.SIGTERM)
	<-wait
	return 0
}

// follow gives the lines of an instance's log as they come.
func follow(t *testing.T, d driver.Driver, i environment.Instance) *bufio.Scanner {
	t.Helper()
	rc, err := d.Logs(t.Context(), i, 0, true)
	if err != nil {
		t.Fatalf("Logs: %v", err)
	}
	t.Cleanup(func() { _ = rc.Close() })
	return bufio.NewScanner(rc)
}

// number reads "word N" from the next line.
func number(t *testing.T, sc *bufio.Scanner) int {
	t.Helper()
	sc.Scan()
	_, n, _ := strings.Cut(sc.Text(), " ")
	pid, err := strconv.Atoi(n)
	if err != nil {
		t.Fatalf("log says %q: %v", sc.Text(), err)
	}
	return pid
}

func TestNothingThatTheProcessStartedRemains(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"leave in the session", "leave as a daemon", "keep without a mark"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			d := world{dir: t.TempDir(), pidfd: true}.open(t)
			s := spec(self(), asParent, how)
			s.Grace = time.Millisecond
			r, err := d.Start(t.Context(), s)
			if err != nil {
				t.Fatalf("Start: %v", err)
			}
			pid := number(t, follow(t, d, s.Instance))
			started, _ := process.StartedAt(pid) // an error means that it is gone, which is what is asked for
			if strings.HasPrefix(how, "keep") {
				if err := r.Stop(t.Context()); err != nil {
					t.Fatalf("Stop: %v", err)
				}
			}
			<-r.Done()
			if process.Alive(pid, started) {
				t.Errorf("process %d is still there", pid)
			}
		})
	}
}

// server is a server that starts one instance and then is killed.
func server(dir string) int {
	d := process.New(process.Options{Dir: dir})
	i := spec().Instance
	for _, start := range []struct {
		role    environment.Role
		command []string
	}{
		{environment.Primary, []string{self(), asProgram, drivertest.DoPrint, "up"}},
		{environment.Control, []string{self(), asParent, "keep"}},
	} {
		i.Role = start.role
		r, err := d.Start(context.Background(), driver.Spec{Instance: i, Command: start.command})
		if err != nil {
			fmt.Println(err)
			return 1
		}
		b, err := json.Marshal(r.Handle())
		if err != nil {
			return 1
		}
		fmt.Println(string(b))
	}
	select {}
}

// killedServer starts instances from another process, kills that with SIGKILL, and gives their handles.
func killedServer(t *testing.T, dir string) (primary, control environment.Handle) {
	t.Helper()
	cmd := exec.Command(self(), asServer, dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(out)
	for _, h := range []*environment.Handle{&primary, &control} {
		line, err := in.ReadBytes('\n')
		if err != nil {
			t.Fatalf("server said %q: %v", line, err)
		}
		if err := json.Unmarshal(line, h); err != nil {
			t.Fatalf("server said %q: %v", line, err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	return primary, control
}

func TestInstancesOfAKilledServerAreAdopted(t *testing.T) {
	t.Parallel()
	for _, pidfd := range []bool{true, false} {
		t.Run(fmt.Sprintf("pidfd %v", pidfd), func(t *testing.T) {
			t.Parallel()
			w := world{dir: t.TempDir(), pidfd: pidfd}
			h, _ := killedServer(t, w.dir)
			d := w.open(t)
			s := spec("not", "looked", "at")
			r, err := d.Adopt(t.Context(), s, h)
			if err != nil {
				t.Fatalf("Adopt: %v", err)
			}
			if sc := follow(t, d, s.Instance); !sc.Scan() || sc.Text() != "up" {
				t.Errorf("log says %q", sc.Text())
			}
			pid := r.(driver.Numbered).PID() //nolint:forcetypeassert // a panic fails the test well enough
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatalf("kill %d: %v", pid, err)
			}
			<-r.Done()
			s.Instance.Role = environment.Control
			if err := d.Forget(t.Context(), s.Instance); err != nil {
				t.Errorf("end what is not adopted: %v", err)
			}
		})
	}
}

func TestLeftoversOfAKilledServerAreEnded(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"adopt when the main process is gone", "start anew without a handle", "forget"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w := world{dir: t.TempDir(), pidfd: true}
			h, hc := killedServer(t, w.dir)
			d := w.open(t)
			sp, sc := spec(), spec()
			sc.Instance.Role = environment.Control
			adopted, err := d.Adopt(t.Context(), sp, h)
			if err != nil {
				t.Fatalf("Adopt: %v", err)
			}
			child := number(t, follow(t, d, sc.Instance))
			started, err := process.StartedAt(child)
			if err != nil {
				t.Fatalf("the child of the control does not run: %v", err)
			}
			switch how {
			case "forget":
				if err := d.Forget(t.Context(), sc.Instance); err != nil {
					t.Fatalf("Forget: %v", err)
				}
			case "start anew without a handle":
				sc.Command = []string{self(), asProgram, drivertest.DoPrint, "new"}
				r, err := d.Start(t.Context(), sc)
				if err != nil {
					t.Fatalf("Start: %v", err)
				}
				defer func() { _ = r.Stop(t.Context()) }()
			default:
				var data struct{ PID int }
				if err := json.Unmarshal([]byte(hc.Data), &data); err != nil {
					t.Fatal(err)
				}
				main, err := process.StartedAt(data.PID)
				if err != nil {
					t.Fatal(err)
				}
				if err := syscall.Kill(data.PID, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				for process.Alive(data.PID, main) { // SIGKILL was sent: this ends
				}
				if _, err := d.Adopt(t.Context(), sc, hc); !fault.Is(err, fault.NotFound) {
					t.Fatalf("Adopt: got %v, want NotFound", err)
				}
			}
			if process.Alive(child, started) {
				t.Errorf("process %d is still there", child)
			}
			select {
			case <-adopted.Done():
				t.Error("the other instance was ended too")
			default:
			}
			if err := adopted.Stop(t.Context()); err != nil {
				t.Errorf("Stop: %v", err)
			}
		})
	}
}

func TestAdoptRefusesAnotherProcessWithTheSameNumber(t *testing.T) {
	t.Parallel()
	w := world{dir: t.TempDir(), pidfd: true}
	d := w.open(t)
	s := spec(w.Command(drivertest.DoPrint, "up")...)
	r, err := d.Start(t.Context(), s)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	defer func() { _ = r.Stop(t.Context()) }()
	for name, change := range map[string]map[string]any{
		"another start time": {"started": 1, "mark": "x"}, "another boot": {"boot": "x"}, "no process": {"pid": 0},
	} {
		var data map[string]any
		if err := json.Unmarshal([]byte(r.Handle().Data), &data); err != nil {
			t.Fatal(err)
		}
		for k, v := range change {
			if k == "mark" {
				v = data["mark"].(string) + "-of-another-start" //nolint:forcetypeassert // as above
			}
			data[k] = v
		}
		b, err := json.Marshal(data)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.open(t).Adopt(t.Context(), s, environment.Handle{Driver: process.Name, Data: string(b)})
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: got %v, want NotFound", name, err)
		}
	}
}

func TestInheritsOnlyWhatItIsTold(t *testing.T) {
	t.Parallel()
	w := world{dir: t.TempDir()}
	d := process.New(process.Options{Dir: w.dir, Inherit: map[string]string{"LANG": "C", "HOME": "/inherited"}})
	defer func() { _ = d.Close() }()
	s := spec(w.Command(drivertest.DoEnv, "LANG", "HOME", "PATH", "PWD")...)
	s.Env = map[string]string{"HOME": "/own"}
	r, err := d.Start(t.Context(), s)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	sc := follow(t, d, s.Instance)
	for _, want := range []string{"LANG=C", "HOME=/own", "PATH=", "PWD=" + w.dir} {
		if sc.Scan(); sc.Text() != want {
			t.Errorf("got %q, want %q", sc.Text(), want)
		}
	}
	if err := r.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

func TestCloseLeavesInstancesRunning(t *testing.T) {
	t.Parallel()
	w := world{dir: t.TempDir(), pidfd: true}
	first := w.open(t)
	s := spec(w.Command(drivertest.DoPrint, "up")...)
	r, err := first.Start(t.Context(), s)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if err := r.Stop(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("Stop of a closed driver: got %v, want Unavailable", err)
	}
	if _, err := first.Start(t.Context(), s); !fault.Is(err, fault.Unavailable) {
		t.Errorf("Start of a closed driver: got %v, want Unavailable", err)
	}
	again, err := w.open(t).Adopt(t.Context(), s, r.Handle())
	if err != nil {
		t.Fatalf("Adopt: %v", err)
	}
	if err := again.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

func write(t *testing.T, dir, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func readAll(t *testing.T, d driver.Driver, i environment.Instance, tail int) string {
	t.Helper()
	rc, err := d.Logs(t.Context(), i, tail, false)
	if err != nil {
		t.Fatalf("Logs: %v", err)
	}
	defer rc.Close() //nolint:errcheck // only read
	b, err := io.ReadAll(rc)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return string(b)
}
