// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	v1 "microstax/api/v1"
	"microstax/internal/blueprint"
	"microstax/internal/blueprintfile"
	"microstax/internal/environment"
	"microstax/internal/fault"
	"microstax/internal/graph"
	"microstax/internal/id"
)

// Create makes an environment of the given mode and answers when it is on record, in status provisioning: the work goes on.
// baselineRef names what an overlay derives from, and may be left to the Blueprint's routing.baselineId. Warnings about the
// Blueprint are in the answer, and only there.
func (c *Controller) Create(ctx context.Context, mode blueprint.Mode, baselineRef string, req v1.CreateEnvironment) (v1.Environment, error) {
	op := "create " + noun(mode)
	if err := c.await(ctx, op); err != nil {
		return v1.Environment{}, err
	}
	b, parent, places, err := c.interpret(ctx, op, mode, baselineRef, req)
	if err != nil {
		return v1.Environment{}, err
	}
	env, err := c.compose(mode, b, parent, req)
	if err != nil {
		return v1.Environment{}, err
	}
	if err := c.found(ctx, op, env, parent); err != nil {
		return v1.Environment{}, err
	}
	out, err := c.render(env.ID)
	for _, p := range places {
		out.Warnings = append(out.Warnings, p.String())
	}
	return out, err
}

// noun is what users call an environment of a mode.
func noun(m blueprint.Mode) string {
	if m == blueprint.Isolated {
		return "environment"
	}
	return string(m)
}

// interpret gives the Blueprint that is to be made real, with the plan applied, what it derives from, and the warnings.
func (c *Controller) interpret(ctx context.Context, op string, mode blueprint.Mode, baselineRef string, req v1.CreateEnvironment) (
	blueprint.Blueprint, *actor, []fault.Place, error,
) {
	if req.From != "" {
		b, err := c.copied(ctx, op, mode, req)
		return b, nil, nil, err
	}
	var parent *actor
	var known []string
	if mode == blueprint.Overlay {
		var err error
		if parent, err = c.baseline(ctx, op, baselineRef, req); err != nil {
			return blueprint.Blueprint{}, nil, nil, err
		}
		known = append([]string{}, effective(parent.family()).ServiceNames()...)
	}
	b, places := blueprintfile.Check([]byte(req.Blueprint), req.FileName, req.BaseDir, mode, known)
	if err := refuse(op, b, req.FileName, places); err != nil {
		return blueprint.Blueprint{}, nil, nil, err
	}
	b, err := blueprint.ApplyPlan(b, req.Plan)
	if err != nil {
		return blueprint.Blueprint{}, nil, nil, fault.E(op, fault.KindOf(err), err).WithPlaces(fault.PlacesOf(err))
	}
	return b, parent, places, nil
}

// refuse makes the error of a Blueprint that can't be used. A runtime that exists but not here is unavailable, not invalid.
func refuse(op string, b blueprint.Blueprint, file string, places []fault.Place) error {
	if blueprintfile.OK(places) {
		return nil
	}
	if b.Runtime == blueprint.Docker || b.Runtime == blueprint.Kubernetes {
		return fault.Errorf(op, fault.Unavailable, "runtime %s is not available in this version", b.Runtime).
			WithHint("use runtime: process, with a command for every service").WithPlaces(places)
	}
	return blueprintfile.Refuse(op, file, places) //nolint:wrapcheck // it carries the operation
}

// copied is the Blueprint for a baseline that is made of an environment that exists.
func (c *Controller) copied(ctx context.Context, op string, mode blueprint.Mode, req v1.CreateEnvironment) (blueprint.Blueprint, error) {
	switch {
	case mode != blueprint.Baseline:
		return blueprint.Blueprint{}, fault.Errorf(op, fault.Invalid, "only a baseline can be made from an environment")
	case req.Blueprint != "":
		return blueprint.Blueprint{}, fault.Errorf(op, fault.Invalid, "a baseline is made either from a Blueprint or from an environment").
			WithHint("give --file or --from, not both")
	}
	from, err := c.find(ctx, op, req.From)
	if err != nil {
		return blueprint.Blueprint{}, err
	}
	b := effective(from.family())
	b.Routing.Mode, b.Routing.BaselineID, b.Routing.OverlayID, b.Plans = "", "", "", nil
	return b, nil
}

// baseline is what an overlay derives from.
func (c *Controller) baseline(ctx context.Context, op, baselineRef string, req v1.CreateEnvironment) (*actor, error) {
	if baselineRef == "" {
		b, _, _ := blueprintfile.Parse([]byte(req.Blueprint), req.FileName, req.BaseDir)
		baselineRef = b.Routing.BaselineID
	}
	if baselineRef == "" {
		return nil, fault.Errorf(op, fault.Invalid, "the overlay names no baseline").
			WithHint("name one with --baseline or routing.baselineId; list them with: microstax baseline list")
	}
	var bases []*actor
	for _, a := range c.all() {
		if a.id == baselineRef || a.shown().Env.Mode != blueprint.Isolated {
			bases = append(bases, a)
		}
	}
	a, err := pick(bases, op, baselineRef)
	if err == nil || !fault.Is(err, fault.NotFound) {
		return a, err
	}
	if any, found := c.find(ctx, op, baselineRef); found == nil {
		return any, nil // it is there, but no baseline: graph.Conflict words that
	}
	return nil, err
}

// family is the actor's lineage as it shows it.
func (a *actor) family() []environment.Environment {
	return append([]environment.Environment{a.shown().Env}, a.lineage[1:]...)
}

// compose makes the environment that a Blueprint becomes.
func (c *Controller) compose(mode blueprint.Mode, b blueprint.Blueprint, parent *actor, req v1.CreateEnvironment) (environment.Environment, error) {
	now := c.now()
	b.Name = cmp.Or(req.Name, b.Name)
	if !nameForm(b.Name) {
		return environment.Environment{}, fault.Errorf("create "+noun(mode), fault.Invalid, "%q can't be a name", b.Name).
			WithHint("use up to 63 lower-case letters, digits and dashes, beginning and ending with a letter or digit")
	}
	env := environment.Environment{
		ID: id.New(id.Environment, now, c.entropy), Name: b.Name, Mode: mode, Blueprint: b, Digest: blueprint.Digest(b), Revision: 1,
		Desired: environment.Running, Status: environment.Provisioning, Created: now, Updated: now,
	}
	env.Blueprint.Routing.Mode = mode
	if mode == blueprint.Overlay {
		p := parent.shown().Env
		env.OverlayID = b.RoutingKey()
		env.Against = environment.Ref{ID: p.ID, Revision: strconv.Itoa(p.Revision)}
		env.Inherits = environment.Ref{ID: p.ID, Revision: environment.Following}
		env.ComparedTo = p.ID
	}
	for _, svc := range b.Services {
		for _, s := range svc.Secrets {
			if s.Value == blueprint.AutoGenerated {
				value, err := c.secret()
				if err != nil {
					return environment.Environment{}, err
				}
				set(&env.Secrets, secretID(svc.Name, s.Name), value)
			}
		}
	}
	return env, nil
}

// secret draws a value that nobody can guess: 32 letters and digits, 160 bits.
func (c *Controller) secret() (string, error) {
	var seed [32]byte
	if _, err := io.ReadFull(c.entropy, seed[:]); err != nil {
		return "", fault.E("generate secret", fault.Internal, err)
	}
	sum := sha256.Sum256(seed[:])
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:20])), nil
}

// found puts a composed environment on record and gives it its actor, unless something stands in its way.
func (c *Controller) found(ctx context.Context, op string, env environment.Environment, parent *actor) error {
	if err := c.takeTurn(ctx, op); err != nil {
		return err
	}
	defer c.endTurn()
	if err := c.admissible(op, env, parent); err != nil {
		return err
	}
	version, err := c.put(ctx, env, 0)
	if err != nil {
		return fault.E(op, fault.KindOf(err), err)
	}
	if c.spawn(env, version, parent) == nil {
		return errClosing(op)
	}
	return nil
}

// takeTurn waits until nobody else creates or condemns environments: each has to see what those before it have done.
func (c *Controller) takeTurn(ctx context.Context, op string) error {
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fault.E(op, fault.Canceled, ctx.Err())
	}
}

func (c *Controller) endTurn() { <-c.turn }

// admissible says whether an environment may come to be beside those there are.
func (c *Controller) admissible(op string, env environment.Environment, parent *actor) error {
	c.mu.Lock()
	closing, condemned := c.closing, parent != nil && parent.condemned
	c.mu.Unlock()
	switch {
	case closing:
		return errClosing(op)
	case condemned:
		return fault.Errorf(op, fault.Conflict, "%s is being deleted", title(parent.shown().Env))
	}
	envs := map[string]environment.Environment{}
	for _, s := range c.states() {
		envs[s.Env.ID] = s.Env
	}
	if len(envs) >= c.limits.Environments {
		return fault.Errorf(op, fault.Unavailable, "there are %d environments already", len(envs)).
			WithHint("delete some, or give the server a higher limit")
	}
	if err := graph.Conflict(envs, env); err != nil {
		return wrapFault(op, err)
	}
	lineage := []environment.Environment{env}
	if parent != nil {
		lineage = append(lineage, parent.family()...)
	}
	whole := effective(lineage)
	if places := blueprint.ValidateEffective(whole); !blueprintfile.OK(places) {
		return fault.Errorf(op, fault.Invalid, "over what it derives from, the Blueprint is wrong: %s", firstError(places)).WithPlaces(places)
	}
	if n := len(wanted(lineage)); n > c.limits.Instances {
		return fault.Errorf(op, fault.Invalid, "it would run %d processes, and %d are allowed", n, c.limits.Instances).
			WithHint("lower replicas, or give the server a higher limit")
	}
	return nil
}

func firstError(places []fault.Place) string {
	i := slices.IndexFunc(places, func(p fault.Place) bool { return !p.Warning })
	return places[i].String()
}

// wrapFault puts the operation before an error and keeps its kind, hint and places.
func wrapFault(op string, err error) error {
	e := fault.E(op, fault.KindOf(err), err)
	if hint := fault.HintOf(err); hint != "" {
		e = e.WithHint("%s", hint)
	}
	return e.WithPlaces(fault.PlacesOf(err))
}

// Validate reports what is wrong with a Blueprint in the result, and an error only where it could not look. What it is to
// become is what its routing.mode says; an overlay is checked against its routing.baselineId where that exists.
func (c *Controller) Validate(ctx context.Context, req v1.CreateEnvironment) (v1.ValidateResult, error) {
	const op = "validate"
	if err := c.await(ctx, op); err != nil {
		return v1.ValidateResult{}, err
	}
	b, _, _ := blueprintfile.Parse([]byte(req.Blueprint), req.FileName, req.BaseDir)
	var known []string
	var missing error
	if b.Routing.Mode == blueprint.Overlay && b.Routing.BaselineID != "" {
		parent, err := c.baseline(ctx, op, b.Routing.BaselineID, req)
		if err == nil {
			known = append([]string{}, effective(parent.family()).ServiceNames()...)
		}
		missing = err
	}
	_, places := blueprintfile.Check([]byte(req.Blueprint), req.FileName, req.BaseDir, "", known)
	if _, err := blueprint.ApplyPlan(b, req.Plan); err != nil {
		places = append(places, fault.PlacesOf(err)...)
	}
	if missing != nil {
		places = append(places, fault.Place{
			File: req.FileName, Path: "routing.baselineId", Rule: "unknown-baseline",
			Message: fmt.Sprintf("%v; %s", errors.Unwrap(missing), fault.HintOf(missing)),
		})
	}
	out := v1.ValidateResult{Valid: blueprintfile.OK(places), Errors: []v1.Place{}}
	for _, p := range places {
		out.Errors = append(out.Errors, v1.Place(p))
	}
	return out, nil
}

// nameForm says whether a name is DNS-safe (RFC 1123, 2.1).
func nameForm(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') }) < 0
}
