// SPDX-License-Identifier: Apache-2.0

package shadow

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"

	"microstax/internal/blueprint"
	"microstax/internal/engine/canon"
	"microstax/internal/engine/openapi"
	"microstax/internal/environment"
	"microstax/internal/fault"
)

// maxDescription bounds an OpenAPI document and a descriptor set, in bytes.
const maxDescription = 8 << 20

// Describe puts into a session the files that a service's settings name: its OpenAPI document and the descriptors of its
// protobuf messages. Another content makes another session. What is no such file is refused as fault.Invalid.
func Describe(s *environment.Session, service string, set blueprint.Shadow) error {
	if set.OpenAPI != "" {
		op := "read the OpenAPI description of " + service
		data, err := content(s, op, "openapi", service, set.OpenAPI)
		if err != nil {
			return err
		}
		if _, err := openapi.Parse(data); err != nil {
			return fault.Errorf(op, fault.Invalid, "%s: %w", set.OpenAPI, err).WithHint("%s", fault.HintOf(err))
		}
		if s.OpenAPI == nil {
			s.OpenAPI = map[string]string{}
		}
		s.OpenAPI[service] = string(data)
	}
	if set.Protobuf == "" {
		return nil
	}
	op := "read the protobuf descriptors of " + service
	data, err := content(s, op, "protobuf", service, set.Protobuf)
	if err != nil {
		return err
	}
	if _, err := canon.ParseDescriptors(data); err != nil {
		return fault.Errorf(op, fault.Invalid, "%s: %w", set.Protobuf, err).
			WithHint("make it with protoc --include_imports --descriptor_set_out=FILE, or buf build -o FILE.binpb")
	}
	if s.Protobuf == nil {
		s.Protobuf = map[string][]byte{}
	}
	s.Protobuf[service] = data
	return nil
}

// content reads a file, and notes its digest.
func content(s *environment.Session, op, what, service, path string) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the user's own file
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.E(op, fault.Invalid, err).WithHint("shadow.%s is a path relative to the Blueprint file, on the server's machine", what)
	} else if err != nil {
		return nil, fault.E(op, fault.Invalid, err)
	}
	defer f.Close() //nolint:errcheck // only read
	if info, err := f.Stat(); err == nil && !info.Mode().IsRegular() {
		return nil, fault.Errorf(op, fault.Invalid, "%s is no file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxDescription+1))
	if err != nil {
		return nil, fault.E(op, fault.Invalid, err)
	}
	if len(data) > maxDescription {
		return nil, fault.Errorf(op, fault.Invalid, "%s is larger than %d MiB", path, maxDescription>>20)
	}
	sum := sha256.Sum256(data)
	if s.Artifacts == nil {
		s.Artifacts = map[string]string{}
	}
	s.Artifacts[what+"/"+service] = "sha256:" + hex.EncodeToString(sum[:])
	return data, nil
}
