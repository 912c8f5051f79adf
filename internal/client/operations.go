// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	v1 "microstax/api/v1"
	"microstax/internal/fault"
)

// Filter selects environments.
type Filter struct {
	Mode     string // isolated, baseline, overlay or "" for all
	Baseline string // only what derives from this environment
}

// ObservationQuery selects kept observations.
type ObservationQuery struct {
	Finding  string
	Endpoint string
	Limit    int // how many in all; 0 for all
}

// LogQuery selects log lines.
type LogQuery struct {
	Service string
	Role    string
	Tail    int // newest lines of each instance; negative for all that is kept
}

// pageSize is how many are asked for at once.
const pageSize = 200

func envPath(ref string, more ...string) string {
	p := "/v1/environments/" + url.PathEscape(ref)
	for _, m := range more {
		p += "/" + url.PathEscape(m)
	}
	return p
}

// data drops what is about the answer.
func data[T any](v T, _ v1.Meta, err error) (T, error) { return v, err }

// CreateEnvironment creates an isolated environment. It answers before the environment is ready.
func (c *Client) CreateEnvironment(ctx context.Context, req v1.CreateEnvironment) (v1.Environment, error) {
	return data(get[v1.Environment](ctx, c, call{op: "create environment", method: http.MethodPost, path: "/v1/environments", body: req}))
}

// CreateBaseline creates a baseline.
func (c *Client) CreateBaseline(ctx context.Context, req v1.CreateEnvironment) (v1.Environment, error) {
	return data(get[v1.Environment](ctx, c, call{op: "create baseline", method: http.MethodPost, path: "/v1/baselines", body: req}))
}

// CreateOverlay creates an overlay of a baseline or of another overlay.
func (c *Client) CreateOverlay(ctx context.Context, baseline string, req v1.CreateEnvironment) (v1.Environment, error) {
	path := "/v1/baselines/" + url.PathEscape(baseline) + "/overlays"
	return data(get[v1.Environment](ctx, c, call{op: "create overlay", method: http.MethodPost, path: path, body: req}))
}

// Validate checks a Blueprint.
func (c *Client) Validate(ctx context.Context, req v1.CreateEnvironment) (v1.ValidateResult, error) {
	return data(get[v1.ValidateResult](ctx, c, call{op: "validate file", method: http.MethodPost, path: "/v1/environments/validate", body: req}))
}

// Environments lists all that match, over all pages.
func (c *Client) Environments(ctx context.Context, f Filter) ([]v1.Environment, error) {
	q := url.Values{}
	set(q, "mode", f.Mode)
	set(q, "baseline", f.Baseline)
	return pages[v1.Environment](ctx, c, call{op: "list environments", method: http.MethodGet, path: "/v1/environments", query: q}, 0)
}

// Overlays lists what derives from an environment.
func (c *Client) Overlays(ctx context.Context, baseline string) ([]v1.Environment, error) {
	path := "/v1/baselines/" + url.PathEscape(baseline) + "/overlays"
	return pages[v1.Environment](ctx, c, call{op: "list overlays", method: http.MethodGet, path: path}, 0)
}

// Environment shows one environment.
func (c *Client) Environment(ctx context.Context, ref string) (v1.Environment, error) {
	return data(get[v1.Environment](ctx, c, call{op: "get environment", method: http.MethodGet, path: envPath(ref)}))
}

// Baseline shows one environment that is a baseline.
func (c *Client) Baseline(ctx context.Context, ref string) (v1.Environment, error) {
	return data(get[v1.Environment](ctx, c, call{op: "get baseline", method: http.MethodGet, path: "/v1/baselines/" + url.PathEscape(ref)}))
}

// Delete deletes an environment, and returns when it is gone.
func (c *Client) Delete(ctx context.Context, ref string) error {
	_, err := data(get[struct{}](ctx, c, call{op: "delete environment", method: http.MethodDelete, path: envPath(ref)}))
	return err
}

// Stop stops an environment's services.
func (c *Client) Stop(ctx context.Context, ref string) (v1.Environment, error) {
	return data(get[v1.Environment](ctx, c, call{op: "stop environment", method: http.MethodPost, path: envPath(ref, "stop")}))
}

// Resume starts them again.
func (c *Client) Resume(ctx context.Context, ref string) (v1.Environment, error) {
	return data(get[v1.Environment](ctx, c, call{op: "resume environment", method: http.MethodPost, path: envPath(ref, "resume")}))
}

// Status shows an environment's state in depth.
func (c *Client) Status(ctx context.Context, ref string) (v1.Status, error) {
	return data(get[v1.Status](ctx, c, call{op: "get status", method: http.MethodGet, path: envPath(ref, "status")}))
}

// Lineage shows where an environment's services come from.
func (c *Client) Lineage(ctx context.Context, ref string) (v1.Lineage, error) {
	return data(get[v1.Lineage](ctx, c, call{op: "get lineage", method: http.MethodGet, path: envPath(ref, "lineage")}))
}

// Shadow shows the shadow session.
func (c *Client) Shadow(ctx context.Context, ref string) (v1.ShadowState, error) {
	return data(get[v1.ShadowState](ctx, c, call{op: "get shadow", method: http.MethodGet, path: envPath(ref, "shadow")}))
}

// PatchShadow switches shadowing, and returns when the shadows are ready.
func (c *Client) PatchShadow(ctx context.Context, ref string, p v1.ShadowPatch) (v1.ShadowState, error) {
	return data(get[v1.ShadowState](ctx, c, call{op: "change shadow", method: http.MethodPatch, path: envPath(ref, "shadow"), body: p}))
}

// Report is the diff report.
func (c *Client) Report(ctx context.Context, ref string) (v1.Report, error) {
	return data(get[v1.Report](ctx, c, call{op: "get diff report", method: http.MethodGet, path: envPath(ref, "diffs")}))
}

// Finding shows one finding.
func (c *Client) Finding(ctx context.Context, ref, finding string) (v1.Finding, error) {
	return data(get[v1.Finding](ctx, c, call{op: "get finding", method: http.MethodGet, path: envPath(ref, "diffs", finding)}))
}

// Decide records a decision about a finding.
func (c *Client) Decide(ctx context.Context, ref, finding string, p v1.FindingPatch) (v1.Finding, error) {
	return data(get[v1.Finding](ctx, c, call{op: "decide finding", method: http.MethodPatch, path: envPath(ref, "diffs", finding), body: p}))
}

// Ignores lists the rules about places that do not matter.
func (c *Client) Ignores(ctx context.Context, ref string) ([]v1.IgnoreRule, error) {
	return data(get[[]v1.IgnoreRule](ctx, c, call{op: "list ignore rules", method: http.MethodGet, path: envPath(ref, "ignores")}))
}

// Ignore makes such a rule.
func (c *Client) Ignore(ctx context.Context, ref string, r v1.CreateIgnore) (v1.IgnoreRule, error) {
	return data(get[v1.IgnoreRule](ctx, c, call{op: "ignore", method: http.MethodPost, path: envPath(ref, "ignores"), body: r}))
}

// Unignore removes one.
func (c *Client) Unignore(ctx context.Context, ref, rule string) error {
	_, err := data(get[struct{}](ctx, c, call{op: "remove ignore rule", method: http.MethodDelete, path: envPath(ref, "ignores", rule)}))
	return err
}

// Observations lists kept observations.
func (c *Client) Observations(ctx context.Context, ref string, q ObservationQuery) ([]v1.ObservationSummary, error) {
	v := url.Values{}
	set(v, "finding", q.Finding)
	set(v, "endpoint", q.Endpoint)
	k := call{op: "list observations", method: http.MethodGet, path: envPath(ref, "observations"), query: v}
	return pages[v1.ObservationSummary](ctx, c, k, q.Limit)
}

// Observation shows one observation whole.
func (c *Client) Observation(ctx context.Context, ref, obs string) (v1.Observation, error) {
	return data(get[v1.Observation](ctx, c, call{op: "get observation", method: http.MethodGet, path: envPath(ref, "observations", obs)}))
}

// Logs lists log lines.
func (c *Client) Logs(ctx context.Context, ref string, q LogQuery) ([]v1.LogLine, error) {
	return data(get[[]v1.LogLine](ctx, c, call{op: "get logs", method: http.MethodGet, path: envPath(ref, "logs"), query: q.values()}))
}

// FollowLogs calls each for kept and then for new lines, until ctx ends or each gives an error, which it returns.
func (c *Client) FollowLogs(ctx context.Context, ref string, q LogQuery, each func(v1.LogLine) error) error {
	v := q.values()
	v.Set("follow", "true")
	k := call{op: "follow logs", method: http.MethodGet, path: envPath(ref, "logs"), query: v}
	return follow(ctx, c, k, "log", each)
}

// Events calls each for what happens in an environment, beginning with its status as it is now, until ctx ends or each gives
// an error, which it returns.
func (c *Client) Events(ctx context.Context, ref string, each func(v1.Event) error) error {
	return follow(ctx, c, call{op: "follow events", method: http.MethodGet, path: envPath(ref, "events")}, "", each)
}

// Ready is nil when the server is there and ready. The error's chain has ErrAbsent when nobody answers.
func (c *Client) Ready(ctx context.Context) error {
	resp, err := c.send(ctx, call{op: "reach server", method: http.MethodGet, path: "/readyz"})
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	said, err := io.ReadAll(io.LimitReader(resp.Body, 64))
	if err != nil || strings.TrimSpace(string(said)) != "ready" || resp.Header.Get("X-Request-Id") == "" {
		return fault.Errorf("reach server", fault.Conflict, "what listens at %s is not a MicroStax server", c.URL()).
			WithHint("stop that program, or set MICROSTAX_API_URL to another address")
	}
	return nil
}

func (q LogQuery) values() url.Values {
	v := url.Values{}
	set(v, "service", q.Service)
	set(v, "role", q.Role)
	switch {
	case q.Tail > 0:
		v.Set("tail", strconv.Itoa(q.Tail))
	case q.Tail < 0:
		v.Set("tail", "0")
	}
	return v
}

func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

// pages reads pages until there are no more, or limit items are there (0: no limit).
func pages[T any](ctx context.Context, c *Client, k call, limit int) ([]T, error) {
	all := []T{}
	if k.query == nil {
		k.query = url.Values{}
	}
	for {
		size := pageSize
		if limit > 0 {
			size = min(size, limit-len(all))
		}
		k.query.Set("limit", strconv.Itoa(size))
		part, meta, err := get[[]T](ctx, c, k)
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
		if meta.NextCursor == "" || (limit > 0 && len(all) >= limit) {
			return all, nil
		}
		k.query.Set("cursor", meta.NextCursor)
	}
}
