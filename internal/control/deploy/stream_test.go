// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	v1 "microstax/api/v1"
	"microstax/internal/blueprint"
	"microstax/internal/control/deploy"
	"microstax/internal/driver"
	"microstax/internal/driver/fake"
	"microstax/internal/environment"
	"microstax/internal/fault"
)

func TestEventsTellWhatHappensAndEndWithTheirContext(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		env := w.create(blueprint.Baseline, "", shop)
		ctx, cancel := context.WithCancel(t.Context())
		events, err := w.c.Events(ctx, "shop")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.c.Stop(t.Context(), env.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := w.c.Resume(t.Context(), env.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		cancel()
		var got []string
		for e := range events {
			got = append(got, e.Type+" "+e.Status+" "+e.Message)
		}
		text := strings.Join(got, "\n")
		for _, want := range []string{"status stopped", "progress provisioning starting payments", "progress provisioning api is ready", "status ready"} {
			if !strings.Contains(text, want) {
				t.Errorf("no event says %q:\n%s", want, text)
			}
		}
	})
}

func TestASlowReaderOfEventsLosesTheOldestAndHoldsNothingUp(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		env := w.create(blueprint.Baseline, "", shop)
		ctx, cancel := context.WithCancel(t.Context())
		events, err := w.c.Events(ctx, env.ID)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if _, err := w.c.Stop(t.Context(), env.ID); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if _, err := w.c.Resume(t.Context(), env.ID); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		w.wantStatus(env.ID, "ready")
		cancel()
		var last v1.Event
		n := 0
		for e := range events {
			last = e
			n++
		}
		lost, err := w.c.LostEvents(t.Context(), env.ID)
		if err != nil || n != 64 || lost == 0 {
			t.Errorf("%d events arrived and %d were lost (%v)", n, lost, err)
		}
		if last.Status != "ready" {
			t.Errorf("the last event says %q: the newest must not be lost", last.Status)
		}
	})
}

func TestLogs(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.behave(func(s driver.Spec) fake.Script {
			return fake.Script{Lines: []string{"one", "hello from " + s.Instance.Service}}
		})
		base := w.create(blueprint.Baseline, "", shop)
		over := w.create(blueprint.Overlay, "shop", change)
		read := func(ref string, q deploy.LogQuery) string {
			var out []string
			err := w.c.Logs(t.Context(), ref, q, func(l v1.LogLine) error {
				out = append(out, fmt.Sprintf("%s/%s/%d %s", l.Service, l.Role, l.Replica, l.Line))
				return nil
			})
			if err != nil {
				t.Errorf("Logs: %v", err)
			}
			return strings.Join(out, "\n")
		}
		for _, tc := range []struct {
			name, ref string
			q         deploy.LogQuery
			want      string
		}{
			{"the newest line of all", base.ID, deploy.LogQuery{Tail: 1}, "api/primary/0 hello from api\norders/primary/0 hello from orders\npayments/primary/0 hello from payments"},
			{"one service", base.ID, deploy.LogQuery{Service: "orders"}, "orders/primary/0 one\norders/primary/0 hello from orders"},
			{"what an overlay inherits", over.ID, deploy.LogQuery{Service: "api", Tail: 1}, "api/primary/0 hello from api"},
			{"an overlay's own", over.ID, deploy.LogQuery{Tail: 1}, "orders/primary/0 hello from orders"},
			{"a role that never ran", over.ID, deploy.LogQuery{Role: "control"}, ""},
		} {
			if got := read(tc.ref, tc.q); got != tc.want {
				t.Errorf("%s:\n%s\nwant\n%s", tc.name, got, tc.want)
			}
		}
		err := w.c.Logs(t.Context(), base.ID, deploy.LogQuery{Service: "oders"}, func(v1.LogLine) error { return nil })
		if !fault.Is(err, fault.NotFound) || !strings.Contains(fault.HintOf(err), "orders") {
			t.Errorf("Logs of an unknown service = %v", err)
		}
	})
}

func TestFollowedLogsMixAndEndWithTheirContext(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		env := w.create(blueprint.Baseline, "", shop)
		ctx, cancel := context.WithCancel(t.Context())
		lines := make(chan string, 100)
		done := make(chan error, 1)
		go func() {
			done <- w.c.Logs(ctx, env.ID, deploy.LogQuery{Follow: true}, func(l v1.LogLine) error {
				lines <- l.Service + " " + l.Line
				return nil
			})
		}()
		synctest.Wait()
		w.machine.Write(instance(env.ID, "orders", environment.Primary, 0), "late\n"+strings.Repeat("x", 70<<10)+"\n")
		w.pass(time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Logs = %v", err)
		}
		if got := <-lines; got != "orders late" {
			t.Errorf("first line %q", got)
		}
		if got := <-lines; len(got) > 66<<10 || !strings.HasSuffix(got, "(cut)") {
			t.Errorf("a line of 70 KiB arrived as %d bytes", len(got))
		}
		stop := errors.New("reader is gone")
		w.machine.Write(instance(env.ID, "orders", environment.Primary, 0), "more\n")
		err := w.c.Logs(t.Context(), env.ID, deploy.LogQuery{Follow: true}, func(v1.LogLine) error { return stop })
		if !errors.Is(err, stop) {
			t.Errorf("Logs = %v, want the reader's error", err)
		}
	})
}
