// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"io"
	"time"

	v1 "microstax/api/v1"
	"microstax/internal/config"
)

// Deps is what commands run in this process rather than ask of a server. A nil function means that this build lacks it, and
// its command says so.
type Deps struct {
	// Version of the program.
	Version string
	// Executable is this program's path, which autostart runs as the server; "" switches autostart off.
	Executable string
	// Serve runs the server until ctx ends and has drained when it returns. It calls ready once, when it listens at addr.
	Serve func(ctx context.Context, s config.Settings, ready func(addr string)) error
	// Gateway runs the data plane until ctx ends and has drained when it returns. It calls ready once, when it has begun.
	Gateway func(ctx context.Context, s config.Settings, ready func(name string)) error
	// Shadow proxies and compares until ctx ends, then drains and gives the report. It calls live about once a second, from one
	// goroutine and never after it has returned.
	Shadow func(ctx context.Context, o ShadowOptions, live func(v1.Report)) (v1.Report, error)
	// Demo runs the bundled shop and gives the report it ended with, and an error besides when that is not what was planted. It
	// has cleaned up when it returns, also when ctx ends.
	Demo func(ctx context.Context, o DemoOptions) (v1.Report, error)
	// DemoService runs one service of that shop.
	DemoService func(ctx context.Context, args []string, out io.Writer) error
}

// ShadowOptions are the flags of shadow. Zero fields mean the defaults of the contract's section on shadowing.
type ShadowOptions struct {
	Primary, Candidate, Control string // URLs; Control may be empty
	Listen                      string // host:port
	Tap                         string // IFACE:PORT to take copies at, instead of Primary and Listen
	CertFile, KeyFile           string // PEM; serve TLS at Listen
	SelfSigned                  bool   // serve TLS at Listen with a certificate made for it
	InsecureUpstream            bool   // take any certificate of an https URL
	HTTP2                       bool   // speak HTTP/2 to all URLs, as gRPC needs
	Sample                      *float64
	Concurrency                 int
	Timeout                     time.Duration
	MaxBody                     int64 // bytes
	Session                     []string
	IgnoreHeaders, IgnorePaths  []string
	RedactHeaders, RedactPaths  []string
	MinRequests                 int64
	MaxDifferenceRate           float64
	MaxLatencyRatio             float64
	Confidence                  float64
	OpenAPI, Protobuf           string // files
	Limits                      config.Limits
	// Ready is called once traffic can be sent to addr.
	Ready func(addr string)
	Log   io.Writer
}

// DemoOptions are the flags of demo.
type DemoOptions struct {
	Candidate string                  // planted, or same for an unchanged overlay
	Duration  time.Duration           // of the traffic; 0 for the default
	Keep      bool                    // leave the environments running
	Settings  config.Settings         // where the server is that it uses, which answers
	Say       func(line string)       // tells the user what happens
	Show      func(r v1.Report) error // shows the report, before Say tells how it came out
}
