// SPDX-License-Identifier: Apache-2.0

package blueprint

import (
	"maps"
	"slices"
)

// Clone is a copy that shares no memory with b.
func (b Blueprint) Clone() Blueprint { return cloneBlueprint(b) }

// Clone is a copy that shares no memory with s.
func (s Service) Clone() Service { return clone(s) }

// Clone is a copy that shares no memory with s.
func (s Shadow) Clone() Shadow {
	s.Sample = copyOf(s.Sample)
	s.Match = cloneMatches(s.Match)
	s.Exclude = cloneMatches(s.Exclude)
	s.Session = slices.Clone(s.Session)
	s.Ignore = slices.Clone(s.Ignore)
	for i := range s.Ignore {
		s.Ignore[i].Tolerance = copyOf(s.Ignore[i].Tolerance)
	}
	s.Redact = slices.Clone(s.Redact)
	if s.Gate = copyOf(s.Gate); s.Gate != nil {
		s.Gate.Endpoints = slices.Clone(s.Gate.Endpoints)
	}
	return s
}

func cloneBlueprint(b Blueprint) Blueprint {
	b.Services = cloneEach(b.Services, clone)
	b.Plans = maps.Clone(b.Plans)
	for name, p := range b.Plans {
		b.Plans[name] = Plan{Services: cloneEach(p.Services, clone)}
	}
	b.Routing.PropagateHeader = copyOf(b.Routing.PropagateHeader)
	b.Shadow = clonePointer(b.Shadow, Shadow.Clone)
	return b
}

func clone(s Service) Service {
	s.Command = slices.Clone(s.Command)
	s.Ports = slices.Clone(s.Ports)
	s.Env = maps.Clone(s.Env)
	s.Secrets = slices.Clone(s.Secrets)
	s.Volumes = slices.Clone(s.Volumes)
	s.DependsOn = slices.Clone(s.DependsOn)
	s.Expose = copyOf(s.Expose)
	s.Replicas = copyOf(s.Replicas)
	s.Resources = copyOf(s.Resources)
	s.Probes = clonePointer(s.Probes, func(p Probes) Probes {
		return Probes{Readiness: clonePointer(p.Readiness, cloneProbe), Liveness: clonePointer(p.Liveness, cloneProbe)}
	})
	s.Init = clonePointer(s.Init, func(i Init) Init {
		i.Command = slices.Clone(i.Command)
		return i
	})
	s.Mock = clonePointer(s.Mock, func(m Mock) Mock {
		m.Rules = cloneEach(m.Rules, func(r MockRule) MockRule {
			r.Match.Method = slices.Clone(r.Match.Method)
			r.Headers = maps.Clone(r.Headers)
			return r
		})
		return m
	})
	s.Snapshot = clonePointer(s.Snapshot, func(n Snapshot) Snapshot {
		n.Tables = clonePointer(n.Tables, func(t Tables) Tables {
			return Tables{Include: slices.Clone(t.Include), Exclude: slices.Clone(t.Exclude)}
		})
		n.Sanitize = maps.Clone(n.Sanitize)
		return n
	})
	s.Shadow = clonePointer(s.Shadow, Shadow.Clone)
	return s
}

func cloneProbe(p Probe) Probe {
	p.Exec = slices.Clone(p.Exec)
	return p
}

func cloneMatches(list []Match) []Match {
	return cloneEach(list, func(m Match) Match {
		m.Method = slices.Clone(m.Method)
		return m
	})
}

func cloneEach[T any](list []T, each func(T) T) []T {
	out := slices.Clone(list)
	for i := range out {
		out[i] = each(out[i])
	}
	return out
}

func clonePointer[T any](p *T, each func(T) T) *T {
	if p == nil {
		return nil
	}
	v := each(*p)
	return &v
}

func copyOf[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}
