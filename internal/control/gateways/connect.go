// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"context"
	"regexp"
	"time"

	"microstax/internal/dataplane/remote"
	"microstax/internal/dataplane/route"
	"microstax/internal/fault"
)

// Caller is how a gateway introduces itself when it connects.
type Caller struct {
	Name     string
	Stream   string // names the numbering of its frames
	Protocol int
	Revision uint64 // of the table it has; 0 for none
	Digest   string
	Address  string // where it calls from
}

// Tables sends a gateway the table in force and every change of it, until ctx ends, another connection takes its place, or
// the registry closes. send is called from one goroutine, and may be called again as soon as it has returned.
func (r *Registry) Tables(ctx context.Context, c Caller, send func(remote.Line) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn := &connection{cancel: cancel}
	g, err := r.connect(c, conn)
	if err != nil {
		return err
	}
	defer r.disconnect(g, conn)
	hello := remote.Hello{Protocol: remote.Protocol, Server: r.o.Server, Version: r.o.Version, Key: r.o.Key}
	if err := send(remote.Line{Type: remote.LineHello, Hello: &hello}); err != nil {
		return err
	}
	sent := r.known(c)
	beat := time.NewTicker(remote.Beat)
	defer beat.Stop()
	for {
		r.mu.Lock()
		now, moved := version{r.table, r.digest}, r.moved
		r.mu.Unlock()
		if now.table != nil && now.digest != sent.digest {
			line, err := next(sent.table, now.table)
			if err != nil {
				return fault.E("send routes", fault.Internal, err)
			}
			if err := send(line); err != nil {
				return err
			}
			sent = now
			continue
		}
		select {
		case <-moved:
		case <-beat.C:
			if r.silent(g) {
				return fault.Errorf("send routes", fault.Unavailable, "gateway %s has said nothing for %s", g.name, remote.Quiet)
			}
			if err := send(remote.Line{Type: remote.LineBeat}); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		case <-r.end:
			return nil
		}
	}
}

// next is the line that brings a gateway from one table, or none, to another.
func next(from, to *route.Table) (remote.Line, error) {
	if from != nil {
		return encodeDelta(from, to)
	}
	b, err := route.Encode(to)
	return remote.Line{Type: remote.LineTable, Table: b}, err
}

// known is the table that a gateway says it has, when this process has sent it.
func (r *Registry) known(c Caller) version {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range r.history {
		if c.Digest != "" && v.digest == c.Digest && v.table.Revision == c.Revision {
			return v
		}
	}
	return version{}
}

// silent says whether a gateway has reported nothing for long.
func (r *Registry) silent(g *gateway) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.o.Now().Sub(g.heard) > remote.Quiet
}

// connect notes a connection, unless somebody else goes by the name.
func (r *Registry) connect(c Caller, conn *connection) (*gateway, error) {
	const op = "connect gateway"
	if err := checkName(op, c.Name); err != nil {
		return nil, err
	}
	if c.Protocol != remote.Protocol {
		return nil, fault.Errorf(op, fault.Invalid, "it speaks version %d of the protocol, and this server %d", c.Protocol, remote.Protocol).
			WithHint("run gateways and server in the same version")
	}
	if c.Stream == "" || len(c.Stream) > maxName {
		return nil, fault.Errorf(op, fault.Invalid, "it does not name its stream")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.gateways[c.Name]
	switch {
	case r.closed:
		return nil, fault.Errorf(op, fault.Unavailable, "the server is stopping")
	case g == nil && len(r.gateways) >= maxGateways:
		return nil, fault.Errorf(op, fault.Unavailable, "there are %d gateways already", maxGateways).
			WithHint("forget those that are gone: microstax gateway forget NAME")
	case g == nil:
		g = &gateway{name: c.Name}
		r.gateways[c.Name] = g
	case g.conn != nil && g.stream != c.Stream:
		return nil, fault.Errorf(op, fault.Conflict, "another gateway, at %s, is connected as %s", g.address, c.Name).
			WithHint("give each gateway a --name of its own")
	case g.conn != nil:
		g.conn.cancel() // the same one, which has given the old connection up
	}
	if g.stream != c.Stream {
		g.report = remote.Report{}
	}
	g.stream, g.address, g.conn, g.heard, g.left = c.Stream, c.Address, conn, r.o.Now(), false
	// What it says from here on counts: what it said on an earlier connection may be over.
	g.report.Digest, g.report.Serving = "", nil
	r.o.Logger.Info("gateway connected", "gateway", c.Name, "address", c.Address, "revision", c.Revision)
	r.stir()
	return g, nil
}

func (r *Registry) disconnect(g *gateway, conn *connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if g.conn != conn {
		return // another one has taken its place
	}
	g.conn, g.lost = nil, r.o.Now()
	if !g.left {
		r.o.Logger.Warn("gateway is no longer connected", "gateway", g.name, "address", g.address)
	}
	r.stir()
}

// Report takes what a gateway says of itself; with leaves it says that it stops.
func (r *Registry) Report(name string, rep remote.Report, leaves bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.gateways[name]
	if g == nil || g.stream != rep.Stream {
		return fault.Errorf("take report", fault.Conflict, "gateway %s is not connected", name)
	}
	changed := g.report.Digest != rep.Digest || leaves || !sameServing(g.report, rep)
	g.report, g.heard, g.left = rep, r.o.Now(), leaves
	if rep.Digest == r.digest {
		g.slow = false
	}
	if leaves && g.conn != nil {
		g.conn.cancel()
		g.conn = nil
	}
	if changed {
		r.stir()
	}
	return nil
}

func sameServing(a, b remote.Report) bool {
	if len(a.Serving) != len(b.Serving) {
		return false
	}
	for i := range a.Serving {
		if a.Serving[i] != b.Serving[i] {
			return false
		}
	}
	return true
}

// Observed takes frames as a gateway sends them; see remote.Accepted. Bytes that are no frames take nothing.
func (r *Registry) Observed(ctx context.Context, name, stream string, skip *uint64, body []byte) (remote.Accepted, bool, error) {
	const op = "take observations"
	if err := checkName(op, name); err != nil {
		return remote.Accepted{}, false, err
	}
	r.mu.Lock()
	g := r.gateways[name]
	if g == nil || g.stream != stream {
		r.mu.Unlock()
		return remote.Accepted{}, false, fault.Errorf(op, fault.Unavailable, "gateway %s is not connected", name)
	}
	g.heard = r.o.Now()
	r.mu.Unlock()
	var frames []remote.Frame
	for len(body) > 0 {
		f, rest, err := remote.NextFrame(body)
		if err != nil {
			return remote.Accepted{}, false, fault.E(op, fault.Invalid, err)
		}
		frames, body = append(frames, f), rest
	}
	accepted, stored, err := r.o.Sink.Receive(ctx, name, stream, skip, frames)
	if err != nil {
		return remote.Accepted{}, false, err
	}
	whole := len(frames) == 0 || accepted >= frames[len(frames)-1].Seq
	return remote.Accepted{Server: r.o.Server, Accepted: accepted, Stored: stored}, whole, nil
}

// checkName refuses names that would not stand in a path, a label or a table.
func checkName(op, name string) error {
	if len(name) > maxName || !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`).MatchString(name) {
		return fault.Errorf(op, fault.Invalid, "%q is no name for a gateway", name).
			WithHint("use letters, digits, dots, dashes and underscores, %d at most", maxName)
	}
	return nil
}
