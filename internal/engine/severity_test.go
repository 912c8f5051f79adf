// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"testing"

	"microstax/internal/engine"
	"microstax/internal/exchange"
)

// TestTheOutcomeOfACallWeighsLikeAStatus: gRPC answers 200 whatever happened, and says what did in grpc-status.
func TestTheOutcomeOfACallWeighsLikeAStatus(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, was, is string // "head 5" stands in the head, for want of anything behind it
		kind, path    string
		want          string
	}{
		{"works, then fails", "0", "13", "trailer", "trailer[grpc-status]", "breaking"},
		{"works, then fails at once", "0", "head 5", "header", "grpc-status", "breaking"},
		{"fails, then works", "13", "0", "trailer", "trailer[grpc-status]", "major"},
		{"fails at once, then works", "head 5", "0", "trailer", "trailer[grpc-status]", "major"},
		{"fails otherwise", "5", "13", "trailer", "trailer[grpc-status]", "major"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			put := func(x *exchange.Exchange, status string) {
				var code string
				if n, _ := fmt.Sscanf(status, "head %s", &code); n == 1 {
					x.Response.Headers = append(x.Response.Headers, exchange.Header{Name: "grpc-status", Value: code})
					return
				}
				x.Response.Trailers = []exchange.Header{{Name: "grpc-status", Value: status}, {Name: "x-served-by", Value: status}}
			}
			w, a := newWorld(), engine.New(engine.Config{Control: true})
			for range 30 {
				o := w.see("", "POST", "/shop.Orders/Create", ok(good), ok(good), ok(good))
				put(&o.Baseline, row.was)
				put(o.Control, row.was)
				put(&o.Candidate, row.is)
				feed(a, o)
			}
			rep := a.Report(engine.Meta{})
			if f := finding(t, rep, row.kind, row.path); f.Severity != row.want {
				t.Errorf("%s, want %s: %+v", f.Severity, row.want, f)
			}
			for _, f := range rep.Findings {
				if f.Path == "trailer[x-served-by]" && f.Severity != "minor" {
					t.Errorf("another trailer is %s", f.Severity)
				}
			}
		})
	}
}
