// SPDX-License-Identifier: Apache-2.0

package shadow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"

	v1 "microstax/api/v1"
	"microstax/internal/blueprint"
	"microstax/internal/engine"
	"microstax/internal/environment"
	"microstax/internal/fault"
)

// maxChain bounds how deep overlays may derive from overlays.
const maxChain = 32

// maxConcurrency bounds what a patch may ask for; a shadow that needs more is a load test.
const maxConcurrency = 10_000

// override reads a patch as a level of settings, and reports everything that is wrong with it at once.
func override(p v1.ShadowPatch) (blueprint.Shadow, error) {
	s := blueprint.Shadow{Sample: p.Sample, Session: p.Session, Control: p.Control, Effects: p.Effects, Concurrency: p.Concurrency}
	var wrong []fault.Place
	say := func(field string, err error) {
		if err != nil {
			wrong = append(wrong, fault.Place{Path: field, Rule: "shadow-" + field, Message: field + ": " + err.Error()})
		}
	}
	if p.Sample != nil && (math.IsNaN(*p.Sample) || *p.Sample < 0 || *p.Sample > 1) {
		say("sample", fmt.Errorf("%v is out of range: write a share between 0 and 1", *p.Sample))
	}
	if p.Concurrency < 0 || p.Concurrency > maxConcurrency {
		say("concurrency", fmt.Errorf("%d is out of range: write a number from 1 to %d", p.Concurrency, maxConcurrency))
	}
	say("session", checkSession(p.Session))
	say("control", checkControl(p.Control))
	say("effects", checkEffects(p.Effects))
	if p.Timeout != "" {
		d, err := blueprint.ParseDuration(p.Timeout)
		if err == nil && d == 0 {
			err = fmt.Errorf("%q is no time at all", p.Timeout)
		}
		s.Timeout = d
		say("timeout", err)
	}
	if p.MaxBody != "" {
		n, err := blueprint.ParseSize(p.MaxBody)
		if err == nil && n == 0 {
			err = fmt.Errorf("%q is no size at all", p.MaxBody)
		}
		s.MaxBody = n
		say("maxBody", err)
	}
	if len(wrong) == 0 {
		return s, nil
	}
	messages := make([]string, len(wrong))
	for i, w := range wrong {
		messages[i] = w.Message
	}
	return s, fault.Errorf("", fault.Invalid, "%s", strings.Join(messages, "; ")).WithPlaces(wrong)
}

func checkSession(keys []string) error {
	for _, k := range keys {
		kind, name, _ := strings.Cut(k, ":")
		switch {
		case k == "client-ip":
		case (kind == "cookie" || kind == "header") && strings.TrimSpace(name) != "":
		default:
			return fmt.Errorf("%q is no session key: write cookie:NAME, header:NAME or client-ip", k)
		}
	}
	return nil
}

func checkControl(c string) error {
	if c == "" || c == blueprint.ControlAuto || c == blueprint.ControlOff {
		return nil
	}
	u, err := url.Parse(c)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return fmt.Errorf("%q is neither auto, off, nor a URL like http://127.0.0.1:9000", c)
	case u.Scheme != "http":
		return fmt.Errorf("%q: a control is reached over http in this version, not %s", c, u.Scheme)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return fmt.Errorf("%q: write scheme, host and port only; requests keep their own paths", c)
	}
	return nil
}

func checkEffects(e string) error {
	switch e {
	case "", blueprint.EffectsReplay, blueprint.EffectsPassthrough, blueprint.EffectsBlock, blueprint.EffectsIsolated:
		return nil
	}
	return fmt.Errorf("%q is unknown: write replay, passthrough or block", e)
}

// chain is env and what it derives from, nearest first, up to the root.
func (c *Control) chain(ctx context.Context, env environment.Environment) ([]environment.Environment, error) {
	chain := []environment.Environment{env}
	for at := env; at.Mode == blueprint.Overlay; {
		if len(chain) > maxChain {
			return nil, fault.Errorf("", fault.Internal, "%s derives from more than %d environments", env.Name, maxChain)
		}
		parent := at.Inherits.ID
		if parent == "" {
			parent = at.Against.ID
		}
		next, err := c.envs.Lookup(ctx, parent)
		if err != nil {
			return nil, fault.Errorf("find what it derives from", fault.KindOf(err), "%s: %w", at.Name, err)
		}
		chain, at = append(chain, next), next
	}
	return chain, nil
}

// resolve says what a session of env compares, and how.
func (c *Control) resolve(env environment.Environment, chain []environment.Environment, over blueprint.Shadow) (environment.Session, error) {
	at := 1 // what it derives from directly
	if env.ComparedTo != "" {
		at = slices.IndexFunc(chain, func(e environment.Environment) bool { return e.ID == env.ComparedTo })
	}
	if at < 1 {
		return environment.Session{}, fault.Errorf("", fault.Conflict, "%s is to be compared with %s, from which it does not derive", env.Name, env.ComparedTo)
	}
	base := chain[at]
	if err := running(base); err != nil {
		return environment.Session{}, err
	}
	ours, theirs := merged(chain), merged(chain[at:])
	s := environment.Session{
		Environment: env.ID, OverlayRevision: env.Revision, OverlayDigest: env.Digest,
		Baseline: base.ID, BaselineRevision: base.Revision, BaselineDigest: base.Digest,
		Settings: map[string]blueprint.Shadow{}, Artifacts: map[string]string{},
	}
	for _, e := range chain[:at] {
		s.Services = append(s.Services, e.Blueprint.ServiceNames()...)
	}
	slices.Sort(s.Services)
	s.Services = slices.Compact(s.Services)
	if len(s.Services) == 0 {
		return s, fault.Errorf("", fault.Conflict, "%s lists no services, so nothing differs from %s", env.Name, base.Name).
			WithHint("list the services that you changed in the overlay's Blueprint")
	}
	for _, name := range s.Services {
		mine, _ := ours.Service(name)
		twin, there := theirs.Service(name)
		set := blueprint.EffectiveShadow(ours.Shadow, mine.Shadow, &over)
		if err := supported(name, set); err != nil {
			return s, err
		}
		s.Settings[name] = set
		if err := Describe(&s, name, set); err != nil {
			return s, err
		}
		note(s.Artifacts, "candidate/"+name, c.artifact(mine))
		if there {
			note(s.Artifacts, "control/"+name, c.artifact(twin))
		}
		s.Control = s.Control || hasControl(set, twin, there)
	}
	s.Rules = rules(s.Settings, chain[:at])
	return s, nil
}

func note(artifacts map[string]string, key, digest string) {
	if digest != "" {
		artifacts[key] = digest
	}
}

// merged is what a chain amounts to, its nearest first.
func merged(chain []environment.Environment) blueprint.Blueprint {
	var overlays []blueprint.Blueprint
	for _, e := range slices.Backward(chain[:len(chain)-1]) {
		overlays = append(overlays, e.Blueprint)
	}
	return blueprint.MergeBlueprints(chain[len(chain)-1].Blueprint, overlays...)
}

// supported refuses settings of a Blueprint that are valid but cannot be kept.
func supported(service string, s blueprint.Shadow) error {
	if err := checkControl(s.Control); err != nil {
		return fault.Errorf("", fault.Invalid, "control of %s: %w", service, err)
	}
	if s.Effects != blueprint.EffectsIsolated {
		return nil
	}
	return fault.Errorf("", fault.Unavailable, "effects: isolated, as %s wants it, is not available in this version", service).
		WithHint("use replay, which answers from the baseline's recorded calls, or block")
}

// hasControl says whether candidate and control of a service can be compared under the same conditions. A service that
// already runs elsewhere cannot be started a second time.
func hasControl(s blueprint.Shadow, twin blueprint.Service, there bool) bool {
	switch s.Control {
	case blueprint.ControlOff:
		return false
	case blueprint.ControlAuto:
		return there && !twin.External()
	}
	return true
}

// rules is a digest of everything that decides what a comparison means: how much traffic is compared, how much of it at
// a time, and which evidence is enough, do not.
func rules(settings map[string]blueprint.Shadow, overlays []environment.Environment) string {
	type link struct {
		ID, Digest string
		Revision   int
	}
	doc := struct {
		Rules    string
		Settings map[string]blueprint.Shadow
		Chain    []link
	}{Rules: engine.Rules, Settings: map[string]blueprint.Shadow{}}
	for name, s := range settings {
		s.Sample, s.Concurrency, s.Gate = nil, 0, nil
		doc.Settings[name] = s
	}
	for _, e := range overlays {
		doc.Chain = append(doc.Chain, link{e.ID, e.Digest, e.Revision})
	}
	text, err := json.Marshal(doc)
	if err != nil {
		panic("digest rules of comparison: " + err.Error()) // plain values: cannot happen
	}
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}
