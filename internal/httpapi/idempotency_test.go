// SPDX-License-Identifier: Apache-2.0

package httpapi_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	v1 "microstax/api/v1"
	"microstax/internal/blueprint"
	"microstax/internal/fault"
)

func TestRepeatedWriteWithTheSameKeyIsCarriedOutOnce(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	api := build(t, &use{create: func(blueprint.Mode, string, v1.CreateEnvironment) (v1.Environment, error) {
		return v1.Environment{ID: fmt.Sprintf("env_%d", n.Add(1))}, nil
	}}, nil)
	const body = `{"blueprint":"x"}`
	var wg sync.WaitGroup
	answers := make([]string, 8)
	for i := range answers {
		wg.Go(func() {
			w, got := ask(t, api, "POST", "/v1/environments", body, "Idempotency-Key", "k")
			if w.Code != http.StatusAccepted || w.Header().Get("Location") != "/v1/environments/env_1" {
				t.Errorf("got %d: %s", w.Code, got)
			}
			answers[i] = got
		})
	}
	wg.Wait()
	for _, a := range answers {
		if a != answers[0] {
			t.Errorf("got %s and %s", a, answers[0])
		}
	}
	if n.Load() != 1 {
		t.Errorf("created %d times", n.Load())
	}
	if w, got := ask(t, api, "POST", "/v1/environments", `{"blueprint":"y"}`, "Idempotency-Key", "k"); w.Code != http.StatusConflict {
		t.Errorf("another body: got %d: %s", w.Code, got)
	}
	if w, got := ask(t, api, "POST", "/v1/baselines", body, "Idempotency-Key", "k"); w.Code != http.StatusConflict {
		t.Errorf("another route: got %d: %s", w.Code, got)
	}
	if w, got := ask(t, api, "POST", "/v1/environments", body, "Idempotency-Key", "k2"); !strings.Contains(got, "env_2") {
		t.Errorf("another key: got %d: %s", w.Code, got)
	}
	if w, got := ask(t, api, "POST", "/v1/environments", body, "Idempotency-Key", strings.Repeat("k", 256)); w.Code != http.StatusBadRequest {
		t.Errorf("long key: got %d: %s", w.Code, got)
	}
}

func TestFailureOfTheServerIsNotKept(t *testing.T) {
	t.Parallel()
	errs := []error{errors.New("disk"), fault.Errorf("create", fault.Unavailable, "busy"), nil}
	api := build(t, &use{create: func(blueprint.Mode, string, v1.CreateEnvironment) (v1.Environment, error) {
		err := errs[0]
		errs = errs[1:]
		return v1.Environment{ID: "env_1"}, err
	}}, nil)
	for i, want := range []int{500, 503, 202, 202} {
		w, body := ask(t, api, "POST", "/v1/environments", `{"blueprint":"x"}`, "Idempotency-Key", "k")
		if w.Code != want {
			t.Errorf("try %d: got %d: %s", i, w.Code, body)
		}
	}
}
