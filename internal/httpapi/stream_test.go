// SPDX-License-Identifier: Apache-2.0

package httpapi_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"sync"
	"testing"

	v1 "microstax/api/v1"
	"microstax/internal/client"
	"microstax/internal/fault"
	"microstax/internal/httpapi"
)

// dial serves api and gives a client of it.
func dial(t *testing.T, api *httpapi.API) *client.Client {
	t.Helper()
	s := httptest.NewServer(api)
	c, err := client.New(client.Options{URL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		api.Drain()
		c.Close()
		s.Close()
	})
	return c
}

func TestEventsBeginWithTheStatusAndCarryReportsThatChanged(t *testing.T) {
	t.Parallel()
	happened := make(chan v1.Event)
	changed := make(chan struct{}, 1)
	var mu sync.Mutex
	session := "ses_1"
	api := build(t, &use{
		get:     func(string) (v1.Environment, error) { return v1.Environment{Status: "provisioning"}, nil },
		events:  func(context.Context, string) (<-chan v1.Event, error) { return happened, nil },
		changes: func(context.Context, string) (<-chan struct{}, error) { return changed, nil },
		report: func(string) (v1.Report, error) {
			mu.Lock()
			defer mu.Unlock()
			return v1.Report{SessionID: session}, nil
		},
	}, nil)
	done := errors.New("enough")
	var got []string
	err := dial(t, api).Events(t.Context(), "e", func(e v1.Event) error {
		switch e.Type {
		case "status":
			got = append(got, "status "+e.Status)
			go func() { happened <- v1.Event{Type: "progress", Message: "starting api"} }()
		case "progress":
			got = append(got, "progress "+e.Message)
		case "report":
			got = append(got, "report "+e.Report.SessionID)
			if e.Report.SessionID == "ses_2" {
				return done
			}
			mu.Lock()
			session = "ses_2"
			mu.Unlock()
			changed <- struct{}{}
		}
		return nil
	})
	if !errors.Is(err, done) {
		t.Fatal(err)
	}
	want := []string{"status provisioning", "progress starting api", "report ses_1", "report ses_2"}
	if len(got) != len(want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestStreamOfAnUnknownEnvironmentIsAProblem(t *testing.T) {
	t.Parallel()
	api := build(t, &use{get: func(string) (v1.Environment, error) {
		return v1.Environment{}, fault.Errorf("get", fault.NotFound, "no environment x").WithHint("look at env list")
	}}, nil)
	c := dial(t, api)
	for name, err := range map[string]error{
		"events": c.Events(t.Context(), "x", func(v1.Event) error { return nil }),
		"logs":   c.FollowLogs(t.Context(), "x", client.LogQuery{}, func(v1.LogLine) error { return nil }),
	} {
		if !fault.Is(err, fault.NotFound) || fault.HintOf(err) != "look at env list" {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestLogs(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked []httpapi.LogQuery
	api := build(t, &use{
		get: func(string) (v1.Environment, error) { return v1.Environment{}, nil },
		logs: func(_ context.Context, _ string, q httpapi.LogQuery, each func(v1.LogLine) error) error {
			mu.Lock()
			asked = append(asked, q)
			mu.Unlock()
			for _, l := range []string{"one", "two\nthree: x"} {
				if err := each(v1.LogLine{Service: "api", Line: l}); err != nil {
					return err
				}
			}
			if q.Follow {
				return fault.Errorf("follow", fault.Unavailable, "the driver went away")
			}
			return nil
		},
	}, nil)
	c := dial(t, api)
	lines, err := c.Logs(t.Context(), "e", client.LogQuery{Service: "api", Role: "control", Tail: 5})
	if err != nil || len(lines) != 2 || lines[1].Line != "two\nthree: x" {
		t.Errorf("got %v, %v", lines, err)
	}
	var followed []string
	err = c.FollowLogs(t.Context(), "e", client.LogQuery{Tail: -1}, func(l v1.LogLine) error {
		followed = append(followed, l.Line)
		return nil
	})
	if len(followed) != 2 || !fault.Is(err, fault.Unavailable) || err.Error() != "follow logs: follow: the driver went away" {
		t.Errorf("got %q, %v", followed, err)
	}
	want := []httpapi.LogQuery{{Service: "api", Role: "control", Tail: 5}, {Follow: true}}
	if len(asked) != 2 || asked[0] != want[0] || asked[1] != want[1] {
		t.Errorf("asked %+v", asked)
	}
}

func TestDrainEndsStreams(t *testing.T) {
	t.Parallel()
	api := build(t, &use{
		get:    func(string) (v1.Environment, error) { return v1.Environment{Status: "ready"}, nil },
		events: func(context.Context, string) (<-chan v1.Event, error) { return make(chan v1.Event), nil },
		report: func(string) (v1.Report, error) { return v1.Report{}, fault.Errorf("report", fault.NotFound, "none") },
	}, nil)
	c := dial(t, api)
	err := c.Events(t.Context(), "e", func(v1.Event) error {
		api.Drain()
		return nil
	})
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
}

func TestStreamEndsWithItsClient(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	api := build(t, &use{
		get: func(string) (v1.Environment, error) { return v1.Environment{}, nil },
		logs: func(ctx context.Context, _ string, _ httpapi.LogQuery, each func(v1.LogLine) error) error {
			defer close(left)
			if err := each(v1.LogLine{Line: "x"}); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		},
	}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	err := dial(t, api).FollowLogs(ctx, "e", client.LogQuery{}, func(v1.LogLine) error {
		cancel()
		return nil
	})
	if !fault.Is(err, fault.Canceled) {
		t.Errorf("got %v", err)
	}
	<-left
}
