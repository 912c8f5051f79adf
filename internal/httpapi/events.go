// SPDX-License-Identifier: Apache-2.0

package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	v1 "microstax/api/v1"
	"microstax/internal/fault"
)

// reportPace is the least time between two reports on one stream: making one reads the store.
const reportPace = time.Second

func (a *API) events() {
	schema := a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[v1.Event](), true, "Event")
	register(a, huma.Operation{
		OperationID: "environmentEvents", Method: http.MethodGet, Path: "/environments/{id}/events",
		Summary: "What happens, as server-sent events: progress, status, shadow and report", Tags: []string{"environments"},
		Responses: eventsResponse(schema, "Each event's name is the type of its document; the first one is the status as it is now"),
	}, func(ctx context.Context, in *Named) (*huma.StreamResponse, error) {
		if _, err := a.o.Environments.Get(ctx, in.ID); err != nil {
			return nil, err
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			a.serve(hc, func(ctx context.Context, emit func(message) error) error { return a.follow(ctx, in.ID, emit) })
		}}, nil
	})
}

// follow emits an environment's events until ctx ends.
func (a *API) follow(ctx context.Context, ref string, emit func(message) error) error {
	happened, err := a.o.Streams.Events(ctx, ref) // before the status is read, so that no change falls between
	if err != nil {
		return err
	}
	env, err := a.o.Environments.Get(ctx, ref)
	if err != nil {
		return err
	}
	if err := a.emitEvent(emit, v1.Event{Type: "status", At: a.o.Now(), Status: env.Status, Message: env.Reason}); err != nil {
		return err
	}
	changed, err := a.changes(ctx, env.ID)
	if err != nil {
		return err
	}
	pace := time.NewTicker(reportPace)
	defer pace.Stop()
	last, dirty := []byte(nil), true
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-happened:
			if !ok {
				return ctx.Err()
			}
			if err := a.emitEvent(emit, e); err != nil {
				return err
			}
		case _, ok := <-changed:
			if !ok {
				changed = nil
			}
			dirty = true
		case <-pace.C:
			if !dirty && a.o.Changes != nil {
				continue
			}
			dirty = false
			if last, err = a.emitReport(ctx, ref, last, emit); err != nil {
				return err
			}
		}
	}
}

// changes is the signal that the report may have changed; nil, which never is ready, without a source of it.
func (a *API) changes(ctx context.Context, environmentID string) (<-chan struct{}, error) {
	if a.o.Changes == nil {
		return nil, nil //nolint:nilnil // a nil channel is the value wanted
	}
	return a.o.Changes.Changed(ctx, environmentID)
}

func (a *API) emitEvent(emit func(message) error, e v1.Event) error {
	return emit(message{event: e.Type, data: e})
}

// emitReport sends the report when it is not what was sent last, and gives what was.
func (a *API) emitReport(ctx context.Context, ref string, last []byte, emit func(message) error) ([]byte, error) {
	report, err := a.o.Reports.Report(ctx, ref)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Conflict) {
		return last, nil // not shadowed yet: there is no report to send
	}
	if err != nil {
		return last, err
	}
	now, err := json.Marshal(report)
	if err != nil {
		return last, fault.E("encode report", fault.Internal, err)
	}
	if bytes.Equal(now, last) {
		return last, nil
	}
	return now, a.emitEvent(emit, v1.Event{Type: "report", At: a.o.Now(), Report: &report})
}
