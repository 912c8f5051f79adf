// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	v1 "microstax/api/v1"
	"microstax/internal/engine"
	"microstax/internal/evidence"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// maxFindingLabels bounds the labels of one record; an answer that differs everywhere is found by its first differences.
const maxFindingLabels = 64

// kept is an observation that was chosen and waits to be written. The observation is immutable.
type kept struct {
	observation *observation.Observation
	judged      engine.Judged
	bytes       int64
	digest      string // of the blob, once that is written; guarded by the flush token
	writing     bool   // a flush is at it; guarded by Ingest.mu
}

// record is what is stored beside the blob: enough to list, find and explain the observation. Its body is a
// v1.Observation without exchanges and calls, which package analyze fills in from the blob.
func (k *kept) record(now time.Time) (evidence.Record, error) {
	o, j := k.observation, k.judged
	findings := j.Findings
	if len(findings) > maxFindingLabels {
		findings = findings[:maxFindingLabels]
	}
	doc := v1.Observation{
		ObservationSummary: v1.ObservationSummary{
			ID: o.ID, At: o.At, Service: o.Service, Endpoint: j.Endpoint,
			Method: o.Baseline.Request.Method, Target: o.Baseline.Request.Target,
			Baseline: ended(&o.Baseline), Control: ended(o.Control), Candidate: ended(&o.Candidate),
			Findings: append([]string{}, findings...), Why: j.Why,
		},
		SessionID: o.Session, TraceID: o.TraceID,
		Differences: append([]v1.Difference{}, j.Differences...),
	}
	body, err := json.Marshal(doc)
	if err != nil {
		return evidence.Record{}, fmt.Errorf("encode summary of %s: %w", o.ID, err)
	}
	labels := map[string]string{
		labelEndpoint: j.Endpoint, labelService: o.Service, labelBlob: k.digest, labelWhy: doc.Why,
		labelSize: strconv.FormatInt(shown(o), 10),
	}
	for _, f := range findings {
		labels[labelFinding+f] = "1"
	}
	return evidence.Record{
		Kind: evidence.Observation, ID: o.ID, Parent: o.Session, Labels: labels, Body: body, Created: o.At, Updated: now,
	}, nil
}

// ended is how an exchange ended, in a word: its status, or how it failed; "" for none.
func ended(e *exchange.Exchange) string {
	switch {
	case e == nil:
		return ""
	case e.Outcome == exchange.OK || e.Outcome == "":
		return strconv.Itoa(e.Response.Status)
	}
	return string(e.Outcome)
}

// shown is how much a person has to read to see what an observation shows, in bytes.
func shown(o *observation.Observation) int64 {
	return o.Baseline.Response.Body.Length + o.Candidate.Response.Body.Length + o.Baseline.Request.Body.Length
}

// size is about how much memory an observation holds.
func size(o *observation.Observation) int64 {
	n := sizeOf(&o.Baseline) + sizeOf(&o.Candidate)
	if o.Control != nil {
		n += sizeOf(o.Control)
	}
	for _, calls := range [][]observation.Call{o.BaselineCalls, o.ControlCalls, o.CandidateCalls} {
		for i := range calls {
			n += sizeOf(&calls[i].Exchange)
		}
	}
	return n
}

func sizeOf(e *exchange.Exchange) int64 {
	const fixed, perHeader = 512, 64
	headers := len(e.Request.Headers) + len(e.Response.Headers) + len(e.Response.Trailers)
	return int64(fixed + perHeader*headers + len(e.Request.Target) + cap(e.Request.Body.Data) + cap(e.Response.Body.Data))
}
