// SPDX-License-Identifier: Apache-2.0

// Package observation is the noun for everything that one mirrored request caused: the baseline's, the control's and
// the candidate's exchange, and the outgoing calls of each; and for the envelope in which observations and the counts of
// what was not observed travel from the data plane to the judgement.
//
// Values are immutable by convention once published.
package observation

import (
	"time"

	"microstax/internal/exchange"
)

// Side names who made an exchange.
type Side string

// The sides of an observation.
const (
	Baseline  Side = "baseline"
	Control   Side = "control"
	Candidate Side = "candidate"
)

// Effect is what an outgoing call of a shadow got.
type Effect string

// The effects.
const (
	Live        Effect = "live"        // the baseline's own call, really made
	Replayed    Effect = "replayed"    // answered from the baseline's recorded call
	Owned       Effect = "owned"       // went to the same side's own instance of a service that the overlay runs
	ReadThrough Effect = "readThrough" // a safe call without a recording, really made
	Passed      Effect = "passed"      // really made because the Blueprint says passthrough
	Fenced      Effect = "fenced"      // a write without a recorded answer, kept from leaving
	Blocked     Effect = "blocked"     // kept from leaving because the Blueprint says block
)

// Tier says how well a shadow's call matched the recorded call that answered it.
type Tier string

// The tiers, from best to none.
const (
	Exact   Tier = "exact"   // same operation and same canonical content
	Near    Tier = "near"    // same operation, similarity at least 0.90: arguments changed a little
	Repeat  Tier = "repeat"  // equal to a recorded call that was already used
	Similar Tier = "similar" // same operation, similarity at least 0.50
	None    Tier = "none"    // nothing comparable was recorded
)

// Call is one outgoing call made while a request was served.
type Call struct {
	Caller     string            `json:"caller"`     // service that called
	Dependency string            `json:"dependency"` // service that was called
	Exchange   exchange.Exchange `json:"exchange"`
	Effect     Effect            `json:"effect"`
	Tier       Tier              `json:"tier,omitempty"`    // shadows only
	Matched    int               `json:"matched"`           // index of the baseline call that answered it, or -1
	Write      bool              `json:"write,omitempty"`   // not a safe method
	Tainted    bool              `json:"tainted,omitempty"` // the answer was made up or only similar: what follows from it is no finding
}

// Observation is everything one mirrored request caused.
type Observation struct {
	ID      string    `json:"id"`      // obs_…; may be empty where Alike and no Control runs: nothing names it then
	Session string    `json:"session"` // ses_…, the shadow session
	Service string    `json:"service"` // the service whose hop was mirrored
	At      time.Time `json:"at"`      // when the baseline's request head was complete
	TraceID string    `json:"traceId,omitempty"`
	Unit    string    `json:"unit"`    // keyed token of the user's session: the statistical unit
	OwnUnit bool      `json:"ownUnit"` // no session key was present: the request is its own unit
	Lane    bool      `json:"lane"`    // control and candidate ran one request at a time: their calls are attributed exactly
	// Alike says that candidate and control answered what the baseline answered, to the byte, and without a control that
	// the baseline's answer is its last one to the same request. Then the exchanges hold method, path, status and times
	// only, and Context stands for the request.
	Alike       bool   `json:"alike,omitempty"`
	Context     uint64 `json:"context,omitempty"` // hash of service, method, target and body; 0 where it is not known
	CallsTraced bool   `json:"callsTraced"`       // the baseline's calls are attributed by trace id, exactly; else by window and likeness
	// Inclusion is the probability with which the user's session was mirrored when the request came; 0 stands for 1.
	Inclusion float64 `json:"inclusion,omitempty"`
	Load      Load    `json:"load,omitzero"`

	Baseline  exchange.Exchange  `json:"baseline"`
	Control   *exchange.Exchange `json:"control,omitempty"` // nil where no control runs
	Candidate exchange.Exchange  `json:"candidate"`

	BaselineCalls  []Call `json:"baselineCalls,omitempty"`
	ControlCalls   []Call `json:"controlCalls,omitempty"`
	CandidateCalls []Call `json:"candidateCalls,omitempty"`
}

// Load is under what load the three were asked.
type Load struct {
	Lag time.Duration `json:"lag,omitempty"` // from the baseline's request to its copies
	// How many requests each had under way when it got this one, with this one; 0 where that is not known.
	Baseline  int `json:"baseline,omitempty"`
	Control   int `json:"control,omitempty"`
	Candidate int `json:"candidate,omitempty"`
	// Crowded says that the shadows could not take the copies in the spacing in which the requests came, and had a good
	// deal more of them under way than the baseline: how long they took then is the queue's doing, and not compared.
	Crowded bool `json:"crowded,omitempty"`
}

// Bytes is how many bytes of bodies the observation holds.
func (o *Observation) Bytes() int {
	n := len(o.Baseline.Request.Body.Data) + len(o.Baseline.Response.Body.Data) + len(o.Candidate.Response.Body.Data)
	if o.Control != nil {
		n += len(o.Control.Response.Body.Data)
	}
	for _, calls := range [][]Call{o.BaselineCalls, o.ControlCalls, o.CandidateCalls} {
		for i := range calls {
			n += len(calls[i].Exchange.Request.Body.Data) + len(calls[i].Exchange.Response.Body.Data)
		}
	}
	return n
}

// DropReason says why a request that could have been mirrored was not compared.
type DropReason string

// The reasons, as they are named in the report.
const (
	QueueFull    DropReason = "queueFull"    // the bounded ring had no place
	BodyTooLarge DropReason = "bodyTooLarge" // the request body is longer than what is kept of one, so it cannot be sent again
	OverBudget   DropReason = "overBudget"   // the bytes that all captures hold together were used up
	SampledOut   DropReason = "sampledOut"   // the user's session is outside the sample
	Shed         DropReason = "shed"         // the user's session was left out, by lot, for the shadows cannot take all
	Excluded     DropReason = "excluded"     // match or exclude left it out
	TimedOut     DropReason = "timeout"      // it waited too long to be mirrored
	ClientGone   DropReason = "clientGone"   // the user left before the baseline's answer was whole
	NoBaseline   DropReason = "baselineError"
	Upgraded     DropReason = "upgraded"     // the connection changed protocol
	ControlError DropReason = "controlError" // the control twin could not be reached: no fair comparison
	Stopped      DropReason = "stopped"      // shadowing was switched off while it waited
	Crashed      DropReason = "crash"        // in flight when the server, or the gateway, died
	SpoolFull    DropReason = "spoolFull"    // observed at a gateway whose spool had no place while the server was away
	CaptureLost  DropReason = "captureLost"  // a passive tap missed a part of it, or all but that it happened
)

// Group counts requests of one kind that met one fate; the path is a sample, templates are learnt later.
type Group struct {
	Service string     `json:"service"`
	Method  string     `json:"method"`
	Path    string     `json:"path"`
	Reason  DropReason `json:"reason"`
	Count   int64      `json:"count"`
}

// Tally carries counts that have been added since the tally before it. Received counts every request that reached a
// mirrored hop, whatever became of it; it is published no later than the observations it counts.
type Tally struct {
	Session  string    `json:"session"`
	At       time.Time `json:"at"`
	Received int64     `json:"received"`
	Mirrored int64     `json:"mirrored"` // handed to the shadows
	// Share is the share of the sampled sessions that are mirrored at the moment, and ShedSessions how many were left out
	// since the tally before; 0 where the share is not told.
	Share        float64  `json:"share,omitempty"`
	ShedSessions int64    `json:"shedSessions,omitempty"`
	Dropped      []Group  `json:"dropped,omitempty"`
	Capture      *Capture `json:"capture,omitempty"` // what passive taps counted
}

// Capture is what passive taps counted. Exchanges that they missed are among the dropped too, as CaptureLost, as far as the
// session wanted them.
type Capture struct {
	Packets      int64 `json:"packets,omitempty"`      // that the kernel offered
	PacketsLost  int64 `json:"packetsLost,omitempty"`  // of them, those for which its ring had no room
	BadChecksums int64 `json:"badChecksums,omitempty"` // packets that their receiver does not take either
	Connections  int64 `json:"connections,omitempty"`  // that were followed
	Seen         int64 `json:"seen,omitempty"`         // exchanges, whole
	Missed       int64 `json:"missed,omitempty"`       // exchanges that happened, and passed unseen at least in part
	Bytes        int64 `json:"bytes,omitempty"`        // of messages
	BytesMissed  int64 `json:"bytesMissed,omitempty"`  // of messages, that passed unseen
	Encrypted    int64 `json:"encrypted,omitempty"`    // connections that speak TLS
	HTTP2        int64 `json:"http2,omitempty"`        // connections that speak HTTP/2
	Foreign      int64 `json:"foreign,omitempty"`      // connections that speak something else
	Unsynced     int64 `json:"unsynced,omitempty"`     // connections that began before the tap, and ended before they were understood
	Evicted      int64 `json:"evicted,omitempty"`      // connections given up for want of room
	Elsewhere    int64 `json:"elsewhere,omitempty"`    // connections to the same port of other machines
	Overflows    int64 `json:"overflows,omitempty"`    // times that more waited for what lay before it than is allowed
}

// Add adds what was counted since.
func (c *Capture) Add(o Capture) {
	c.Packets += o.Packets
	c.PacketsLost += o.PacketsLost
	c.BadChecksums += o.BadChecksums
	c.Connections += o.Connections
	c.Seen += o.Seen
	c.Missed += o.Missed
	c.Bytes += o.Bytes
	c.BytesMissed += o.BytesMissed
	c.Encrypted += o.Encrypted
	c.HTTP2 += o.HTTP2
	c.Foreign += o.Foreign
	c.Unsynced += o.Unsynced
	c.Evicted += o.Evicted
	c.Elsewhere += o.Elsewhere
	c.Overflows += o.Overflows
}

// Envelope is what travels: exactly one of the three is set.
type Envelope struct {
	Observation *Observation `json:"observation,omitempty"`
	Alike       *AlikeBatch  `json:"alike,omitempty"`
	Tally       *Tally       `json:"tally,omitempty"`
}

// Session is the shadow session the envelope belongs to.
func (e Envelope) Session() string {
	if e.Observation != nil {
		return e.Observation.Session
	}
	if e.Alike != nil {
		return e.Alike.Session
	}
	if e.Tally != nil {
		return e.Tally.Session
	}
	return ""
}
