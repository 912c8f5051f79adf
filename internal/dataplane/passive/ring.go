// SPDX-License-Identifier: Apache-2.0

package passive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The shape of the ring. The kernel closes a block when it is full or after retireAfter, however little is in it; many
// small blocks therefore let the reader be late for longer than few large ones. A packet has to fit a block.
const (
	blockSize    = 256 << 10
	fewestBlocks = 4
	retireAfter  = 20 // milliseconds
	frameSize    = 2048
)

// Where things lie in a block (linux/if_packet.h: tpacket_block_desc, tpacket3_hdr, and sockaddr_ll behind it).
const (
	blockStatus  = 8
	blockPackets = 12
	blockFirst   = 16

	packetNext     = 0
	packetSec      = 4
	packetNsec     = 8
	packetCaptured = 12
	packetStatus   = 20
	packetNetwork  = 26
	packetAddress  = 48
	addressProto   = 2
)

// What a packet's status says of its checksum.
const (
	checksumLater = 1 << 3 // TP_STATUS_CSUMNOTREADY: the card fills it in
	checksumRight = 1 << 7 // TP_STATUS_CSUM_VALID
)

// frame is a packet in the ring, from its network header on. It is valid until the ring goes on.
type frame struct {
	data     []byte
	protocol uint16 // of Ethernet, in host order
	at       time.Time
	trusted  bool // the checksum needs no look
}

// ring is a packet socket and the memory that it shares with the kernel (AF_PACKET with TPACKET_V3).
type ring struct {
	fd    int
	mem   []byte
	block int // bytes
	count int
	at    int
}

// openRing opens a socket that sees the packets of an interface that pass the filter, from now on.
func openRing(index int, size int, prog []unix.SockFilter, everything bool) (*ring, error) {
	// Protocol 0 sees nothing; the socket is bound when all is in place.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	r := &ring{fd: fd, block: blockSize}
	if err := r.prepare(index, size, prog, everything); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *ring) prepare(index, size int, prog []unix.SockFilter, everything bool) error {
	for size/r.block < 2*fewestBlocks && r.block > 16<<10 {
		r.block /= 2
	}
	r.count = max(size/r.block, fewestBlocks)
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return fmt.Errorf("choose ring version: %w", err)
	}
	//nolint:gosec // a handful of instructions
	if err := unix.SetsockoptSockFprog(r.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}); err != nil {
		return fmt.Errorf("attach filter: %w", err)
	}
	//nolint:gosec // sizes are bounded by the settings
	req := unix.TpacketReq3{
		Block_size: uint32(r.block), Block_nr: uint32(r.count), Frame_size: frameSize,
		Frame_nr: uint32(r.block / frameSize * r.count), Retire_blk_tov: retireAfter,
	}
	if err := unix.SetsockoptTpacketReq3(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return fmt.Errorf("make ring of %d bytes: %w", r.block*r.count, err)
	}
	var err error
	if r.mem, err = unix.Mmap(r.fd, 0, r.block*r.count, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("map ring of %d bytes: %w", r.block*r.count, err)
	}
	if everything { // packets for other machines, as a switch's mirror port has them
		m := unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC} //nolint:gosec // an index
		if err := unix.SetsockoptPacketMreq(r.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &m); err != nil {
			return fmt.Errorf("take packets for others: %w", err)
		}
	}
	all := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL))
	if err := unix.Bind(r.fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index}); err != nil {
		return fmt.Errorf("bind to interface: %w", err)
	}
	return nil
}

// read hands the packets of the next block to each, if there is one within wait, and says whether there was. An error is
// that of the interface: it went down, or away.
func (r *ring) read(wait time.Duration, each func(frame)) (bool, error) {
	b := r.mem[r.at*r.block : (r.at+1)*r.block]
	status := (*uint32)(unsafe.Pointer(&b[blockStatus])) //nolint:gosec // shared with the kernel
	if atomic.LoadUint32(status)&unix.TP_STATUS_USER == 0 {
		fds := []unix.PollFd{{Fd: int32(r.fd), Events: unix.POLLIN | unix.POLLERR}} //nolint:gosec // a descriptor
		if _, err := unix.Poll(fds, int(wait.Milliseconds())); err != nil && !errors.Is(err, unix.EINTR) {
			return false, fmt.Errorf("wait for packets: %w", err)
		}
		if atomic.LoadUint32(status)&unix.TP_STATUS_USER == 0 {
			return false, r.failure(fds[0].Revents)
		}
	}
	u32 := func(at uint32) uint32 { return binary.NativeEndian.Uint32(b[at:]) }
	at := u32(blockFirst)
	for range u32(blockPackets) {
		network := at + uint32(binary.NativeEndian.Uint16(b[at+packetNetwork:]))
		state := u32(at + packetStatus)
		end := min(int(network)+int(u32(at+packetCaptured)), len(b))
		each(frame{
			data: b[network:end], protocol: binary.BigEndian.Uint16(b[at+packetAddress+addressProto:]),
			at:      time.Unix(int64(u32(at+packetSec)), int64(u32(at+packetNsec))),
			trusted: state&(checksumLater|checksumRight) != 0,
		})
		at += u32(at + packetNext)
	}
	atomic.StoreUint32(status, unix.TP_STATUS_KERNEL)
	r.at = (r.at + 1) % r.count
	return true, nil
}

// failure is the socket's pending error, if poll saw one.
func (r *ring) failure(events int16) error {
	if events&unix.POLLERR == 0 {
		return nil
	}
	n, err := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil || n == 0 {
		return err
	}
	return unix.Errno(n)
}

// dropped is how many packets were offered, and for how many of them there was no room, since the last call.
func (r *ring) dropped() (packets, lost int64) {
	s, err := unix.GetsockoptTpacketStatsV3(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0, 0
	}
	return int64(s.Packets), int64(s.Drops)
}

func (r *ring) close() {
	if r.mem != nil {
		unix.Munmap(r.mem) //nolint:errcheck,gosec // nothing to save
		r.mem = nil
	}
	unix.Close(r.fd) //nolint:errcheck,gosec // likewise
}
