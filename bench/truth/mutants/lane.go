// SPDX-License-Identifier: Apache-2.0

package mutants

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	v1 "microstax/api/v1"
	"microstax/internal/demo/shop"
)

const (
	// readyWithin bounds the start of an environment, judgedWithin the wait for the last comparisons.
	readyWithin, judgedWithin = 60 * time.Second, 45 * time.Second
	// shadowTimeout is the shadows' patience: longer than an answer hangs, so that a busy machine makes no timeouts.
	shadowTimeout = "8s"
)

// lane runs one mutant after another, on a baseline of its own.
type lane struct {
	*server
	o        Options
	number   int
	profile  string
	baseline v1.Environment // zero when there is none
}

// run measures one mutant.
func (l *lane) run(ctx context.Context, t task) (Outcome, error) {
	begin := time.Now()
	if err := l.have(ctx, t.profile); err != nil {
		return Outcome{}, err
	}
	over := fmt.Sprintf("mutant-%d", t.number)
	env, err := l.client.CreateOverlay(ctx, l.baseline.ID, v1.CreateEnvironment{
		Blueprint: overlayFile(over, t.mutant.Name), BaseDir: l.dir, FileName: over + ".yaml",
	})
	if err != nil {
		return Outcome{}, fmt.Errorf("create overlay: %w", err)
	}
	defer l.remove(context.WithoutCancel(ctx), env.ID)
	if env, err = l.ready(ctx, env.ID); err != nil {
		return Outcome{}, err
	}
	on := true
	if _, err := l.client.PatchShadow(ctx, env.ID, v1.ShadowPatch{Enabled: &on, Timeout: shadowTimeout}); err != nil {
		return Outcome{}, fmt.Errorf("shadow overlay: %w", err)
	}
	before, err := l.charged(ctx)
	if err != nil {
		return Outcome{}, err
	}
	sessions := l.o.Sessions
	if t.mutant.Shows == shop.Seldom {
		sessions *= SeldomTimes
	}
	seen := traffic{url: l.url(shop.Orders), seed: l.o.Seed, sessions: sessions, label: over}.run(ctx)
	if err := ctx.Err(); err != nil {
		return Outcome{}, err
	}
	rep, err := l.judged(ctx, env.ID, int64(seen.requests))
	if err != nil {
		return Outcome{}, err
	}
	after, err := l.charged(ctx)
	if err != nil {
		return Outcome{}, err
	}
	r := score(t.mutant, rep)
	r.Profile, r.Requests, r.Took = t.profile, seen.requests, time.Since(begin)
	r.Orders, r.Charges = seen.placed, after-before
	return r, nil
}

// have sees to a baseline with a profile.
func (l *lane) have(ctx context.Context, profile string) error {
	if l.profile == profile {
		return nil
	}
	l.end(ctx)
	name := fmt.Sprintf("shop-%s-%d", profile, l.number)
	env, err := l.client.CreateBaseline(ctx, v1.CreateEnvironment{
		Blueprint: baselineFile(name, l.binary, shop.Noise(profile)), BaseDir: l.dir, FileName: name + ".yaml",
	})
	if err != nil {
		return fmt.Errorf("create baseline: %w", err)
	}
	l.baseline, l.profile = env, profile
	l.baseline, err = l.ready(ctx, env.ID)
	return err
}

// end removes the baseline.
func (l *lane) end(ctx context.Context) {
	if l.profile != "" {
		l.remove(ctx, l.baseline.ID)
		l.profile = ""
	}
}

func (l *lane) remove(ctx context.Context, id string) {
	if err := l.client.Delete(ctx, id); err != nil {
		l.say("%v\n", err)
	}
}

func (l *lane) ready(ctx context.Context, id string) (env v1.Environment, err error) {
	err = until(ctx, readyWithin, func() (bool, error) {
		if env, err = l.client.Environment(ctx, id); err != nil {
			return false, err
		}
		if env.Status == "failed" {
			return false, fmt.Errorf("environment %s: %s", env.Name, env.Reason)
		}
		return env.Status == "ready", nil
	})
	if err != nil {
		return env, fmt.Errorf("start environment: %w", err)
	}
	return env, nil
}

// url is where a service of the baseline is reached.
func (l *lane) url(service string) string {
	for _, e := range l.baseline.Endpoints {
		if e.Service == service {
			return e.URL
		}
	}
	return ""
}

// charged is how often payments has really charged.
func (l *lane) charged(ctx context.Context) (int, error) {
	b, err := get(ctx, l.url(shop.Payments)+"/stats")
	if err != nil {
		return 0, err
	}
	var s shop.Stats
	if err := json.Unmarshal(b, &s); err != nil {
		return 0, fmt.Errorf("read charges: %w", err)
	}
	return s.Charges, nil
}

// judged is the report when all requests have been compared or dropped.
func (l *lane) judged(ctx context.Context, id string, requests int64) (rep v1.Report, err error) {
	err = until(ctx, judgedWithin, func() (bool, error) {
		if rep, err = l.client.Report(ctx, id); err != nil {
			return false, err
		}
		return rep.Traffic.Received >= requests && rep.Traffic.InFlight == 0, nil
	})
	if err != nil {
		return rep, fmt.Errorf("wait for the report: received %d of %d, %d in flight: %w",
			rep.Traffic.Received, requests, rep.Traffic.InFlight, err)
	}
	return rep, nil
}

// baselineFile is the shop without its front: visitors reach orders. The services that it asks fail never, so that what
// an answer of orders says about failures is its own.
func baselineFile(name, binary string, noise shop.Noise) string {
	others := noise
	if noise == shop.Flaky {
		others = shop.Quiet
	}
	var b strings.Builder
	fmt.Fprintf(&b, "name: %s\nruntime: process\nservices:\n", name)
	for _, s := range []string{shop.Orders, shop.Inventory, shop.Pricing, shop.Payments} {
		fmt.Fprintf(&b, "  - name: %s\n    command: [%q, demo-service, %s]\n", s, binary, s)
		b.WriteString("    ports: [{containerPort: 8080, name: http, protocol: http}]\n")
		b.WriteString("    probes: {readiness: {http: /healthz, period: 100ms, timeout: 5s}}\n")
		if s == shop.Orders {
			b.WriteString("    expose: true\n    dependsOn: [inventory, pricing, payments]\n    env:\n")
			fmt.Fprintf(&b, "      NOISE: %s\n", noise)
			for _, to := range []string{shop.Inventory, shop.Pricing, shop.Payments} {
				fmt.Fprintf(&b, "      %s_URL: \"${services.%s.url}\"\n", strings.ToUpper(to), to)
			}
			continue
		}
		fmt.Fprintf(&b, "    expose: %v\n    env: {NOISE: %s}\n", s == shop.Payments, others)
	}
	return b.String()
}

func overlayFile(name string, change shop.Change) string {
	return fmt.Sprintf("name: %s\nruntime: process\nservices:\n  - name: orders\n    env: {CHANGES: %s}\n    shadow: {session: [\"cookie:sid\"]}\n",
		name, change)
}
