// SPDX-License-Identifier: Apache-2.0

package v1

// FindingPatch decides about a finding.
type FindingPatch struct {
	Status string `json:"status" enum:"accepted,ignored,open" doc:"accepted: the change is intended; ignored: it is noise; open: neither, again"`
	Reason string `json:"reason,omitempty" maxLength:"2000" doc:"why, for those who read the report later"`
}
