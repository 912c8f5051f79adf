// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	v1 "microstax/api/v1"
	"microstax/internal/blueprint"
	"microstax/internal/cli"
	"microstax/internal/config"
	"microstax/internal/fault"
	"microstax/internal/httpapi"
)

// world is a control plane in memory, behind the real HTTP API. A Blueprint's first line is the name; a name that begins
// with "bad" is invalid, and one that begins with "dying" fails to start.
type world struct {
	mu      sync.Mutex
	envs    []v1.Environment           // guarded by mu
	begun   map[string]chan struct{}   // closes when somebody waits for the environment; guarded by mu
	shadows map[string]v1.ShadowPatch  // guarded by mu
	decided map[string]v1.FindingPatch // guarded by mu
}

func newWorld() *world {
	return &world{begun: map[string]chan struct{}{}, shadows: map[string]v1.ShadowPatch{}, decided: map[string]v1.FindingPatch{}}
}

func serve(ctx context.Context, s config.Settings, ready func(string)) error {
	if strings.Contains(s.APIKey.Reveal(), "broken") {
		fmt.Fprintln(cliErr(ctx), "level=ERROR msg=\"the store is damaged\"")
		return errors.New("open store: it is damaged")
	}
	w := newWorld()
	api, err := httpapi.New(httpapi.Options{
		Environments: w, Lifecycle: w, Streams: w, Shadows: shadowWorld{w}, Reports: w, Ignores: w, Registry: prometheus.NewRegistry(),
		Logger: slog.New(slog.DiscardHandler), Version: "test", Loopback: true, NewRequestID: func() string { return "req_" + rand.Text() },
		Now: time.Now, Token: s.APIKey.Reveal(),
	})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", s.Listen)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: api, ReadHeaderTimeout: time.Second}
	ready(l.Addr().String())
	stop := context.AfterFunc(ctx, func() {
		api.Drain()
		srv.Close()
	})
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type errKey struct{}

func cliErr(ctx context.Context) io.Writer {
	if w, ok := ctx.Value(errKey{}).(io.Writer); ok {
		return w
	}
	return io.Discard
}

func (w *world) find(ref string) (int, error) {
	for i, e := range w.envs {
		if e.ID == ref || e.Name == ref {
			return i, nil
		}
	}
	return 0, fault.Errorf("find environment", fault.NotFound, "there is no environment %s", ref).WithHint("list them: microstax env list")
}

func (w *world) Create(_ context.Context, mode blueprint.Mode, base string, r v1.CreateEnvironment) (v1.Environment, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	name, _, _ := strings.Cut(r.Blueprint, "\n")
	name = strings.TrimPrefix(name, "name: ")
	if r.Name != "" {
		name = r.Name
	}
	if res := judge(r); !res.Valid {
		var places []fault.Place
		for _, p := range res.Errors {
			places = append(places, fault.Place(p))
		}
		return v1.Environment{}, fault.Errorf("read "+r.FileName, fault.Invalid, "%s", places[0].Message).WithPlaces(places)
	}
	e := v1.Environment{
		ID: fmt.Sprintf("env_%d", len(w.envs)+1), Name: name, Mode: string(mode), Status: "provisioning", Revision: 1,
		Digest: "sha256:0123456789abcdef0123", CreatedAt: time.Now().Add(-3*time.Minute - time.Second),
		Services: []v1.Service{{Name: "orders", Because: "listed", State: "starting"}},
	}
	e.Services[0].Provider = e.ID
	if base != "" {
		i, err := w.find(base)
		if err != nil {
			return v1.Environment{}, err
		}
		e.OverlayID, e.ComparedTo = name, w.envs[i].ID
		e.InheritsFrom = &v1.Ref{ID: w.envs[i].ID, Revision: "following"}
		e.Services = append(e.Services, v1.Service{Name: "api", Provider: w.envs[i].ID, Because: "inherited", State: "ready"})
		e.Warnings = []string{"service ordres is new; did you mean orders?"}
	} else {
		e.Endpoints = []v1.Endpoint{{Service: "orders", Port: "http", URL: "http://127.0.0.1:41234"}}
	}
	w.envs = append(w.envs, e)
	return e, nil
}

func judge(r v1.CreateEnvironment) v1.ValidateResult {
	if strings.Contains(r.Blueprint, "bad") {
		return v1.ValidateResult{Errors: []v1.Place{
			{File: r.FileName, Line: 3, Column: 5, Path: "services[0].imge", Rule: "unknown-field", Message: "unknown field imge; did you mean image?"},
			{File: r.FileName, Line: 4, Column: 12, Rule: "wrong-type", Message: "replicas must be a number"},
		}}
	}
	if strings.Contains(r.Blueprint, "warn") {
		return v1.ValidateResult{Valid: true, Errors: []v1.Place{{File: r.FileName, Line: 1, Column: 1, Rule: "odd", Message: "odd name", Warning: true}}}
	}
	return v1.ValidateResult{Valid: true}
}

func (w *world) Validate(_ context.Context, r v1.CreateEnvironment) (v1.ValidateResult, error) {
	return judge(r), nil
}

func (w *world) Get(_ context.Context, ref string) (v1.Environment, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i, err := w.find(ref)
	if err != nil {
		return v1.Environment{}, err
	}
	return w.envs[i], nil
}

func (w *world) List(_ context.Context, f httpapi.Filter) ([]v1.Environment, string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []v1.Environment
	for _, e := range w.envs {
		if f.Mode == "" || f.Mode == e.Mode {
			out = append(out, e)
		}
	}
	return out, "", nil
}

func (w *world) Delete(_ context.Context, ref string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	i, err := w.find(ref)
	if err != nil {
		return err
	}
	w.envs = append(w.envs[:i], w.envs[i+1:]...)
	return nil
}

func (w *world) become(ref, status, state, reason string) (v1.Environment, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i, err := w.find(ref)
	if err != nil {
		return v1.Environment{}, err
	}
	w.envs[i].Status, w.envs[i].Reason, w.envs[i].RouteRevision = status, reason, 7
	w.envs[i].Services[0].State = state
	return w.envs[i], nil
}

func (w *world) Stop(_ context.Context, ref string) (v1.Environment, error) {
	return w.become(ref, "stopped", "stopped", "")
}

func (w *world) Resume(_ context.Context, ref string) (v1.Environment, error) {
	return w.become(ref, "provisioning", "starting", "")
}

func (w *world) Status(ctx context.Context, ref string) (v1.Status, error) {
	e, err := w.Get(ctx, ref)
	if err != nil {
		return v1.Status{}, err
	}
	e.Services[0].Instances = []v1.Instance{{Role: "primary", State: e.Services[0].State, Port: 20001, PID: 4321}}
	return v1.Status{Environment: e, Listeners: []v1.Listener{
		{ID: "g", Kind: "gateway", Address: "127.0.0.1:41234", Service: "orders", RouteRevision: e.RouteRevision},
		{ID: "o", Kind: "outgoing", Address: "127.0.0.1:41235", Caller: "orders", Service: "payments", Role: "candidate", RouteRevision: 6},
		{ID: "p", Kind: "outgoing", Address: "127.0.0.1:41236", Caller: "orders", Service: "stock", Error: "address already in use"},
	}}, nil
}

func (w *world) Lineage(ctx context.Context, ref string) (v1.Lineage, error) {
	e, err := w.Get(ctx, ref)
	return v1.Lineage{
		EnvironmentID: e.ID,
		Chain: []v1.LineageLink{
			{ID: e.ID, Name: e.Name, Mode: e.Mode, Revision: 1, Digest: e.Digest, Relation: "self"},
			{ID: "env_1", Name: "shop", Mode: "baseline", Revision: 3, Digest: e.Digest, Relation: "inheritsFrom"},
		},
		Services: []v1.LineageService{
			{Name: "orders", Provider: e.ID, ProviderName: e.Name, Because: "listed", Changed: []string{"command", "env"}, Explanation: "the overlay lists it"},
			{Name: "api", Provider: "env_1", ProviderName: "shop", Because: "inherited", Explanation: "the nearest ancestor that runs it"},
		},
	}, err
}

func (w *world) Logs(_ context.Context, ref string, q httpapi.LogQuery, each func(v1.LogLine) error) error {
	for _, l := range []v1.LogLine{
		{Service: "orders", Role: "primary", Line: "listening on 20001"},
		{Service: "orders", Role: "candidate", Line: "panic: no database"},
	} {
		if q.Role != "" && q.Role != l.Role {
			continue
		}
		if err := each(l); err != nil {
			return err
		}
	}
	return nil
}

// Events makes an environment that somebody waits for ready, or fail.
func (w *world) Events(ctx context.Context, ref string) (<-chan v1.Event, error) {
	e, err := w.Get(ctx, ref)
	if err != nil {
		return nil, err
	}
	ch := make(chan v1.Event)
	go func() {
		defer close(ch)
		select {
		case ch <- v1.Event{Type: "progress", Message: "orders is starting"}:
		case <-ctx.Done():
			return
		}
		if strings.HasPrefix(e.Name, "dying") {
			e, _ = w.become(ref, "failed", "exited", "orders ended with exit code 3")
		} else {
			e, _ = w.become(ref, "ready", "ready", "")
		}
		select {
		case ch <- v1.Event{Type: "status", Status: e.Status, Message: e.Reason}:
			<-ctx.Done()
		case <-ctx.Done():
		}
	}()
	return ch, nil
}

type shadowWorld struct{ *world }

func (s shadowWorld) Get(_ context.Context, ref string) (v1.ShadowState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.find(ref)
	if err != nil {
		return v1.ShadowState{}, err
	}
	e := s.envs[i]
	p := s.shadows[e.ID]
	out := v1.ShadowState{Enabled: e.Shadow.Enabled, SessionID: e.Shadow.SessionID, Baseline: e.ComparedTo}
	if !e.Shadow.Enabled {
		return out, nil
	}
	since := time.Now().Add(-5*time.Minute - time.Second)
	out.Since = &since
	out.Services = []v1.ShadowService{{Name: "orders", Sample: 1, Session: []string{"cookie:sid", "client-ip"}, Control: "auto", Effects: "replay", Concurrency: 64, Timeout: "10s", MaxBody: 1 << 20}}
	if p.Sample != nil {
		out.Services[0].Sample = *p.Sample
	}
	if p.Effects != "" {
		out.Services[0].Effects = p.Effects
	}
	r := report()
	out.Traffic, out.Verdict = &r.Traffic, &r.Verdict
	return out, nil
}

func (s shadowWorld) Patch(ctx context.Context, ref string, p v1.ShadowPatch) (v1.ShadowState, error) {
	s.mu.Lock()
	i, err := s.find(ref)
	if err == nil {
		if p.Enabled != nil {
			s.envs[i].Shadow = v1.ShadowBrief{Enabled: *p.Enabled, SessionID: "ses_1"}
		}
		s.shadows[s.envs[i].ID] = p
	}
	s.mu.Unlock()
	if err != nil {
		return v1.ShadowState{}, err
	}
	return s.Get(ctx, ref)
}

func report() v1.Report {
	return v1.Report{
		EnvironmentID: "env_2", BaselineID: "env_1", SessionID: "ses_1",
		Traffic:  v1.Traffic{Received: 900, Mirrored: 900, Compared: 895, Identical: 886, Dropped: map[string]int64{"timeout": 5}},
		Verdict:  v1.Verdict{Decision: "hold", Reasons: []string{"price of POST /orders became a string"}},
		Findings: []v1.Finding{finding("open")},
	}
}

func finding(status string) v1.Finding {
	return v1.Finding{
		ID: "fnd_1", Kind: "body.type", Severity: "breaking", Service: "orders", Endpoint: "POST /orders", Path: "$.price", Status: status,
		Confidence: "confirmed", Summary: "price is a string where it was a number", Count: 9, Compared: 900, Rate: 0.01,
		Interval: [2]float64{0.004, 0.02}, UniqueContexts: 3, FirstSeen: time.Now().Add(-2*time.Minute - time.Second), LastSeen: time.Now().Add(-2*time.Minute - time.Second),
		Example: &v1.Example{
			ObservationID: "obs_1", At: "$.price", Was: "12", Is: `"12"`,
			Request:   v1.Message{Method: "POST", Target: "/orders", Body: `{"sku":"a"}`},
			Baseline:  v1.Message{Status: 200, DurationMS: 1.25, Headers: []v1.Header{{Name: "Content-Type", Value: "application/json"}}, Body: `{"price":12}`},
			Candidate: v1.Message{Status: 200, Body: "{\"price\":\"12\"}\x1b[31m"},
		},
	}
}

func (w *world) Report(ctx context.Context, ref string) (v1.Report, error) {
	_, err := w.Get(ctx, ref)
	return report(), err
}

func (w *world) Finding(context.Context, string, string) (v1.Finding, error) {
	return finding("open"), nil
}

func (w *world) Observations(context.Context, string, httpapi.ObservationQuery) ([]v1.ObservationSummary, string, error) {
	return []v1.ObservationSummary{{
		ID: "obs_1", At: time.Now().Add(-time.Hour * 3), Service: "orders", Endpoint: "POST /orders", Baseline: "200", Control: "200", Candidate: "500",
		Findings: []string{"fnd_1"}, Why: "different",
	}}, "", nil
}

func (w *world) Observation(context.Context, string, string) (v1.Observation, error) {
	f := finding("open")
	return v1.Observation{
		ObservationSummary: v1.ObservationSummary{ID: "obs_1", At: time.Now().Add(-3 * time.Hour), Service: "orders", Endpoint: "POST /orders", Findings: []string{"fnd_1"}},
		Differences:        []v1.Difference{{Kind: "body.type", Path: "$.price", Baseline: "12", Candidate: `"12"`, Side: "candidate"}},
		Exchanges:          v1.Triple{Request: f.Example.Request, Baseline: f.Example.Baseline, Candidate: f.Example.Candidate},
		CandidateCalls:     []v1.Call{{Dependency: "payments", Operation: "POST /charge", Status: 200, Effect: "replayed", DurationMS: 0.5}},
	}, nil
}

func (w *world) Decide(_ context.Context, _, _ string, p v1.FindingPatch, who string) (v1.Finding, error) {
	f := finding(p.Status)
	f.Decision = &v1.Decision{Status: p.Status, Reason: p.Reason, Who: who, At: time.Now(), Expires: p.Expires, Scope: p.Scope}
	return f, nil
}

func (w *world) Ignores(context.Context, string) ([]v1.IgnoreRule, error) {
	return []v1.IgnoreRule{{
		ID: "rule_1", Path: "$.score", Endpoint: "GET /search", Kinds: []string{"body.value"}, Reason: "ranking", Who: "ada", At: time.Now(), Findings: 1, Requests: 12,
	}}, nil
}

func (w *world) Ignore(_ context.Context, _ string, c v1.CreateIgnore, who string) (v1.IgnoreRule, error) {
	return v1.IgnoreRule{ID: "rule_1", Path: c.Path, Endpoint: c.Endpoint, Kinds: []string{"body.value"}, Reason: c.Reason, Who: who, Expires: c.Expires}, nil
}

func (w *world) Unignore(_ context.Context, _, rule string) error {
	if rule != "rule_1" {
		return fault.Errorf("remove ignore rule", fault.NotFound, "there is no ignore rule %s", rule)
	}
	return nil
}

// shadow is a stand-in for the data plane: it shows two states, and ends as the primary's host says.
func shadow(_ context.Context, o cli.ShadowOptions, live func(v1.Report)) (v1.Report, error) {
	o.Ready(o.Listen)
	r := report()
	live(r)
	live(r)
	for _, d := range []string{"promote", "insufficient"} {
		if strings.Contains(o.Primary, d) {
			r.Verdict = v1.Verdict{Decision: d}
		}
	}
	return r, nil
}
