// SPDX-License-Identifier: Apache-2.0

package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	v1 "microstax/api/v1"
	"microstax/internal/blueprint"
	"microstax/internal/fault"
	"microstax/internal/httpapi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// use is every use case; a test sets what it needs, and what it does not need fails loudly.
type use struct {
	create   func(blueprint.Mode, string, v1.CreateEnvironment) (v1.Environment, error)
	validate func(v1.CreateEnvironment) (v1.ValidateResult, error)
	get      func(string) (v1.Environment, error)
	list     func(httpapi.Filter) ([]v1.Environment, string, error)
	remove   func(string) error
	stop     func(string) (v1.Environment, error)
	status   func(string) (v1.Status, error)
	logs     func(context.Context, string, httpapi.LogQuery, func(v1.LogLine) error) error
	events   func(context.Context, string) (<-chan v1.Event, error)
	patch    func(string, v1.ShadowPatch) (v1.ShadowState, error)
	report   func(string) (v1.Report, error)
	decide   func(ref, id string, p v1.FindingPatch, who string) (v1.Finding, error)
	observe  func(string, httpapi.ObservationQuery) ([]v1.ObservationSummary, string, error)
	changes  func(context.Context, string) (<-chan struct{}, error)
}

func (u *use) Create(_ context.Context, m blueprint.Mode, b string, r v1.CreateEnvironment) (v1.Environment, error) {
	return u.create(m, b, r)
}
func (u *use) Validate(_ context.Context, r v1.CreateEnvironment) (v1.ValidateResult, error) {
	return u.validate(r)
}
func (u *use) Get(_ context.Context, ref string) (v1.Environment, error) { return u.get(ref) }
func (u *use) List(_ context.Context, f httpapi.Filter) ([]v1.Environment, string, error) {
	return u.list(f)
}
func (u *use) Delete(_ context.Context, ref string) error { return u.remove(ref) }
func (u *use) Stop(_ context.Context, ref string) (v1.Environment, error) {
	return u.stop(ref)
}
func (u *use) Resume(_ context.Context, ref string) (v1.Environment, error) { return u.stop(ref) }
func (u *use) Status(_ context.Context, ref string) (v1.Status, error)      { return u.status(ref) }
func (u *use) Lineage(_ context.Context, ref string) (v1.Lineage, error) {
	return v1.Lineage{EnvironmentID: ref}, nil
}
func (u *use) Logs(ctx context.Context, ref string, q httpapi.LogQuery, each func(v1.LogLine) error) error {
	return u.logs(ctx, ref, q, each)
}
func (u *use) Events(ctx context.Context, ref string) (<-chan v1.Event, error) {
	return u.events(ctx, ref)
}
func (u *use) Report(_ context.Context, ref string) (v1.Report, error) { return u.report(ref) }
func (u *use) Finding(_ context.Context, _, id string) (v1.Finding, error) {
	return v1.Finding{ID: id}, nil
}
func (u *use) Observations(_ context.Context, ref string, q httpapi.ObservationQuery) ([]v1.ObservationSummary, string, error) {
	return u.observe(ref, q)
}
func (u *use) Observation(_ context.Context, _, id string) (v1.Observation, error) {
	return v1.Observation{ObservationSummary: v1.ObservationSummary{ID: id}}, nil
}
func (u *use) Decide(_ context.Context, ref, id string, p v1.FindingPatch, who string) (v1.Finding, error) {
	return u.decide(ref, id, p, who)
}
func (u *use) Ignores(_ context.Context, ref string) ([]v1.IgnoreRule, error) {
	return []v1.IgnoreRule{{ID: "rule_of_" + ref}}, nil
}
func (u *use) Ignore(_ context.Context, _ string, c v1.CreateIgnore, who string) (v1.IgnoreRule, error) {
	return v1.IgnoreRule{ID: "rule_1", Path: c.Path, Who: who}, nil
}
func (u *use) Unignore(_ context.Context, _, rule string) error {
	if rule != "rule_1" {
		return fault.Errorf("remove ignore rule", fault.NotFound, "no rule %s", rule)
	}
	return nil
}
func (u *use) Changed(ctx context.Context, ref string) (<-chan struct{}, error) {
	return u.changes(ctx, ref)
}

// shadows is apart, because its Get is another.
type shadows struct{ *use }

func (s shadows) Get(context.Context, string) (v1.ShadowState, error) {
	return v1.ShadowState{Enabled: true}, nil
}
func (s shadows) Patch(_ context.Context, ref string, p v1.ShadowPatch) (v1.ShadowState, error) {
	return s.patch(ref, p)
}

// build makes an API over u. It listens on loopback without a token unless change says otherwise.
func build(t *testing.T, u *use, change func(*httpapi.Options)) *httpapi.API {
	t.Helper()
	var n atomic.Int64
	o := httpapi.Options{
		Environments: u, Lifecycle: u, Streams: u, Shadows: shadows{u}, Reports: u, Ignores: u,
		Registry: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler), Version: "test", Loopback: true,
		NewRequestID: func() string { return fmt.Sprintf("req_%d", n.Add(1)) }, Now: time.Now,
	}
	if u.changes != nil {
		o.Changes = u
	}
	if change != nil {
		change(&o)
	}
	api, err := httpapi.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// ask sends one request and gives the answer with its body.
func ask(t *testing.T, h http.Handler, method, target, body string, header ...string) (*httptest.ResponseRecorder, string) {
	t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, target, in)
	r.Host = "127.0.0.1:3000"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w, w.Body.String()
}

func decode[T any](t *testing.T, body string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("decode %q: %v", body, err)
	}
	return v
}

func TestCreatePassesModeBaselineAndBodyAndAnswersAccepted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path, baseline string
		mode           blueprint.Mode
	}{
		{"/v1/environments", "", blueprint.Isolated},
		{"/v1/baselines", "", blueprint.Baseline},
		{"/v1/baselines/shop/overlays", "shop", blueprint.Overlay},
	} {
		t.Run(c.path, func(t *testing.T) {
			t.Parallel()
			var mode blueprint.Mode
			var baseline string
			var got v1.CreateEnvironment
			api := build(t, &use{create: func(m blueprint.Mode, b string, r v1.CreateEnvironment) (v1.Environment, error) {
				mode, baseline, got = m, b, r
				return v1.Environment{ID: "env_1", Status: "provisioning"}, nil
			}}, nil)
			w, body := ask(t, api, "POST", c.path, `{"blueprint":"name: shop","baseDir":"/srv","name":"n","plan":"p","fileName":"f.yaml"}`)
			if w.Code != http.StatusAccepted || w.Header().Get("Location") != "/v1/environments/env_1" {
				t.Fatalf("got %d, Location %q: %s", w.Code, w.Header().Get("Location"), body)
			}
			env := decode[v1.Envelope[v1.Environment]](t, body)
			if env.Data.ID != "env_1" || env.Data.Status != "provisioning" || env.Meta.RequestID != w.Header().Get("X-Request-Id") || env.Meta.RequestID == "" {
				t.Errorf("got %+v", env)
			}
			want := v1.CreateEnvironment{Blueprint: "name: shop", BaseDir: "/srv", Name: "n", Plan: "p", FileName: "f.yaml"}
			if mode != c.mode || baseline != c.baseline || got != want {
				t.Errorf("got mode %q, baseline %q, request %+v", mode, baseline, got)
			}
		})
	}
}

func TestBaselineMayBeMadeFromAnEnvironmentAndNothingElseMay(t *testing.T) {
	t.Parallel()
	api := build(t, &use{create: func(_ blueprint.Mode, _ string, r v1.CreateEnvironment) (v1.Environment, error) {
		return v1.Environment{ID: r.From}, nil
	}}, nil)
	if w, body := ask(t, api, "POST", "/v1/baselines", `{"from":"env_9"}`); w.Code != http.StatusAccepted {
		t.Errorf("got %d: %s", w.Code, body)
	}
	if w, body := ask(t, api, "POST", "/v1/environments", `{"from":"env_9"}`); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("got %d: %s", w.Code, body)
	}
}

func TestErrorsBecomeProblems(t *testing.T) {
	t.Parallel()
	place := fault.Place{File: "b.yaml", Line: 3, Column: 5, Path: "services[0].imge", Rule: "unknown-field", Message: "unknown field imge"}
	for _, c := range []struct {
		name   string
		err    error
		status int
		kind   string
	}{
		{"invalid", fault.Errorf("read b.yaml", fault.Invalid, "bad").WithHint("mend it").WithPlaces([]fault.Place{place}), 422, "invalid"},
		{"not found", fault.Errorf("get", fault.NotFound, "no x"), 404, "notFound"},
		{"conflict", fault.Errorf("get", fault.Conflict, "taken"), 409, "conflict"},
		{"unavailable", fault.Errorf("get", fault.Unavailable, "busy"), 503, "unavailable"},
		{"canceled", context.Canceled, 499, "canceled"},
		{"wrapped", fmt.Errorf("outer: %w", fault.Errorf("get", fault.NotFound, "no x")), 404, "notFound"},
		{"plain", errors.New("boom"), 500, "internal"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			api := build(t, &use{get: func(string) (v1.Environment, error) { return v1.Environment{}, c.err }}, nil)
			w, body := ask(t, api, "GET", "/v1/environments/x", "")
			p := decode[v1.Problem](t, body)
			if w.Code != c.status || p.Status != c.status || p.Kind != c.kind || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Fatalf("got %d %s: %s", w.Code, w.Header().Get("Content-Type"), body)
			}
			if p.RequestID == "" || p.Title == "" || p.Type == "" || p.Detail != c.err.Error() || p.Hint != fault.HintOf(c.err) {
				t.Errorf("got %+v", p)
			}
			if c.name == "invalid" && (len(p.Errors) != 1 || p.Errors[0] != v1.Place(place)) {
				t.Errorf("got places %+v", p.Errors)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		says                     string
	}{
		{"unknown route", "GET", "/v1/nothing", "", 404, "not a route"},
		{"unknown root", "GET", "/", "", 404, "not a route"},
		{"wrong method", "PUT", "/v1/environments", "", 405, "GET, POST"},
		{"not JSON", "POST", "/v1/environments", "{", 400, "body"},
		{"unknown member", "POST", "/v1/environments", `{"blueprint":"x","nmae":"y"}`, 422, "nmae"},
		{"wrong type", "POST", "/v1/environments", `{"blueprint":7}`, 422, "body.blueprint"},
		{"no blueprint", "POST", "/v1/environments", `{}`, 422, "no Blueprint"},
		{"no body", "POST", "/v1/environments", ``, 400, "body"},
		{"limit", "GET", "/v1/environments?limit=0", "", 422, "limit"},
		{"enum", "PATCH", "/v1/environments/e/diffs/f", `{"status":"fine"}`, 422, "status"},
		{"too large", "POST", "/v1/environments", `{"blueprint":"` + strings.Repeat("x", 5000) + `"}`, 413, "4096"},
		{"later version", "POST", "/v1/environments/e/promote", `{}`, 501, "not available in this version"},
		{"later list", "GET", "/v1/audit/verify", ``, 501, "not available in this version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			api := build(t, &use{}, func(o *httpapi.Options) { o.MaxBody = 4096 })
			w, body := ask(t, api, c.method, c.path, c.body)
			p := decode[v1.Problem](t, body)
			if w.Code != c.status || w.Header().Get("Content-Type") != "application/problem+json" || p.RequestID == "" || p.Kind == "" {
				t.Fatalf("got %d %s: %s", w.Code, w.Header().Get("Content-Type"), body)
			}
			if !strings.Contains(body, c.says) {
				t.Errorf("got %s, want it to say %q", body, c.says)
			}
		})
	}
}

func TestPanicBecomesAProblemAndIsLoggedWithTheRequestID(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	api := build(t, &use{get: func(string) (v1.Environment, error) { panic("secret thing") }}, func(o *httpapi.Options) {
		o.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	})
	w, body := ask(t, api, "GET", "/v1/environments/x", "")
	p := decode[v1.Problem](t, body)
	if w.Code != 500 || p.Kind != "internal" || strings.Contains(body, "secret thing") {
		t.Fatalf("got %d: %s", w.Code, body)
	}
	if !strings.Contains(logged.String(), "secret thing") || !strings.Contains(logged.String(), p.RequestID) {
		t.Errorf("log: %s", logged.String())
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	var got httpapi.Filter
	api := build(t, &use{list: func(f httpapi.Filter) ([]v1.Environment, string, error) {
		got = f
		return nil, "next", nil
	}}, nil)
	for _, c := range []struct {
		path string
		want httpapi.Filter
	}{
		{"/v1/environments", httpapi.Filter{Limit: 100}},
		{"/v1/environments?mode=overlay&baseline=b&limit=7&cursor=c", httpapi.Filter{Mode: "overlay", Baseline: "b", Limit: 7, Cursor: "c"}},
		{"/v1/baselines?limit=1", httpapi.Filter{Mode: "baseline", Limit: 1}},
		{"/v1/baselines/b/overlays", httpapi.Filter{Mode: "overlay", Baseline: "b", Limit: 100}},
	} {
		w, body := ask(t, api, "GET", c.path, "")
		if w.Code != 200 || got != c.want || !strings.Contains(body, `"data":[]`) || !strings.Contains(body, `"nextCursor":"next"`) {
			t.Errorf("%s: got %d, %+v, %s", c.path, w.Code, got, body)
		}
	}
}

func TestOtherRoutes(t *testing.T) {
	t.Parallel()
	env := v1.Environment{ID: "env_1", Mode: "isolated"}
	u := &use{
		get:      func(string) (v1.Environment, error) { return env, nil },
		remove:   func(string) error { return nil },
		stop:     func(string) (v1.Environment, error) { return env, nil },
		status:   func(string) (v1.Status, error) { return v1.Status{Environment: env}, nil },
		validate: func(v1.CreateEnvironment) (v1.ValidateResult, error) { return v1.ValidateResult{Valid: true}, nil },
		patch: func(_ string, p v1.ShadowPatch) (v1.ShadowState, error) {
			return v1.ShadowState{Enabled: *p.Enabled}, nil
		},
		report: func(string) (v1.Report, error) { return v1.Report{SessionID: "ses_1"}, nil },
		decide: func(ref, id string, p v1.FindingPatch, who string) (v1.Finding, error) {
			return v1.Finding{ID: ref + id, Status: p.Status, Summary: p.Reason + " by " + who}, nil
		},
		observe: func(_ string, q httpapi.ObservationQuery) ([]v1.ObservationSummary, string, error) {
			return []v1.ObservationSummary{{ID: q.Finding + q.Endpoint}}, "", nil
		},
	}
	api := build(t, u, nil)
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/v1/environments/env_1", "", 200, `"id":"env_1"`},
		{"GET", "/v1/baselines/env_1", "", 404, "not a baseline"},
		{"DELETE", "/v1/environments/env_1", "", 204, ""},
		{"POST", "/v1/environments/env_1/stop", "", 202, "env_1"},
		{"GET", "/v1/environments/env_1/ignores", "", 200, "rule_of_env_1"},
		{"POST", "/v1/environments/env_1/ignores", `{"path":"$.updatedAt"}`, 201, `"path":"$.updatedAt"`},
		{"POST", "/v1/environments/env_1/ignores", `{"path":""}`, 422, "path"},
		{"DELETE", "/v1/environments/env_1/ignores/rule_1", "", 204, ""},
		{"DELETE", "/v1/environments/env_1/ignores/rule_2", "", 404, "no rule rule_2"},
		{"POST", "/v1/environments/env_1/resume", "", 202, "env_1"},
		{"GET", "/v1/environments/env_1/status", "", 200, "listeners"},
		{"GET", "/v1/environments/env_1/lineage", "", 200, `"environmentId":"env_1"`},
		{"POST", "/v1/environments/validate", `{"blueprint":"x"}`, 200, `"valid":true,"errors":[]`},
		{"GET", "/v1/environments/env_1/shadow", "", 200, `"enabled":true`},
		{"PATCH", "/v1/environments/env_1/shadow", `{"enabled":true,"sample":0.5}`, 200, `"enabled":true`},
		{"PATCH", "/v1/environments/env_1/shadow", `{"enabled":true,"sample":2}`, 422, "sample"},
		{"GET", "/v1/environments/env_1/diffs", "", 200, "ses_1"},
		{"GET", "/v1/environments/env_1/diffs/fnd_1", "", 200, "fnd_1"},
		{"PATCH", "/v1/environments/env_1/diffs/fnd_1", `{"status":"accepted","reason":"meant"}`, 200, "meant by ann"},
		{"GET", "/v1/environments/env_1/observations?finding=f&endpoint=POST%20%2Fx", "", 200, `"id":"fPOST /x"`},
		{"GET", "/v1/environments/env_1/observations/obs_1", "", 200, "obs_1"},
		{"GET", "/healthz", "", 200, "ok"},
		{"GET", "/readyz", "", 200, "ready"},
		{"GET", "/metrics", "", 200, "microstax_api_requests_total"},
	} {
		w, body := ask(t, api, c.method, c.path, c.body, "X-Microstax-User", "ann")
		if w.Code != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s %s: got %d: %s", c.method, c.path, w.Code, body)
		}
	}
	_, text := ask(t, api, "GET", "/metrics", "")
	if !strings.Contains(text, `microstax_api_requests_total{route="GET /v1/environments/{id}",status="200"} 1`) {
		t.Errorf("metrics: %s", text)
	}
}

func TestReadyzSaysWhyNot(t *testing.T) {
	t.Parallel()
	api := build(t, &use{}, func(o *httpapi.Options) {
		o.Ready = func(context.Context) error { return errors.New("store is opening") }
	})
	if w, body := ask(t, api, "GET", "/readyz", ""); w.Code != 503 || !strings.Contains(body, "store is opening") {
		t.Errorf("got %d: %s", w.Code, body)
	}
}

func TestOpenAPIDescribesWhatIsServed(t *testing.T) {
	t.Parallel()
	w, body := ask(t, build(t, &use{}, nil), "GET", "/v1/openapi.json", "")
	if w.Code != 200 {
		t.Fatalf("got %d: %s", w.Code, body)
	}
	spec := decode[struct {
		OpenAPI    string                               `json:"openapi"`
		Paths      map[string]map[string]map[string]any `json:"paths"`
		Components struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
		Servers []struct{ URL string } `json:"servers"`
	}](t, body)
	if !strings.HasPrefix(spec.OpenAPI, "3.1") || len(spec.Servers) != 1 || spec.Servers[0].URL != "/v1" {
		t.Errorf("got version %q, servers %v", spec.OpenAPI, spec.Servers)
	}
	for _, c := range []string{
		"post /environments", "get /environments", "get /environments/{id}", "delete /environments/{id}", "post /environments/{id}/stop",
		"get /environments/{id}/events", "get /environments/{id}/logs", "patch /environments/{id}/shadow", "get /environments/{id}/diffs",
		"patch /environments/{id}/diffs/{finding}", "post /baselines/{id}/overlays",
	} {
		method, path, _ := strings.Cut(c, " ")
		op, ok := spec.Paths[path][method]
		if !ok {
			t.Errorf("the document lacks %s", c)
			continue
		}
		if !strings.Contains(fmt.Sprint(op["responses"]), "problem+json") {
			t.Errorf("%s documents no problem", c)
		}
	}
	if _, ok := spec.Components.Schemas["Problem"]; !ok {
		t.Error("no schema Problem")
	}
	for name := range spec.Components.Schemas {
		if name == "ErrorModel" || strings.Contains(body, "schemas/ErrorModel") {
			t.Error("huma's own error document is still described")
		}
	}
}
