// SPDX-License-Identifier: Apache-2.0

package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	v1 "microstax/api/v1"
)

// KeyedNamed is a write to one environment.
type KeyedNamed struct {
	Keyed
	Named
}

func (a *API) lifecycle() {
	tags := []string{"environments"}
	register(a, huma.Operation{
		OperationID: "stopEnvironment", Method: http.MethodPost, Path: "/environments/{id}/stop", DefaultStatus: http.StatusAccepted,
		Summary: "Stop the services; addresses and evidence stay", Tags: tags,
	}, func(ctx context.Context, in *KeyedNamed) (*answer[v1.Environment], error) {
		return answered(ctx, a.o.Lifecycle.Stop, in.ID)
	})
	register(a, huma.Operation{
		OperationID: "resumeEnvironment", Method: http.MethodPost, Path: "/environments/{id}/resume", DefaultStatus: http.StatusAccepted,
		Summary: "Start the services of a stopped environment again", Tags: tags,
	}, func(ctx context.Context, in *KeyedNamed) (*answer[v1.Environment], error) {
		return answered(ctx, a.o.Lifecycle.Resume, in.ID)
	})
	register(a, huma.Operation{
		OperationID: "environmentStatus", Method: http.MethodGet, Path: "/environments/{id}/status",
		Summary: "Show state in depth: instances, and which route revision every listener serves", Tags: tags,
	}, func(ctx context.Context, in *Named) (*answer[v1.Status], error) {
		return answered(ctx, a.o.Lifecycle.Status, in.ID)
	})
	register(a, huma.Operation{
		OperationID: "environmentLineage", Method: http.MethodGet, Path: "/environments/{id}/lineage",
		Summary: "Show the chain of environments, and which provides each service and why", Tags: tags,
	}, func(ctx context.Context, in *Named) (*answer[v1.Lineage], error) {
		return answered(ctx, a.o.Lifecycle.Lineage, in.ID)
	})
}
