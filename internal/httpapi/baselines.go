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

func (a *API) baselines() {
	register(a, huma.Operation{
		OperationID: "createBaseline", Method: http.MethodPost, Path: "/baselines", DefaultStatus: http.StatusAccepted,
		Summary: "Create a baseline, from a Blueprint or from an environment", Tags: []string{"baselines"},
	}, func(ctx context.Context, in *Creation) (*accepted[v1.Environment], error) {
		return a.create(ctx, blueprint.Baseline, "", in.Body)
	})
	register(a, huma.Operation{
		OperationID: "listBaselines", Method: http.MethodGet, Path: "/baselines", Summary: "List baselines", Tags: []string{"baselines"},
	}, func(ctx context.Context, in *Paged) (*answer[[]v1.Environment], error) {
		return a.list(ctx, Filter{Mode: string(blueprint.Baseline), Limit: in.Limit, Cursor: in.Cursor})
	})
	register(a, huma.Operation{
		OperationID: "getBaseline", Method: http.MethodGet, Path: "/baselines/{id}", Summary: "Show one baseline", Tags: []string{"baselines"},
	}, func(ctx context.Context, in *Named) (*answer[v1.Environment], error) {
		env, err := a.o.Environments.Get(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		if env.Mode != string(blueprint.Baseline) {
			return nil, fault.Errorf("get baseline", fault.NotFound, "%s is an environment of mode %s, not a baseline", in.ID, env.Mode).
				WithHint("see it with: microstax env get %s", in.ID)
		}
		return reply(ctx, env), nil
	})
}

func (a *API) overlays() {
	register(a, huma.Operation{
		OperationID: "createOverlay", Method: http.MethodPost, Path: "/baselines/{id}/overlays", DefaultStatus: http.StatusAccepted,
		Summary: "Create an overlay that derives from a baseline or from another overlay", Tags: []string{"overlays"},
	}, func(ctx context.Context, in *struct {
		Creation
		Named
	}) (*accepted[v1.Environment], error) {
		return a.create(ctx, blueprint.Overlay, in.ID, in.Body)
	})
	register(a, huma.Operation{
		OperationID: "listOverlays", Method: http.MethodGet, Path: "/baselines/{id}/overlays",
		Summary: "List the overlays that derive from an environment", Tags: []string{"overlays"},
	}, func(ctx context.Context, in *struct {
		Named
		Paged
	}) (*answer[[]v1.Environment], error) {
		return a.list(ctx, Filter{Mode: string(blueprint.Overlay), Baseline: in.ID, Limit: in.Limit, Cursor: in.Cursor})
	})
}
