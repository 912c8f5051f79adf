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
	Status   string     `json:"status"`
	Reason   string     `json:"reason,omitempty"`
	Who      string     `json:"who,omitempty"`
	At       time.Time  `json:"at"`
	Expires  *time.Time `json:"expires,omitempty"`
	Session  string     `json:"session,omitempty"`  // the only one for which it holds; "" for all
	Classes  []string   `json:"classes,omitempty"`  // of change that the finding showed
	Severity string     `json:"severity,omitempty"` // that it had
}

// holds says whether it is in force, for a session and at a time.
func (s said) holds(session string, now time.Time) bool {
	return s.Status != Open && (s.Session == "" || s.Session == session) && (s.Expires == nil || now.Before(*s.Expires))
}

// The scopes of a decision.
const (
	ScopeEnvironment = "environment"
	ScopeSession     = "session"
)

// document is the decision as people read it.
func (s said) document() *v1.Decision {
	d := &v1.Decision{Status: s.Status, Reason: s.Reason, Who: s.Who, At: s.At, Expires: s.Expires, Scope: ScopeEnvironment}
	if s.Session != "" {
		d.Scope = ScopeSession
	}
	return d
}

// Decide records that somebody accepts a finding as meant, ignores it, or opens it again. The finding stays in the report,
// with its status. It is open again when the decision expires, and when it becomes another change than it was.
func (r *Reports) Decide(ctx context.Context, ref, findingID string, p v1.FindingPatch, who string) (v1.Finding, error) {
	const op = "decide on finding"
	now := said{Status: p.Status, Reason: strings.TrimSpace(p.Reason), Who: who, At: r.now().UTC(), Expires: p.Expires}
	if p.Status != Accepted && p.Status != Ignored && p.Status != Open {
		return v1.Finding{}, fault.Errorf(op, fault.Invalid, "%q is no status", p.Status).WithHint("use accepted, ignored or open")
	}
	if p.Scope != "" && p.Scope != ScopeEnvironment && p.Scope != ScopeSession {
		return v1.Finding{}, fault.Errorf(op, fault.Invalid, "%q is no scope", p.Scope).WithHint("use environment or session")
	}
	if err := checkWords(op, now.Reason, p.Expires, now.At); err != nil {
		return v1.Finding{}, err
	}
	s, err := r.subject(ctx, ref)
	if err != nil {
		return v1.Finding{}, err
	}
	f, err := r.finding(ctx, s, findingID)
	if err != nil {
		return v1.Finding{}, err
	}
	if p.Scope == ScopeSession {
		now.Session = s.session.ID
	}
	if p.Status != Open {
		now.Classes, now.Severity = f.Classes, f.Severity
	}
	if err := r.record(ctx, s.env.ID, findingID, now); err != nil {
		return v1.Finding{}, storeError(op, err)
	}
	return r.finding(ctx, s, findingID)
}

// checkWords refuses what cannot be meant.
func checkWords(op, reason string, expires *time.Time, now time.Time) error {
	if len([]rune(reason)) > maxReason {
		return fault.Errorf(op, fault.Invalid, "the reason is longer than %d characters", maxReason)
	}
	if expires != nil && !expires.After(now) {
		return fault.Errorf(op, fault.Invalid, "it would end at %s, which is over", expires.Format(time.RFC3339)).WithHint("give a time that is to come")
	}
	return nil
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
