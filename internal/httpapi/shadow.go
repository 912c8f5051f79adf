// SPDX-License-Identifier: Apache-2.0

package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	v1 "microstax/api/v1"
)

func (a *API) shadows() {
	tags := []string{"shadow"}
	register(a, huma.Operation{
		OperationID: "getShadow", Method: http.MethodGet, Path: "/environments/{id}/shadow", Summary: "Show the shadow session", Tags: tags,
	}, func(ctx context.Context, in *Named) (*answer[v1.ShadowState], error) {
		return answered(ctx, a.o.Shadows.Get, in.ID)
	})
	register(a, huma.Operation{
		OperationID: "patchShadow", Method: http.MethodPatch, Path: "/environments/{id}/shadow",
		Summary: "Switch mirrored traffic on or off; answers when the shadows are ready", Tags: tags,
	}, func(ctx context.Context, in *struct {
		KeyedNamed
		Body v1.ShadowPatch
	}) (*answer[v1.ShadowState], error) {
		s, err := a.o.Shadows.Patch(ctx, in.ID, in.Body)
		if err != nil {
			return nil, err
		}
		return reply(ctx, s), nil
	})
}
