// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"microstax/internal/engine"
	"microstax/internal/observation"
)

func BenchmarkObserve(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	w := newWorld()
	for _, c := range []struct {
		name string
		next func(i int) *observation.Observation
	}{
		{"identical", func(i int) *observation.Observation {
			return w.see(fmt.Sprint(i%500), "GET", "/cart", ok(good), ok(good), ok(good))
		}},
		{"noisy", func(i int) *observation.Observation {
			return w.see(fmt.Sprint(i%500), "GET", "/cart", noisy(r, 1), noisy(r, 1), noisy(r, 1))
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			a := engine.New(engine.Config{Control: true})
			os := make([]*observation.Observation, 2000)
			for i := range os {
				os[i] = c.next(i)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				a.Observe(os[i%len(os)])
				i++
			}
		})
	}
}

func BenchmarkReportAndState(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	w, a := newWorld(), engine.New(engine.Config{Control: true})
	for i := range 5000 {
		feed(a, w.see(fmt.Sprint(i%1000), "GET", fmt.Sprintf("/e%c%c", 'a'+i%6, 'a'+i/6%10), noisy(r, i), noisy(r, i), noisy(r, i)))
	}
	b.Run("report", func(b *testing.B) {
		for b.Loop() {
			a.Report(engine.Meta{})
		}
	})
	b.Run("state", func(b *testing.B) {
		n := 0
		for b.Loop() {
			s, err := a.State()
			if err != nil {
				b.Fatal(err)
			}
			n = len(s)
		}
		b.ReportMetric(float64(n), "bytes/state")
	})
}
