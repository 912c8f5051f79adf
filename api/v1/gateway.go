// SPDX-License-Identifier: Apache-2.0

package v1

import "time"

// Gateway is a data plane that runs as a process of its own.
type Gateway struct {
	Name    string `json:"name"`
	State   string `json:"state"` // connected | lost | stopped
	Address string `json:"address,omitempty"`
	Version string `json:"version,omitempty"`

	StartedAt time.Time `json:"startedAt"`
	HeardAt   time.Time `json:"heardAt"`

	RouteRevision uint64 `json:"routeRevision"` // what it serves; 0 for nothing yet
	Behind        uint64 `json:"behind"`        // how many revisions that is behind what it should serve
	Listeners     int    `json:"listeners"`     // that are open
	Error         string `json:"error,omitempty"`

	Spool GatewaySpool `json:"spool"`
}

// GatewaySpool is what of a gateway's observations the server has not stored yet.
type GatewaySpool struct {
	Bytes   int64  `json:"bytes"`
	Limit   int64  `json:"limit"`
	Waiting uint64 `json:"waiting"` // observations and counts
	Dropped int64  `json:"dropped"` // observations that found no place, since the gateway started
	Torn    int64  `json:"torn"`    // bytes found damaged when it started
}
