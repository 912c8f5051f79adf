// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"microstax/internal/blueprint"
	"microstax/internal/dataplane/route"
)

// encrypt makes the gateways of a new table show a certificate. Only where HTTP is spoken: databases have their own ways
// of asking for TLS, and what services call through stays on the machine.
func encrypt(t *route.Table, shown *route.TLS) *route.Table {
	if shown == nil {
		return t
	}
	for i := range t.Listeners {
		if l := &t.Listeners[i]; l.Kind == route.Gateway && l.Protocol != "tcp" {
			l.TLS = shown
		}
	}
	return t
}

// outside is the scheme of a gateway's URL.
func outside(scheme string, shown *route.TLS) string {
	if shown != nil && scheme == blueprint.HTTP {
		return "https"
	}
	return scheme
}
