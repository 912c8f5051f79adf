// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"net/http"
	"net/url"

	v1 "microstax/api/v1"
)

// Gateways lists the gateways of a server that has its data plane outside.
func (c *Client) Gateways(ctx context.Context) ([]v1.Gateway, error) {
	return data(get[[]v1.Gateway](ctx, c, call{op: "list gateways", method: http.MethodGet, path: "/v1/gateways"}))
}

// ForgetGateway drops a gateway that is gone for good.
func (c *Client) ForgetGateway(ctx context.Context, name string) error {
	_, _, err := get[struct{}](ctx, c, call{op: "forget gateway", method: http.MethodDelete, path: "/v1/gateways/" + url.PathEscape(name)})
	return err
}
