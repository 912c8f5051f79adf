// SPDX-License-Identifier: Apache-2.0

package v1

import "time"

// FindingPatch decides about a finding.
type FindingPatch struct {
	Status  string     `json:"status" enum:"accepted,ignored,open" doc:"accepted: the change is intended; ignored: it is noise; open: neither, again"`
	Reason  string     `json:"reason,omitempty" maxLength:"2000" doc:"why, for those who read the report later"`
	Scope   string     `json:"scope,omitempty" enum:"environment,session" doc:"environment, the default: in all sessions; session: only for what is compared now"`
	Expires *time.Time `json:"expires,omitempty" doc:"when the finding is open again; never when left out"`
}

// Decision is who said what of a finding, when and why.
type Decision struct {
	Status  string     `json:"status"`
	Reason  string     `json:"reason,omitempty"`
	Who     string     `json:"who"`
	At      time.Time  `json:"at"`
	Scope   string     `json:"scope,omitempty"` // environment | session
	Expires *time.Time `json:"expires,omitempty"`
	Rule    string     `json:"rule,omitempty"` // the ignore rule that it comes from
}

// CreateIgnore says of a place that differences there do not matter.
type CreateIgnore struct {
	Path     string     `json:"path" minLength:"1" maxLength:"400" doc:"as findings name it: $.items[*].score, a header's name, status; what lies below it is meant too"`
	Service  string     `json:"service,omitempty" doc:"only of this service"`
	Endpoint string     `json:"endpoint,omitempty" doc:"only at this endpoint, like POST /orders"`
	Kinds    []string   `json:"kinds,omitempty" doc:"only these kinds of finding; left out: those that are there now, or changes of value"`
	Reason   string     `json:"reason,omitempty" maxLength:"2000" doc:"why, for those who read the report later"`
	Expires  *time.Time `json:"expires,omitempty" doc:"when the rule ends; never when left out"`
}

// IgnoreRule is such a rule, and what it hides.
type IgnoreRule struct {
	ID       string     `json:"id"`
	Path     string     `json:"path"`
	Service  string     `json:"service,omitempty"`
	Endpoint string     `json:"endpoint,omitempty"`
	Kinds    []string   `json:"kinds"`
	Reason   string     `json:"reason,omitempty"`
	Who      string     `json:"who"`
	At       time.Time  `json:"at"`
	Expires  *time.Time `json:"expires,omitempty"`
	Expired  bool       `json:"expired,omitempty"`
	Findings int        `json:"findings"` // that it hides in the newest session
	Requests int64      `json:"requests"` // that show them
}

// Resolved is a finding of an earlier session that this one does not show, although it has seen enough of the endpoint.
type Resolved struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind"`
	Service   string    `json:"service"`
	Endpoint  string    `json:"endpoint"`
	Path      string    `json:"path"`
	Summary   string    `json:"summary"`
	SessionID string    `json:"sessionId"` // where it was last seen
	LastSeen  time.Time `json:"lastSeen"`
	Compared  int64     `json:"compared"` // requests of the endpoint in this session
}
