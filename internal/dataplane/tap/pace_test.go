// SPDX-License-Identifier: Apache-2.0

package tap_test

import (
	"fmt"
	"testing"
	"time"

	"microstax/internal/dataplane/tap"
)

// message is one of gRPC.
func message(text string) string { return "\x00\x00\x00\x00" + string(rune(len(text))) + text }

func TestStepsOfAStream(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name  string
		parts []string // the client's at even places
		want  string
	}{
		{"in turns", []string{message("a"), message("A"), message("bc"), message("B"), message("d")}, "[6 13 19] [0 1 2]"},
		{"all at once", []string{message("a") + message("b"), message("A") + message("B")}, "[] []"},
		{"nothing heard between", []string{message("a"), "", message("b"), message("A")}, "[] []"},
		{"two for one, in pieces", []string{message("a"), message("A")[:3], message("b"), message("A")[3:] + message("B"), message("c")}, "[6 12 18] [0 0 2]"},
		{"an unfinished one", []string{message("a"), message("A"), message("b") + "\x00\x00"}, "[6 12] [0 1]"},
	}
	for _, row := range rows {
		c := tap.New(time.Now(), nil, 1<<20, nil)
		c.Streams()
		var n tap.GRPCCounter
		for i, p := range row.parts {
			if i%2 == 0 {
				c.Request.Content([]byte(p))
				c.Pace.Said()
				continue
			}
			c.Response.Content([]byte(p))
			c.Pace.Heard(len(p))
			for j := range p {
				n.Feed([]byte(p[j : j+1]))
			}
		}
		ends, turns := c.Pace.Steps()
		if got := fmt.Sprint(ends, turns); got != row.want {
			t.Errorf("%s: got %s, want %s", row.name, got, row.want)
		}
		if got := len(tap.GRPCMessages(c.Response.Data())); got != n.N {
			t.Errorf("%s: %d messages, counted %d", row.name, got, n.N)
		}
		c.Release()
	}
	if ends, turns := (*tap.Pace)(nil).Steps(); ends != nil || turns != nil {
		t.Error("steps of nothing")
	}
}
