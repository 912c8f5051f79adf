// SPDX-License-Identifier: Apache-2.0

package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	v1 "microstax/api/v1"
)

type logsInput struct {
	Named
	Service string `query:"service" doc:"only this service"`
	Role    string `query:"role" enum:"primary,candidate,control" doc:"only instances of this role"`
	Tail    int    `query:"tail" minimum:"0" maximum:"10000" default:"200" doc:"the newest lines of each instance; 0 for all that is kept"`
	Follow  bool   `query:"follow" doc:"go on with new lines, as server-sent events named log"`
}

// maxLogLines bounds the list of an answer that does not follow.
const maxLogLines = 100_000

func (a *API) logs() {
	schemas := a.huma.OpenAPI().Components.Schemas
	line := schemas.Schema(reflect.TypeFor[v1.LogLine](), true, "LogLine")
	responses := eventsResponse(line, "The lines as a list, or with follow as events")
	responses["200"].Content["application/json"] = &huma.MediaType{
		Schema: schemas.Schema(reflect.TypeFor[v1.Envelope[[]v1.LogLine]](), true, "EnvelopeLogs"),
	}
	register(a, huma.Operation{
		OperationID: "environmentLogs", Method: http.MethodGet, Path: "/environments/{id}/logs",
		Summary: "What the services printed", Tags: []string{"environments"}, Responses: responses,
	}, func(ctx context.Context, in *logsInput) (*huma.StreamResponse, error) {
		q := LogQuery{Service: in.Service, Role: in.Role, Tail: in.Tail, Follow: in.Follow}
		if in.Follow {
			return a.followLogs(ctx, in.ID, q)
		}
		return a.listLogs(ctx, in.ID, q)
	})
}

func (a *API) followLogs(ctx context.Context, ref string, q LogQuery) (*huma.StreamResponse, error) {
	if _, err := a.o.Environments.Get(ctx, ref); err != nil {
		return nil, err // as a problem, while there still can be one
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		a.serve(hc, func(ctx context.Context, emit func(message) error) error {
			return a.o.Streams.Logs(ctx, ref, q, func(l v1.LogLine) error { return emit(message{event: "log", data: l}) })
		})
	}}, nil
}

func (a *API) listLogs(ctx context.Context, ref string, q LogQuery) (*huma.StreamResponse, error) {
	lines := []v1.LogLine{}
	err := a.o.Streams.Logs(ctx, ref, q, func(l v1.LogLine) error {
		if len(lines) >= maxLogLines {
			lines = lines[1:]
		}
		lines = append(lines, l)
		return nil
	})
	if err != nil {
		return nil, err
	}
	body := reply(ctx, lines).Body
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		_, w := humago.Unwrap(hc)
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(body) //nolint:errcheck,errchkjson // the client has gone
	}}, nil
}
