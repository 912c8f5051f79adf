// SPDX-License-Identifier: Apache-2.0

package blueprint

import (
	"slices"
	"time"
)

// The protocols that are looked into. HTTP is that of a port that names none; a port of HTTP2 or GRPC is spoken to in
// HTTP/2 without an offer, by prior knowledge.
const (
	HTTP  = "http"
	HTTP2 = "http2"
	GRPC  = "grpc"
)

// Protocols are what a port may speak.
func Protocols() []string { return []string{HTTP, HTTP2, GRPC, "tcp", "postgres", "redis"} }

// The defaults of a probe.
const (
	DefaultPeriod         = Duration(time.Second)
	DefaultTimeout        = Duration(2 * time.Second)
	DefaultStartupTimeout = Duration(60 * time.Second)
)

// External is true of a service that already runs elsewhere.
func (s Service) External() bool { return s.Address != "" }

// Exposed is true of a service that is reachable from outside, through the gateway.
func (s Service) Exposed() bool { return s.Expose != nil && *s.Expose }

// Copies is how many instances of the service are wanted; 1 where it says nothing.
func (s Service) Copies() int {
	if s.Replicas == nil {
		return 1
	}
	return *s.Replicas
}

// MainPort is the port that traffic goes to: the first, or an http port named http where none is given.
func (s Service) MainPort() Port {
	if len(s.Ports) == 0 {
		return Port{Name: HTTP, Protocol: HTTP}
	}
	return namePorts(s.Ports)[0]
}

// Service returns the service of that name.
func (b Blueprint) Service(name string) (Service, bool) {
	i := slices.IndexFunc(b.Services, func(s Service) bool { return s.Name == name })
	if i < 0 {
		return Service{}, false
	}
	return b.Services[i], true
}

// ServiceNames are the names of the services, sorted.
func (b Blueprint) ServiceNames() []string {
	names := make([]string, 0, len(b.Services))
	for _, s := range b.Services {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// RoutingKey is what the routing header must carry to reach the environment: routing.overlayId, or its name.
func (b Blueprint) RoutingKey() string {
	if b.Routing.OverlayID != "" {
		return b.Routing.OverlayID
	}
	return b.Name
}

// Header is the routing header's name, in lower case.
func (b Blueprint) Header() string { return b.Routing.header() }
