// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"encoding/json"
	"time"

	"microstax/internal/dataplane/route"
)

// Protocol is the version of what gateway and server say to each other.
const Protocol = 1

// The rhythm that both sides rely on.
const (
	Beat  = 3 * time.Second // how often each side says something when there is no news
	Quiet = 4 * Beat        // silence after which the other side is taken for gone
)

// The media types.
const (
	LinesType  = "application/x-ndjson"
	FramesType = "application/vnd.microstax.frames"
)

// The types of line.
const (
	LineHello = "hello" // the first
	LineTable = "table" // a full table
	LineDelta = "delta" // a change of the last table sent on this connection, or of the one that the gateway named
	LineBeat  = "beat"
)

// Line is one line of the server's answer to GET …/table.
type Line struct {
	Type  string          `json:"type"`
	Hello *Hello          `json:"hello,omitempty"`
	Table json.RawMessage `json:"table,omitempty"` // route.Encode
	Delta json.RawMessage `json:"delta,omitempty"` // route.Delta
}

// Hello is what the server says first.
type Hello struct {
	Protocol int    `json:"protocol"`
	Server   string `json:"server"` // names the server's process
	Version  string `json:"version"`
	// Key is what tokens for secrets are made with. It travels on this authenticated connection only, and is never logged.
	Key []byte `json:"key"`
}

// Report is what a gateway says of itself: POST …/serving.
type Report struct {
	Stream     string          `json:"stream"` // names the numbering of its frames; new with a new spool
	Version    string          `json:"version"`
	Revision   uint64          `json:"revision"` // of the table it was told to serve last; 0 for none
	Digest     string          `json:"digest"`
	Error      string          `json:"error,omitempty"` // why that table is not served whole
	Serving    []route.Serving `json:"serving"`
	Propagates []Propagation   `json:"propagates,omitempty"`
	Spool      SpoolReport     `json:"spool"`
	Started    time.Time       `json:"started"` // of the process
}

// Propagation is what the calls of one service were seen to forward.
type Propagation struct {
	Environment string   `json:"environment"`
	Service     string   `json:"service"`
	Names       []string `json:"names"`
}

// SpoolReport is how it stands with what waits for the server.
type SpoolReport struct {
	Bytes   int64  `json:"bytes"`
	Limit   int64  `json:"limit"`
	Waiting uint64 `json:"waiting"` // frames that the server has not stored yet
	Dropped int64  `json:"dropped"` // observations that found no place, since the process started
	Torn    int64  `json:"torn"`    // bytes that were damaged or half written when the process started
}

// Accepted is the server's answer to POST …/observations, with status 200, or 409 when the frames do not follow what it
// has: then the gateway goes on from Accepted+1.
type Accepted struct {
	Server   string `json:"server"`
	Accepted uint64 `json:"accepted"` // the last frame that it has taken
	Stored   uint64 `json:"stored"`   // the last frame that a crash of the server would not lose
}
