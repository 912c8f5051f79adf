// SPDX-License-Identifier: Apache-2.0

package v1

import "time"

// CreateEnvironment asks for an environment, a baseline or an overlay, depending on the route it is posted to.
type CreateEnvironment struct {
	Blueprint string `json:"blueprint" doc:"the Blueprint as YAML text"`
	BaseDir   string `json:"baseDir,omitempty" doc:"absolute folder that relative paths in the Blueprint start from"`
	FileName  string `json:"fileName,omitempty" doc:"the file's name as the user gave it, for error messages"`
	Name      string `json:"name,omitempty" doc:"overrides the Blueprint's name"`
	Plan      string `json:"plan,omitempty" doc:"the plan to apply"`
	From      string `json:"from,omitempty" doc:"baselines only: the environment to make a baseline of, instead of a Blueprint"`
}

// ValidateResult is what validation found; Valid allows warnings.
type ValidateResult struct {
	Valid  bool    `json:"valid"`
	Errors []Place `json:"errors"`
}

// Ref names a revision of another environment.
type Ref struct {
	ID       string `json:"id"`
	Revision any    `json:"revision,omitempty"` // a number, or "following"
}

// Environment is an environment as users see it.
type Environment struct {
	ID             string      `json:"id"`
	Name           string      `json:"name"`
	Mode           string      `json:"mode"`
	OverlayID      string      `json:"overlayId,omitempty"`
	Status         string      `json:"status"`
	Reason         string      `json:"reason,omitempty"`
	Revision       int         `json:"revision"`
	Digest         string      `json:"digest"`
	RouteRevision  uint64      `json:"routeRevision"`
	CreatedAgainst *Ref        `json:"createdAgainst,omitempty"`
	InheritsFrom   *Ref        `json:"inheritsFrom,omitempty"`
	ComparedTo     string      `json:"comparedTo,omitempty"`
	Endpoints      []Endpoint  `json:"endpoints"`
	Services       []Service   `json:"services"`
	Shadow         ShadowBrief `json:"shadow"`
	Warnings       []string    `json:"warnings,omitempty"`
	CreatedAt      time.Time   `json:"createdAt"`
	UpdatedAt      time.Time   `json:"updatedAt"`
}

// Endpoint is an address at which an exposed service is reached; traffic sent there is live traffic.
type Endpoint struct {
	Service string `json:"service"`
	Port    string `json:"port"`
	URL     string `json:"url"`
}

// Service is one service of an environment and who provides it.
type Service struct {
	Name       string     `json:"name"`
	Provider   string     `json:"provider"`
	Because    string     `json:"because"` // listed | inherited | mocked | external
	State      string     `json:"state"`   // starting | ready | unhealthy | exited | stopped
	Reason     string     `json:"reason,omitempty"`
	Restarts   int        `json:"restarts"`
	Propagates []string   `json:"propagates"`
	Instances  []Instance `json:"instances,omitempty"`
}

// Instance is one running copy of a service.
type Instance struct {
	Role    string `json:"role"` // primary | candidate | control
	Replica int    `json:"replica"`
	State   string `json:"state"`
	Port    int    `json:"port,omitempty"`
	PID     int    `json:"pid,omitempty"`
}

// ShadowBrief says whether an environment is shadowed.
type ShadowBrief struct {
	Enabled   bool   `json:"enabled"`
	SessionID string `json:"sessionId,omitempty"`
}

// Status is an environment's state in depth: is every listener serving the route revision in force?
type Status struct {
	Environment
	Listeners []Listener `json:"listeners"`
}

// Listener is one address that the data plane holds for an environment.
type Listener struct {
	ID            string `json:"id"`
	Kind          string `json:"kind"` // gateway | outgoing
	Address       string `json:"address"`
	Caller        string `json:"caller,omitempty"`
	Service       string `json:"service"`
	Role          string `json:"role,omitempty"`
	RouteRevision uint64 `json:"routeRevision"` // the revision it serves; 0 when it is not open
	Error         string `json:"error,omitempty"`
}

// Lineage is the chain an environment derives from, nearest first, and where every service comes from.
type Lineage struct {
	EnvironmentID string           `json:"environmentId"`
	Chain         []LineageLink    `json:"chain"`
	Services      []LineageService `json:"services"`
}

// LineageLink is one environment of the chain.
type LineageLink struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Mode     string `json:"mode"`
	Revision int    `json:"revision"`
	Digest   string `json:"digest"`
	Relation string `json:"relation"` // self | inheritsFrom
}

// LineageService says which environment provides a service, and why.
type LineageService struct {
	Name         string   `json:"name"`
	Provider     string   `json:"provider"`
	ProviderName string   `json:"providerName"`
	Because      string   `json:"because"` // listed | inherited | mocked | external
	Changed      []string `json:"changed,omitempty"`
	Explanation  string   `json:"explanation"`
}

// LogLine is one line of a service's output.
type LogLine struct {
	Service string `json:"service"`
	Role    string `json:"role"`
	Replica int    `json:"replica"`
	Line    string `json:"line"`
}

// Event is something that happened, sent as a server-sent event.
type Event struct {
	Type    string    `json:"type"` // progress | status | shadow | report
	At      time.Time `json:"at"`
	Message string    `json:"message,omitempty"`
	Status  string    `json:"status,omitempty"`
	Report  *Report   `json:"report,omitempty"`
}
