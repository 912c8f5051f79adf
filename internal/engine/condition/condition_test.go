// SPDX-License-Identifier: Apache-2.0

package condition_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"microstax/internal/engine/condition"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// order is one request of the shop.
type order struct {
	session, currency, tier, name, coupon string
	items                                 int
	amount                                int
}

func (o order) observation() *observation.Observation {
	coupon := ""
	if o.coupon != "" {
		coupon = fmt.Sprintf(`,"coupon":%q`, o.coupon)
	}
	items := strings.TrimSuffix(strings.Repeat(`{"sku":"a"},`, o.items), ",")
	body := fmt.Sprintf(`{"currency":%q,"amount":%d,"customer":{"name":%q},"items":[%s]%s}`, o.currency, o.amount, o.name, items, coupon)
	x := exchange.Exchange{Request: exchange.Request{
		Method: "POST", Target: "/shops/7/orders?tier=" + o.tier, Headers: []exchange.Header{{Name: "Content-Type", Value: "application/json"}},
		Body: exchange.Body{Data: []byte(body), Length: int64(len(body))},
	}}
	x.Response.Status = 200
	return &observation.Observation{Unit: o.session, Baseline: x}
}

// shop makes orders of many users.
type shop struct {
	rng  *rand.Rand
	n    int
	uniq bool // every request is another
}

func (s *shop) next() order {
	s.n++
	pick := func(xs ...string) string { return xs[s.rng.IntN(len(xs))] }
	o := order{
		session: fmt.Sprint("user", s.rng.IntN(400)), currency: pick("EUR", "USD", "JPY", "GBP"), tier: pick("gold", "basic", "basic"),
		name: pick("Ann", "Bob", "Zoë", "Jürgen", "Cid", "Dora"), items: 1 + s.rng.IntN(4), amount: 1 + s.rng.IntN(20),
	}
	if s.uniq {
		o.amount = s.rng.IntN(100_000)
	}
	if s.rng.IntN(3) == 0 {
		o.coupon = pick("X1", "X2")
	}
	return o
}

// gathered is what n requests leave, of which those that fail show a difference.
func gathered(s *shop, n int, fails func(order, *rand.Rand) bool) (*condition.Profile, *condition.Cases) {
	p, c := condition.NewProfile(), &condition.Cases{}
	for range n {
		take(p, c, s.next(), s.rng, fails)
	}
	return p, c
}

func take(p *condition.Profile, c *condition.Cases, o order, rng *rand.Rand, fails func(order, *rand.Rand) bool) {
	obs := o.observation()
	hash := xxhash.Sum64String(obs.Baseline.Request.Target) ^ xxhash.Sum64(obs.Baseline.Request.Body.Data)
	half := condition.HalfOf(xxhash.Sum64String(o.session))
	facts := func() []condition.Fact { return condition.Facts(obs, "POST /shops/{id}/orders") }
	if p.Wants(hash, half) {
		p.Add(hash, half, facts())
	}
	if fails(o, rng) {
		c.Add(p, hash, half, 1, facts)
	}
}

func TestExplainFindsTheCondition(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fails func(order, *rand.Rand) bool
		want  string
	}{
		"one value":        {func(o order, _ *rand.Rand) bool { return o.currency == "JPY" }, `request.body.$.currency = "JPY"`},
		"a parameter":      {func(o order, _ *rand.Rand) bool { return o.tier == "gold" }, `request.query.tier = "gold"`},
		"many items":       {func(o order, _ *rand.Rand) bool { return o.items >= 3 }, `request.body.$.items length ≥ 3`},
		"present":          {func(o order, _ *rand.Rand) bool { return o.coupon != "" }, `request.body.$.coupon is present`},
		"names abroad":     {func(o order, _ *rand.Rand) bool { return o.name == "Zoë" || o.name == "Jürgen" }, `request.body.$.customer.name has characters beyond ASCII`},
		"two together":     {func(o order, _ *rand.Rand) bool { return o.currency == "JPY" && o.items >= 2 }, `request.body.$.currency = "JPY" and request.body.$.items length ≥ 2`},
		"all but one":      {func(o order, _ *rand.Rand) bool { return o.currency != "EUR" }, `request.body.$.currency ≠ "EUR"`},
		"often, there":     {func(o order, r *rand.Rand) bool { return o.currency == "JPY" && r.IntN(2) == 0 }, `request.body.$.currency = "JPY"`},
		"nothing explains": {func(_ order, r *rand.Rand) bool { return r.IntN(5) == 0 }, ""},
		"always":           {func(order, *rand.Rand) bool { return true }, ""},
		"never":            {func(order, *rand.Rand) bool { return false }, ""},
	}
	for name, tt := range tests {
		for _, uniq := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s unique=%v", name, uniq), func(t *testing.T) {
				t.Parallel()
				p, c := gathered(&shop{rng: rand.New(rand.NewPCG(1, 2)), uniq: uniq}, 3000, tt.fails)
				got, found := p.Explain(c, 1)
				if found != (tt.want != "") || got.Text != tt.want {
					t.Errorf("condition is %q, want %q (%s)", got.Text, tt.want, got.Check())
				}
			})
		}
	}
}

func TestAmountBeyondALimit(t *testing.T) {
	t.Parallel()
	p, c := gathered(&shop{rng: rand.New(rand.NewPCG(3, 4)), uniq: true}, 3000, func(o order, _ *rand.Rand) bool { return o.amount >= 90_000 })
	got, found := p.Explain(c, 1)
	if !found || got.Text != "request.body.$.amount ≥ 90000" {
		t.Errorf("condition is %q", got.Text)
	}
}

// TestAccidentsAreNotExplained counts how often noise gets a condition: the unseen half has to refuse it.
func TestAccidentsAreNotExplained(t *testing.T) {
	t.Parallel()
	const runs = 200
	told := 0
	for run := range uint64(runs) {
		p, c := gathered(&shop{rng: rand.New(rand.NewPCG(run, 9)), uniq: run%2 == 0}, 400, func(_ order, r *rand.Rand) bool { return r.IntN(12) == 0 })
		if _, found := p.Explain(c, 1); found {
			told++
		}
	}
	if told > runs/20 {
		t.Errorf("%d of %d accidents got a condition", told, runs)
	}
}

func TestMergeIsWhatOneWouldHaveHeld(t *testing.T) {
	t.Parallel()
	fails := func(o order, _ *rand.Rand) bool { return o.currency == "JPY" }
	s := &shop{rng: rand.New(rand.NewPCG(5, 6))}
	whole, wholeCases := condition.NewProfile(), &condition.Cases{}
	var ps [3]*condition.Profile
	var cs [3]*condition.Cases
	for i := range ps {
		ps[i], cs[i] = condition.NewProfile(), &condition.Cases{}
	}
	for i := range 2000 {
		o := s.next()
		take(whole, wholeCases, o, nil, fails)
		take(ps[i%3], cs[i%3], o, nil, fails)
	}
	for _, order := range [][3]int{{0, 1, 2}, {2, 0, 1}, {1, 2, 0}} {
		p, c := condition.NewProfile(), &condition.Cases{}
		for _, i := range order {
			c.Merge(cs[i])
			p.Merge(ps[i])
		}
		want, explained := whole.Explain(wholeCases, 1)
		if !explained {
			t.Fatal("the whole is not explained")
		}
		if got, found := p.Explain(c, 1); !found || got != want {
			t.Errorf("merged in order %v: %+v, want %+v", order, got, want)
		}
	}
}

func TestStateSurvives(t *testing.T) {
	t.Parallel()
	p, c := gathered(&shop{rng: rand.New(rand.NewPCG(7, 8)), uniq: true}, 1500, func(o order, _ *rand.Rand) bool { return o.currency == "JPY" })
	held := p.Held()
	p.Sweep([]*condition.Cases{c})
	if p.Held() > held || p.Held() < 128 {
		t.Errorf("holds %d after sweeping %d", p.Held(), held)
	}
	pb, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	cb, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if len(pb) > 64<<10 || len(cb) > 4<<10 {
		t.Errorf("state takes %d and %d bytes", len(pb), len(cb))
	}
	var p2 condition.Profile
	var c2 condition.Cases
	if err := json.Unmarshal(pb, &p2); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(cb, &c2); err != nil {
		t.Fatal(err)
	}
	want, _ := p.Explain(c, 1)
	if got, found := p2.Explain(&c2, 1); !found || got != want {
		t.Errorf("after reading back %+v, want %+v", got, want)
	}
}

func FuzzState(f *testing.F) {
	p, c := gathered(&shop{rng: rand.New(rand.NewPCG(7, 8))}, 50, func(o order, _ *rand.Rand) bool { return o.currency == "JPY" })
	for _, v := range []any{p, c} {
		b, err := json.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		var p condition.Profile
		var c condition.Cases
		if json.Unmarshal(b, &p) == nil {
			p.Explain(&c, 1)
		}
		if json.Unmarshal(b, &c) == nil {
			condition.NewProfile().Explain(&c, 1)
		}
	})
}
