// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"microstax/internal/exchange"
)

func small() options {
	return options{runs: 2, changes: 1, volume: 3000, seed: 1, quick: true, progress: func(string, ...any) {}}
}

func TestAnUnchangedCandidateIsNotAccused(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		r := watch(newWorld(seed, manyRoutes(12), 8), 1500)
		if r.confirmed || r.hold {
			t.Errorf("seed %d: %s", seed, r.what)
		}
		if r.everShown == 0 {
			t.Errorf("seed %d: Diffy's rule shows nothing in 96 noisy fields: it is not computed", seed)
		}
	}
}

func TestChangesAreFoundAboutAsSoonAsTheBareTestCan(t *testing.T) {
	t.Parallel()
	for _, c := range []cell{{1, 0, 7}, {1, .3, 0}, {.1, 0, 66}, {.1, .05, 0}} {
		h := huntAll(small(), 7, c, nil)
		if h.found != h.runs || h.ratio() > 2 || h.others > 0 {
			t.Errorf("changed in %v, noise %v: found %d of %d, %v against %v", c.rate, c.noise, h.found, h.runs, average(h.ours), h.bare)
		}
	}
}

func TestOnlyTheUnchangedIsPromoted(t *testing.T) {
	t.Parallel()
	if n, held := untilPromoted(newWorld(1, plainRoutes(5, 0), 1), .01, 0, 1000); n != 363 || held {
		t.Errorf("an unchanged candidate is promoted after %d (held %v), want 363 at a limit of 1 %%", n, held)
	}
	if n, _ := untilPromoted(newWorld(2, plainRoutes(5, 0), 1), .01, .05, 2000); n != 0 {
		t.Errorf("5 %% differences are promoted after %d at a limit of 1 %%", n)
	}
}

func TestDiffyRule(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		raw, noise, total float64
		want              bool
	}{
		{0, 0, 100, false},
		{1, 0, 3000, true},    // one odd answer stays a difference up to 3,333 requests
		{1, 0, 4000, false},   // and is 0.025 % then
		{70, 50, 1000, false}, // a real 2 % behind 5 % noise: 20 of 120 are 16.7 %
		{5, 3, 1000, true},    // noise of half a per cent: 2 of 8 are 25 %
		{3, 5, 1000, false},
	} {
		if got := (&rawNoise{c.raw, c.noise}).shows(c.total); got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

func TestDiffyFields(t *testing.T) {
	t.Parallel()
	at := func(body string) *exchange.Exchange {
		return &exchange.Exchange{Response: exchange.Response{Status: 200, Body: exchange.Body{Data: []byte(body)}}}
	}
	for _, c := range []struct{ a, b, want string }{
		{`{"a":1}`, `{"a":1}`, ""},
		{`{"a":1}`, `{"a":2}`, "body.a"},
		{`{"a":1}`, `{"a":"1"}`, "body.a (type)"},
		{`{"a":1}`, `{}`, "body.a (missing)"},
		{`{}`, `{"a":1}`, "body.a (extra)"},
		{`[1,2]`, `[2,1]`, "body (order)"},
		{`[1,2]`, `[1,3]`, "body[1]"},
		{`[1,2]`, `[1]`, "body (size)"},
		{`{`, `}`, "body"},
	} {
		if got := strings.Join(diffyFields(at(c.a), at(c.b)), " "); got != c.want {
			t.Errorf("%s and %s: got %q, want %q", c.a, c.b, got, c.want)
		}
	}
}

func TestVolumeAndCostPrintTheirRows(t *testing.T) {
	t.Parallel()
	for _, f := range []func(options) (*section, error){volume, cost} {
		s, err := f(small())
		if err != nil || len(s.rows) != 3 || len(s.lines) == 0 {
			t.Errorf("got %+v, %v", s, err)
		}
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"-only nothing", "-write -quick", "-write -only cost", "-runs 0"} {
		if err := run(strings.Fields(args), io.Discard, io.Discard); err == nil {
			t.Errorf("%s is accepted", args)
		}
	}
	var out bytes.Buffer
	if err := run([]string{"-only", "volume", "-volume", "500", "-quick"}, &out, io.Discard); err != nil || !strings.Contains(out.String(), "| judging 500 observations") {
		t.Errorf("%v: %s", err, out.String())
	}
}
