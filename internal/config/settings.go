// SPDX-License-Identifier: Apache-2.0

// Package config turns defaults, the file config.yaml, environment variables and flags, each stronger than the one
// before, into one validated value. It is the only package that reads the environment of the process; parts of the
// program get small structs of their own, never Settings.
//
// docs/configuration.md lists every setting; a test compares it with the table here.
package config

import (
	"log/slog"
	"time"
)

// Settings is everything that can be configured, complete and valid.
type Settings struct {
	APIURL   string     // where the CLI finds the server, without a slash at its end
	APIKey   Secret     // bearer token; "" for none
	Home     string     // absolute; holds config.yaml and, unless said otherwise, the data
	DataDir  string     // absolute
	Listen   string     // host:port of the server's API; "" when APIURL is not of this machine and nothing else was said
	Ports    PortRange  // for listeners and processes
	LogLevel slog.Level // of the server
	User     string     // who acts, for the audit; "" when the environment does not say
	Color    bool       // whether a terminal may be given colours
	External bool       // the data plane is not part of the server: gateways are
	Gateway  Gateway
	TLS      TLS
	Limits   Limits
}

// TLS is what gateways of environments show to users: absolute paths of PEM files, or a certificate that the server makes.
// The zero value is none: they are not encrypted.
type TLS struct {
	Certificate string
	Key         string
	SelfMade    bool
}

// Gateway is what a gateway is configured with, beside Limits.
type Gateway struct {
	Name  string // unique among those of one server; "" for the name of the machine
	Dir   string // absolute; holds the spool, and what it serves by when the server is away
	Admin string // host:port of health and metrics; "" for none
}

// PortRange are the TCP ports from First to Last, both included.
type PortRange struct{ First, Last int }

// Limits bound what the server holds, whatever the traffic is. All are positive.
type Limits struct {
	Ring            int           // copies that wait to be mirrored, for each shadow session
	CaptureBudget   int64         // bytes that all captured bodies hold together
	MaxBody         int64         // bytes kept of one body where no Blueprint says otherwise
	Lag             time.Duration // how late copies may be before sessions are shed
	Bus             int           // observations that wait to be judged
	Connections     int           // client connections of one listener
	Environments    int           // environments at the same time
	Instances       int           // processes of one environment, shadows aside
	KeptPerFinding  int           // observations kept for each finding
	KeptPerEndpoint int           // ordinary observations kept for each endpoint
	KeptPerSession  int           // observations kept for each shadow session in all
	DrainTimeout    time.Duration // for what is under way when the server stops
	Spool           int64         // bytes of observations that wait on a gateway's disk
	TapRing         int64         // bytes of packets that wait for a passive tap in the kernel
	TapConnections  int           // connections that one tap follows
	TapHeld         int64         // bytes that one tap holds until what lies before them has come
	MaxHead         int64         // bytes of a request's head
	HeadTimeout     time.Duration // from a head's first byte to its last, and for the handshake of TLS
	IdleTimeout     time.Duration // of a client's connection between requests
	BodyTimeout     time.Duration // between two reads of a request's body
	DialTimeout     time.Duration // until a service has taken a connection
	AnswerTimeout   time.Duration // from a whole request to the head of its answer; 0: as long as the service takes
}

// Secret is a text that prints as [redacted].
type Secret string

const redacted = "[redacted]"

// Reveal is the text itself.
func (s Secret) Reveal() string { return string(s) }

// String implements fmt.Stringer.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// MarshalText keeps the text out of JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
