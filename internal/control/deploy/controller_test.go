// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	v1 "microstax/api/v1"
	"microstax/internal/blueprint"
	"microstax/internal/control/deploy"
	"microstax/internal/driver"
	"microstax/internal/driver/fake"
	"microstax/internal/environment"
	"microstax/internal/fault"
)

const shop = `
name: shop
services:
  api:
    command: [./api, --orders, "${services.orders.url}"]
    env: {SELF: "${self.host}:${self.port}"}
    ports: [8080]
    dependsOn: [orders]
    expose: true
  orders:
    command: [./orders]
    env: {PAYMENTS: "${services.payments.url}", DB: "${services.db.address}"}
    ports: [8081]
    dependsOn: [payments, db]
  payments:
    command: [./payments]
    ports: [8082]
    secrets: [{name: token, envKey: TOKEN, value: auto-generated}]
  db:
    address: 10.0.0.4:5432
    ports: [{containerPort: 5432, protocol: tcp}]
`

const change = `
name: change
services:
  orders:
    env: {NEW: "1"}
`

func TestABaselineStartsInOrderAndGetsReady(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		env := w.create(blueprint.Baseline, "", shop)
		env = w.wantStatus(env.ID, "ready")
		if diff := cmp.Diff([]string{"payments/primary/0", "orders/primary/0", "api/primary/0"}, w.started()); diff != "" {
			t.Errorf("start order (-want +got):\n%s", diff)
		}
		stored := w.lookup(env.ID)
		if len(env.Endpoints) != 1 || env.Endpoints[0].URL != "http://"+stored.Addresses[env.ID+"/gateway/api"] {
			t.Errorf("endpoints = %+v", env.Endpoints)
		}
		api := w.spec(env.ID, "api/primary/0")
		want := "http://" + stored.Addresses[env.ID+"/api/primary/0/out/orders"]
		if api.Command[2] != want {
			t.Errorf("api is told orders at %s, want %s", api.Command[2], want)
		}
		port := fmt.Sprint(stored.Ports["api/primary/0"])
		if diff := cmp.Diff(map[string]string{"PORT": port, "HOST": "127.0.0.1", "SELF": "127.0.0.1:" + port}, api.Env); diff != "" {
			t.Errorf("env of api (-want +got):\n%s", diff)
		}
		if db := w.spec(env.ID, "orders/primary/0").Env["DB"]; db != stored.Addresses[env.ID+"/orders/primary/0/out/db"] {
			t.Errorf("orders reaches db at %s, not through its listener", db)
		}
		if token := w.spec(env.ID, "payments/primary/0").Env["TOKEN"]; len(token) != 32 || token != stored.Secrets["payments/token"] {
			t.Errorf("TOKEN = %q, stored %q", token, stored.Secrets["payments/token"])
		}
		for _, s := range env.Services {
			if s.State != "ready" || s.Provider != env.ID {
				t.Errorf("service %+v", s)
			}
			if s.Name == "api" && (len(s.Instances) != 1 || s.Instances[0].PID == 0 || fmt.Sprint(s.Instances[0].Port) != port) {
				t.Errorf("instances of api: %+v", s.Instances)
			}
		}
	})
}

func TestStatusIsReadyOnlyWhenEveryListenerServesTheRevision(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		env := w.create(blueprint.Baseline, "", shop)
		s, err := w.c.Status(t.Context(), env.ID)
		if err != nil || s.Status != "ready" || len(s.Listeners) != 4 {
			t.Fatalf("Status = %+v, %v", s, err)
		}
		for _, l := range s.Listeners {
			if l.RouteRevision != s.RouteRevision {
				t.Errorf("listener %+v at revision %d", l, s.RouteRevision)
			}
		}
		w.plane.occupy(env.Endpoints[0].URL[len("http://"):], "address already in use")
		w.create(blueprint.Isolated, "", strings.Replace(shop, "name: shop", "name: other", 1)) // a new revision for all
		s, err = w.c.Status(t.Context(), env.ID)
		if err != nil || s.Status != "degraded" || !strings.Contains(s.Reason, "in use") {
			t.Fatalf("with a deaf listener: %s (%s), %v", s.Status, s.Reason, err)
		}
		w.plane.occupy(env.Endpoints[0].URL[len("http://"):], "")
		w.pass(deploy.RetryAfter)
		w.wantStatus(env.ID, "ready")
	})
}

func TestAnInstanceThatDiesBeforeItIsReadyFailsTheEnvironment(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.prober.set(func(deploy.Check) error { return errors.New("connection refused") })
		w.behave(func(s driver.Spec) fake.Script {
			if s.Instance.Service != "payments" {
				return fake.Script{}
			}
			return fake.Script{Lines: []string{"reading config", "no such key: token"}, Exit: &driver.Exit{Code: 3}}
		})
		env := w.create(blueprint.Baseline, "", shop)
		w.wantStatus(env.ID, "failed", "payments exited with code 3 before it was ready", "no such key: token")
		if left := w.running(env.ID); len(left) > 0 {
			t.Errorf("still running: %v", left)
		}
		if got := w.plane.listener(t, env.ID+"/gateway/api").Default.Refusal; !strings.Contains(got, "has failed") {
			t.Errorf("refusal %q", got)
		}
		w.behave(nil)
		w.prober.set(nil)
		if _, err := w.c.Resume(t.Context(), env.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.wantStatus(env.ID, "ready")
	})
}

func TestAnInstanceThatIsNeverReadyFailsTheEnvironment(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.prober.set(func(c deploy.Check) error { return errors.New("GET /healthz answered 503") })
		env := w.create(blueprint.Isolated, "", `
name: slow
services:
  web:
    command: [./web]
    probes: {readiness: {http: /healthz, startupTimeout: 5s}}
`)
		w.wantStatus(env.ID, "provisioning", "web is starting")
		w.pass(7 * time.Second)
		w.wantStatus(env.ID, "failed", "was not ready within 5s", "GET /healthz", "answered 503")
		if left := w.running(env.ID); len(left) > 0 {
			t.Errorf("still running: %v", left)
		}
		if err := w.c.Delete(t.Context(), "slow"); err != nil {
			t.Fatalf("Delete of a failed environment: %v", err)
		}
	})
}

func TestACommandThatDoesNotExistFailsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.behave(func(s driver.Spec) fake.Script {
			return fake.Script{Err: fault.Errorf("start", fault.Invalid, "there is no program ./web").WithHint("check command and workdir")}
		})
		env := w.create(blueprint.Isolated, "", "name: x\nservices: {web: {command: [./web]}}\n")
		w.wantStatus(env.ID, "failed", "there is no program ./web", "check command and workdir")
		if err := w.c.Delete(t.Context(), env.ID); err != nil {
			t.Fatal(err)
		}
	})
}

func TestADeadInstanceStartsAgainLaterAndLater(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		env := w.create(blueprint.Baseline, "", shop)
		orders := instance(env.ID, "orders", environment.Primary, 0)
		for n, pause := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second} {
			w.machine.Crash(orders, driver.Exit{Code: 2})
			synctest.Wait()
			w.wantStatus(env.ID, "degraded", "orders exited with code 2", fmt.Sprintf("restart %d", n+1))
			if got := w.plane.listener(t, env.ID+"/api/primary/0/out/orders").Default; len(got.Addrs) != 0 || !strings.Contains(got.Refusal, "code 2") {
				t.Errorf("target of a dead instance: %+v", got)
			}
			w.pass(pause - time.Millisecond)
			w.wantStatus(env.ID, "degraded")
			w.pass(time.Millisecond)
			w.wantStatus(env.ID, "ready")
		}
		i := slices.IndexFunc(w.get(env.ID).Services, func(s v1.Service) bool { return s.Name == "orders" })
		if got := w.get(env.ID).Services[i].Restarts; got != 4 {
			t.Errorf("restarts = %d, want 4", got)
		}
		w.pass(time.Minute)
		w.machine.Crash(orders, driver.Exit{Code: 2})
		w.pass(500 * time.Millisecond)
		w.wantStatus(env.ID, "ready")
	})
}

func TestAnUnreadyInstanceDegradesTheEnvironment(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		env := w.create(blueprint.Baseline, "", shop)
		sick := w.lookup(env.ID).Ports["orders/primary/0"]
		w.prober.set(func(c deploy.Check) error {
			if strings.HasSuffix(c.Addr, fmt.Sprint(sick)) {
				return errors.New("connection refused")
			}
			return nil
		})
		w.pass(4 * time.Second)
		w.wantStatus(env.ID, "degraded", "orders", "readiness probe fails", "connection refused")
		w.prober.set(nil)
		w.pass(2 * time.Second)
		w.wantStatus(env.ID, "ready")
	})
}

func TestLivenessStartsAnInstanceAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		env := w.create(blueprint.Isolated, "", `
name: live
services:
  web:
    command: [./web]
    probes: {readiness: {http: /ready}, liveness: {http: /live}}
`)
		w.prober.set(func(c deploy.Check) error {
			if c.HTTP == "/live" {
				return errors.New("answered 500")
			}
			return nil
		})
		w.pass(3*time.Second + 100*time.Millisecond)
		w.wantStatus(env.ID, "degraded", "liveness probe failed 3 times", "GET /live")
		w.prober.set(nil)
		w.pass(time.Second)
		w.wantStatus(env.ID, "ready")
	})
}

func TestStopAndResumeKeepTheAddresses(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		env := w.create(blueprint.Baseline, "", shop)
		if _, err := w.c.Stop(t.Context(), "shop"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.wantStatus(env.ID, "stopped")
		if left := w.running(env.ID); len(left) > 0 {
			t.Errorf("still running: %v", left)
		}
		if got := w.plane.listener(t, env.ID+"/gateway/api").Default.Refusal; !strings.Contains(got, "is stopped") {
			t.Errorf("refusal %q", got)
		}
		back, err := w.c.Resume(t.Context(), "shop")
		if err != nil || back.Status != "provisioning" {
			t.Fatalf("Resume = %s, %v", back.Status, err)
		}
		synctest.Wait()
		again := w.wantStatus(env.ID, "ready")
		if diff := cmp.Diff(env.Endpoints, again.Endpoints); diff != "" {
			t.Errorf("endpoints changed:\n%s", diff)
		}
	})
}

func TestResumeWhileItStillStopsStartsEverythingAnew(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.behave(func(driver.Spec) fake.Script { return fake.Script{Stubborn: true} })
		env := w.create(blueprint.Baseline, "", shop)
		if _, err := w.c.Stop(t.Context(), "shop"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.wantStatus(env.ID, "stopped", "still stopping")
		if _, err := w.c.Resume(t.Context(), "shop"); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Minute)
		w.wantStatus(env.ID, "ready")
		if diff := cmp.Diff([]string{"api/primary/0", "orders/primary/0", "payments/primary/0"}, w.running(env.ID)); diff != "" {
			t.Errorf("running (-want +got):\n%s", diff)
		}
	})
}

func TestDeleteIsRefusedWhileOthersDeriveAndLeavesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		base := w.create(blueprint.Baseline, "", shop)
		over := w.create(blueprint.Overlay, "shop", change)
		err := w.c.Delete(t.Context(), "shop")
		if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), over.ID) {
			t.Fatalf("Delete of a parent = %v", err)
		}
		for _, id := range []string{over.ID, base.ID} {
			if err := w.c.Delete(t.Context(), id); err != nil {
				t.Fatalf("Delete: %v", err)
			}
			if _, err := w.c.Get(t.Context(), id); !fault.Is(err, fault.NotFound) {
				t.Errorf("Get after Delete = %v", err)
			}
		}
		synctest.Wait()
		if n := len(w.plane.table().Listeners); n != 0 {
			t.Errorf("%d listeners are left", n)
		}
		if left := w.machine.Running(); len(left) > 0 {
			t.Errorf("still running: %v", left)
		}
	})
}

func TestCloseStopsByForceWhenItsTimeIsUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.behave(func(driver.Spec) fake.Script { return fake.Script{Stubborn: true} })
		w.start()
		w.create(blueprint.Baseline, "", shop)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		if err := w.c.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		if took := time.Since(begun); took != time.Second {
			t.Errorf("Close took %s, want the second it was given", took)
		}
		if left := w.machine.Running(); len(left) > 0 {
			t.Errorf("still running: %v", left)
		}
		w.end()
		if err := <-w.ran; err != nil {
			t.Errorf("Run: %v", err)
		}
		if _, err := w.c.Create(t.Context(), blueprint.Isolated, "", v1.CreateEnvironment{Blueprint: shop}); !fault.Is(err, fault.Unavailable) {
			t.Errorf("Create after Close = %v", err)
		}
		if err := w.c.Close(t.Context()); err != nil {
			t.Errorf("second Close: %v", err)
		}
	})
}

func TestProcessesStopInReverseOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var ended []string
		w.behave(func(s driver.Spec) fake.Script {
			return fake.Script{OnEnd: func() { ended = append(ended, s.Instance.Service+" of "+s.Env["WHO"]) }}
		})
		w.start()
		w.create(blueprint.Baseline, "", shop)
		w.create(blueprint.Overlay, "shop", "name: change\nservices: {orders: {env: {WHO: overlay}}}\n")
		w.stop()
		want := []string{"orders of overlay", "api of ", "orders of ", "payments of "}
		if diff := cmp.Diff(want, ended); diff != "" {
			t.Errorf("stop order (-want +got):\n%s", diff)
		}
	})
}
