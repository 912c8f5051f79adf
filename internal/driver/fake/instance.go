// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"context"
	"strconv"
	"sync"
	"time"

	"microstax/internal/driver"
	"microstax/internal/environment"
)

// instance is one that runs on the machine.
type instance struct {
	m      *Machine
	i      environment.Instance
	pid    int
	grace  time.Duration
	script Script

	once sync.Once
	done chan struct{}
	exit driver.Exit // valid once done is closed
}

var (
	_ driver.Running  = (*instance)(nil)
	_ driver.Numbered = (*instance)(nil)
)

// Handle holds the instance's number.
func (in *instance) Handle() environment.Handle {
	return environment.Handle{Driver: Name, Data: strconv.Itoa(in.pid)}
}

// PID is the instance's number on its machine.
func (in *instance) PID() int { return in.pid }

// Done closes when the instance has ended.
func (in *instance) Done() <-chan struct{} { return in.done }

// Exit is how it ended.
func (in *instance) Exit() driver.Exit { return in.exit }

// Stop ends it, at once unless it is stubborn.
func (in *instance) Stop(ctx context.Context) error {
	if !in.script.Stubborn {
		in.end(driver.Exit{Code: -1, Signal: "terminated"})
		<-in.done
		return nil
	}
	grace := time.NewTimer(in.grace)
	defer grace.Stop()
	select {
	case <-in.done:
	case <-ctx.Done():
	case <-grace.C:
	}
	in.end(driver.Exit{Code: -1, Signal: "killed"})
	<-in.done
	return nil
}

// end ends it, once.
func (in *instance) end(e driver.Exit) {
	in.once.Do(func() {
		if e.At.IsZero() {
			e.At = time.Now()
		}
		in.exit = e
		if in.script.OnEnd != nil {
			in.script.OnEnd()
		}
		in.m.mu.Lock()
		delete(in.m.running, in.i)
		in.m.mu.Unlock()
		close(in.done)
	})
}
