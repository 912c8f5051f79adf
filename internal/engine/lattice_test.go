// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"microstax/internal/engine"
)

// latticeCases are fields that differ in every pair, so that only a weaker level than equality can tell a change from noise.
// Each makes one value at the given time.
func latticeCases() []struct {
	name         string
	base, change func(r *rand.Rand, at time.Time) string
	level        string
} {
	stamp := func(offset time.Duration, layout string) func(*rand.Rand, time.Time) string {
		return func(r *rand.Rand, at time.Time) string {
			return `"` + at.Add(offset+time.Duration(r.IntN(900))*time.Millisecond).UTC().Format(layout) + `"`
		}
	}
	uuid := func(version string) func(*rand.Rand, time.Time) string {
		return func(r *rand.Rand, _ time.Time) string {
			return fmt.Sprintf(`"%08x-%04x-%s%03x-a%03x-%012x"`, r.Uint32(), r.IntN(1<<16), version, r.IntN(1<<12), r.IntN(1<<12), r.Int64N(1<<48))
		}
	}
	around := func(mean float64) func(*rand.Rand, time.Time) string {
		return func(r *rand.Rand, _ time.Time) string { return fmt.Sprintf("%.3f", mean+2*r.Float64()) }
	}
	token := func(form string) func(*rand.Rand, time.Time) string {
		return func(r *rand.Rand, _ time.Time) string {
			b := make([]byte, 16)
			for i := range b {
				b[i] = byte(r.IntN(256))
			}
			return fmt.Sprintf(form, b)
		}
	}
	const ms, zoned = "2006-01-02T15:04:05.000Z07:00", "2006-01-02T15:04:05.000+00:00"
	return []struct {
		name         string
		base, change func(r *rand.Rand, at time.Time) string
		level        string
	}{
		{"a time that is an hour off", stamp(0, ms), stamp(time.Hour, ms), "tolerant"},
		{"an expiry that comes too early", stamp(time.Hour, ms), stamp(59*time.Minute, ms), "tolerant"},
		{"a time without its zone", stamp(0, ms), stamp(0, "2006-01-02T15:04:05.000"), "tolerant"},
		{"a time in another notation of its zone", stamp(0, ms), stamp(0, zoned), "tolerant"},
		{"a number that is beyond its spread", around(50), around(58), "tolerant"},
		{"identifiers of another version", uuid("4"), uuid("7"), "format"},
		{"identifiers that are all zeroes", uuid("4"), func(*rand.Rand, time.Time) string { return `"00000000-0000-0000-0000-000000000000"` }, "format"},
		{"tokens of half the length", token(`"%x"`), token(`"%.8x"`), "format"},
		{"tokens in capitals", token(`"%x"`), token(`"%X"`), "format"},
		{"a token that is empty", token(`"%x"`), func(*rand.Rand, time.Time) string { return `""` }, "format"},
	}
}

func TestEachLevelFindsWhatStricterOnesTakeForNoise(t *testing.T) {
	t.Parallel()
	for _, tc := range latticeCases() {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(7, 7))
			w, changed, same := newWorld(), engine.New(engine.Config{Control: true}), engine.New(engine.Config{Control: true})
			answer := func(value func(*rand.Rand, time.Time) string) reply {
				at := w.start.Add(time.Duration(w.n+1) * 100 * time.Millisecond)
				return ok(`{"v":` + value(r, at) + `}`)
			}
			for range 300 {
				feed(changed, w.see("", "GET", "/x", answer(tc.base), answer(tc.base), answer(tc.change)))
				feed(same, w.see("", "GET", "/x", answer(tc.base), answer(tc.base), answer(tc.base)))
			}
			rep := changed.Report(engine.Meta{})
			if f := finding(t, rep, "body.value", "$.v"); f.Confidence != "confirmed" || f.Level != tc.level {
				t.Errorf("got %s at %s, want %s", f.Confidence, f.Level, tc.level)
			}
			for _, f := range same.Report(engine.Meta{}).Findings {
				t.Errorf("nothing changed, and yet %s %s", f.Confidence, f.Path)
			}
		})
	}
}

// Every value is another one in every pair; only that they belong together tells right from wrong.
func TestARelationThatNoLongerHoldsIsFound(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 3))
	cart := func(wrong int) reply {
		sum, lines := 0, ""
		for range 3 {
			n := 1000 + r.IntN(1000)
			sum += n
			lines += fmt.Sprintf(`,{"amount":%d}`, n)
		}
		return ok(fmt.Sprintf(`{"total":%d,"lines":[%s]}`, sum-wrong, lines[1:]))
	}
	w, changed, same := newWorld(), engine.New(engine.Config{Control: true}), engine.New(engine.Config{Control: true})
	for range 300 {
		feed(changed, w.see("", "GET", "/cart", cart(0), cart(0), cart(5)))
		feed(same, w.see("", "GET", "/cart", cart(0), cart(0), cart(0)))
	}
	f := finding(t, changed.Report(engine.Meta{}), "body.value", "$: total = Σ lines[*].amount")
	if f.Confidence != "confirmed" || f.Summary != "total = Σ lines[*].amount does not hold any more" {
		t.Errorf("got %+v", f)
	}
	if rep := same.Report(engine.Meta{}); len(rep.Findings) > 0 {
		t.Errorf("nothing changed, and yet %v", names(rep))
	}
}
