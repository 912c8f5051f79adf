// SPDX-License-Identifier: Apache-2.0

package environment

import (
	"time"

	"microstax/internal/blueprint"
)

// Session is one shadow session as stored: what is compared with what, and how. Evidence is gathered under a session, so
// a session never changes what it compares: a new version or other rules of comparison begin a new one.
type Session struct {
	ID               string                      `json:"id"`
	Environment      string                      `json:"environmentId"` // the overlay that is shadowed
	Baseline         string                      `json:"baselineId"`    // the environment it is compared to
	BaselineRevision int                         `json:"baselineRevision"`
	BaselineDigest   string                      `json:"baselineDigest"`
	OverlayRevision  int                         `json:"overlayRevision"`
	OverlayDigest    string                      `json:"overlayDigest"`
	Services         []string                    `json:"services"`            // what the overlay runs and the baseline too, sorted
	Control          bool                        `json:"control"`             // at least one service has a control to be compared with
	Settings         map[string]blueprint.Shadow `json:"settings"`            // effective settings by service, defaults filled in
	OpenAPI          map[string]string           `json:"openapi,omitempty"`   // the documents that describe services, whole
	Protobuf         map[string][]byte           `json:"protobuf,omitempty"`  // descriptor sets of services' messages
	Artifacts        map[string]string           `json:"artifacts,omitempty"` // "candidate/orders" → digest of what its command runs
	Rules            string                      `json:"rules"`               // digest of everything that decides what a comparison means
	Created          time.Time                   `json:"created"`
	Enabled          time.Time                   `json:"enabled"` // when it was last switched on
}
