// SPDX-License-Identifier: Apache-2.0

package passive

import "golang.org/x/sys/unix"

// Offsets at which a filter finds what the kernel knows beside the packet (linux/filter.h).
const (
	ancillary    = 0xfffff000
	adProtocol   = ancillary + 0
	adPacketType = ancillary + 4
)

// Where a filter goes on from an instruction: the next one, or one of two ends.
const (
	next   = -1
	accept = -2
	reject = -3
)

// instruction is one step of a filter before its jumps are counted out.
type instruction struct {
	code   uint16
	k      uint32
	yes    int // index to go on at, or next, accept, reject
	no     int
	isJump bool
}

// filter is the kernel's choice of packets: TCP from or to the port, each once on a loopback interface, where every packet
// passes on its way out and again on its way in. Packets begin with their network header. Fragments without a TCP header
// are left out, and IPv6 with extension headers and tags in the packet are left to decode.
func filter(port uint16, loopback bool) []unix.SockFilter {
	load := func(size uint16, at uint32) instruction {
		return instruction{code: unix.BPF_LD | size | unix.BPF_ABS, k: at, yes: next}
	}
	jump := func(op uint16, k uint32, yes, no int) instruction {
		return instruction{code: unix.BPF_JMP | op | unix.BPF_K, k: k, yes: yes, no: no, isJump: true}
	}
	equal := func(k uint32, yes, no int) instruction { return jump(unix.BPF_JEQ, k, yes, no) }
	p := uint32(port)
	outgoing := reject
	if !loopback {
		outgoing = next
	}
	const ip4, ip6 = 8, 17
	steps := []instruction{
		0: load(unix.BPF_W, adPacketType),
		1: equal(unix.PACKET_OUTGOING, outgoing, next),
		2: load(unix.BPF_W, adProtocol),
		3: equal(etherVLAN, accept, next),
		4: equal(etherQinQ, accept, next),
		5: load(unix.BPF_B, 0),
		6: {code: unix.BPF_ALU | unix.BPF_RSH | unix.BPF_K, k: 4, yes: next},
		7: equal(4, ip4, ip6),

		ip4: load(unix.BPF_B, 9),
		9:   equal(protoTCP, next, reject),
		10:  load(unix.BPF_H, 6),
		11:  jump(unix.BPF_JSET, fragmentMask, reject, next),
		12:  {code: unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH, k: 0, yes: next},
		13:  {code: unix.BPF_LD | unix.BPF_H | unix.BPF_IND, k: 0, yes: next},
		14:  equal(p, accept, next),
		15:  {code: unix.BPF_LD | unix.BPF_H | unix.BPF_IND, k: 2, yes: next},
		16:  equal(p, accept, reject),

		ip6: equal(6, next, reject),
		18:  load(unix.BPF_B, 6),
		19:  equal(extHop, accept, next),
		20:  equal(extRouting, accept, next),
		21:  equal(extFragment, accept, next),
		22:  equal(extDest, accept, next),
		23:  equal(protoTCP, next, reject),
		24:  load(unix.BPF_H, ipv6Header),
		25:  equal(p, accept, next),
		26:  load(unix.BPF_H, ipv6Header+2),
		27:  equal(p, accept, reject),
	}
	return assemble(steps)
}

// assemble counts out the jumps.
func assemble(steps []instruction) []unix.SockFilter {
	n := len(steps)
	target := func(from, to int) uint8 {
		switch to {
		case next:
			return 0
		case accept:
			to = n
		case reject:
			to = n + 1
		}
		return uint8(to - from - 1) //nolint:gosec // a filter is short
	}
	out := make([]unix.SockFilter, 0, n+2)
	for i, s := range steps {
		f := unix.SockFilter{Code: s.code, K: s.k}
		if s.isJump {
			f.Jt, f.Jf = target(i, s.yes), target(i, s.no)
		}
		out = append(out, f)
	}
	return append(out,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0})
}
