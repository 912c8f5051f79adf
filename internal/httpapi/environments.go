// SPDX-License-Identifier: Apache-2.0

package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	v1 "microstax/api/v1"
	"microstax/internal/blueprint"
	"microstax/internal/fault"
)

// answer is the envelope of every successful JSON answer.
type answer[T any] struct {
	Body v1.Envelope[T]
}

// accepted is an answer to a request for work that goes on after it.
type accepted[T any] struct {
	Location string `header:"Location" doc:"where the new thing is found"`
	Body     v1.Envelope[T]
}

// Keyed is what all writes take. It and the types below are exported because huma reads embedded structs only then.
type Keyed struct {
	IdempotencyKey string `header:"Idempotency-Key" doc:"repeating a request with the same key repeats the first answer, not the work"`
}

// Named names one environment.
type Named struct {
	ID string `path:"id" doc:"an id, or a name that is unique"`
}

// Paged is a part of a list.
type Paged struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"how many at most"`
	Cursor string `query:"cursor" doc:"meta.nextCursor of the page before"`
}

// reply wraps data in the envelope.
func reply[T any](ctx context.Context, data T) *answer[T] {
	return &answer[T]{Body: v1.Envelope[T]{Data: data, Meta: v1.Meta{RequestID: requestID(ctx)}}}
}

// replyPage wraps one page of a list; an empty one is [], not null.
func replyPage[T any](ctx context.Context, data []T, next string) *answer[[]T] {
	if data == nil {
		data = []T{}
	}
	out := reply(ctx, data)
	out.Body.Meta.NextCursor = next
	return out
}

// Creation asks for something new.
type Creation struct {
	Keyed
	Body v1.CreateEnvironment
}

func (a *API) environments() {
	register(a, huma.Operation{
		OperationID: "createEnvironment", Method: http.MethodPost, Path: "/environments", DefaultStatus: http.StatusAccepted,
		Summary: "Create a full, isolated environment", Tags: []string{"environments"},
	}, func(ctx context.Context, in *Creation) (*accepted[v1.Environment], error) {
		return a.create(ctx, blueprint.Isolated, "", in.Body)
	})
	register(a, huma.Operation{
		OperationID: "listEnvironments", Method: http.MethodGet, Path: "/environments",
		Summary: "List environments of every mode", Tags: []string{"environments"},
	}, func(ctx context.Context, in *struct {
		Paged
		Mode     string `query:"mode" enum:"isolated,baseline,overlay" doc:"only this mode"`
		Baseline string `query:"baseline" doc:"only what derives from this environment"`
	}) (*answer[[]v1.Environment], error) {
		return a.list(ctx, Filter{Mode: in.Mode, Baseline: in.Baseline, Limit: in.Limit, Cursor: in.Cursor})
	})
	register(a, huma.Operation{
		OperationID: "validateEnvironment", Method: http.MethodPost, Path: "/environments/validate",
		Summary: "Check a Blueprint without creating anything", Tags: []string{"environments"},
	}, func(ctx context.Context, in *struct{ Body v1.CreateEnvironment }) (*answer[v1.ValidateResult], error) {
		res, err := a.o.Environments.Validate(ctx, in.Body)
		if err != nil {
			return nil, err
		}
		if res.Errors == nil {
			res.Errors = []v1.Place{}
		}
		return reply(ctx, res), nil
	})
	register(a, huma.Operation{
		OperationID: "getEnvironment", Method: http.MethodGet, Path: "/environments/{id}",
		Summary: "Show one environment", Tags: []string{"environments"},
	}, func(ctx context.Context, in *Named) (*answer[v1.Environment], error) {
		return answered(ctx, a.o.Environments.Get, in.ID)
	})
	register(a, huma.Operation{
		OperationID: "deleteEnvironment", Method: http.MethodDelete, Path: "/environments/{id}", DefaultStatus: http.StatusNoContent,
		Summary: "Delete an environment; answers when it is gone", Tags: []string{"environments"},
	}, func(ctx context.Context, in *struct {
		Keyed
		Named
	}) (*struct{}, error) {
		return nil, a.o.Environments.Delete(ctx, in.ID)
	})
}

// answered answers with what a use case says of one environment.
func answered[T any](ctx context.Context, ask func(context.Context, string) (T, error), ref string) (*answer[T], error) {
	v, err := ask(ctx, ref)
	if err != nil {
		return nil, err
	}
	return reply(ctx, v), nil
}

func (a *API) create(ctx context.Context, mode blueprint.Mode, baseline string, req v1.CreateEnvironment) (*accepted[v1.Environment], error) {
	if req.Blueprint == "" && (req.From == "" || mode != blueprint.Baseline) {
		return nil, fault.Errorf("create "+noun(mode), fault.Invalid, "the request has no Blueprint").
			WithHint("put the file's text into the field blueprint")
	}
	if req.From != "" && mode != blueprint.Baseline {
		return nil, fault.Errorf("create "+noun(mode), fault.Invalid, "the field from is for baselines only")
	}
	env, err := a.o.Environments.Create(ctx, mode, baseline, req)
	if err != nil {
		return nil, err
	}
	return &accepted[v1.Environment]{Location: prefix + "/environments/" + env.ID, Body: reply(ctx, env).Body}, nil
}

// noun is what people call an environment of a mode.
func noun(mode blueprint.Mode) string {
	if mode == blueprint.Isolated {
		return "environment"
	}
	return string(mode)
}

func (a *API) list(ctx context.Context, f Filter) (*answer[[]v1.Environment], error) {
	envs, next, err := a.o.Environments.List(ctx, f)
	if err != nil {
		return nil, err
	}
	return replyPage(ctx, envs, next), nil
}
