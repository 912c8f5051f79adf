// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"microstax/internal/demo/shop"
	"microstax/internal/fault"
)

// baselineFile is the shop's Blueprint.
func baselineFile(executable string) string {
	var b strings.Builder
	b.WriteString(`# The shop as its users know it.
name: demo-shop
runtime: process
services:
`)
	for _, s := range []struct {
		name   string
		calls  []string
		expose string
	}{
		{shop.API, []string{shop.Orders, shop.Inventory, shop.Pricing}, "what users reach"},
		{shop.Orders, []string{shop.Inventory, shop.Pricing, shop.Payments}, ""},
		{shop.Inventory, nil, ""},
		{shop.Pricing, nil, ""},
		{shop.Payments, nil, "so that the demo can read how often it really charged"},
	} {
		fmt.Fprintf(&b, "  - name: %s\n    command: [%s, demo-service, %s]\n", s.name, quoted(executable), s.name)
		b.WriteString("    ports: [{containerPort: 8080, name: http, protocol: http}]\n")
		b.WriteString("    probes: {readiness: {http: /healthz, period: 100ms, timeout: 2s}}\n")
		if s.expose != "" {
			fmt.Fprintf(&b, "    expose: true # %s\n", s.expose)
		}
		if len(s.calls) == 0 {
			continue
		}
		fmt.Fprintf(&b, "    dependsOn: [%s]\n    env:\n", strings.Join(s.calls, ", "))
		for _, c := range s.calls {
			fmt.Fprintf(&b, "      %s_URL: \"${services.%s.url}\"\n", strings.ToUpper(c), c)
		}
	}
	return b.String()
}

// overlayFile is the Blueprint of the new version of orders: only what differs from the baseline.
func overlayFile(changes []shop.Change) string {
	names := make([]string, 0, len(changes))
	for _, c := range changes {
		names = append(names, string(c))
	}
	return fmt.Sprintf(`# A new version of one service. Everything that is not said here is inherited from the baseline.
name: demo-orders-v2
runtime: process
services:
  - name: orders
    env:
      RELEASE: "2"
      CHANGES: %s
    shadow:
      # A demo has seconds, not days: it is content with less certainty about rare differences than the default.
      gate: {maxDifferenceRate: 0.02, minRequests: 200}
`, quoted(strings.Join(names, ",")))
}

// quoted is a string as YAML reads it whatever is in it: JSON is YAML.
func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic("demo: marshal string: " + err.Error()) // strings always can
	}
	return string(b)
}

// write writes a Blueprint and gives its path and text.
func write(dir, name, text string) (path, same string, err error) {
	path = filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", "", fault.E("run demo", fault.Unavailable, fmt.Errorf("write Blueprint: %w", err))
	}
	return path, text, nil
}
