// SPDX-License-Identifier: Apache-2.0

package observation

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Schema is the version of the encoding that Encode writes. It grows when an older reader would misread what is written.
const Schema = 1

// ErrSchema is returned by Decode for bytes that a newer version of this program wrote.
var ErrSchema = errors.New("observation was written by a newer version")

type encoded struct {
	Schema      int          `json:"schema"`
	Observation *Observation `json:"observation"`
}

// Encode writes an observation for keeping: a JSON document with a schema number. Equal observations give equal bytes.
// Bodies are kept byte for byte; bytes of header values that are no UTF-8 become U+FFFD, as JSON has no place for them.
func Encode(o *Observation) ([]byte, error) {
	b, err := json.Marshal(encoded{Schema: Schema, Observation: o})
	if err != nil {
		return nil, fmt.Errorf("encode observation: %w", err)
	}
	return b, nil
}

// Decode reads what Encode wrote, in this or an earlier version.
func Decode(b []byte) (*Observation, error) {
	var e encoded
	if err := json.Unmarshal(b, &e); err != nil {
		return nil, fmt.Errorf("decode observation: %w", err)
	}
	if e.Schema > Schema {
		return nil, fmt.Errorf("%w: schema %d, this program reads up to %d", ErrSchema, e.Schema, Schema)
	}
	if e.Schema < 1 || e.Observation == nil {
		return nil, errors.New("decode observation: not an observation document")
	}
	return e.Observation, nil
}
