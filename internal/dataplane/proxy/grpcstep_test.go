// SPDX-License-Identifier: Apache-2.0

package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"microstax/internal/dataplane/proxy"
	"microstax/internal/dataplane/proxytest"
	"microstax/internal/exchange"
)

// overtaking is a service whose answers depend on what came first: after each message it waits until it has answered, and
// says how many more messages lie there already.
func overtaking(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.ForceServerCodec(rawCodec{}), grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error {
		messages := make(chan string)
		go func() {
			defer close(messages)
			for {
				var m []byte
				if err := s.RecvMsg(&m); err != nil {
					return
				}
				select {
				case messages <- string(m):
				case <-s.Context().Done():
					return
				}
			}
		}()
		for m := range messages {
			early := 0
			pause := time.NewTimer(20 * time.Millisecond) // whoever does not wait for the answer is seen here
			for waiting := true; waiting; {
				select {
				case _, ok := <-messages:
					if ok {
						early++
						continue
					}
					waiting = false
				case <-pause.C:
					waiting = false
				}
			}
			pause.Stop()
			b := []byte(fmt.Sprintf("%s, %d early", m, early))
			if err := s.SendMsg(&b); err != nil {
				return err
			}
		}
		return nil
	}))
	var done sync.WaitGroup
	done.Go(func() { s.Serve(ln) })
	t.Cleanup(func() { s.Stop(); done.Wait() })
	return ln.Addr().String()
}

func TestGRPCStreamsAreMirroredStepByStep(t *testing.T) {
	t.Parallel()
	primary, candidate := overtaking(t), overtaking(t)
	addr, c := proxytest.Addr(t), proxytest.NewCollector()
	proxytest.Start(t, c, false, proxy.Limits{}, grpcTable(addr, primary, candidate, ""))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s := openStream(ctx, t, dialGRPC(t, addr), "Overtake")
	const n = 5
	for i := range n {
		sendMessage(t, s, fmt.Sprint("m", i))
		if i < n-1 {
			if m := receiveMessage(t, s); m != fmt.Sprintf("m%d, 0 early", i) {
				t.Fatalf("answer %q", m)
			}
		}
	}
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	receiveMessage(t, s)
	var rest []byte
	if err := s.RecvMsg(&rest); !errors.Is(err, io.EOF) {
		t.Fatalf("%q, %v", rest, err)
	}
	o := c.WaitFor(t, 1)[0]
	if b, x := o.Baseline.Response.Body.Data, o.Candidate.Response.Body.Data; o.Candidate.Outcome != exchange.OK || string(b) != string(x) {
		t.Errorf("candidate answered %q %s, baseline %q", x, o.Candidate.Error, b)
	}
}
