// SPDX-License-Identifier: Apache-2.0

package passive

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

// tcp makes a TCP segment with a right checksum.
func tcp(src, dst netip.Addr, data string) []byte {
	b := make([]byte, minTCP, minTCP+len(data))
	binary.BigEndian.PutUint16(b, 5000)
	binary.BigEndian.PutUint16(b[2:], 80)
	binary.BigEndian.PutUint32(b[4:], 7)
	binary.BigEndian.PutUint32(b[8:], 9)
	b[12], b[13] = minTCP/4<<4, flagACK
	b = append(b, data...)
	binary.BigEndian.PutUint16(b[16:], ^checksum(src, dst, b))
	return b
}

func ipv4(t []byte, total int) []byte {
	b := make([]byte, minTCP)
	b[0], b[9] = 0x45, protoTCP
	binary.BigEndian.PutUint16(b[2:], uint16(total))
	copy(b[12:], []byte{10, 0, 0, 1})
	copy(b[16:], []byte{10, 0, 0, 2})
	return append(b, t...)
}

func ipv6(next byte, payload []byte, length int) []byte {
	b := make([]byte, ipv6Header)
	b[0], b[6] = 0x60, next
	binary.BigEndian.PutUint16(b[4:], uint16(length))
	b[8], b[23] = 0xfd, 1
	b[24], b[39] = 0xfd, 2
	return append(b, payload...)
}

func TestDecode(t *testing.T) {
	t.Parallel()
	a4, b4 := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	a6, b6 := netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")
	good4 := ipv4(tcp(a4, b4, "hello"), 45)
	good6 := ipv6(protoTCP, tcp(a6, b6, "hello"), 25)
	edit := func(b []byte, at int, to byte) []byte {
		c := append([]byte(nil), b...)
		c[at] = to
		return c
	}
	for _, c := range []struct {
		name     string
		packet   []byte
		protocol uint16
		trusted  bool
		data     string
		length   int
		ok, bad  bool
	}{
		{"IPv4", good4, 0x0800, false, "hello", 5, true, false},
		{"IPv6", good6, 0x86dd, false, "hello", 5, true, false},
		{"padded", append(append([]byte(nil), good4...), 0, 0, 0), 0x0800, false, "hello", 5, true, false},
		{"length by offload", edit(edit(good4, 2, 0), 3, 0), 0x0800, false, "hello", 5, true, false},
		{"jumbo", edit(edit(good6, 4, 0), 5, 0), 0x86dd, false, "hello", 5, true, false},
		{"wrong checksum", edit(good4, 44, 'x'), 0x0800, false, "", 0, false, true},
		{"wrong checksum that is filled in later", edit(good4, 44, 'x'), 0x0800, true, "hellx", 5, true, false},
		{"cut", good4[:43], 0x0800, false, "hel", 5, true, false},
		{"one tag", append([]byte{0, 5, 8, 0}, good4...), etherVLAN, false, "hello", 5, true, false},
		{"two tags", append([]byte{0, 5, 0x81, 0, 0, 6, 8, 0}, good4...), etherQinQ, false, "hello", 5, true, false},
		{"options of IPv6", ipv6(extHop, append([]byte{protoTCP, 0, 0, 0, 0, 0, 0, 0}, tcp(a6, b6, "hello")...), 33), 0x86dd, false, "hello", 5, true, false},
		{"later fragment", edit(good4, 7, 1), 0x0800, false, "", 0, false, false},
		{"later fragment of IPv6", ipv6(extFragment, append([]byte{protoTCP, 0, 0, 8, 0, 0, 0, 0}, tcp(a6, b6, "hello")...), 33), 0x86dd, false, "", 0, false, false},
		{"UDP", edit(good4, 9, 17), 0x0800, false, "", 0, false, false},
		{"short", good4[:30], 0x0800, false, "", 0, false, false},
		{"nothing", nil, 0x0800, false, "", 0, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, ok, bad := decode(c.packet, c.protocol, c.trusted)
			if ok != c.ok || bad != c.bad || string(s.data) != c.data || s.length != c.length {
				t.Fatalf("%q of %d, %v, %v", s.data, s.length, ok, bad)
			}
			if ok && (s.src.Port() != 5000 || s.dst.Port() != 80 || s.seq != 7 || s.ack != 9) {
				t.Errorf("%+v", s)
			}
		})
	}
}

// FuzzDecode only asks that nothing breaks.
func FuzzDecode(f *testing.F) {
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	f.Add(ipv4(tcp(a, b, "hello"), 45), uint16(0x0800))
	f.Add(ipv6(extHop, make([]byte, 40), 40), uint16(0x86dd))
	f.Fuzz(func(t *testing.T, packet []byte, protocol uint16) {
		s, ok, _ := decode(packet, protocol, true)
		if ok && len(s.data) > s.length {
			t.Errorf("%d bytes of %d", len(s.data), s.length)
		}
	})
}

// FuzzTable lets any segments pass: nothing breaks, and what was counted adds up.
func FuzzTable(f *testing.F) {
	f.Add([]byte("\x01\x02GET / HTTP/1.1\r\nHost: a\r\nX-Id: 0\r\n\r\n"), uint64(1))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		fuzzTable(t, data, seed)
	})
}
