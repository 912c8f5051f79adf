// SPDX-License-Identifier: Apache-2.0

package observation

import (
	"time"

	"microstax/internal/exchange"
)

// Alike is what is left of an observation in which there is nothing to see, which most are: candidate and control answered
// what the baseline answered, no calls were made, and whoever judges it looks at who, when and how long only. It is a
// fraction of the size, and many travel together.
type Alike struct {
	ID      string    `json:"id,omitempty"` // empty where no control runs: nothing names it then
	Service string    `json:"service"`
	Method  string    `json:"method"`
	Path    string    `json:"path"` // and # with the operation, where the body named one
	Status  int       `json:"status"`
	At      time.Time `json:"at"`
	TraceID string    `json:"traceId,omitempty"`
	Unit    string    `json:"unit"`
	Context uint64    `json:"context"`
	OwnUnit bool      `json:"ownUnit"`
	Lane    bool      `json:"lane"`
	Twin    bool      `json:"twin"` // a control runs

	Inclusion float64 `json:"inclusion,omitempty"` // see Observation
	Load      Load    `json:"load,omitzero"`

	Baseline  Timing `json:"baseline"`
	Control   Timing `json:"control"`
	Candidate Timing `json:"candidate"`
}

// Timing is how long an exchange took, from the request to the answer's head and to its end.
type Timing struct {
	FirstByte time.Duration `json:"firstByte"`
	Duration  time.Duration `json:"duration"`
}

// AlikeBatch are such observations of one session, in order.
type AlikeBatch struct {
	Session string  `json:"session"`
	List    []Alike `json:"list"`
}

// Observation is a as any other observation: one with Alike set.
func (a *Alike) Observation(session string) Observation {
	o := Observation{
		ID: a.ID, Session: session, Service: a.Service, At: a.At, TraceID: a.TraceID, Unit: a.Unit, OwnUnit: a.OwnUnit,
		Lane: a.Lane, Alike: true, Context: a.Context, Inclusion: a.Inclusion, Load: a.Load, Baseline: a.exchange(a.Baseline), Candidate: a.exchange(a.Candidate),
	}
	if a.Twin {
		x := a.exchange(a.Control)
		o.Control = &x
	}
	return o
}

func (a *Alike) exchange(t Timing) exchange.Exchange {
	return exchange.Exchange{
		Start: a.At, FirstByte: t.FirstByte, Duration: t.Duration, Outcome: exchange.OK,
		Request: exchange.Request{Method: a.Method, Target: a.Path}, Response: exchange.Response{Status: a.Status},
	}
}
