// SPDX-License-Identifier: Apache-2.0

// Package environment is the noun for what exists: an environment's identity, lineage, revision, the addresses that stay
// with it for its life, its instances, and its shadow. It is what the control plane stores and reconciles towards.
//
// Values only; copied in, copied out.
package environment

import (
	"strconv"
	"time"

	"microstax/internal/blueprint"
)

// Status is what a user sees of an environment.
type Status string

// The statuses.
const (
	Provisioning Status = "provisioning"
	Ready        Status = "ready"
	Degraded     Status = "degraded"
	Failed       Status = "failed"
	Stopped      Status = "stopped"
)

// Role says what an instance is for.
type Role string

// The roles. A shadow's candidate and control run as processes of their own, beside the instance that serves routed
// traffic, so that whatever leaves them is known to be a shadow's.
const (
	Primary   Role = "primary"
	Candidate Role = "candidate"
	Control   Role = "control"
)

// State is what an instance is doing.
type State string

// The states of an instance.
const (
	Starting     State = "starting"
	InstanceUp   State = "ready"
	Unhealthy    State = "unhealthy"
	Exited       State = "exited"
	StoppedState State = "stopped"
)

// Ref names a revision of another environment. Revision is a number, or Following.
type Ref struct {
	ID       string `json:"id"`
	Revision string `json:"revision,omitempty"`
}

// Following as a Ref's revision means whatever is newest.
const Following = "following"

// Environment is one environment as stored.
type Environment struct {
	ID          string              `json:"id"`
	Name        string              `json:"name"`
	Mode        blueprint.Mode      `json:"mode"`
	OverlayID   string              `json:"overlayId,omitempty"`
	Blueprint   blueprint.Blueprint `json:"blueprint"` // as written, in normal form: an overlay's holds only what it lists
	Digest      string              `json:"digest"`    // of Blueprint, sha256:…
	Revision    int                 `json:"revision"`
	Desired     Desired             `json:"desired"`
	Status      Status              `json:"status"`
	Reason      string              `json:"reason,omitempty"`
	Against     Ref                 `json:"createdAgainst,omitzero"`
	Inherits    Ref                 `json:"inheritsFrom,omitzero"`
	ComparedTo  string              `json:"comparedTo,omitempty"`
	Addresses   map[string]string   `json:"addresses,omitempty"` // listener id → host:port, stable for life
	Ports       map[string]int      `json:"ports,omitempty"`     // instance id → port it was told to listen on
	Secrets     map[string]string   `json:"secrets,omitempty"`   // service/name → value; never leaves the server
	Handles     map[string]Handle   `json:"handles,omitempty"`   // instance id → what the driver needs to find it again
	Shadow      Shadow              `json:"shadow,omitzero"`
	Created     time.Time           `json:"created"`
	Updated     time.Time           `json:"updated"`
	Idempotency string              `json:"idempotency,omitempty"`
}

// Desired is what the user wants of an environment.
type Desired string

// What can be wanted.
const (
	Running Desired = "running"
	Halted  Desired = "stopped"
	Gone    Desired = "deleted"
)

// Shadow is the shadow session an environment has, and the settings it was enabled with.
type Shadow struct {
	Enabled  bool                        `json:"enabled"`
	Session  string                      `json:"sessionId,omitempty"`
	Since    time.Time                   `json:"since,omitzero"`
	Services map[string]blueprint.Shadow `json:"services,omitempty"` // effective settings by service, defaults filled in
}

// Instance identifies one running copy of a service.
type Instance struct {
	Environment string `json:"environment"`
	Service     string `json:"service"`
	Role        Role   `json:"role"`
	Replica     int    `json:"replica"`
}

// Key is the instance's id within its environment: service/role/replica.
func (i Instance) Key() string {
	return i.Service + "/" + string(i.Role) + "/" + strconv.Itoa(i.Replica)
}

// Handle is what a driver needs to find an instance again after a restart of the server; opaque to everybody else.
type Handle struct {
	Driver   string `json:"driver"`
	Data     string `json:"data"`
	Restarts int    `json:"restarts,omitempty"`
}
