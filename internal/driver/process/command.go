// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"

	"microstax/internal/driver"
	"microstax/internal/fault"
)

// program is a command that has been found.
type program struct {
	file string   // absolute
	args []string // args[0] as the user wrote it
	dir  string
	env  []string // sorted NAME=value, without the mark
}

// resolve finds the working directory and the command, and puts the environment together.
func (d *Driver) resolve(spec driver.Spec) (program, error) {
	op := "start " + spec.Instance.Key()
	if len(spec.Command) == 0 || spec.Command[0] == "" {
		return program{}, fault.Errorf(op, fault.Invalid, "the service has no command").
			WithHint("write `command: [program, argument, …]` for service %q", spec.Instance.Service)
	}
	for _, a := range spec.Command {
		if strings.ContainsRune(a, 0) {
			return program{}, fault.Errorf(op, fault.Invalid, "the command has a NUL character in %q", a)
		}
	}
	dir := spec.Dir
	if dir == "" {
		dir = d.dir
	}
	if err := checkDir(op, dir); err != nil {
		return program{}, err
	}
	env, err := d.environ(op, dir, spec.Env)
	if err != nil {
		return program{}, err
	}
	path, ok := spec.Env["PATH"]
	if !ok {
		path = d.inherit["PATH"]
	}
	file, err := find(op, spec.Command[0], dir, path)
	if err != nil {
		return program{}, err
	}
	return program{file: file, args: append([]string(nil), spec.Command...), dir: dir, env: env}, nil
}

func checkDir(op, dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.Errorf(op, fault.Invalid, "working directory %s does not exist", dir).
			WithHint("create it, or mend `workdir`: it is relative to the Blueprint file")
	case err != nil:
		return fault.E(op, fault.Invalid, fmt.Errorf("read working directory: %w", err))
	case !info.IsDir():
		return fault.Errorf(op, fault.Invalid, "working directory %s is not a directory", dir).
			WithHint("`workdir` names a directory, `command` the program in it")
	}
	return nil
}

// environ is what the instance sees: inherited, then PWD, then its own.
func (d *Driver) environ(op, dir string, own map[string]string) ([]string, error) {
	all := map[string]string{"PWD": dir}
	for _, m := range []map[string]string{d.inherit, own} {
		for k, v := range m {
			if k == "" || strings.ContainsAny(k, "=\x00") || strings.ContainsRune(v, 0) {
				return nil, fault.Errorf(op, fault.Invalid, "%q cannot be an environment variable", k).
					WithHint("a name has no `=`, and neither name nor value a NUL character")
			}
			all[k] = v
		}
	}
	delete(all, markKey)
	env := make([]string, 0, len(all)+1)
	for k, v := range all {
		env = append(env, k+"="+v)
	}
	sort.Strings(env)
	return env, nil
}

// find looks a command up: a name with a slash from the working directory, any other in PATH, whose relative entries
// are taken from the working directory too.
func find(op, name, dir, path string) (string, error) {
	if strings.Contains(name, "/") {
		file := name
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
		}
		return file, checkFile(op, name, file)
	}
	var refused error // of a file that has the name but cannot be run
	for _, p := range filepath.SplitList(path) {
		if p == "" {
			continue
		}
		if !filepath.IsAbs(p) {
			p = filepath.Join(dir, p)
		}
		file := filepath.Join(p, name)
		if _, err := os.Stat(file); err != nil {
			continue
		}
		err := checkFile(op, name, file)
		if err == nil {
			return file, nil
		}
		if refused == nil {
			refused = err
		}
	}
	if refused != nil {
		return "", refused
	}
	e := fault.Errorf(op, fault.Invalid, "command %q not found in PATH", name)
	if info, err := os.Stat(filepath.Join(dir, name)); err == nil && !info.IsDir() {
		return "", e.WithHint("there is a file of that name in %s: write ./%s", dir, name)
	}
	if path == "" {
		return "", e.WithHint("PATH is empty: give the program's whole path, or set PATH in the service's `env`")
	}
	return "", e.WithHint("install %s, or give its path: a name with a slash is looked up from %s", name, dir)
}

// checkFile says whether a file can be run.
func checkFile(op, name, file string) error {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.Errorf(op, fault.Invalid, "command %q not found: no file %s", name, file).
			WithHint("build the program, or mend `command`: a path in it is relative to `workdir`")
	case err != nil:
		return fault.E(op, fault.Invalid, fmt.Errorf("find command %q: %w", name, err)).
			WithHint("check that every folder of the path can be entered")
	case info.IsDir():
		return fault.Errorf(op, fault.Invalid, "command %q is a directory: %s", name, file).
			WithHint("name the program in it")
	case info.Mode().Perm()&0o111 == 0:
		return fault.Errorf(op, fault.Invalid, "command %q is not executable: %s", name, file).
			WithHint("chmod +x %s, or put its interpreter first in `command`", file)
	}
	return nil
}

// startError turns what the system said at exec into what the user can do.
func startError(op string, p program, err error) error {
	name := p.args[0]
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return fault.E(op, fault.Invalid, fmt.Errorf("command %q is no program for this machine: %w", name, err)).
			WithHint("a script needs a first line like #!/bin/sh; a binary must be built for this system")
	case errors.Is(err, syscall.ENOENT):
		return fault.E(op, fault.Invalid, fmt.Errorf("command %q needs an interpreter that is missing: %w", name, err)).
			WithHint("check the #! line of %s, or the loader it was linked for", p.file)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return fault.E(op, fault.Invalid, fmt.Errorf("command %q may not be run: %w", name, err)).
			WithHint("check the permissions of %s and its interpreter, and that its file system allows programs", p.file)
	case errors.Is(err, syscall.E2BIG):
		return fault.E(op, fault.Invalid, fmt.Errorf("arguments and environment of %q are too long: %w", name, err)).
			WithHint("hand large values over in a file")
	case errors.Is(err, syscall.ETXTBSY):
		return fault.E(op, fault.Unavailable, fmt.Errorf("command %q is being written: %w", name, err)).
			WithHint("try again when the build is done")
	}
	return fault.E(op, fault.Unavailable, fmt.Errorf("run command %q: %w", name, err))
}
