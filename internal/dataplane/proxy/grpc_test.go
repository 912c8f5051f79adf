// SPDX-License-Identifier: Apache-2.0

package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"microstax/internal/blueprint"
	"microstax/internal/dataplane/proxy"
	"microstax/internal/dataplane/proxytest"
	"microstax/internal/dataplane/route"
	"microstax/internal/exchange"
)

// rawCodec carries messages as they are.
type rawCodec struct{}

func (rawCodec) Name() string { return "raw" }

func (rawCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (rawCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

// grpcServer is a real gRPC server whose methods are named after what they do.
type grpcServer struct {
	addr     string
	name     string
	canceled chan struct{} // closed when a call of Hang was cancelled
	once     sync.Once

	mu   sync.Mutex
	seen []metadata.MD
}

func startGRPC(t *testing.T, name string) *grpcServer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &grpcServer{addr: ln.Addr().String(), name: name, canceled: make(chan struct{})}
	s := grpc.NewServer(grpc.ForceServerCodec(rawCodec{}), grpc.UnknownServiceHandler(g.serve))
	var done sync.WaitGroup
	done.Go(func() { s.Serve(ln) })
	t.Cleanup(func() { s.Stop(); done.Wait() })
	return g
}

func (g *grpcServer) calls() []metadata.MD {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]metadata.MD(nil), g.seen...)
}

func (g *grpcServer) serve(_ any, s grpc.ServerStream) error {
	md, _ := metadata.FromIncomingContext(s.Context())
	g.mu.Lock()
	g.seen = append(g.seen, md)
	g.mu.Unlock()
	method, _ := grpc.MethodFromServerStream(s)
	receive := func() (string, error) {
		var m []byte
		err := s.RecvMsg(&m)
		return string(m), err
	}
	send := func(m string) error {
		b := []byte(m)
		return s.SendMsg(&b)
	}
	switch strings.TrimPrefix(method, "/test.Echo/") {
	case "Unary":
		m, err := receive()
		if err != nil {
			return err
		}
		s.SetHeader(metadata.Pairs("x-head", "h"))
		s.SetTrailer(metadata.Pairs("x-end", g.name+" "+m, "x-bin-bin", "\x00\x01"))
		return send("echo " + m)
	case "Fails":
		return status.Error(codes.NotFound, "no such thing: 100 % ö")
	case "FailsLate":
		m, _ := receive()
		send(m)
		s.SetTrailer(metadata.Pairs("x-end", "late"))
		return status.Error(codes.ResourceExhausted, g.name)
	case "Download":
		m, err := receive()
		if err != nil {
			return err
		}
		for i := range 5 {
			if err := send(fmt.Sprintf("%s %d", m, i)); err != nil {
				return err
			}
		}
		return nil
	case "Upload":
		n := 0
		for {
			m, err := receive()
			if errors.Is(err, io.EOF) {
				return send(fmt.Sprint(n))
			}
			if err != nil {
				return err
			}
			n += len(m)
		}
	case "PingPong":
		for {
			m, err := receive()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if err := send("pong " + m); err != nil {
				return err
			}
		}
	case "Hang":
		send("on my way")
		<-s.Context().Done()
		g.once.Do(func() { close(g.canceled) })
		return s.Context().Err()
	}
	return status.Error(codes.Unimplemented, method)
}

func dialGRPC(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	cc, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return cc
}

// grpcTable is a gateway of a gRPC service that mirrors.
func grpcTable(addr, primary, candidate, control string) *route.Table {
	table := proxytest.Mirrored(addr, primary, candidate, control, blueprint.Shadow{})
	table.Listeners[0].Protocol = "grpc"
	table.Listeners[0].Default.HTTP2 = true
	return table
}

func call(t *testing.T, cc *grpc.ClientConn, method, message string) (answer string, head, trailer metadata.MD, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	in, out := []byte(message), []byte(nil)
	err = cc.Invoke(ctx, "/test.Echo/"+method, &in, &out, grpc.Header(&head), grpc.Trailer(&trailer))
	return string(out), head, trailer, err
}

func openStream(ctx context.Context, t *testing.T, cc *grpc.ClientConn, method string) grpc.ClientStream {
	t.Helper()
	s, err := cc.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/test.Echo/"+method)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sendMessage(t *testing.T, s grpc.ClientStream, m string) {
	t.Helper()
	b := []byte(m)
	if err := s.SendMsg(&b); err != nil {
		t.Fatal(err)
	}
}

func receiveMessage(t *testing.T, s grpc.ClientStream) string {
	t.Helper()
	var b []byte
	if err := s.RecvMsg(&b); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func receiveEnd(t *testing.T, s grpc.ClientStream) {
	t.Helper()
	var b []byte
	if err := s.RecvMsg(&b); !errors.Is(err, io.EOF) {
		t.Fatalf("got %q, %v in place of the end", b, err)
	}
}

func TestGRPCUnaryIsMirroredWithItsTrailers(t *testing.T) {
	t.Parallel()
	primary, candidate, control := startGRPC(t, "v1"), startGRPC(t, "v2"), startGRPC(t, "v1")
	addr, c := proxytest.Addr(t), proxytest.NewCollector()
	proxytest.Start(t, c, true, proxy.Limits{}, grpcTable(addr, primary.addr, candidate.addr, control.addr))
	cc := dialGRPC(t, addr)
	answer, head, trailer, err := call(t, cc, "Unary", "hello")
	if err != nil || answer != "echo hello" {
		t.Fatalf("answer %q, %v", answer, err)
	}
	if fmt.Sprint(head["x-head"], trailer["x-end"], trailer["x-bin-bin"]) != "[h] [v1 hello] [\x00\x01]" {
		t.Fatalf("head %v, trailer %v", head, trailer)
	}
	o := c.WaitFor(t, 1)[0]
	end := func(e *exchange.Exchange) string {
		code, _ := exchange.Get(e.Response.Trailers, "grpc-status")
		own, _ := exchange.Get(e.Response.Trailers, "x-end")
		return fmt.Sprintf("%s %s %d grpc-status %s, %s, %q", e.Outcome, e.Response.Proto, e.Response.Status, code, own, e.Response.Body.Data)
	}
	for who, want := range map[*exchange.Exchange]string{&o.Baseline: "v1", &o.Candidate: "v2", o.Control: "v1"} {
		want = fmt.Sprintf("ok HTTP/2.0 200 grpc-status 0, %s hello, %q", want, "\x00\x00\x00\x00\necho hello")
		if got := end(who); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if r := &o.Baseline.Request; r.Proto != "HTTP/2.0" || r.Target != "/test.Echo/Unary" || string(r.Body.Data) != "\x00\x00\x00\x00\x05hello" {
		t.Errorf("captured request %+v", r)
	}
	p, s := primary.calls()[0], candidate.calls()[0]
	for _, name := range []string{"traceparent", ":authority", "user-agent", "content-type"} {
		if len(p[name]) != 1 || fmt.Sprint(p[name]) != fmt.Sprint(s[name]) {
			t.Errorf("%s: primary saw %q, candidate %q", name, p[name], s[name])
		}
	}
}

func TestGRPCAnswersThatAreAlikeAreToldAsSuch(t *testing.T) {
	t.Parallel()
	primary := startGRPC(t, "v1")
	addr, c := proxytest.Addr(t), proxytest.NewCollector()
	proxytest.Start(t, c, false, proxy.Limits{}, grpcTable(addr, primary.addr, primary.addr, primary.addr))
	cc := dialGRPC(t, addr)
	for i, m := range []string{"same", "same", "another"} {
		if _, _, _, err := call(t, cc, "Unary", m); err != nil {
			t.Fatal(err)
		}
		if o := c.WaitFor(t, i+1)[i]; o.Alike != (i == 1) {
			t.Errorf("call %d: alike %v", i, o.Alike)
		}
	}
}

func TestGRPCErrorsPass(t *testing.T) {
	t.Parallel()
	primary := startGRPC(t, "v1")
	addr, c := proxytest.Addr(t), proxytest.NewCollector()
	proxytest.Start(t, c, false, proxy.Limits{}, grpcTable(addr, primary.addr, primary.addr, ""))
	cc := dialGRPC(t, addr)
	_, _, _, err := call(t, cc, "Fails", "x") // its answer is trailers only
	if s := status.Convert(err); s.Code() != codes.NotFound || s.Message() != "no such thing: 100 % ö" {
		t.Errorf("status %v", err)
	}
	_, _, trailer, err := call(t, cc, "FailsLate", "x")
	if s := status.Convert(err); s.Code() != codes.ResourceExhausted || s.Message() != "v1" || fmt.Sprint(trailer["x-end"]) != "[late]" {
		t.Errorf("status %v, trailer %v", err, trailer)
	}
	_, _, _, err = call(t, cc, "Nowhere", "x")
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("status %v", err)
	}
	for _, o := range c.WaitFor(t, 3) {
		if o.Alike {
			continue
		}
		all := append(append([]exchange.Header(nil), o.Candidate.Response.Headers...), o.Candidate.Response.Trailers...)
		if code, ok := exchange.Get(all, "grpc-status"); !ok || code == "0" {
			t.Errorf("candidate's answer has status %q", code)
		}
	}
}

func TestGRPCUnreachable(t *testing.T) {
	t.Parallel()
	gone := proxytest.Addr(t)
	addr := proxytest.Addr(t)
	proxytest.Start(t, proxytest.NewCollector(), false, proxy.Limits{}, grpcTable(addr, gone, gone, ""))
	_, _, _, err := call(t, dialGRPC(t, addr), "Unary", "x")
	if s := status.Convert(err); s.Code() != codes.Unavailable || !strings.Contains(s.Message(), "refuses connections") {
		t.Errorf("status %v", err)
	}
}

func TestGRPCStreams(t *testing.T) {
	t.Parallel()
	primary, candidate := startGRPC(t, "v1"), startGRPC(t, "v1")
	addr, c := proxytest.Addr(t), proxytest.NewCollector()
	proxytest.Start(t, c, false, proxy.Limits{}, grpcTable(addr, primary.addr, candidate.addr, ""))
	cc := dialGRPC(t, addr)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()

	down := openStream(ctx, t, cc, "Download")
	sendMessage(t, down, "n")
	down.CloseSend()
	for i := range 5 {
		if m := receiveMessage(t, down); m != fmt.Sprintf("n %d", i) {
			t.Fatalf("message %q", m)
		}
	}
	receiveEnd(t, down)

	up := openStream(ctx, t, cc, "Upload")
	for range 50 {
		sendMessage(t, up, strings.Repeat("x", 1000))
	}
	up.CloseSend()
	if m := receiveMessage(t, up); m != "50000" {
		t.Fatalf("uploaded %s", m)
	}
	receiveEnd(t, up)

	both := openStream(ctx, t, cc, "PingPong")
	for i := range 20 { // each answer has to come before the next message goes
		sendMessage(t, both, fmt.Sprint(i))
		if m := receiveMessage(t, both); m != fmt.Sprintf("pong %d", i) {
			t.Fatalf("message %q", m)
		}
	}
	both.CloseSend()
	receiveEnd(t, both)
	for _, o := range c.WaitFor(t, 3) {
		if o.Candidate.Outcome != exchange.OK || string(o.Candidate.Response.Body.Data) != string(o.Baseline.Response.Body.Data) {
			t.Errorf("%s: candidate answered %q, baseline %q", o.Baseline.Request.Target, o.Candidate.Response.Body.Data, o.Baseline.Response.Body.Data)
		}
	}
}

func TestGRPCCancellationAndDeadlineReachTheProvider(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"cancel": context.WithCancel,
		"deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 200*time.Millisecond)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			primary := startGRPC(t, "v1")
			addr, c := proxytest.Addr(t), proxytest.NewCollector()
			proxytest.Start(t, c, false, proxy.Limits{}, grpcTable(addr, primary.addr, primary.addr, ""))
			ctx, cancel := stop(t.Context())
			defer cancel()
			s := openStream(ctx, t, dialGRPC(t, addr), "Hang")
			sendMessage(t, s, "x")
			if m := receiveMessage(t, s); m != "on my way" {
				t.Fatalf("message %q", m)
			}
			if name == "cancel" {
				cancel()
			}
			select {
			case <-primary.canceled:
			case <-time.After(20 * time.Second):
				t.Fatal("the provider was not told")
			}
			c.Until(t, func() bool { return c.Received() == 1 })
			if n := len(c.Observations()); n != 0 {
				t.Errorf("%d observations of a cancelled call", n)
			}
			if name == "deadline" && len(primary.calls()[0]["grpc-timeout"]) > 1 {
				t.Errorf("timeout %q", primary.calls()[0]["grpc-timeout"])
			}
		})
	}
}
