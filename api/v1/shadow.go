// SPDX-License-Identifier: Apache-2.0

package v1

import "time"

// ShadowPatch switches shadowing and overrides the Blueprint's settings. A nil field leaves the Blueprint's.
type ShadowPatch struct {
	Enabled     *bool    `json:"enabled,omitempty"`
	Sample      *float64 `json:"sample,omitempty" minimum:"0" maximum:"1"`
	Session     []string `json:"session,omitempty"`
	Control     string   `json:"control,omitempty" doc:"auto, off, or a URL"`
	Effects     string   `json:"effects,omitempty" enum:"replay,passthrough,block,isolated"`
	Concurrency int      `json:"concurrency,omitempty" minimum:"0"`
	Timeout     string   `json:"timeout,omitempty" doc:"like 10s"`
	MaxBody     string   `json:"maxBody,omitempty" doc:"like 1MiB"`
}

// ShadowState is the state of a shadow session.
type ShadowState struct {
	Enabled   bool            `json:"enabled"`
	SessionID string          `json:"sessionId,omitempty"`
	Since     *time.Time      `json:"since,omitempty"`
	Baseline  string          `json:"baselineId,omitempty"`
	Services  []ShadowService `json:"services"`
	Traffic   *Traffic        `json:"traffic,omitempty"`
	Verdict   *Verdict        `json:"verdict,omitempty"`
}

// ShadowService are the settings in force for one service.
type ShadowService struct {
	Name        string   `json:"name"`
	Sample      float64  `json:"sample"`
	Session     []string `json:"session"`
	Control     string   `json:"control"`
	Effects     string   `json:"effects"`
	Concurrency int      `json:"concurrency"`
	Timeout     string   `json:"timeout"`
	MaxBody     int64    `json:"maxBody"`
	Propagates  []string `json:"propagates"`
}

// ObservationSummary is one kept observation in a list.
type ObservationSummary struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at"`
	Service   string    `json:"service"`
	Endpoint  string    `json:"endpoint"`
	Method    string    `json:"method"`
	Target    string    `json:"target"`
	Baseline  string    `json:"baseline"`  // status, or how it failed
	Control   string    `json:"control"`   // likewise; "" without a control
	Candidate string    `json:"candidate"` // likewise
	Findings  []string  `json:"findings"`
	Why       string    `json:"why"` // different | sample
}

// Observation is one kept observation, whole.
type Observation struct {
	ObservationSummary
	SessionID      string       `json:"sessionId"`
	TraceID        string       `json:"traceId,omitempty"`
	Differences    []Difference `json:"differences"`
	Exchanges      Triple       `json:"exchanges"`
	BaselineCalls  []Call       `json:"baselineCalls"`
	ControlCalls   []Call       `json:"controlCalls"`
	CandidateCalls []Call       `json:"candidateCalls"`
}

// Triple holds the three exchanges of an observation.
type Triple struct {
	Request   Message  `json:"request"`
	Baseline  Message  `json:"baseline"`
	Control   *Message `json:"control,omitempty"`
	Candidate Message  `json:"candidate"`
}

// Message is a request or an answer for people: secrets are tokens, bodies text where they are text.
type Message struct {
	Method     string   `json:"method,omitempty"`
	Target     string   `json:"target,omitempty"`
	Status     int      `json:"status,omitempty"`
	Outcome    string   `json:"outcome,omitempty"` // when there is no whole answer: refused | reset | timeout | garbled
	Headers    []Header `json:"headers,omitempty"`
	Body       string   `json:"body,omitempty"`
	BodyBase64 bool     `json:"bodyBase64,omitempty"` // Body is base64: it is not text
	BodyLength int64    `json:"bodyLength"`
	Truncated  bool     `json:"truncated,omitempty"`
	DurationMS float64  `json:"durationMs,omitempty"`
}

// Header is one header line.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Call is one outgoing call.
type Call struct {
	Caller     string  `json:"caller"`
	Dependency string  `json:"dependency"`
	Operation  string  `json:"operation"`
	Status     int     `json:"status"`
	Effect     string  `json:"effect"` // live | replayed | owned | readThrough | passed | fenced | blocked
	Match      string  `json:"match,omitempty"`
	DurationMS float64 `json:"durationMs"`
	Request    Message `json:"request"`
	Response   Message `json:"response"`
}

// Difference is one place where two exchanges disagree.
type Difference struct {
	Kind      string `json:"kind"`
	Path      string `json:"path"`
	Level     string `json:"level"`
	Baseline  string `json:"baseline"`
	Candidate string `json:"candidate"`
	Side      string `json:"side"` // candidate | control: which of the two differs from the baseline here
}
