// SPDX-License-Identifier: Apache-2.0

package dial

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"microstax/internal/dataplane/http1"
)

// Socket is a TCP connection whose small reads and writes cost less. They never wait in the kernel, so the scheduler need
// not be told of them: it would take the processor away from a goroutine whose thread was merely interrupted, and start
// threads for the others. Everything else is as with net.TCPConn. Methods may be called concurrently.
type Socket struct {
	*net.TCPConn
	raw syscall.RawConn
	in  transfer
	out transfer

	looking sync.Mutex
	peek    transfer
	look    func(fd uintptr)
	one     [1]byte
}

// transfer is one direction's system call under way.
type transfer struct {
	mu    sync.Mutex
	trap  uintptr // the call for sockets: it takes a shorter way through the kernel than that for all files
	flags uintptr
	p     []byte
	from  http1.Borrower // lends p, if it is not nil
	n     int
	errno syscall.Errno
	said  bool // something came of it
	try   func(fd uintptr) bool
}

// Quiet says whether the connection lives and nothing waits to be read. It takes nothing.
func (s *Socket) Quiet() bool {
	s.looking.Lock()
	defer s.looking.Unlock()
	return s.raw.Control(s.look) == nil && !s.peek.said
}

// Quick makes reads and writes of a TCP connection cheaper; other connections are returned as they are.
func Quick(nc net.Conn) net.Conn {
	tc, ok := nc.(*net.TCPConn)
	if !ok {
		return nc
	}
	raw, err := tc.SyscallConn()
	if err != nil {
		return nc
	}
	s := &Socket{TCPConn: tc, raw: raw}
	s.unpaced()
	s.in.trap, s.out.trap, s.out.flags = syscall.SYS_RECVFROM, syscall.SYS_SENDTO, syscall.MSG_NOSIGNAL
	s.in.try, s.out.try = s.in.some, s.out.all
	s.peek.trap, s.peek.flags, s.peek.p = syscall.SYS_RECVFROM, syscall.MSG_PEEK|syscall.MSG_DONTWAIT, s.one[:]
	s.look = func(fd uintptr) {
		s.peek.errno = 0
		s.peek.said = s.peek.call(fd, s.peek.p)
	}
	return s
}

// unpaced spares a connection within this machine the kernel's congestion control where that is a costly one, such as BBR,
// which times every segment: nothing can be congested there.
func (s *Socket) unpaced() {
	if a, ok := s.RemoteAddr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		return
	}
	s.raw.Control(func(fd uintptr) { //nolint:errcheck,gosec // best effort
		syscall.SetsockoptString(int(fd), syscall.IPPROTO_TCP, syscall.TCP_CONGESTION, "reno") //nolint:errcheck,gosec // likewise
	})
}

// Plain takes back what Quick did: package net knows its own connections, and passes bytes between two of them without
// looking at each.
func Plain(nc net.Conn) net.Conn {
	if s, ok := nc.(*Socket); ok {
		return s.TCPConn
	}
	return nc
}

// largest is the number of bytes beyond which a system call takes so long that the scheduler should know.
const largest = 64 << 10

// Read implements net.Conn.
func (s *Socket) Read(p []byte) (int, error) {
	if len(p) == 0 || len(p) > largest || !s.in.mu.TryLock() {
		return s.TCPConn.Read(p)
	}
	return s.read(p, nil)
}

// ReadInto implements http1.Waiter: the buffer is with its owner while nothing is there to be read.
func (s *Socket) ReadInto(b http1.Borrower) (int, error) {
	if !s.in.mu.TryLock() {
		return s.TCPConn.Read(b.Borrow())
	}
	return s.read(nil, b)
}

// read does the work of both; in.mu is locked.
func (s *Socket) read(p []byte, from http1.Borrower) (int, error) {
	defer s.in.mu.Unlock()
	s.in.p, s.in.from, s.in.n, s.in.errno = p, from, 0, 0
	err := s.raw.Read(s.in.try)
	s.in.p, s.in.from = nil, nil
	switch {
	case s.in.errno != 0:
		return 0, failed("read", s.in.errno)
	case err != nil:
		return 0, err
	case s.in.n == 0:
		return 0, io.EOF
	}
	return s.in.n, nil
}

// Write implements net.Conn.
func (s *Socket) Write(p []byte) (int, error) {
	if len(p) == 0 || len(p) > largest || !s.out.mu.TryLock() {
		return s.TCPConn.Write(p)
	}
	defer s.out.mu.Unlock()
	s.out.p, s.out.n, s.out.errno = p, 0, 0
	err := s.raw.Write(s.out.try)
	s.out.p = nil
	if s.out.errno != 0 {
		err = failed("write", s.out.errno)
	}
	return s.out.n, err
}

// failed is an error as package net makes it.
func failed(op string, errno syscall.Errno) error {
	return &net.OpError{Op: op, Net: "tcp", Err: os.NewSyscallError(op, errno)}
}

// some transfers once; false when that would have to wait.
func (t *transfer) some(fd uintptr) bool {
	if t.from == nil {
		return t.call(fd, t.p)
	}
	if t.call(fd, t.from.Borrow()) {
		return true
	}
	t.from.GiveBack()
	return false
}

// all transfers everything; false when the rest would have to wait.
func (t *transfer) all(fd uintptr) bool {
	for t.n < len(t.p) {
		if !t.call(fd, t.p[t.n:]) {
			return false
		}
		if t.errno != 0 {
			return true
		}
	}
	return true
}

func (t *transfer) call(fd uintptr, p []byte) bool {
	for {
		n, _, errno := syscall.RawSyscall6(t.trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), t.flags, 0, 0) //nolint:gosec // as package syscall does
		switch errno {
		case 0:
			t.n += int(n) //nolint:gosec // at most len(p)
			return true
		case syscall.EAGAIN:
			return false
		case syscall.EINTR:
		default:
			t.errno = errno
			return true
		}
	}
}
