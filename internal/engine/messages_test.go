// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"testing"

	"microstax/internal/engine"
)

// TestMessagesOfAWebSocketAreComparedOneByOne: the data plane keeps them as a JSON array.
func TestMessagesOfAWebSocketAreComparedOneByOne(t *testing.T) {
	t.Parallel()
	talk := func(n int, price string) reply {
		r := ok(fmt.Sprintf("[{\"json\":{\"hello\":\"you\"}},\n{\"json\":{\"n\":%d,\"price\":%s}},\n{\"text\":\"bye\"},\n{\"close\":1000,\"reason\":\"\"}]", n, price))
		r.status = 101
		return r
	}
	w, a := newWorld(), engine.New(engine.Config{Control: true})
	for i := range 30 {
		feed(a, w.see("", "GET", "/chat", talk(i, "1"), talk(i, "1"), talk(i, `"1"`)))
	}
	rep := a.Report(engine.Meta{})
	if f := finding(t, rep, "body.type", "$[*].json.price"); f.Severity != "breaking" || f.Count != 30 || len(rep.Findings) != 1 {
		t.Errorf("%+v of %v", f, names(rep))
	}
}
