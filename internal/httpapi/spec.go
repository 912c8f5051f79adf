// SPDX-License-Identifier: Apache-2.0

package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	v1 "microstax/api/v1"
)

// prefix is where the versioned routes live.
const prefix = "/v1"

// config is huma's, without what it would add to the documents of the contract.
func (a *API) config() huma.Config {
	c := huma.DefaultConfig("MicroStax", a.o.Version)
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", "" // the document is served by publishSpec, rendered once
	c.CreateHooks = nil                                   // no $schema members in answers
	c.Info.Description = "Environments for services, routing and mirroring of their traffic, and evidence of how a change behaves."
	c.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	c.Transformers = []huma.Transformer{a.asProblem}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "needed when the server was started with a token"},
	}
	c.Security = []map[string][]string{{"token": {}}, {}}
	return c
}

// register adds an operation whose handler returns plain errors.
func register[I, O any](a *API, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	a.describe(&op)
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, a.translate(ctx, err)
		}
		return out, nil
	})
}

// describe fills in what all operations have in common.
func (a *API) describe(op *huma.Operation) {
	op.MaxBodyBytes = -1    // readBody has bounded it
	op.BodyReadTimeout = -1 // a deadline left on the connection would cancel slow handlers
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	schema := a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[v1.Problem](), true, "Problem")
	op.Responses["default"] = &huma.Response{
		Description: "A problem document (RFC 9457)",
		Content:     map[string]*huma.MediaType{problemType: {Schema: schema}},
	}
}

// allowFrom makes the Blueprint optional in a request, because a baseline may be made from an environment instead.
func (a *API) allowFrom() {
	schemas := a.huma.OpenAPI().Components.Schemas
	t := reflect.TypeFor[v1.CreateEnvironment]()
	schemas.Schema(t, true, "CreateEnvironment")
	s := schemas.SchemaFromRef(schemas.Schema(t, true, "").Ref)
	s.Required = slices.DeleteFunc(s.Required, func(f string) bool { return f == "blueprint" })
	s.PrecomputeMessages() // which also notes anew what is required
}

// publishSpec renders the OpenAPI document once and serves it.
func (a *API) publishSpec() error {
	schemas := a.huma.OpenAPI().Components.Schemas.Map()
	delete(schemas, "ErrorModel") // huma's own error document, which asProblem replaces
	delete(schemas, "ErrorDetail")
	spec, err := json.Marshal(a.huma.OpenAPI())
	if err != nil {
		return fmt.Errorf("render OpenAPI document: %w", err)
	}
	a.spec = spec
	a.mux.HandleFunc("GET "+prefix+"/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		w.Write(a.spec) //nolint:errcheck // the client has gone
	})
	return nil
}
