// SPDX-License-Identifier: Apache-2.0

package dial_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"microstax/internal/dataplane/dial"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is a connection's two ends, of which one is quick.
func pair(t *testing.T) (quick, peer net.Conn) {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var d net.Dialer
	if peer, err = d.DialContext(t.Context(), "tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	quick = dial.Quick(nc)
	if _, ok := quick.(*dial.Socket); !ok {
		t.Fatalf("got %T", quick)
	}
	t.Cleanup(func() { quick.Close(); peer.Close() })
	return quick, peer
}

func TestSocketPassesEveryByte(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 1000, 64 << 10, 64<<10 + 1, 5 << 20} {
		a, b := pair(t)
		sent := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		var wg sync.WaitGroup
		wg.Go(func() { // there and back, so that both directions have to wait
			io.Copy(b, b)
			b.(*net.TCPConn).CloseWrite()
		})
		wg.Go(func() {
			if n, err := a.Write(sent); n != size || err != nil {
				t.Errorf("write: %d of %d, %v", n, size, err)
			}
			a.(*dial.Socket).CloseWrite()
		})
		var got bytes.Buffer
		buf := make([]byte, 40<<10)
		for {
			n, err := a.Read(buf)
			got.Write(buf[:n])
			if err != nil {
				if !errors.Is(err, io.EOF) {
					t.Error(err)
				}
				break
			}
		}
		wg.Wait()
		if !bytes.Equal(got.Bytes(), sent) {
			t.Errorf("%d bytes: got %d, or others", size, got.Len())
		}
	}
}

func TestSocketErrorsAreThoseOfPackageNet(t *testing.T) {
	t.Parallel()
	one := make([]byte, 1)

	a, b := pair(t)
	a.SetReadDeadline(time.Unix(1, 0))
	_, err := a.Read(one)
	var ne net.Error
	if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
		t.Errorf("deadline: %v", err)
	}
	a.SetReadDeadline(time.Time{})
	b.(*net.TCPConn).SetLinger(0)
	b.Close()
	if _, err = a.Read(one); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reset: %v", err)
	}
	if _, err = a.Write(one); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write after it: %v", err)
	}

	a, _ = pair(t)
	a.Close()
	if _, err = a.Read(one); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if _, err = a.Write(one); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write on a closed one: %v", err)
	}
}

func TestCloseEndsASocketsRead(t *testing.T) {
	t.Parallel()
	a, _ := pair(t)
	ended := make(chan error, 1)
	reading := make(chan struct{})
	go func() {
		close(reading)
		_, err := a.Read(make([]byte, 1))
		ended <- err
	}()
	<-reading
	a.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestQuietSeesWhatThePeerDid(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		do    func(peer *net.TCPConn)
		quiet bool
	}{
		{name: "nothing", do: func(*net.TCPConn) {}, quiet: true},
		{name: "said something", do: func(p *net.TCPConn) { p.Write([]byte("x")) }},
		{name: "ended its direction", do: func(p *net.TCPConn) { p.CloseWrite() }},
		{name: "closed", do: func(p *net.TCPConn) { p.Close() }},
		{name: "reset", do: func(p *net.TCPConn) { p.SetLinger(0); p.Close() }},
	}
	for _, c := range cases {
		a, b := pair(t)
		c.do(b.(*net.TCPConn)) // on the loopback it has arrived when the call returns
		if got := a.(*dial.Socket).Quiet(); got != c.quiet {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
	a, _ := pair(t)
	a.Close()
	if a.(*dial.Socket).Quiet() {
		t.Error("a closed one is quiet")
	}
}
