// SPDX-License-Identifier: Apache-2.0

package httpapi

import (
	"context"

	v1 "microstax/api/v1"
	"microstax/internal/blueprint"
	"microstax/internal/control/gateways"
	"microstax/internal/dataplane/remote"
)

// A ref, in all interfaces here, is an id or a unique name. Every method may be called concurrently, and reports what went
// wrong as a fault with a kind.

// Environments makes, finds and removes environments.
type Environments interface {
	// Create answers at once, in status provisioning; baselineRef names what an overlay derives from, else it is empty.
	Create(ctx context.Context, mode blueprint.Mode, baselineRef string, req v1.CreateEnvironment) (v1.Environment, error)
	// Validate reports what is wrong in the result, and an error only where it could not look.
	Validate(ctx context.Context, req v1.CreateEnvironment) (v1.ValidateResult, error)
	Get(ctx context.Context, ref string) (v1.Environment, error)
	// List gives one page, and the cursor of the next one or "".
	List(ctx context.Context, f Filter) ([]v1.Environment, string, error)
	// Delete returns when the environment is gone.
	Delete(ctx context.Context, ref string) error
}

// Lifecycle changes and explains environments that exist.
type Lifecycle interface {
	Stop(ctx context.Context, ref string) (v1.Environment, error)
	Resume(ctx context.Context, ref string) (v1.Environment, error)
	Status(ctx context.Context, ref string) (v1.Status, error)
	Lineage(ctx context.Context, ref string) (v1.Lineage, error)
}

// Streams tells what happens in an environment while it happens.
type Streams interface {
	// Logs calls each for every line, from one goroutine, and stops with its first error. With Follow it returns only when ctx
	// ends.
	Logs(ctx context.Context, ref string, q LogQuery, each func(v1.LogLine) error) error
	// Events gives a channel that closes when ctx ends.
	Events(ctx context.Context, ref string) (<-chan v1.Event, error)
}

// Shadows switches shadowing.
type Shadows interface {
	Get(ctx context.Context, ref string) (v1.ShadowState, error)
	// Patch returns when the shadows are ready, or when they have failed.
	Patch(ctx context.Context, ref string, p v1.ShadowPatch) (v1.ShadowState, error)
}

// Reports gives evidence and takes decisions about it.
type Reports interface {
	Report(ctx context.Context, ref string) (v1.Report, error)
	Finding(ctx context.Context, ref, findingID string) (v1.Finding, error)
	Observations(ctx context.Context, ref string, q ObservationQuery) ([]v1.ObservationSummary, string, error)
	Observation(ctx context.Context, ref, obsID string) (v1.Observation, error)
	// Decide records that a finding is accepted, ignored or open again; who is whom the audit shall name.
	Decide(ctx context.Context, ref, findingID string, p v1.FindingPatch, who string) (v1.Finding, error)
}

// Ignores keeps rules about places that do not matter.
type Ignores interface {
	Ignores(ctx context.Context, ref string) ([]v1.IgnoreRule, error)
	Ignore(ctx context.Context, ref string, c v1.CreateIgnore, who string) (v1.IgnoreRule, error)
	Unignore(ctx context.Context, ref, ruleID string) error
}

// Changes tells when an environment's diff report may have changed: a coalesced signal without content. The channel closes
// when ctx ends.
type Changes interface {
	Changed(ctx context.Context, environmentID string) (<-chan struct{}, error)
}

// Gateways are data planes that run as processes of their own.
type Gateways interface {
	List() []v1.Gateway
	Forget(ctx context.Context, name string) error
	// Tables sends lines until ctx ends or the gateway has gone. An error before the first line refuses it.
	Tables(ctx context.Context, c gateways.Caller, send func(remote.Line) error) error
	// Report takes what a gateway says of itself; with leaves it says that it stops.
	Report(name string, r remote.Report, leaves bool) error
	// Observed takes frames, and says whether all of them.
	Observed(ctx context.Context, name, stream string, skip *uint64, frames []byte) (remote.Accepted, bool, error)
}

// Filter selects environments for a page.
type Filter struct {
	Mode     string // "" for all
	Baseline string // the ref that overlays derive from; "" for all
	Limit    int
	Cursor   string
}

// LogQuery selects log lines.
type LogQuery struct {
	Service string // "" for all
	Role    string // "" for all
	Tail    int    // newest lines of each instance; 0 for all that is kept
	Follow  bool
}

// ObservationQuery selects kept observations for a page.
type ObservationQuery struct {
	Finding  string
	Endpoint string
	Limit    int
	Cursor   string
}
