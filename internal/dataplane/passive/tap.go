// SPDX-License-Identifier: Apache-2.0

package passive

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"microstax/internal/fault"
	"microstax/internal/observation"
)

// Options are what a Tap needs.
type Options struct {
	Spec    Spec
	Watcher Watcher
	Limits  Limits
	Logger  *slog.Logger
	// Except says which servers are left out: those that get the copies, where they are at the same port. May be nil.
	Except func(server netip.AddrPort) bool
	// Any takes servers at any address, as long as Spec names none: only tests want it.
	Any bool
}

// Tap is one interface being tapped.
type Tap struct {
	opts  Options
	ring  *ring
	table *table
	local localAddrs
	stop  atomic.Bool
	done  chan struct{}

	warned map[string]bool
	down   bool
}

// How often counts are told and what is missing is looked for.
const sweepEvery = 100 * time.Millisecond

// Open begins to tap. It fails with fault.Invalid for an interface that isn't there, and with fault.Unavailable where the
// right to see packets is missing.
func Open(o Options) (*Tap, error) {
	const op = "open tap"
	o.Limits.fill()
	if o.Spec.Interface == "any" {
		return nil, fault.Errorf(op, fault.Invalid, "%s: on all interfaces at once, packets that are passed on between them would count twice", o.Spec).
			WithHint("name the one that requests arrive at: %s", names())
	}
	iface, err := net.InterfaceByName(o.Spec.Interface)
	if err != nil {
		return nil, fault.Errorf(op, fault.Invalid, "%s: this machine has no network interface %q", o.Spec, o.Spec.Interface).
			WithHint("there are %s", names())
	}
	t := &Tap{opts: o, done: make(chan struct{}), warned: map[string]bool{}}
	t.local.load(time.Now())
	everything := o.Spec.Host.IsValid() && !t.local.has(o.Spec.Host, time.Now())
	t.ring, err = openRing(iface.Index, o.Limits.Ring, filter(o.Spec.Port, iface.Flags&net.FlagLoopback != 0), everything)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return nil, fault.Errorf(op, fault.Unavailable, "%s: to see the packets of an interface needs the capability CAP_NET_RAW", o.Spec).
			WithHint("run it with sudo; or grant it once: sudo setcap cap_net_raw+ep \"$(command -v microstax)\"; in a container: --cap-add NET_RAW")
	}
	if err != nil {
		return nil, fault.Errorf(op, fault.Unavailable, "%s: %w", o.Spec, err)
	}
	t.table = newTable(o.Spec.Port, t.serves, o.Watcher, o.Limits)
	if everything {
		t.table.grace = graceElsewhere
	}
	go t.run()
	return t, nil
}

// Close takes what has passed until now, ends the tap, and returns when the watcher is told nothing more.
func (t *Tap) Close() {
	t.stop.Store(true)
	<-t.done
}

// names lists the interfaces that are up.
func names() string {
	list, err := net.Interfaces()
	if err != nil {
		return "none that could be listed"
	}
	var up []string
	for _, i := range list {
		if i.Flags&net.FlagUp != 0 {
			up = append(up, i.Name)
		}
	}
	return strings.Join(up, ", ")
}

// serves says whether an address is a server's that is tapped.
func (t *Tap) serves(a netip.Addr) bool {
	if t.opts.Except != nil && t.opts.Except(netip.AddrPortFrom(a.Unmap(), t.opts.Spec.Port)) {
		return false
	}
	if t.opts.Spec.Host.IsValid() {
		return a.Unmap() == t.opts.Spec.Host
	}
	return t.opts.Any || t.local.has(a.Unmap(), time.Now())
}

func (t *Tap) run() {
	defer close(t.done)
	defer t.ring.close()
	swept := time.Now()
	for !t.stop.Load() {
		t.read(sweepEvery)
		if now := time.Now(); now.Sub(swept) >= sweepEvery {
			swept = now
			t.table.sweep(now)
			t.tell()
		}
	}
	// What the kernel still holds of the last moment.
	for until := time.Now().Add(2 * retireAfter * time.Millisecond); t.read(time.Until(until)) || time.Now().Before(until); {
		if time.Now().After(until.Add(sweepEvery)) {
			break
		}
	}
	t.table.close(time.Now())
	t.tell()
}

// read takes one block, if there is one within wait.
func (t *Tap) read(wait time.Duration) bool {
	any, err := t.ring.read(max(wait, 0), func(f frame) {
		seg, ok, bad := decode(f.data, f.protocol, f.trusted)
		if bad {
			t.table.counts.BadChecksums++
		}
		if ok && (seg.dst.Port() == t.opts.Spec.Port || seg.src.Port() == t.opts.Spec.Port) {
			t.table.packet(&seg, f.at)
		}
	})
	switch {
	case err != nil && !t.down:
		t.down = true
		t.opts.Logger.Warn("the tap sees nothing: its interface is down or gone", "tap", t.opts.Spec.String(), "error", err)
	case any && t.down:
		t.down = false
		t.opts.Logger.Warn("the tap sees packets again", "tap", t.opts.Spec.String())
	}
	return any
}

// tell says what was counted, and once what can't be tapped.
func (t *Tap) tell() {
	packets, lost := t.ring.dropped()
	c := &t.table.counts
	c.Packets += packets
	c.PacketsLost += lost
	t.warn(c.Encrypted > 0, "the traffic is encrypted (TLS) and can't be tapped: tap behind what ends TLS, or be the listener with --listen and --tls-cert")
	t.warn(c.HTTP2 > 0, "the traffic is HTTP/2, which can't be tapped: be the listener with --listen")
	t.warn(c.Foreign > 0 && t.table.turns == 0, "the traffic is not HTTP/1.1 and can't be tapped")
	t.warn(c.Elsewhere > 0 && t.table.next == 0, "what passes goes to servers on other machines and isn't tapped: name the server, as in IFACE:HOST:PORT")
	t.warn(c.PacketsLost > 0, "the kernel's ring was full and packets were lost: raise limits.tapRing, or lower the load")
	if *c != (observation.Capture{}) {
		t.opts.Watcher.Counted(*c)
		*c = observation.Capture{}
	}
}

// warn says something once.
func (t *Tap) warn(when bool, what string) {
	if when && !t.warned[what] {
		t.warned[what] = true
		t.opts.Logger.Warn("not everything that passes the tap can be read", "tap", t.opts.Spec.String(), "why", what)
	}
}

// localAddrs are this machine's addresses, read again now and then.
type localAddrs struct {
	known map[netip.Addr]bool
	at    time.Time
}

// IsLocal says whether an address is one of this machine.
func IsLocal(a netip.Addr) bool {
	var l localAddrs
	return l.has(a, time.Now())
}

// localFor is how long addresses are taken to stay.
const localFor = 5 * time.Second

func (l *localAddrs) load(now time.Time) {
	l.known, l.at = map[netip.Addr]bool{}, now
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			l.known[p.Addr().Unmap().WithZone("")] = true
		}
	}
}

func (l *localAddrs) has(a netip.Addr, now time.Time) bool {
	if a.IsLoopback() || l.known[a] {
		return true
	}
	if now.Sub(l.at) >= localFor {
		l.load(now)
	}
	return l.known[a]
}
