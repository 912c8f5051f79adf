// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"time"

	"microstax/internal/driver"
	"microstax/internal/environment"
)

// instance is what an actor knows of one instance that is wanted, or still there. Owned by the actor.
type instance struct {
	planned
	wanted    bool
	dismissed bool // what runs is to end, even if the instance is wanted again
	state     environment.State
	reason    string
	adopt     *environment.Handle // what an earlier server left; tried once
	run       *run                // nil while nothing runs or is being started
	pid       int
	restarts  int       // since the environment was made to run, counted over server restarts
	failures  int       // in a row; decides the next delay
	due       time.Time // not to be started before
	readied   bool      // was ready since this actor lives
	since     time.Time // when it became ready last
}

// leaving says whether something runs that is to end.
func (i *instance) leaving() bool { return i.run != nil && (!i.wanted || i.dismissed) }

// shown is the instance as others see it.
func (i *instance) shown(port int) instanceState {
	return instanceState{ID: i.id, State: i.state, Reason: i.reason, Port: port, PID: i.pid, Restarts: i.restarts}
}

// delay is how long to wait before the next start, after so many failures in a row.
func delay(failures int) time.Duration {
	d := backoffFirst
	for range failures - 1 {
		if d *= 2; d >= backoffMost {
			return backoffMost
		}
	}
	return d
}

// ended is what a run reports when nothing of it is left.
type ended struct {
	reason   string // for people, without the instance's name
	logs     string // last lines, for the reason of a failure
	stopped  bool   // it was asked to stop
	absent   bool   // there was nothing to adopt
	unready  bool   // it runs, but was not ready in time
	hopeless bool   // starting again can't help: the command does not exist
}

// whole is the reason with the last lines that the instance wrote.
func (e ended) whole() string {
	if e.logs == "" {
		return e.reason
	}
	return e.reason + "; its last lines:\n" + e.logs
}

// number is a running instance's process id, where the driver knows one.
func number(r driver.Running) int {
	if n, ok := r.(driver.Numbered); ok {
		return n.PID()
	}
	return 0
}
