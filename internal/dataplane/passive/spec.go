// SPDX-License-Identifier: Apache-2.0

package passive

import (
	"microstax/internal/blueprint"
	"microstax/internal/fault"
)

// Spec is what to tap.
type Spec = blueprint.Tap

// Parse reads a Spec, see blueprint.ParseTap. It fails with fault.Invalid; whether there is such an interface is found out
// by Open.
func Parse(s string) (Spec, error) {
	spec, err := blueprint.ParseTap(s)
	if err != nil {
		return Spec{}, fault.Errorf("read tap", fault.Invalid, "%q %w", s, err).
			WithHint("write IFACE:PORT, like lo:8080 or eth0:8080, or IFACE:HOST:PORT for a server that is not on this machine, like docker0:172.17.0.2:80")
	}
	return spec, nil
}
