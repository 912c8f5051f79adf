// SPDX-License-Identifier: Apache-2.0

package analyze

import (
	"context"
	"maps"
	"slices"
	"strings"

	v1 "microstax/api/v1"
	"microstax/internal/blueprint"
	"microstax/internal/environment"
)

// places are where the two versions of a service can be asked by hand.
type places struct {
	baseline, candidate string // URLs without a path
	header              string // "name: value" that leads to the candidate, or ""
}

// where finds a way to ask both versions of a service, and false when there is none from outside.
func (r *Reports) where(ctx context.Context, s subject, service string) (places, bool) {
	if strings.Contains(s.session.Baseline, "://") { // services that run without an environment
		return places{baseline: strings.TrimSuffix(s.session.Baseline, "/"), candidate: strings.TrimSuffix(s.session.OverlayDigest, "/")}, true
	}
	base, err := r.envs.Lookup(ctx, s.session.Baseline)
	if err != nil {
		return places{}, false
	}
	addr := address(base, service)
	if addr == "" || s.env.OverlayID == "" {
		return places{}, false
	}
	name := base.Blueprint.Routing.HeaderName
	if name == "" {
		name = blueprint.DefaultHeader
	}
	return places{baseline: "http://" + addr, candidate: "http://" + addr, header: name + ": " + s.env.OverlayID}, true
}

// address is where requests for a service enter an environment: its gateway, or the listener through which one of the
// environment's own services calls it.
func address(env environment.Environment, service string) string {
	if addr := env.Addresses[env.ID+"/gateway/"+service]; addr != "" {
		return addr
	}
	for _, listener := range slices.Sorted(maps.Keys(env.Addresses)) {
		if strings.HasPrefix(listener, env.ID+"/") && strings.HasSuffix(listener, "/out/"+service) &&
			!strings.Contains(listener, string(environment.Candidate)) && !strings.Contains(listener, string(environment.Control)) {
			return env.Addresses[listener]
		}
	}
	return ""
}

// reproduce makes a pair of commands from an example's request; nil where the request was not kept whole.
func reproduce(p places, m v1.Message) *v1.Reproduce {
	if m.Truncated || m.BodyBase64 || m.Method == "" {
		return nil
	}
	args := []string{"curl", "-i"}
	if m.Method != "GET" {
		args = append(args, "-X", quote(m.Method))
	}
	for _, h := range m.Headers {
		if !hopHeader(h.Name) {
			args = append(args, "-H", quote(h.Name+": "+h.Value))
		}
	}
	if m.Body != "" {
		args = append(args, "--data-binary", quote(m.Body))
	}
	line := func(url, header string) string {
		all := slices.Clone(args)
		if header != "" {
			all = append(all, "-H", quote(header))
		}
		return strings.Join(append(all, quote(url+m.Target)), " ")
	}
	return &v1.Reproduce{
		Baseline: line(p.baseline, ""), Candidate: line(p.candidate, p.header),
		Note: "this really sends the request, side effects included; secrets are replaced by tokens: put yours in",
	}
}

// hopHeader are headers that belong to the connection or to the trace of the request that was seen.
func hopHeader(name string) bool {
	switch strings.ToLower(name) {
	case "host", "content-length", "connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "expect",
		"traceparent", "tracestate", "baggage", "accept-encoding":
		return true
	}
	return false
}

// quote makes one word of a POSIX shell of anything.
func quote(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_./:=,@%+", r)
	}) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
