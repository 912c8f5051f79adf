// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"crypto/rand"
	"log/slog"
	"time"
)

// The bounds and rhythms of supervision.
const (
	backoffFirst  = 500 * time.Millisecond // before the first restart; every further one waits twice as long
	backoffMost   = 30 * time.Second       // and never longer than this
	stableAfter   = time.Minute            // an instance that was ready for so long begins again at backoffFirst
	probeFirst    = 20 * time.Millisecond  // before the second look at a starting instance; doubles up to the probe's period
	settleTime    = 300 * time.Millisecond // an instance that listens nowhere is ready when it has lived for so long
	unreadyAfter  = 3                      // failed readiness probes in a row that make a ready instance unhealthy
	restartAfter  = 3                      // failed liveness probes in a row that make it start again
	retryAfter    = 2 * time.Second        // before a listener that can't be opened, or a failed write, is tried again
	logTailLines  = 10                     // last lines of an instance that are given as the reason of a failure
	logTailBytes  = 8 << 10                // and at most so many bytes of them
	stopAttempts  = 3                      // before an instance that can't be stopped is given up and logged
	inboxSize     = 64                     // messages to an actor; senders wait beyond it
	eventsWaiting = 64                     // events a subscriber may lag behind; then the oldest are lost and counted
	portAttempts  = 64                     // ports drawn at random before the range is searched from its start
	maxSources    = 64                     // instances whose logs are followed at once
	maxLogLine    = 64 << 10               // bytes of one log line; what is beyond is cut and marked
)

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Entropy == nil {
		o.Entropy = rand.Reader
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Ports == (PortRange{}) {
		o.Ports = PortRange{First: 20000, Last: 29999}
	}
	if o.Prober == nil {
		o.Prober = NewProber()
	}
	if o.Limits.Environments == 0 {
		o.Limits.Environments = 500
	}
	if o.Limits.Instances == 0 {
		o.Limits.Instances = 200
	}
	return o
}
