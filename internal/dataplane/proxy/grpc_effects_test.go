// SPDX-License-Identifier: Apache-2.0

package proxy_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"microstax/internal/blueprint"
	"microstax/internal/dataplane/proxy"
	"microstax/internal/dataplane/proxytest"
	"microstax/internal/dataplane/route"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// caller is a service that makes gRPC calls for each request, and answers with what came of them.
func caller(t *testing.T, payments string, methods ...string) string {
	cc := dialGRPC(t, payments)
	return backend(t, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
		defer cancel()
		ctx = metadata.AppendToOutgoingContext(ctx, "traceparent", r.Header.Get("traceparent"))
		for _, m := range methods {
			in, out := []byte(r.URL.RawQuery), []byte(nil)
			var end metadata.MD
			err := cc.Invoke(ctx, "/test.Echo/"+m, &in, &out, grpc.Trailer(&end))
			fmt.Fprintf(w, "%s: %q %v %v; ", m, out, end["x-end"], status.Code(err))
		}
	})
}

func TestShadowsCallsOverGRPCAreAnsweredFromTheRecording(t *testing.T) {
	t.Parallel()
	payments := startGRPC(t, "live")
	out := map[string]string{}
	orders := map[string]string{}
	for _, role := range []string{"primary", "control", "candidate"} {
		out[role] = proxytest.Addr(t)
		methods := []string{"Unary", "Fails", "FailsLate"}
		if role == "candidate" {
			methods = append(methods, "Upload") // a write that the baseline does not make
		}
		orders[role] = caller(t, out[role], methods...)
	}
	gw, c := proxytest.Addr(t), proxytest.NewCollector()
	table := proxytest.Mirrored(gw, orders["primary"], orders["candidate"], orders["control"], blueprint.Shadow{})
	sh := table.Shadows["ses_test"]
	table.Listeners[0].Default.Mirror[0].CallsOut = true
	for role, addr := range out {
		target := &route.Target{Service: "payments", Addrs: []string{payments.addr}, HTTP2: true}
		if role == "primary" {
			target.Record = []*route.Shadow{sh}
		} else {
			target.Effect = &route.Effect{Shadow: sh, Side: role, Caller: "svc", Policy: "replay"}
		}
		table.Listeners = append(table.Listeners, route.Listener{
			ID: role, Addr: addr, Kind: route.Outgoing, Service: "payments", Protocol: "grpc",
			Origin: route.Origin{Environment: "env_b", Service: "svc", Role: role}, Default: target,
		})
	}
	proxytest.Start(t, c, true, proxy.Limits{}, table)
	resp, err := webClient(t, false, nil).Get("http://" + gw + "/?order-1")
	if err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	want := `Unary: "echo order-1" [live order-1] OK; Fails: "" [] NotFound; FailsLate: "order-1" [late] ResourceExhausted; `
	if string(got) != want {
		t.Fatalf("user saw %s\nwant     %s", got, want)
	}
	o := c.WaitFor(t, 1)[0]
	if s := string(o.Control.Response.Body.Data); s != want {
		t.Errorf("control saw %s\nwant        %s", s, want)
	}
	if s := string(o.Candidate.Response.Body.Data); s != want+`Upload: "" [] Unavailable; ` {
		t.Errorf("candidate saw %s\nwant          %s", s, want)
	}
	if n := len(payments.calls()); n != 3 {
		t.Errorf("the dependency was called %d times", n)
	}
	for i, call := range o.CandidateCalls {
		effect := observation.Replayed
		if i == 3 {
			effect = observation.Fenced
		}
		if call.Effect != effect || call.Exchange.Request.Proto != "HTTP/2.0" || call.Exchange.Outcome != exchange.OK {
			t.Errorf("call %d: %s %+v", i, call.Effect, call.Exchange.Request)
		}
	}
	if len(o.CandidateCalls) != 4 || len(o.ControlCalls) != 3 || len(o.BaselineCalls) != 3 {
		t.Errorf("%d, %d and %d calls", len(o.CandidateCalls), len(o.ControlCalls), len(o.BaselineCalls))
	}
}
