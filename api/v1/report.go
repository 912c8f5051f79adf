// SPDX-License-Identifier: Apache-2.0

package v1

import "time"

// Report is the diff report.
type Report struct {
	EnvironmentID string        `json:"environmentId"`
	BaselineID    string        `json:"baselineId"`
	SessionID     string        `json:"sessionId"`
	Lineage       ReportLineage `json:"lineage"`
	Window        Window        `json:"window"`
	Traffic       Traffic       `json:"traffic"`
	Verdict       Verdict       `json:"verdict"`
	Findings      []Finding     `json:"findings"`
	Noise         []Noise       `json:"noise"`
	Latency       []Latency     `json:"latency"`
	Calls         []CallRate    `json:"calls"`
	Breaches      []Breach      `json:"breaches"` // of the services' OpenAPI descriptions, where they are given
	Ignores       []IgnoreRule  `json:"ignores"`  // rules that people gave, with what they hide in this report
	Resolved      []Resolved    `json:"resolved"` // findings of earlier sessions that are gone
	Rules         string        `json:"rules"`    // version of the rules of comparison
}

// ReportLineage names what was compared.
type ReportLineage struct {
	BaselineRevision int      `json:"baselineRevision"`
	BaselineDigest   string   `json:"baselineDigest"`
	OverlayDigest    string   `json:"overlayDigest"`
	Services         []string `json:"services"`
}

// Window is when the evidence was gathered.
type Window struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// Traffic accounts for every request: received = compared + the sum of dropped + inFlight.
type Traffic struct {
	Received  int64            `json:"received"`
	Mirrored  int64            `json:"mirrored"`
	Compared  int64            `json:"compared"`
	Identical int64            `json:"identical"`
	InFlight  int64            `json:"inFlight"`
	Dropped   map[string]int64 `json:"dropped"` // always has queueFull, bodyTooLarge, sampledOut, timeout
	// Unseen is the chance, at most (at 95 %, however often somebody looks), that the next user session meets a kind of request,
	// an endpoint and a status of the answer, that was never compared; left out while nothing can be said.
	Unseen             float64           `json:"unseen,omitempty"`
	UniqueContexts     int64             `json:"uniqueContexts"`
	MismatchedContexts int64             `json:"mismatchedContexts"`
	Endpoints          []EndpointTraffic `json:"endpoints"`
	Load               *Load             `json:"load,omitempty"`
	Shedding           *Shedding         `json:"shedding,omitempty"` // where the shadows could not take all sessions
	Capture            *Capture          `json:"capture,omitempty"`  // where copies are taken by a passive tap
}

// Capture is how much a passive tap saw of what passed. What it missed is among the dropped, as captureLost, as far as the
// session wanted it.
type Capture struct {
	Rate        float64 `json:"rate"` // of exchanges known to have happened, the share that was seen whole; 1 when there were none
	Seen        int64   `json:"seen"`
	Missed      int64   `json:"missed"`
	Bytes       int64   `json:"bytes"`       // of messages that were read
	BytesMissed int64   `json:"bytesMissed"` // of messages, that passed unseen
	Packets     int64   `json:"packets"`
	PacketsLost int64   `json:"packetsLost"` // for which the kernel's ring had no room
	Connections int64   `json:"connections"`
	// Unread counts connections that could not be followed: tls, http2, notHTTP, begunBefore, noRoom, elsewhere.
	Unread map[string]int64 `json:"unread,omitempty"`
}

// EndpointTraffic is the traffic of one endpoint.
type EndpointTraffic struct {
	Service   string           `json:"service"`
	Endpoint  string           `json:"endpoint"`
	Received  int64            `json:"received"`
	Compared  int64            `json:"compared"`
	Different int64            `json:"different"`
	Dropped   map[string]int64 `json:"dropped,omitempty"` // why the others were not compared
}

// Load is the load under which the three were asked.
type Load struct {
	Lag       Lag    `json:"lag"`
	Baseline  Level  `json:"baseline"`
	Control   Level  `json:"control"`
	Candidate Level  `json:"candidate"`
	Crowded   int64  `json:"crowded"`        // requests whose latency is not compared: the shadows had a queue then
	Note      string `json:"note,omitempty"` // where the shadows' load is another than the baseline's
}

// Lag is how long after the baseline's request its copies left.
type Lag struct {
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	Unit string  `json:"unit"`
}

// Level is how many requests somebody had under way when the next one came, that one included.
type Level struct {
	Mean float64 `json:"mean"`
	P99  float64 `json:"p99"`
}

// Shedding is which part of the sampled sessions the shadows can take. What decides is a hash of the session alone, so
// that those that are left are a fair sample.
type Shedding struct {
	Share    float64 `json:"share"`    // at the moment
	Lowest   float64 `json:"lowest"`   // at any time
	Sessions int64   `json:"sessions"` // left out, from their beginning or from some point on
	Requests int64   `json:"requests"` // of these sessions: dropped.shed
}

// Verdict is what the evidence says.
type Verdict struct {
	Decision       string   `json:"decision"` // promote | hold | insufficient
	Reasons        []string `json:"reasons"`
	Confidence     float64  `json:"confidence"`
	RequestsNeeded int64    `json:"requestsNeeded"`
	SecondsNeeded  int64    `json:"secondsNeeded,omitempty"` // for so many, at the rate so far; 0 where that is not known
	Gates          []Gate   `json:"gates,omitempty"`
}

// Gate is one condition of promotion.
type Gate struct {
	Name   string  `json:"name"`
	Passed bool    `json:"passed"`
	E      float64 `json:"evidence"` // e-value reached
	Need   float64 `json:"need"`     // e-value that passes
	Detail string  `json:"detail"`
	// RequestsNeeded is how many more requests the gate needs if none of them differs: 0 where it passes, −1 where it will not
	// pass as long as as many differ as so far.
	RequestsNeeded int64 `json:"requestsNeeded,omitempty"`
}

// Finding is a group of differences with one cause.
type Finding struct {
	ID             string     `json:"id"`
	Kind           string     `json:"kind"`
	Severity       string     `json:"severity"` // breaking | major | minor | info
	Service        string     `json:"service"`
	Endpoint       string     `json:"endpoint"`
	Path           string     `json:"path"`
	Level          string     `json:"level,omitempty"`
	Classes        []string   `json:"classes,omitempty"`    // of change: missing, sign, precision, …
	Status         string     `json:"status"`               // open | accepted | ignored
	Decision       *Decision  `json:"decision,omitempty"`   // who said so, when and why
	Reopened       string     `json:"reopened,omitempty"`   // why an earlier decision holds no more, or that it had been resolved
	Confidence     string     `json:"confidence,omitempty"` // confirmed | suspected
	Summary        string     `json:"summary"`
	Count          int64      `json:"count"`
	Compared       int64      `json:"compared"`
	Rate           float64    `json:"rate"`
	Interval       [2]float64 `json:"interval"`
	Evidence       float64    `json:"evidence"`
	UniqueContexts int64      `json:"uniqueContexts"`
	Condition      string     `json:"condition"`                // in which requests it shows, e.g. request.body.$.currency = "JPY"; "" when none is known
	ConditionCheck string     `json:"conditionCheck,omitempty"` // how that held in the half of the user sessions from which it was not learnt
	Cause          *Cause     `json:"cause,omitempty"`          // an earlier deviation in the same requests
	FirstSeen      time.Time  `json:"firstSeen"`
	LastSeen       time.Time  `json:"lastSeen"`
	Example        *Example   `json:"example,omitempty"`
}

// Cause is a deviation that comes before a finding's in the requests that show it: what the finding may follow from.
type Cause struct {
	FindingID string  `json:"findingId"`
	Summary   string  `json:"summary"`
	Share     float64 `json:"share"` // of the finding's requests in which it comes first
	Detail    string  `json:"detail"`
}

// Example is one observation that shows the finding.
type Example struct {
	ObservationID string   `json:"observationId"`
	Request       Message  `json:"request"`
	Baseline      Message  `json:"baseline"`
	Control       *Message `json:"control,omitempty"`
	Candidate     Message  `json:"candidate"`
	At            string   `json:"at,omitempty"` // the concrete place, e.g. $.items[2].price
	Was           string   `json:"was,omitempty"`
	Is            string   `json:"is,omitempty"`

	Reproduce *Reproduce `json:"reproduce,omitempty"`
}

// Reproduce is a pair of shell commands that show a finding.
type Reproduce struct {
	Baseline  string `json:"baseline"`
	Candidate string `json:"candidate"`
	Note      string `json:"note"`
}

// Noise is a place that varies without the change.
type Noise struct {
	Service     string  `json:"service"`
	Endpoint    string  `json:"endpoint"`
	Path        string  `json:"path"`
	Model       string  `json:"model"`       // timestamp, uuid, token, number, order, …
	LearnedFrom string  `json:"learnedFrom"` // control | history
	Pairs       int64   `json:"pairs"`
	Rate        float64 `json:"rate"`
	StillSeen   string  `json:"stillSeen"` // the strictest level at which a change would still show
}

// Quantiles of a latency.
type Quantiles struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

// Latency compares an endpoint's latency; the ratio is candidate to control.
type Latency struct {
	Service   string     `json:"service"`
	Endpoint  string     `json:"endpoint"`
	Pairs     int64      `json:"pairs"`
	Baseline  Quantiles  `json:"baseline"`
	Control   Quantiles  `json:"control"`
	Candidate Quantiles  `json:"candidate"`
	Ratio     float64    `json:"ratio"`
	Interval  [2]float64 `json:"interval"`
	Unit      string     `json:"unit"`
	Regressed bool       `json:"regressed"`
}

// Breach is one way in which answers break the service's OpenAPI description, and how many of the checked answers of each
// side do.
type Breach struct {
	Service   string `json:"service"`
	Endpoint  string `json:"endpoint"`
	Rule      string `json:"rule"` // operation | status | mediaType, or the schema's keyword: required, type, enum, …
	Path      string `json:"path,omitempty"`
	Detail    string `json:"detail"`
	Baseline  int64  `json:"baseline"`
	Control   int64  `json:"control"`
	Candidate int64  `json:"candidate"`
	Checked   int64  `json:"checked"` // observations of the endpoint that were checked
}

// CallRate compares how often an operation of a dependency is called per request.
type CallRate struct {
	Service             string  `json:"service"`
	Endpoint            string  `json:"endpoint"`
	Dependency          string  `json:"dependency"`
	Operation           string  `json:"operation"`
	BaselinePerRequest  float64 `json:"baselinePerRequest"`
	ControlPerRequest   float64 `json:"controlPerRequest"`
	CandidatePerRequest float64 `json:"candidatePerRequest"`
}
