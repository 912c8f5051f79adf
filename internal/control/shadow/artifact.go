// SPDX-License-Identifier: Apache-2.0

package shadow

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"microstax/internal/blueprint"
)

// maxArtifact is how much of each file is read; larger programs are told apart by their length and beginning.
const maxArtifact = 256 << 20

// Artifact is a digest of the files that a service's command names: the program, and arguments that are files. A new
// build behind the same command is thus another version. What the program loads by itself is not seen. It is "" where no
// named file can be read.
func Artifact(s blueprint.Service) string {
	if len(s.Command) == 0 {
		return ""
	}
	sum := sha256.New()
	found := false
	for i, arg := range s.Command {
		if path := named(s.Workdir, arg, i == 0); path != "" && addFile(sum, path) {
			found = true
		}
	}
	if !found {
		return ""
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}

// named is the path of the file that a word of a command means, or "".
func named(workdir, arg string, program bool) string {
	if program && !strings.ContainsRune(arg, filepath.Separator) {
		path, err := exec.LookPath(arg)
		if err != nil {
			return ""
		}
		return path
	}
	if !filepath.IsAbs(arg) {
		arg = filepath.Join(workdir, arg)
	}
	return arg
}

// addFile adds a regular file's length and content to sum; false when it is none or cannot be read.
func addFile(sum io.Writer, path string) bool {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false // a pipe or a device is never opened: reading it could wait for ever
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // only read
	if _, err := io.CopyN(sum, f, maxArtifact); err != nil && !errors.Is(err, io.EOF) {
		return false
	}
	_, err = fmt.Fprintf(sum, "\x00%s\x00%d\x00", info.Name(), info.Size())
	return err == nil
}
