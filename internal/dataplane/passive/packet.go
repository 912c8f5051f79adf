// SPDX-License-Identifier: Apache-2.0

package passive

import (
	"encoding/binary"
	"net/netip"
)

// The flags of a TCP segment (RFC 9293, 3.1).
const (
	flagFIN = 1 << 0
	flagSYN = 1 << 1
	flagRST = 1 << 2
	flagACK = 1 << 4
)

// Protocol numbers.
const (
	protoTCP     = 6
	etherVLAN    = 0x8100
	etherQinQ    = 0x88a8
	vlanTag      = 4 // bytes
	minTCP       = 20
	ipv6Header   = 40
	extHop       = 0
	extRouting   = 43
	extFragment  = 44
	extDest      = 60
	fragmentMask = 0x1fff
)

// segment is one TCP segment. Data lies in the buffer that it was decoded from.
type segment struct {
	src, dst netip.AddrPort
	seq, ack uint32
	flags    uint8
	data     []byte
	length   int // of the data as it was sent; more than len(data) when the capture was cut
}

func (s *segment) has(flag uint8) bool { return s.flags&flag != 0 }

// decode takes an IP packet apart. trusted says that the checksum needs no look: it was verified, or is filled in by the
// network card later. ok is false for what is not a whole TCP segment; bad for one whose checksum is wrong, which its
// receiver does not take either.
func decode(b []byte, protocol uint16, trusted bool) (s segment, ok, bad bool) {
	for protocol == etherVLAN || protocol == etherQinQ {
		if len(b) < vlanTag {
			return s, false, false
		}
		protocol, b = binary.BigEndian.Uint16(b[2:]), b[vlanTag:]
	}
	if len(b) < minTCP {
		return s, false, false
	}
	var src, dst netip.Addr
	var tcp []byte
	var length int // of the TCP segment, as sent
	switch b[0] >> 4 {
	case 4:
		src, dst, tcp, length, ok = decodeIPv4(b)
	case 6:
		src, dst, tcp, length, ok = decodeIPv6(b)
	}
	if !ok || len(tcp) < minTCP {
		return s, false, false
	}
	offset := int(tcp[12]>>4) * 4
	if offset < minTCP || offset > len(tcp) || offset > length {
		return s, false, false
	}
	if !trusted && len(tcp) >= length && checksum(src, dst, tcp[:length]) != 0xffff {
		return s, false, true
	}
	s = segment{
		src: netip.AddrPortFrom(src, binary.BigEndian.Uint16(tcp)), dst: netip.AddrPortFrom(dst, binary.BigEndian.Uint16(tcp[2:])),
		seq: binary.BigEndian.Uint32(tcp[4:]), ack: binary.BigEndian.Uint32(tcp[8:]), flags: tcp[13],
		data: tcp[offset:min(len(tcp), length)], length: length - offset,
	}
	return s, true, false
}

func decodeIPv4(b []byte) (src, dst netip.Addr, tcp []byte, length int, ok bool) {
	header := int(b[0]&0xf) * 4
	total := int(binary.BigEndian.Uint16(b[2:]))
	if total == 0 { // larger than the field can say: segmentation offload on the way
		total = len(b)
	}
	// Of a fragmented packet only the first part says what it belongs to; the rest shows as a gap.
	if header < minTCP || header > len(b) || header > total || b[9] != protoTCP || binary.BigEndian.Uint16(b[6:])&fragmentMask != 0 {
		return src, dst, nil, 0, false
	}
	src, dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	return src, dst, b[header:], total - header, true
}

func decodeIPv6(b []byte) (src, dst netip.Addr, tcp []byte, length int, ok bool) {
	if len(b) < ipv6Header {
		return src, dst, nil, 0, false
	}
	length = int(binary.BigEndian.Uint16(b[4:]))
	if length == 0 { // a jumbo payload (RFC 2675), or segmentation offload
		length = len(b) - ipv6Header
	}
	src, dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	next, rest := b[6], b[ipv6Header:]
	for next == extHop || next == extRouting || next == extDest || next == extFragment {
		if len(rest) < 8 {
			return src, dst, nil, 0, false
		}
		size := (int(rest[1]) + 1) * 8
		if next == extFragment {
			if binary.BigEndian.Uint16(rest[2:])&^7 != 0 {
				return src, dst, nil, 0, false
			}
			size = 8
		}
		if size > len(rest) || size > length {
			return src, dst, nil, 0, false
		}
		next, rest, length = rest[0], rest[size:], length-size
	}
	return src, dst, rest, length, next == protoTCP
}

// checksum is the sum over the pseudo header and the segment (RFC 9293, 3.1): 0xffff when it is right.
func checksum(src, dst netip.Addr, tcp []byte) uint16 {
	sum := uint64(protoTCP) + uint64(len(tcp))
	for _, a := range [2]netip.Addr{src, dst} {
		if a.Is4() {
			b := a.As4()
			sum = addWords(sum, b[:])
		} else {
			b := a.As16()
			sum = addWords(sum, b[:])
		}
	}
	sum = addWords(sum, tcp)
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

func addWords(sum uint64, b []byte) uint64 {
	for len(b) >= 4 {
		sum += uint64(binary.BigEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		sum += uint64(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint64(b[0]) << 8
	}
	return sum
}

// after says whether a sequence number lies behind another, over the wrap-around (RFC 9293, 3.4).
func after(a, b uint32) bool { return int32(a-b) > 0 } //nolint:gosec // the conversion is the point

// span is how many bytes lie from one sequence number to a later one.
func span(from, to uint32) int { return int(int32(to - from)) } //nolint:gosec // likewise
