// SPDX-License-Identifier: Apache-2.0

package analyze

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	v1 "microstax/api/v1"
	"microstax/internal/engine"
	"microstax/internal/evidence"
	"microstax/internal/fault"
)

// What can be said of a finding.
const (
	Accepted = "accepted" // the change is meant
	Ignored  = "ignored"  // it does not matter
	Open     = "open"     // nobody has said anything, or it was taken back
)

const (
	maxReason  = 2000 // characters
	maxHistory = 50   // earlier decisions kept with a finding
	maxTries   = 5    // when several people decide at the same time
)

// decision is what is stored of a finding's status. Its id holds for all sessions of the environment, as the finding's
// does: the same difference in the next session is still accepted.
type decision struct {
	Finding string `json:"finding"`
	said
	History []said `json:"history,omitempty"` // earlier ones, oldest first
}

type said struct {
	Status string    `json:"status"`
	Reason string    `json:"reason,omitempty"`
	Who    string    `json:"who,omitempty"`
	At     time.Time `json:"at"`
}

// Decide records that somebody accepts a finding as meant, ignores it, or opens it again. The
// finding stays in the report, with its status. The reason may be empty.
func (r *Reports) Decide(ctx context.Context, ref, findingID, status, reason, who string) (v1.Finding, error) {
	const op = "decide on finding"
	reason = strings.TrimSpace(reason)
	switch {
	case status != Accepted && status != Ignored && status != Open:
		return v1.Finding{}, fault.Errorf(op, fault.Invalid, "%q is no status", status).WithHint("use accepted, ignored or open")
	case len([]rune(reason)) > maxReason:
		return v1.Finding{}, fault.Errorf(op, fault.Invalid, "the reason is longer than %d characters", maxReason)
	}
	s, err := r.subject(ctx, ref)
	if err != nil {
		return v1.Finding{}, err
	}
	if _, err := r.finding(ctx, s, findingID); err != nil {
		return v1.Finding{}, err
	}
	now := said{Status: status, Reason: reason, Who: who, At: r.now().UTC()}
	if err := r.record(ctx, s.env.ID, findingID, now); err != nil {
		return v1.Finding{}, storeError(op, err)
	}
	return r.finding(ctx, s, findingID)
}

func (r *Reports) record(ctx context.Context, envID, findingID string, now said) error {
	var err error
	for range maxTries {
		if err = r.recordOnce(ctx, envID, findingID, now); !errors.Is(err, evidence.ErrVersion) {
			return err
		}
	}
	return err
}

func (r *Reports) recordOnce(ctx context.Context, envID, findingID string, now said) error {
	key := evidence.Key{Kind: evidence.Decision, ID: envID + "/" + findingID}
	d := decision{Finding: findingID, said: now}
	created, version := now.At, int64(0)
	old, err := r.store.Get(ctx, key)
	switch {
	case err == nil:
		var before decision
		if err := json.Unmarshal(old.Body, &before); err != nil {
			return fault.E("", fault.Internal, fmt.Errorf("read decision %s: %w", key.ID, err))
		}
		d.History = append(before.History, before.said)
		d.History = d.History[max(0, len(d.History)-maxHistory):]
		created, version = old.Created, old.Version
	case !errors.Is(err, evidence.ErrNotFound):
		return err
	}
	body, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("encode decision: %w", err)
	}
	_, err = r.store.Apply(ctx, evidence.Batch{Puts: []evidence.Put{{Expect: version, Record: evidence.Record{
		Kind: key.Kind, ID: key.ID, Parent: envID, Body: body, Created: created, Updated: now.At,
	}}}})
	return err
}

// decisions are those in force for an environment, by finding.
func (r *Reports) decisions(ctx context.Context, envID string) (map[string]engine.Decision, error) {
	const op, page = "read decisions", 1000
	out := map[string]engine.Decision{}
	q := evidence.Query{Kind: evidence.Decision, Parent: envID, Limit: page}
	for {
		recs, err := r.store.List(ctx, q)
		if err != nil {
			return nil, storeError(op, err)
		}
		for _, rec := range recs {
			var d decision
			if err := json.Unmarshal(rec.Body, &d); err != nil {
				return nil, fault.E(op, fault.Internal, fmt.Errorf("read %s: %w", rec.ID, err))
			}
			if d.Status != Open {
				out[d.Finding] = engine.Decision{Status: d.Status, Reason: d.Reason}
			}
		}
		if len(recs) < page {
			return out, nil
		}
		q.After = recs[len(recs)-1].ID
	}
}
