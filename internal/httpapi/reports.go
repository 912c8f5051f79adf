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
		f, err := a.o.Reports.Decide(ctx, in.ID, in.Finding, in.Body, actor(in.User))
		if err != nil {
			return nil, err
		}
		return reply(ctx, f), nil
	})
}

func (a *API) ignores() {
	tags := []string{"evidence"}
	register(a, huma.Operation{
		OperationID: "listIgnores", Method: http.MethodGet, Path: "/environments/{id}/ignores",
		Summary: "List the rules about places that do not matter, with what they hide", Tags: tags,
	}, func(ctx context.Context, in *Named) (*answer[[]v1.IgnoreRule], error) {
		return answered(ctx, a.o.Ignores.Ignores, in.ID)
	})
	register(a, huma.Operation{
		OperationID: "createIgnore", Method: http.MethodPost, Path: "/environments/{id}/ignores", DefaultStatus: http.StatusCreated,
		Summary: "Say of a place that differences there do not matter", Tags: tags,
	}, func(ctx context.Context, in *struct {
		Keyed
		Named
		User string `header:"X-Microstax-User" doc:"who says so, as the client says"`
		Body v1.CreateIgnore
	}) (*answer[v1.IgnoreRule], error) {
		rule, err := a.o.Ignores.Ignore(ctx, in.ID, in.Body, actor(in.User))
		if err != nil {
			return nil, err
		}
		return reply(ctx, rule), nil
	})
	register(a, huma.Operation{
		OperationID: "deleteIgnore", Method: http.MethodDelete, Path: "/environments/{id}/ignores/{rule}", DefaultStatus: http.StatusNoContent,
		Summary: "Remove such a rule", Tags: tags,
	}, func(ctx context.Context, in *struct {
		Keyed
		Named
		Rule string `path:"rule" doc:"rule_…"`
	}) (*struct{}, error) {
		return nil, a.o.Ignores.Unignore(ctx, in.ID, in.Rule)
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
