// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"microstax/internal/engine"
)

func TestTheReportBoundsWhatWasNeverCompared(t *testing.T) {
	t.Parallel()
	w, a := newWorld(), engine.New(engine.Config{Control: true})
	see := func(from, to, kinds int) {
		for i := from; i < to; i++ {
			user := fmt.Sprint("user", i)
			feed(a, w.see(user, "GET", "/cart", ok(good), ok(good), ok(good)),
				w.see(user, "GET", fmt.Sprintf("/page/x%c", 'a'+i%kinds), ok(good), ok(good), ok(good)))
		}
	}
	see(0, 5, 5)
	if u := a.Report(engine.Meta{}).Traffic.Unseen; u != 0 {
		t.Errorf("after 5 sessions, each with news, at most %v is claimed", u)
	}
	see(5, 2000, 5)
	r := a.Report(engine.Meta{})
	if u := r.Traffic.Unseen; u <= 0 || u > .005 {
		t.Errorf("after 2,000 sessions of five kinds: %v", u)
	}
	see(2000, 2020, 20) // new pages appear
	more := a.Report(engine.Meta{}).Traffic.Unseen
	if more <= r.Traffic.Unseen {
		t.Errorf("news does not raise the bound: %v, before %v", more, r.Traffic.Unseen)
	}
	b, err := a.State()
	if err != nil {
		t.Fatal(err)
	}
	back, err := engine.Restore(engine.Config{Control: true}, b)
	if err != nil {
		t.Fatal(err)
	}
	if got := back.Report(engine.Meta{}).Traffic.Unseen; got != more {
		t.Errorf("restored: %v, want %v", got, more)
	}
	see(2020, 5000, 20)
	v := a.Report(engine.Meta{}).Verdict
	if v.Decision != "promote" || !strings.Contains(strings.Join(v.Reasons, "\n"), "never compared with a chance of at most") {
		t.Errorf("got %+v", v)
	}
}
