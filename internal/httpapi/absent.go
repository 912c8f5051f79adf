// SPDX-License-Identifier: Apache-2.0

package httpapi

import (
	"net/http"
	"strings"

	"microstax/internal/fault"
)

// absentRoutes are the routes of the contract that this version does not have, in the contract's order. A route leaves the
// table when it gets a handler; the mux refuses to have both.
func absentRoutes() []string {
	return []string{
		"PATCH /environments/{id}",
		"POST /environments/{id}/retry",
		"POST /environments/{id}/promote",
		"POST /environments/{id}/rebase",
		"PATCH /environments/{id}/scale",
		"POST /environments/import",
		"GET /environments/{id}/metrics",
		"GET /environments/{id}/deviations",
		"GET /environments/{id}/diagnosis",
		"POST /environments/{id}/snapshots",
		"GET /environments/{id}/snapshots",
		"POST /environments/{id}/captures",
		"GET /environments/{id}/captures",
		"POST /environments/{id}/replays",
		"GET /seeds",
		"POST /environments/{id}/seeds/{seed}/run",
		"POST /environments/{id}/shares",
		"GET /environments/{id}/shares",
		"DELETE /shares/{id}",
		"GET /audit",
		"GET /audit/verify",
	}
}

func (a *API) absent() {
	for _, route := range absentRoutes() {
		method, path, _ := strings.Cut(route, " ")
		a.mux.HandleFunc(method+" "+prefix+path, func(w http.ResponseWriter, r *http.Request) {
			refuse(w, problem(r.Context(), http.StatusNotImplemented, fault.NotFound, route+" is not available in this version",
				"what this version has is in "+prefix+"/openapi.json"))
		})
	}
	a.mux.HandleFunc("/", a.unknown)
}

// unknown answers what no route matches: 405 where another method would have matched, else 404.
func (a *API) unknown(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		probe := r.Clone(r.Context())
		probe.Method = m
		if _, pattern := a.mux.Handler(probe); pattern != "/" && pattern != "" {
			allowed = append(allowed, m)
		}
	}
	if len(allowed) > 0 {
		allow := strings.Join(allowed, ", ")
		w.Header().Set("Allow", allow)
		refuse(w, problem(r.Context(), http.StatusMethodNotAllowed, fault.NotFound, r.Method+" "+r.URL.Path+" is not a route", "this path takes "+allow))
		return
	}
	refuse(w, problem(r.Context(), http.StatusNotFound, fault.NotFound, r.URL.Path+" is not a route",
		"the routes are in "+prefix+"/openapi.json"))
}
