// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	v1 "microstax/api/v1"
	"microstax/internal/fault"
)

// maxFile is the largest Blueprint that is sent, in bytes; the server takes 4 MiB with everything around it.
const maxFile = 3 << 20

// source is the Blueprint a command was given.
type source struct {
	file, name, plan, from string
}

// flags adds the flags of commands that take a Blueprint.
func (s *source) flags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&s.file, "file", "f", "", "the Blueprint; - for standard input")
	cmd.Flags().StringVar(&s.name, "name", "", "a name instead of the Blueprint's")
	cmd.Flags().StringVar(&s.plan, "plan", "", "the plan of the Blueprint to apply")
	_ = cmd.MarkFlagFilename("file", "yaml", "yml") //nolint:errcheck // the flag is there
}

// request reads the file into what the API takes. Relative paths in it start from its folder.
func (a *app) request(s source) (v1.CreateEnvironment, error) {
	req := v1.CreateEnvironment{Name: s.name, Plan: s.plan, FileName: s.file}
	in, dir := a.In, "."
	if s.file == "-" {
		req.FileName = "standard input"
	} else {
		f, err := os.Open(s.file)
		if err != nil {
			return req, fileError(s.file, err)
		}
		defer f.Close() //nolint:errcheck // read only
		in, dir = f, filepath.Dir(s.file)
	}
	text, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return req, fileError(s.file, err)
	}
	if len(text) > maxFile {
		return req, fault.Errorf("read "+s.file, fault.Invalid, "the file is larger than %d MiB", maxFile>>20)
	}
	req.Blueprint = string(text)
	if req.BaseDir, err = filepath.Abs(dir); err != nil {
		return req, fault.E("read "+s.file, fault.Invalid, err)
	}
	if req.Blueprint == "" {
		return req, fault.Errorf("read "+s.file, fault.Invalid, "the file is empty").WithHint("a Blueprint needs a name and services")
	}
	return req, nil
}

// fileError says why a file can't be read, once.
func fileError(file string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	e := fault.E("read "+file, fault.Invalid, err)
	if errors.Is(err, fs.ErrNotExist) {
		return e.WithHint("give the path of a Blueprint with --file")
	}
	return e
}
