// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"errors"
	"net"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"microstax/internal/blueprint"
	"microstax/internal/control/deploy"
	"microstax/internal/driver"
	"microstax/internal/driver/fake"
	"microstax/internal/environment"
)

func TestAfterACrashTheNextServerAdoptsWhatRunsAndStartsWhatDied(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		env := w.create(blueprint.Baseline, "", shop)
		before, revision := w.lookup(env.ID), env.RouteRevision
		started := len(w.started())
		pid := pidOf(w, env.ID, "api")
		w.kill()
		if got := len(w.running(env.ID)); got != 3 {
			t.Fatalf("%d processes live after the crash, want 3", got)
		}
		w.machine.Crash(instance(env.ID, "orders", environment.Primary, 0), driver.Exit{Code: 1})
		w.start()
		after := w.wantStatus(env.ID, "ready")
		if diff := cmp.Diff([]string{"orders/primary/0"}, w.started()[started:]); diff != "" {
			t.Errorf("started after the crash (-want +got):\n%s", diff)
		}
		if got := pidOf(w, env.ID, "api"); got != pid {
			t.Errorf("api is process %d, want the adopted %d", got, pid)
		}
		if diff := cmp.Diff(before.Addresses, w.lookup(env.ID).Addresses); diff != "" {
			t.Errorf("addresses changed:\n%s", diff)
		}
		if diff := cmp.Diff(before.Ports, w.lookup(env.ID).Ports); diff != "" {
			t.Errorf("ports changed:\n%s", diff)
		}
		if after.RouteRevision <= revision {
			t.Errorf("route revision went from %d to %d", revision, after.RouteRevision)
		}
	})
}

func pidOf(w *world, id, service string) int {
	for _, s := range w.get(id).Services {
		if s.Name == service {
			return s.Instances[0].PID
		}
	}
	return 0
}

func TestAfterAGracefulStopTheNextServerBringsEnvironmentsBackInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		env := w.create(blueprint.Baseline, "", shop)
		over := w.create(blueprint.Overlay, "shop", change)
		started := len(w.started())
		w.stop()
		w.start()
		w.wantStatus(env.ID, "ready")
		w.wantStatus(over.ID, "ready")
		if got := len(w.started()) - started; got != 4 {
			t.Errorf("%d processes were started, want 4", got)
		}
	})
}

func TestWhatAUserStoppedStaysStopped(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		env := w.create(blueprint.Baseline, "", shop)
		if _, err := w.c.Stop(t.Context(), env.ID); err != nil {
			t.Fatal(err)
		}
		w.kill() // the processes may still be there
		w.start()
		w.wantStatus(env.ID, "stopped")
		if left := w.running(env.ID); len(left) > 0 {
			t.Errorf("still running: %v", left)
		}
	})
}

func TestADeletionThatACrashInterruptedGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.behave(func(driver.Spec) fake.Script { return fake.Script{Stubborn: true} })
		env := w.create(blueprint.Baseline, "", shop)
		done := make(chan error, 1)
		go func() { done <- w.c.Delete(t.Context(), env.ID) }()
		synctest.Wait()
		w.kill()
		if err := <-done; err == nil {
			t.Error("Delete said that it was done")
		}
		w.start()
		w.pass(time.Minute)
		if _, err := w.c.Get(t.Context(), env.ID); err == nil {
			t.Error("the environment is still there")
		}
		if left := w.running(env.ID); len(left) > 0 {
			t.Errorf("still running: %v", left)
		}
	})
}

func TestAServerThatDiesWhileItStartsAnInstanceLeavesNoOrphan(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.behave(func(s driver.Spec) fake.Script {
			if s.Instance.Service == "payments" { // the process is there, but its handle never gets stored
				return fake.Script{OnStart: func() { w.store.breakDown(errors.New("disk full")) }}
			}
			return fake.Script{}
		})
		env := w.create(blueprint.Baseline, "", shop)
		w.kill()
		if diff := cmp.Diff([]string{"payments/primary/0"}, w.running(env.ID)); diff != "" {
			t.Fatalf("running after the crash (-want +got):\n%s", diff)
		}
		w.store.breakDown(nil)
		w.behave(nil)
		w.start()
		w.wantStatus(env.ID, "ready")
		if got := len(w.running(env.ID)); got != 3 {
			t.Errorf("%d processes run, want 3", got)
		}
	})
}

func TestAStoreThatFailsForAWhileStopsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		env := w.create(blueprint.Baseline, "", shop)
		w.store.breakDown(errors.New("disk full"))
		w.machine.Crash(instance(env.ID, "orders", environment.Primary, 0), driver.Exit{Code: 2})
		w.pass(time.Second)
		if _, err := w.c.Stop(t.Context(), env.ID); err == nil {
			t.Error("Stop said that it was on record")
		}
		w.wantStatus(env.ID, "degraded")
		w.store.breakDown(nil)
		w.pass(10 * time.Second)
		w.wantStatus(env.ID, "ready")
	})
}

func TestAnAddressThatIsTakenBeforeAnybodyKnowsItIsChosenAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		taken := map[string]bool{}
		w.plane.refuse = func(addr string) bool {
			if len(taken) < 3 {
				taken[addr] = true
			}
			return taken[addr]
		}
		env := w.create(blueprint.Baseline, "", shop)
		w.pass(deploy.RetryAfter)
		w.wantStatus(env.ID, "ready")
		for id, addr := range w.lookup(env.ID).Addresses {
			if taken[addr] {
				t.Errorf("%s kept the taken address %s", id, addr)
			}
		}
	})
}

func TestAnAddressThatIsTakenLaterDegradesAndIsTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		env := w.create(blueprint.Baseline, "", shop)
		addr := w.lookup(env.ID).Addresses[env.ID+"/gateway/api"]
		w.kill()
		w.plane.occupy(addr, "listen tcp "+addr+": bind: address already in use")
		w.start()
		_, port, _ := net.SplitHostPort(addr)
		w.wantStatus(env.ID, "degraded", "gateway/api", "port "+port, "already in use")
		w.plane.occupy(addr, "")
		w.pass(deploy.RetryAfter)
		w.wantStatus(env.ID, "ready")
		if got := w.lookup(env.ID).Addresses[env.ID+"/gateway/api"]; got != addr {
			t.Errorf("the gateway moved from %s to %s", addr, got)
		}
	})
}

func TestAnInstancePortThatSomebodyElseTookIsChosenAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		env := w.create(blueprint.Baseline, "", shop)
		port := w.lookup(env.ID).Ports["orders/primary/0"]
		w.machine.Crash(instance(env.ID, "orders", environment.Primary, 0), driver.Exit{Code: 1})
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err != nil {
			t.Skipf("somebody else was faster: %v", err)
		}
		defer l.Close()
		w.pass(time.Second)
		w.wantStatus(env.ID, "ready")
		if got := w.lookup(env.ID).Ports["orders/primary/0"]; got == port {
			t.Errorf("orders is still told to listen on port %d", port)
		}
	})
}

func TestRoutesSurviveARefusal(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		env := w.create(blueprint.Baseline, "", shop)
		w.plane.fail(errors.New("no memory"))
		over := w.create(blueprint.Overlay, "shop", change)
		w.wantStatus(over.ID, "provisioning")
		lone := w.create(blueprint.Isolated, "", "name: lone\nservices: {web: {command: [./web], expose: true}}\n")
		if got := w.running(lone.ID); len(got) != 1 {
			t.Fatalf("running: %v", got)
		}
		w.wantStatus(lone.ID, "provisioning") // it is up, but nobody can reach it
		w.plane.fail(nil)
		w.pass(deploy.RetryAfter)
		w.wantStatus(over.ID, "ready")
		w.wantStatus(env.ID, "ready")
		w.wantStatus(lone.ID, "ready")
	})
}

func TestWhatWorkedBeforeACrashIsStartedAgainAndAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		env := w.create(blueprint.Baseline, "", shop)
		w.kill()
		w.machine.Crash(instance(env.ID, "orders", environment.Primary, 0), driver.Exit{Code: 1})
		w.behave(func(driver.Spec) fake.Script { return fake.Script{Exit: &driver.Exit{Code: 9}} })
		w.start()
		w.pass(2 * time.Second)
		w.wantStatus(env.ID, "degraded", "orders exited with code 9")
		w.behave(nil)
		w.pass(30 * time.Second)
		w.wantStatus(env.ID, "ready")
	})
}

func TestRevisionsGoUpByOneAndOnlyWithChanges(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.create(blueprint.Baseline, "", shop)
		w.create(blueprint.Overlay, "shop", change)
		w.pass(time.Hour)
		w.plane.mu.Lock()
		defer w.plane.mu.Unlock()
		for n, table := range w.plane.tables {
			if table.Revision != uint64(n+1) {
				t.Fatalf("table %d has revision %d", n+1, table.Revision)
			}
			if n > 0 && reflect.DeepEqual(table.Listeners, w.plane.tables[n-1].Listeners) {
				t.Errorf("revision %d changes nothing", table.Revision)
			}
		}
	})
}
