// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"strings"
	"testing"

	"microstax/internal/driver/process"
	"microstax/internal/environment"
	"microstax/internal/fault"
)

func TestCommandsThatCannotBeRunAreExplained(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "plain", "#!/bin/sh\n", 0o644)
	write(t, dir, "garbage", "\x7fNOT A PROGRAM", 0o755)
	write(t, dir, "lost", "#!/no/such/interpreter\n", 0o755)
	write(t, dir, "bin/inner", "x", 0o644)
	tests := []struct {
		name, dir, path string
		command         []string
		env             map[string]string
		want, hint      string
	}{
		{name: "no such file", command: []string{"./orders"}, want: "no file " + dir + "/orders", hint: "relative to `workdir`"},
		{name: "not in PATH", command: []string{"orders"}, path: "/usr/bin", want: `"orders" not found in PATH`, hint: "install orders"},
		{name: "in the folder but not in PATH", command: []string{"plain"}, path: "/usr/bin", want: "not found in PATH", hint: "write ./plain"},
		{name: "PATH empty", command: []string{"orders"}, want: "not found in PATH", hint: "PATH is empty"},
		{name: "not executable", command: []string{"./plain"}, want: "not executable", hint: "chmod +x " + dir + "/plain"},
		{name: "not executable in PATH", command: []string{"inner"}, path: "bin", want: "not executable", hint: "chmod +x"},
		{name: "a directory", command: []string{"./bin"}, want: "is a directory", hint: "name the program"},
		{name: "below a file", command: []string{"./plain/x"}, want: "not a directory", hint: "check"},
		{name: "no program", command: []string{"./garbage"}, want: "no program for this machine", hint: "#!/bin/sh"},
		{name: "no interpreter", command: []string{"./lost"}, want: "interpreter", hint: "#! line"},
		{name: "no working directory", dir: dir + "/gone", command: []string{"x"}, want: "does not exist", hint: "workdir"},
		{name: "working directory is a file", dir: dir + "/plain", command: []string{"x"}, want: "not a directory", hint: "workdir"},
		{name: "empty name", command: []string{""}, want: "no command", hint: "command:"},
		{name: "NUL in an argument", command: []string{"x", "a\x00b"}, want: "NUL"},
		{name: "bad variable", command: []string{"./lost"}, env: map[string]string{"A=B": "c"}, want: "environment variable", hint: "="},
		{name: "too long", command: []string{"./lost", strings.Repeat("x", 4<<20)}, want: "too long", hint: "file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := process.New(process.Options{Dir: t.TempDir(), Inherit: map[string]string{"PATH": tt.path}})
			defer func() { _ = d.Close() }()
			s := spec(tt.command...)
			s.Dir, s.Env = dir, tt.env
			if tt.dir != "" {
				s.Dir = tt.dir
			}
			_, err := d.Start(t.Context(), s)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v of kind %s, want one that says %q", err, fault.KindOf(err), tt.want)
			}
			if hint := fault.HintOf(err); !strings.Contains(hint, tt.hint) {
				t.Errorf("got hint %q, want one that says %q", hint, tt.hint)
			}
		})
	}
}

func TestCommandIsFoundFromTheWorkingDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "bin/hello", "#!/bin/sh\necho hello from \"$0\" in \"$PWD\"\n", 0o755)
	for name, tt := range map[string]struct{ command, path string }{
		"by path":                {"./bin/hello", ""},
		"by relative PATH entry": {"hello", "bin:/usr/bin"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := process.New(process.Options{Dir: t.TempDir()})
			defer func() { _ = d.Close() }()
			s := spec(tt.command)
			s.Dir, s.Env = dir, map[string]string{"PATH": tt.path}
			r, err := d.Start(t.Context(), s)
			if err != nil {
				t.Fatalf("Start: %v", err)
			}
			<-r.Done()
			if got := readAll(t, d, s.Instance, 0); !strings.Contains(got, "in "+dir) {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestInstancesThatCannotBeNamedAreRefused(t *testing.T) {
	t.Parallel()
	d := process.New(process.Options{Dir: t.TempDir()})
	defer func() { _ = d.Close() }()
	for _, i := range []environment.Instance{
		{}, {Environment: "..", Service: "a", Role: "b"}, {Environment: "e", Service: "../a", Role: "b"},
	} {
		s := spec("true")
		s.Instance = i
		_, err := d.Start(t.Context(), s)
		_, lerr := d.Logs(t.Context(), i, 0, false)
		for _, err := range []error{err, lerr, d.Forget(t.Context(), i)} {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%+v: got %v, want Invalid", i, err)
			}
		}
	}
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	rest := " 0 0 0 0 0 0 0 0 0 0 0 20 0 %T 0 4711 0 0"
	line := func(head, threads string) []byte {
		return []byte(head + strings.ReplaceAll(rest, "%T", threads))
	}
	pid, parent, session, started, dead, err := process.ParseStat(line("12 (a) b (c)) S 3 4 5", "1"))
	if err != nil || pid != 12 || parent != 3 || session != 5 || started != 4711 || dead {
		t.Errorf("got %d %d %d %d %v %v", pid, parent, session, started, dead, err)
	}
	for threads, want := range map[string]bool{"1": true, "2": false} {
		if _, _, _, _, dead, err := process.ParseStat(line("12 (x) Z 3 4 5", threads)); err != nil || dead != want {
			t.Errorf("zombie with %s threads: got dead %v, %v", threads, dead, err)
		}
	}
	for _, bad := range []string{"", "12", "12 (x", "12 (x) S 1", "x (x) S 3 4 5"} {
		if _, _, _, _, _, err := process.ParseStat([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
