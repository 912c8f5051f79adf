// SPDX-License-Identifier: Apache-2.0

package observation_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"microstax/internal/exchange"
	"microstax/internal/observation"
)

func TestCodecRoundTripKeepsEverything(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 1, 12, 0, 0, 123456789, time.UTC)
	ex := exchange.Exchange{
		Start: at, FirstByte: time.Millisecond, Duration: 3 * time.Millisecond, Outcome: exchange.OK,
		Request: exchange.Request{Method: "POST", Target: "/a?b=%20c", Proto: "HTTP/1.1",
			Headers: []exchange.Header{{Name: "X-A", Value: "1"}, {Name: "x-a", Value: "2"}},
			Body:    exchange.Body{Data: []byte{0, 0xff, '<', 0x80}, Length: 900, Hash: 1 << 63, Truncated: true}},
		Response: exchange.Response{Status: 200, Trailers: []exchange.Header{{Name: "T", Value: "é<>&"}}},
	}
	control := ex
	control.Outcome, control.Error = exchange.Reset, "reset by peer"
	in := &observation.Observation{
		ID: "obs_1", Session: "ses_1", Service: "orders", At: at, TraceID: "t", Unit: "u", OwnUnit: true, Lane: true,
		CallsTraced: true, Baseline: ex, Control: &control, Candidate: ex,
		CandidateCalls: []observation.Call{{Caller: "orders", Dependency: "payments", Exchange: ex,
			Effect: observation.Fenced, Tier: observation.None, Matched: -1, Write: true, Tainted: true}},
	}
	b, err := observation.Encode(in)
	if err != nil {
		t.Fatal(err)
	}
	again, err := observation.Encode(in)
	if err != nil || string(again) != string(b) {
		t.Fatalf("encoding twice: got other bytes or %v", err)
	}
	out, err := observation.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(in, out); d != "" {
		t.Fatalf("round trip (-want +got):\n%s", d)
	}
}

func TestDecodeRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, in string
		newer    bool
	}{
		{name: "nothing", in: ""},
		{name: "not JSON", in: "hello"},
		{name: "another document", in: `{"a":1}`},
		{name: "no observation", in: `{"schema":1}`},
		{name: "a newer schema", in: `{"schema":99,"observation":{}}`, newer: true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := observation.Decode([]byte(c.in))
			if err == nil {
				t.Fatal("got no error")
			}
			if errors.Is(err, observation.ErrSchema) != c.newer {
				t.Fatalf("got %v, want ErrSchema: %v", err, c.newer)
			}
		})
	}
}
