// SPDX-License-Identifier: Apache-2.0

package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	v1 "microstax/api/v1"
	"microstax/internal/fault"
)

const (
	problemType = "application/problem+json"
	// statusCanceled is what is logged for a client that went away; nobody receives it.
	statusCanceled = 499
)

// statusOf is the one place where kinds of error become HTTP statuses.
func statusOf(k fault.Kind) int {
	switch k {
	case fault.Invalid:
		return http.StatusUnprocessableEntity
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict:
		return http.StatusConflict
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.Canceled:
		return statusCanceled
	case fault.Internal:
		return http.StatusInternalServerError
	}
	return http.StatusInternalServerError
}

// kindOf is the kind that a status without an error of ours stands for.
func kindOf(status int) fault.Kind {
	switch status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return fault.NotFound
	case http.StatusConflict:
		return fault.Conflict
	case http.StatusServiceUnavailable, http.StatusRequestTimeout:
		return fault.Unavailable
	case statusCanceled:
		return fault.Canceled
	}
	if status >= http.StatusInternalServerError {
		return fault.Internal
	}
	return fault.Invalid
}

// failure carries a problem through huma, which asks errors for their status.
type failure struct{ doc v1.Problem }

// Error is the problem's detail.
func (f *failure) Error() string { return f.doc.Detail }

// GetStatus is the HTTP status.
func (f *failure) GetStatus() int { return f.doc.Status }

// ContentType replaces the negotiated type.
func (f *failure) ContentType(string) string { return problemType }

// translate turns an error into the problem that is sent. Defects are logged here, where the error ends.
func (a *API) translate(ctx context.Context, err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	kind := fault.KindOf(err)
	if kind == fault.Internal {
		a.o.Logger.ErrorContext(ctx, "request failed", slog.String("requestId", requestID(ctx)), slog.String("error", err.Error()))
	}
	doc := problem(ctx, statusOf(kind), kind, err.Error(), fault.HintOf(err))
	for _, p := range fault.PlacesOf(err) {
		doc.Errors = append(doc.Errors, v1.Place(p))
	}
	return &failure{doc: doc}
}

// problem builds a document.
func problem(ctx context.Context, status int, kind fault.Kind, detail, hint string) v1.Problem {
	title := http.StatusText(status)
	if status == statusCanceled {
		title = "Client Closed Request"
	}
	return v1.Problem{
		Type: "about:blank", Title: title, Status: status, Detail: detail, Hint: hint, Kind: string(kind), RequestID: requestID(ctx),
	}
}

// asProblem is a huma transformer: what huma itself refuses becomes a document of ours too.
func (a *API) asProblem(ctx huma.Context, _ string, v any) (any, error) {
	switch e := v.(type) {
	case *failure:
		return e.doc, nil
	case *huma.ErrorModel:
		return fromHuma(ctx.Context(), e), nil
	}
	return v, nil
}

// fromHuma translates huma's own refusals: a body that is not JSON, a member that the schema does not know.
func fromHuma(ctx context.Context, e *huma.ErrorModel) v1.Problem {
	doc := problem(ctx, e.Status, kindOf(e.Status), e.Detail, "")
	var said []string
	for _, d := range e.Errors {
		if d == nil {
			continue
		}
		doc.Errors = append(doc.Errors, v1.Place{Path: d.Location, Rule: "request-schema", Message: d.Message})
		said = append(said, strings.TrimPrefix(d.Location+": "+d.Message, ": "))
	}
	if len(said) > 0 {
		doc.Detail = "read request: " + strings.Join(said, "; ")
		doc.Hint = "the fields of every request are in " + prefix + "/openapi.json"
	}
	return doc
}

// refuse writes a problem from outside huma's handlers.
func refuse(w http.ResponseWriter, doc v1.Problem) {
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(doc.Status)
	json.NewEncoder(w).Encode(doc) //nolint:errcheck,errchkjson // the client has gone
}
