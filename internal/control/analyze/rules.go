// SPDX-License-Identifier: Apache-2.0

package analyze

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	v1 "microstax/api/v1"
	"microstax/internal/engine"
	"microstax/internal/engine/diff"
	"microstax/internal/evidence"
	"microstax/internal/fault"
	"microstax/internal/id"
)

// rule says of a place that differences of some kinds do not matter there. Another kind of difference at the same place is
// none of its business: a value that may vary may still not go missing.
type rule struct {
	ID       string     `json:"id"`
	Path     string     `json:"path"`
	Service  string     `json:"service,omitempty"`
	Endpoint string     `json:"endpoint,omitempty"`
	Kinds    []string   `json:"kinds"`
	Reason   string     `json:"reason,omitempty"`
	Who      string     `json:"who"`
	At       time.Time  `json:"at"`
	Expires  *time.Time `json:"expires,omitempty"`
}

// maxRules bounds the rules of one environment.
const maxRules = 1000

func (r *rule) over(now time.Time) bool { return r.Expires != nil && !now.Before(*r.Expires) }

// hides says whether the rule is about a place: the one it names, or one within that.
func (r *rule) hides(p engine.Place) bool {
	if r.Service != "" && r.Service != p.Service || r.Endpoint != "" && r.Endpoint != p.Endpoint || !slices.Contains(r.Kinds, p.Kind) {
		return false
	}
	below, found := strings.CutPrefix(strings.ToLower(p.Path), strings.ToLower(r.Path))
	return found && (below == "" || below[0] == '.' || below[0] == '[')
}

func (r *rule) document(now time.Time) v1.IgnoreRule {
	return v1.IgnoreRule{
		ID: r.ID, Path: r.Path, Service: r.Service, Endpoint: r.Endpoint, Kinds: r.Kinds, Reason: r.Reason, Who: r.Who, At: r.At,
		Expires: r.Expires, Expired: r.over(now),
	}
}

func (r *rule) decision() *v1.Decision {
	return &v1.Decision{Status: Ignored, Reason: r.Reason, Who: r.Who, At: r.At, Expires: r.Expires, Scope: ScopeEnvironment, Rule: r.ID}
}

// values are the kinds that say that something has another value, which is what noise does.
func values() []string {
	return []string{
		string(diff.KindValue), string(diff.KindOrder), string(diff.KindLength), string(diff.KindText), string(diff.KindHeader),
		string(diff.KindTrailer), string(diff.KindCallArguments),
	}
}

// kinds are all that findings have.
func kinds() []string {
	return append(values(), string(diff.KindStatus), string(diff.KindMediaType), string(diff.KindMissing), string(diff.KindExtra),
		string(diff.KindType), string(diff.KindError), string(diff.KindLatency), string(diff.KindCallMissing), string(diff.KindCallExtra),
		string(diff.KindCallRepeated), string(diff.KindCallOrder), string(diff.KindFenced))
}

// Ignore makes a rule. Where no kinds are given it is about those that the findings there have now, and about changes of
// value where there is none.
func (r *Reports) Ignore(ctx context.Context, ref string, c v1.CreateIgnore, who string) (v1.IgnoreRule, error) {
	const op = "ignore"
	now := r.now().UTC()
	made := rule{
		ID: id.New(id.Rule, now, rand.Reader), Path: strings.TrimSpace(c.Path), Service: c.Service, Endpoint: strings.TrimSpace(c.Endpoint),
		Kinds: c.Kinds, Reason: strings.TrimSpace(c.Reason), Who: who, At: now, Expires: c.Expires,
	}
	if made.Path == "" || made.Path == "$" {
		return v1.IgnoreRule{}, fault.Errorf(op, fault.Invalid, "a rule for everything would hide everything").
			WithHint("name a place as findings do: $.items[*].score, x-served-by, status")
	}
	for _, k := range c.Kinds {
		if !slices.Contains(kinds(), k) {
			return v1.IgnoreRule{}, fault.Errorf(op, fault.Invalid, "%q is no kind of finding", k).WithHint("the kinds are %s", strings.Join(kinds(), ", "))
		}
	}
	if err := checkWords(op, made.Reason, c.Expires, now); err != nil {
		return v1.IgnoreRule{}, err
	}
	env, err := r.envs.Lookup(ctx, ref)
	if err != nil {
		return v1.IgnoreRule{}, fault.E(op, fault.KindOf(err), err)
	}
	if n, err := r.store.Count(ctx, evidence.Query{Kind: evidence.Rule, Parent: env.ID}); err != nil {
		return v1.IgnoreRule{}, storeError(op, err)
	} else if n >= maxRules {
		return v1.IgnoreRule{}, fault.Errorf(op, fault.Conflict, "%s has %d rules already", env.Name, n).WithHint("remove some: microstax env ignore %s --list", env.Name)
	}
	if len(made.Kinds) == 0 {
		if made.Kinds, err = r.kindsAt(ctx, ref, made); err != nil {
			return v1.IgnoreRule{}, err
		}
	}
	body, err := json.Marshal(made)
	if err != nil {
		return v1.IgnoreRule{}, fault.E(op, fault.Internal, err)
	}
	_, err = r.store.Apply(ctx, evidence.Batch{Puts: []evidence.Put{{Record: evidence.Record{
		Kind: evidence.Rule, ID: made.ID, Parent: env.ID, Body: body, Created: now, Updated: now,
	}}}})
	if err != nil {
		return v1.IgnoreRule{}, storeError(op, err)
	}
	return r.hidden(ctx, ref, made)
}

// kindsAt are the kinds of the findings that a rule would be about.
func (r *Reports) kindsAt(ctx context.Context, ref string, at rule) ([]string, error) {
	at.Kinds = kinds()
	s, err := r.subject(ctx, ref)
	if fault.Is(err, fault.NotFound) { // never shadowed
		return values(), nil
	} else if err != nil {
		return nil, err
	}
	rep, err := r.judge(ctx, s)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, f := range rep.Findings {
		if at.hides(engine.Place{Service: f.Service, Endpoint: f.Endpoint, Kind: f.Kind, Path: f.Path}) && !slices.Contains(out, f.Kind) {
			out = append(out, f.Kind)
		}
	}
	if len(out) == 0 {
		return values(), nil
	}
	slices.Sort(out)
	return out, nil
}

// hidden is a rule with what it hides now.
func (r *Reports) hidden(ctx context.Context, ref string, made rule) (v1.IgnoreRule, error) {
	all, err := r.Ignores(ctx, ref)
	if err != nil {
		return v1.IgnoreRule{}, err
	}
	for _, one := range all {
		if one.ID == made.ID {
			return one, nil
		}
	}
	return made.document(r.now()), nil
}

// Ignores are the rules of an environment, oldest first, with what they hide in its newest session.
func (r *Reports) Ignores(ctx context.Context, ref string) ([]v1.IgnoreRule, error) {
	const op = "list ignore rules"
	s, err := r.subject(ctx, ref)
	if err == nil {
		rep, err := r.judge(ctx, s)
		return rep.Ignores, err
	}
	env, lookup := r.envs.Lookup(ctx, ref)
	if lookup != nil || !fault.Is(err, fault.NotFound) {
		return nil, fault.E(op, fault.KindOf(err), err)
	}
	rules, err := r.rules(ctx, env.ID)
	out := make([]v1.IgnoreRule, len(rules))
	for i := range rules {
		out[i] = rules[i].document(r.now())
	}
	return out, err
}

// Unignore removes a rule.
func (r *Reports) Unignore(ctx context.Context, ref, ruleID string) error {
	const op = "remove ignore rule"
	env, err := r.envs.Lookup(ctx, ref)
	if err != nil {
		return fault.E(op, fault.KindOf(err), err)
	}
	key := evidence.Key{Kind: evidence.Rule, ID: ruleID}
	rec, err := r.store.Get(ctx, key)
	if errors.Is(err, evidence.ErrNotFound) || err == nil && rec.Parent != env.ID {
		return fault.Errorf(op, fault.NotFound, "%s has no ignore rule %s", env.Name, ruleID).WithHint("list them: microstax env ignore %s --list", env.Name)
	} else if err != nil {
		return storeError(op, err)
	}
	_, err = r.store.Apply(ctx, evidence.Batch{Deletes: []evidence.Key{key}})
	if err != nil {
		return storeError(op, err)
	}
	return nil
}

// rules are those of an environment, oldest first.
func (r *Reports) rules(ctx context.Context, envID string) ([]rule, error) {
	var out []rule
	err := r.read(ctx, evidence.Rule, envID, func(rec evidence.Record) error {
		var one rule
		if err := json.Unmarshal(rec.Body, &one); err != nil {
			return err
		}
		out = append(out, one)
		return nil
	})
	return out, err
}
