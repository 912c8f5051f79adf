// SPDX-License-Identifier: Apache-2.0

package redact_test

import (
	"strings"
	"testing"

	"microstax/internal/dataplane/redact"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// BenchmarkObservation redacts a triple of 10 KB answers, with a session cookie and without or with a path rule.
func BenchmarkObservation(b *testing.B) {
	e := exchange.Exchange{}
	e.Request.Target = "/orders?limit=10"
	e.Request.Headers = headers("Cookie", "sid=0123456789abcdef01234567", "Accept", "*/*", "Authorization", "Bearer 0123456789abcdef01234567")
	e.Response.Headers = headers("Content-Type", "application/json")
	e.Response.Body = body(`{"card":{"number":"4111-1111-1111-1111"},"items":[` + strings.Repeat(`{"id":12345,"name":"a thing","price":12.5},`, 230) + `{}]}`)
	for name, r := range map[string]*redact.Redactor{"no rules": redactor(), "a path": redactor(paths("$.card.number")...)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				control := e
				r.Observation(&observation.Observation{Baseline: e, Control: &control, Candidate: e})
			}
		})
	}
}
