// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bufio"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "microstax/api/v1"
	"microstax/test/faults/answers"
)

// TestStoppedServiceOfTheBaselineIsWaitedFor: without MicroStax users would wait while the process stands still, and get
// their answers when it goes on.
func TestStoppedServiceOfTheBaselineIsWaitedFor(t *testing.T) {
	t.Parallel()
	for _, service := range []string{"orders", "stock"} {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{})
			n, before := w.calm()
			pid := w.pid(w.base.ID, service, primary)
			d := w.drive("stand")
			d.more(50)
			w.signal(pid, syscall.SIGSTOP)
			w.unwell(w.base.ID, service)
			w.signal(pid, syscall.SIGCONT)
			w.ready(w.base.ID)
			d.more(100)
			d.stop()
			d.none()
			d.written()
			if now := w.pid(w.base.ID, service, primary); now != pid {
				t.Errorf("%s was process %d and is %d", service, pid, now)
			}
			w.all(n+d.ok.Load(), before)
		})
	}
}

// unwell waits until an environment's probes have found out about a service.
func (w *world) unwell(env, service string) {
	w.t.Helper()
	w.await(service+" is seen not to answer", func() error {
		i, err := w.instance(env, service, primary)
		if err == nil && i.State == "ready" {
			err = fmt.Errorf("it is %+v", i)
		}
		return err
	})
}

// TestStoppedServerGoesOn: the data plane stands still with the server. Who waited, or came meanwhile, is served
// afterwards; the services have noticed nothing.
func TestStoppedServerGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	n, before := w.calm()
	direct := w.primaryAddr()
	was := w.pid(w.base.ID, "orders", primary)
	d := w.drive("still")
	d.more(50)
	w.signal(w.server.pid(), syscall.SIGSTOP)
	const waiting = 50
	c := w.crowd(waiting, "GET /item/a HTTP/1.1\r\nHost: x\r\nX-User: crowd\r\n\r\n") // the kernel takes them
	status, body := answers.Item("a")
	for range 20 {
		if got, err := talk(t, direct, "GET /item/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", false); !strings.Contains(got, body) {
			t.Errorf("the service itself: %q, %v", got, err)
		}
	}
	w.signal(w.server.pid(), syscall.SIGCONT)
	for i, nc := range c.conns {
		if got, err := answered(bufio.NewReader(nc), "GET"); got != fmt.Sprintf("%d %s", status, body) {
			t.Fatalf("connection %d: got %q, %v", i, got, err)
		}
	}
	c.leave()
	w.compares(50)
	d.more(100)
	d.stop()
	d.none()
	d.written()
	if now := w.pid(w.base.ID, "orders", primary); now != was {
		t.Errorf("orders was process %d and is %d", was, now)
	}
	before.descriptors += keptConnections
	w.all(n+d.ok.Load()+waiting, before)
}

// TestRestartedServerLosesNoEnvironment: stopped politely and started again, the server takes up its sessions, with whoever
// asks in between being refused.
func TestRestartedServerLosesNoEnvironment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	n, before := w.calm()
	d := w.drive("restart")
	d.more(50)
	from := time.Now()
	w.stop()
	w.serve()
	w.ready(w.base.ID)
	w.ready(w.over.ID)
	to := time.Now()
	d.more(100)
	w.compares(50)
	d.stop()
	d.only(window(from, to, getItem, postEcho, postOrder, getPage))
	d.written()
	r := w.report(n)
	if r.Traffic.Received < n || r.Traffic.Received > n+d.ok.Load()+int64(len(d.failures)) {
		t.Errorf("received %d, of %d before and %d answered since", r.Traffic.Received, n, d.ok.Load())
	}
	var st v1.Status
	w.await("nobody is left behind", func() (err error) {
		st, err = w.api.Status(t.Context(), w.over.ID)
		return err
	})
	if len(st.Services) == 0 {
		t.Errorf("the overlay runs nothing: %+v", st)
	}
	w.noLeak(before)
}
