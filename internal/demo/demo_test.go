// SPDX-License-Identifier: Apache-2.0

package demo_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "microstax/api/v1"
	"microstax/internal/blueprint"
	"microstax/internal/blueprintfile"
	"microstax/internal/demo"
	"microstax/internal/demo/shop"
	"microstax/internal/fault"
)

// server is an API with one shop behind it.
type server struct {
	urls   map[string]string
	report v1.Report
	fail   map[string]error // by method
	status string           // of environments; ready when empty

	mu      sync.Mutex // guards what follows
	created []v1.CreateEnvironment
	deleted []string
	shadow  bool
}

func (s *server) CreateBaseline(_ context.Context, req v1.CreateEnvironment) (v1.Environment, error) {
	return s.create("env_base", req, s.fail["baseline"])
}

func (s *server) CreateOverlay(_ context.Context, of string, req v1.CreateEnvironment) (v1.Environment, error) {
	if of != "env_base" {
		return v1.Environment{}, errors.New("overlay of something else")
	}
	return s.create("env_over", req, s.fail["overlay"])
}

func (s *server) create(id string, req v1.CreateEnvironment, err error) (v1.Environment, error) {
	if err != nil {
		return v1.Environment{}, err
	}
	if text, rerr := os.ReadFile(req.FileName); rerr != nil || string(text) != req.Blueprint {
		return v1.Environment{}, fmt.Errorf("the file is not there: %w", rerr)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.created = append(s.created, req)
	return v1.Environment{ID: id, Status: "provisioning"}, nil
}

func (s *server) Environment(_ context.Context, ref string) (v1.Environment, error) {
	env := v1.Environment{ID: ref, Name: ref, Status: s.status, Reason: "the reason", OverlayID: "over"}
	if env.Status == "" {
		env.Status = "ready"
	}
	for _, name := range []string{shop.API, shop.Payments} {
		env.Endpoints = append(env.Endpoints, v1.Endpoint{Service: name, Port: "http", URL: s.urls[name]})
	}
	return env, s.fail["get"]
}

func (s *server) PatchShadow(_ context.Context, ref string, p v1.ShadowPatch) (v1.ShadowState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shadow = ref == "env_over" && p.Enabled != nil && *p.Enabled
	return v1.ShadowState{}, s.fail["shadow"]
}

func (s *server) Report(context.Context, string) (v1.Report, error) {
	r := s.report
	r.Traffic.Received = 1 << 40
	return r, s.fail["report"]
}

func (s *server) Delete(_ context.Context, ref string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deleted = append(s.deleted, ref)
	return s.fail["delete"]
}

// planted are findings as the planted changes cause them.
func planted() []v1.Finding {
	return []v1.Finding{
		{Service: "orders", Endpoint: "POST /orders", Kind: "body.type", Path: "$.total"},
		{Service: "orders", Endpoint: "GET /orders/{id}", Kind: "body.type", Path: "$.total"},
		{Service: "orders", Endpoint: "POST /orders", Kind: "body.missing", Path: "$.tax"},
		{Service: "orders", Endpoint: "POST /orders", Kind: "call.extra", Path: "inventory GET /stock/{id}"},
		{Service: "orders", Endpoint: "POST /orders", Kind: "effect.fenced", Path: "payments POST /charges"},
		{Service: "orders", Endpoint: "GET /quotes", Kind: "latency", Path: "latency"},
		{Service: "orders", Endpoint: "POST /orders", Kind: "latency", Path: "latency"},
	}
}

func verdict(decision string, findings ...v1.Finding) v1.Report {
	return v1.Report{Verdict: v1.Verdict{Decision: decision}, Findings: findings}
}

func options(s *server, out io.Writer) demo.Options {
	return demo.Options{
		Client: s, Executable: "/bin/microstax", Duration: time.Second, Rate: 30,
		Say: func(line string) { fmt.Fprintln(out, line) },
		Render: func(r v1.Report) error {
			_, err := fmt.Fprintln(out, "REPORT", r.Verdict.Decision)
			return err
		},
	}
}

func TestDemoSaysWhetherAllCameOutAsPromised(t *testing.T) {
	t.Parallel()
	invented := v1.Finding{ID: "fnd_x", Service: "orders", Endpoint: "GET /orders", Kind: "body.order", Path: "$.orders", Summary: "odd"}
	foreign := v1.Finding{ID: "fnd_y", Service: "api", Endpoint: "POST /orders", Kind: "body.type", Path: "$.total"}
	tests := []struct {
		name, candidate string
		live            shop.Change // in the version that answers users
		report          v1.Report
		want            []string // begins of the problems
	}{
		{name: "all well", report: verdict("hold", planted()...)},
		{name: "one missed", report: verdict("hold", planted()[:5]...), want: []string{"slow-quotes was not found"}},
		{name: "only a consequence", report: verdict("hold", slices.Delete(planted(), 3, 4)...), want: []string{"stock-per-item was not found"}},
		{name: "one invented", report: verdict("hold", append(planted(), invented)...), want: []string{"finding fnd_x"}},
		{name: "of another service", report: verdict("hold", append(planted(), foreign)...), want: []string{"finding fnd_y"}},
		{name: "promoted", report: verdict("promote", planted()...), want: []string{"the verdict is promote"}},
		{name: "charged twice", live: shop.DoubleCharge, report: verdict("hold", planted()...), want: []string{"%charges for"}},
		{name: "users got the new version", live: shop.TotalAsString, report: verdict("hold", planted()...), want: []string{"users saw 0 errors"}},
		{name: "same and well", candidate: demo.Same, report: verdict("promote")},
		{name: "same without an answer", candidate: demo.Same, report: verdict("insufficient")},
		{name: "same but held", candidate: demo.Same, report: verdict("hold", planted()[0]), want: []string{"finding ", "the verdict is hold"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &server{urls: openShop(t, string(tt.live), nil), report: tt.report}
			var out strings.Builder
			o := options(s, &out)
			o.Candidate = tt.candidate
			res, err := demo.Run(t.Context(), o)
			if err != nil {
				t.Fatalf("Run: %v", err)
			}
			ok := len(res.Problems) == len(tt.want)
			for i := 0; ok && i < len(tt.want); i++ {
				part, anywhere := strings.CutPrefix(tt.want[i], "%")
				ok = strings.HasPrefix(res.Problems[i], part) || anywhere && strings.Contains(res.Problems[i], part)
			}
			if !ok {
				t.Errorf("got problems %q, want %q", res.Problems, tt.want)
			}
			if (res.Err() == nil) != (len(tt.want) == 0) {
				t.Errorf("got error %v", res.Err())
			}
			if !s.shadow || !slices.Equal(s.deleted, []string{"env_over", "env_base"}) {
				t.Errorf("shadowed %v, deleted %v", s.shadow, s.deleted)
			}
			if _, err := os.Stat(s.created[0].BaseDir); !os.IsNotExist(err) {
				t.Errorf("%s is left", s.created[0].BaseDir)
			}
			if text := out.String(); !strings.Contains(text, "REPORT "+tt.report.Verdict.Decision) || !strings.Contains(text, "What payments did") {
				t.Errorf("got output %s", text)
			}
		})
	}
}

func TestDemoCleansUpWhatItStarted(t *testing.T) {
	t.Parallel()
	boom := fault.Errorf("ask", fault.Unavailable, "boom")
	for _, tt := range []struct {
		fail, status string
		want         []string
	}{
		{fail: "baseline"},
		{fail: "overlay", want: []string{"env_base"}},
		{fail: "get", want: []string{"env_base"}},
		{fail: "shadow", want: []string{"env_over", "env_base"}},
		{fail: "report", want: []string{"env_over", "env_base"}},
		{status: "failed", want: []string{"env_base"}},
	} {
		t.Run(tt.fail+tt.status, func(t *testing.T) {
			t.Parallel()
			s := &server{urls: openShop(t, "", nil), fail: map[string]error{tt.fail: boom}, status: tt.status}
			_, err := demo.Run(t.Context(), options(s, io.Discard))
			if !fault.Is(err, fault.Unavailable) {
				t.Errorf("got %v", err)
			}
			if tt.status != "" && (!strings.Contains(err.Error(), "the reason") || fault.HintOf(err) == "") {
				t.Errorf("got %v with hint %q", err, fault.HintOf(err))
			}
			if !slices.Equal(s.deleted, tt.want) {
				t.Errorf("deleted %v, want %v", s.deleted, tt.want)
			}
		})
	}
}

// ending cancels when the first request comes.
type ending struct {
	*server
	cancel context.CancelFunc
}

func (e ending) PatchShadow(ctx context.Context, ref string, p v1.ShadowPatch) (v1.ShadowState, error) {
	defer e.cancel()
	return e.server.PatchShadow(ctx, ref, p)
}

func TestDemoCleansUpWhenItIsBrokenOff(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := &server{urls: openShop(t, "", nil)}
	o := options(s, io.Discard)
	o.Client, o.Duration = ending{s, cancel}, time.Hour
	if _, err := demo.Run(ctx, o); !fault.Is(err, fault.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
	if len(s.deleted) != 2 {
		t.Errorf("deleted %v", s.deleted)
	}
}

func TestDemoKeepsEverythingWhenAsked(t *testing.T) {
	t.Parallel()
	s := &server{urls: openShop(t, "", nil), report: verdict("hold", planted()...)}
	var out strings.Builder
	o := options(s, &out)
	o.Keep = true
	if _, err := demo.Run(t.Context(), o); err != nil {
		t.Fatalf("Run: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(s.created[0].BaseDir) })
	if len(s.deleted) != 0 {
		t.Errorf("deleted %v", s.deleted)
	}
	for _, want := range []string{"env diffs env_over", "env delete env_base", s.urls[shop.API], "x-msx-env: over", s.created[0].BaseDir} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output does not say %q: %s", want, out.String())
		}
	}
}

func TestDemoRefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	for _, o := range []demo.Options{
		{Executable: "/x", Candidate: "other"}, {Executable: "/x", Duration: -1}, {Executable: "/x", Rate: -1}, {Executable: "x"},
	} {
		if _, err := demo.Run(t.Context(), o); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: got %v", o, err)
		}
	}
}

func TestBlueprintsAreValid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	check := func(name, text string, mode blueprint.Mode, known []string) blueprint.Blueprint {
		t.Helper()
		b, places := blueprintfile.Check([]byte(text), filepath.Join(dir, name), dir, mode, known)
		for _, p := range places {
			t.Errorf("%s: %s", name, p)
		}
		return b
	}
	base := check("baseline.yaml", demo.BaselineFile(`/odd "path"/#microstax`), blueprint.Baseline, nil)
	if len(base.Services) != 5 || base.Services[0].Command[0] != `/odd "path"/#microstax` {
		t.Fatalf("got %+v", base)
	}
	for _, changes := range [][]shop.Change{nil, shop.Changes()} {
		over := check("overlay.yaml", demo.OverlayFile(changes), blueprint.Overlay, shop.Services())
		m := blueprint.MergeBlueprints(base, over)
		i := slices.IndexFunc(m.Services, func(s blueprint.Service) bool { return s.Name == shop.Orders })
		env := m.Services[i].Env
		if env["CHANGES"] != join(changes) || env["PAYMENTS_URL"] != "${services.payments.url}" || len(m.Services) != 5 {
			t.Errorf("got environment %v", env)
		}
		if g := m.Services[i].Shadow.Gate; g.MaxDifferenceRate != 0.02 {
			t.Errorf("got gate %+v", g)
		}
	}
}

func join(changes []shop.Change) string {
	var all []string
	for _, c := range changes {
		all = append(all, string(c))
	}
	return strings.Join(all, ",")
}
