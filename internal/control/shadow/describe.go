// SPDX-License-Identifier: Apache-2.0

package shadow

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"

	"microstax/internal/engine/openapi"
	"microstax/internal/fault"
)

// maxDescription bounds an OpenAPI document, in bytes.
const maxDescription = 8 << 20

// Description reads the OpenAPI document of a service, and its digest. It refuses, as fault.Invalid, what is no whole
// document of OpenAPI 3.
func Description(service, path string) (document, digest string, err error) {
	op := "read the OpenAPI description of " + service
	f, err := os.Open(path) //nolint:gosec // the user's own file
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", fault.E(op, fault.Invalid, err).WithHint("shadow.openapi is a path relative to the Blueprint file, on the server's machine")
	} else if err != nil {
		return "", "", fault.E(op, fault.Invalid, err)
	}
	defer f.Close() //nolint:errcheck // only read
	if info, err := f.Stat(); err == nil && !info.Mode().IsRegular() {
		return "", "", fault.Errorf(op, fault.Invalid, "%s is no file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxDescription+1))
	if err != nil {
		return "", "", fault.E(op, fault.Invalid, err)
	}
	if len(data) > maxDescription {
		return "", "", fault.Errorf(op, fault.Invalid, "%s is larger than %d MiB", path, maxDescription>>20)
	}
	if _, err := openapi.Parse(data); err != nil {
		return "", "", fault.Errorf(op, fault.Invalid, "%s: %w", path, err).WithHint("%s", fault.HintOf(err))
	}
	sum := sha256.Sum256(data)
	return string(data), "sha256:" + hex.EncodeToString(sum[:]), nil
}
