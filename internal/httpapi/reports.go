// SPDX-License-Identifier: Apache-2.0

package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	v1 "microstax/api/v1"
)

// NamedFinding names one finding of an environment.
type NamedFinding struct {
	Named
	Finding string `path:"finding" doc:"fnd_…"`
}

func (a *API) reports() {
	tags := []string{"evidence"}
	register(a, huma.Operation{
		OperationID: "diffReport", Method: http.MethodGet, Path: "/environments/{id}/diffs", Summary: "The diff report", Tags: tags,
	}, func(ctx context.Context, in *Named) (*answer[v1.Report], error) {
		return answered(ctx, a.o.Reports.Report, in.ID)
	})
	register(a, huma.Operation{
		OperationID: "getFinding", Method: http.MethodGet, Path: "/environments/{id}/diffs/{finding}", Summary: "One finding", Tags: tags,
	}, func(ctx context.Context, in *NamedFinding) (*answer[v1.Finding], error) {
		f, err := a.o.Reports.Finding(ctx, in.ID, in.Finding)
		if err != nil {
			return nil, err
		}
		return reply(ctx, f), nil
	})
	register(a, huma.Operation{
		OperationID: "decideFinding", Method: http.MethodPatch, Path: "/environments/{id}/diffs/{finding}",
		Summary: "Accept or ignore a finding, or open it again; it stays in the report, with who, when and why", Tags: tags,
	}, func(ctx context.Context, in *struct {
		Keyed
		NamedFinding
		User string `header:"X-Microstax-User" doc:"who decides, as the client says"`
		Body v1.FindingPatch
	}) (*answer[v1.Finding], error) {
		f, err := a.o.Reports.Decide(ctx, in.ID, in.Finding, in.Body.Status, in.Body.Reason, actor(in.User))
		if err != nil {
			return nil, err
		}
		return reply(ctx, f), nil
	})
}

func (a *API) observations() {
	tags := []string{"evidence"}
	register(a, huma.Operation{
		OperationID: "listObservations", Method: http.MethodGet, Path: "/environments/{id}/observations",
		Summary: "List the paired exchanges that were kept", Tags: tags,
	}, func(ctx context.Context, in *struct {
		Named
		Paged
		Finding  string `query:"finding" doc:"only evidence for this finding"`
		Endpoint string `query:"endpoint" doc:"only this endpoint, like POST /orders"`
	}) (*answer[[]v1.ObservationSummary], error) {
		q := ObservationQuery{Finding: in.Finding, Endpoint: in.Endpoint, Limit: in.Limit, Cursor: in.Cursor}
		list, next, err := a.o.Reports.Observations(ctx, in.ID, q)
		if err != nil {
			return nil, err
		}
		return replyPage(ctx, list, next), nil
	})
	register(a, huma.Operation{
		OperationID: "getObservation", Method: http.MethodGet, Path: "/environments/{id}/observations/{obs}",
		Summary: "One observation with its exchanges and calls", Tags: tags,
	}, func(ctx context.Context, in *struct {
		Named
		Obs string `path:"obs" doc:"obs_…"`
	}) (*answer[v1.Observation], error) {
		o, err := a.o.Reports.Observation(ctx, in.ID, in.Obs)
		if err != nil {
			return nil, err
		}
		return reply(ctx, o), nil
	})
}
