// SPDX-License-Identifier: Apache-2.0

// Package driver is the seam to whatever runs services: local processes, and later containers and pods. Adapters stand
// in folders below it and pass drivertest's conformance suite.
//
// A driver starts, finds again, watches and stops instances. It knows nothing of routing, readiness or Blueprints.
package driver

import (
	"context"
	"io"
	"time"

	"microstax/internal/environment"
)

// Spec is everything a driver needs to start one instance. The driver copies what it keeps.
type Spec struct {
	Instance environment.Instance
	Command  []string          // program and arguments, already interpolated
	Dir      string            // absolute working directory; "" for the server's data directory
	Env      map[string]string // the whole environment of the instance, beside what the driver inherits (PATH, HOME, …)
	Image    string
	Grace    time.Duration // between the polite and the forced stop; 0 means 10 s
}

// Exit is how an instance ended.
type Exit struct {
	Code   int    // exit status; -1 when it is unknown (adopted instances) or a signal ended it
	Signal string // e.g. killed; "" when none
	At     time.Time
}

// Running is a started or adopted instance. Its methods may be called concurrently.
type Running interface {
	// Handle is what Adopt needs to find the instance again from another server process.
	Handle() environment.Handle
	// Done closes when the instance and everything it started is gone.
	Done() <-chan struct{}
	// Exit is valid once Done is closed.
	Exit() Exit
	// Stop ends the instance and everything it started: politely first, by force after the grace period or when ctx
	// ends, whichever is sooner. It returns when nothing is left. Stopping twice is harmless.
	Stop(ctx context.Context) error
}

// Numbered is what a Running may be besides: one that the operating system knows by a number.
type Numbered interface {
	// PID is the number of the instance's main process.
	PID() int
}

// Driver runs instances. Methods may be called concurrently.
type Driver interface {
	// Name is what Handle.Driver says.
	Name() string
	// Start starts an instance. The instance outlives ctx. A command that does not exist is fault.Invalid, with a hint;
	// an instance that this driver runs already is fault.Conflict. What a server that died left of it is ended first.
	Start(ctx context.Context, spec Spec) (Running, error)
	// Adopt finds an instance that an earlier server started. fault.NotFound when it no longer runs, or when what runs
	// under that handle is something else. What this driver runs already is adopted again as it is.
	Adopt(ctx context.Context, spec Spec, h environment.Handle) (Running, error)
	// Logs opens what the instance has written so far, standard output and error together, oldest first; with follow
	// it goes on until ctx ends, over restarts too, and then says io.EOF. The instance need not run, nor ever have run:
	// its log is empty then. tail > 0 begins that many lines before the end. Close may be called during a Read.
	Logs(ctx context.Context, i environment.Instance, tail int, follow bool) (io.ReadCloser, error)
	// Forget deletes what is kept of an instance that is gone (logs); fault.Conflict while it runs. Nothing kept is fine.
	Forget(ctx context.Context, i environment.Instance) error
}
