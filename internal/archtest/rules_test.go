// SPDX-License-Identifier: Apache-2.0

package archtest_test

import (
	"strings"
	"testing"
)

// TestRefusals checks the rules themselves: a table that refuses nothing would let everything pass.
func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct{ from, to, why string }{
		{"internal/fault", "api/v1", "same layer"},
		{"internal/id", "internal/fault", ""},
		{"internal/id", "internal/config", "same layer"},
		{"internal/blueprint", "internal/exchange", "same layer"},
		{"internal/blueprint", "internal/observation", "above"},
		{"internal/observation", "internal/exchange", ""},
		{"internal/engine", "internal/engine/diff", ""},
		{"internal/engine/diff", "internal/engine", "other way"},
		{"internal/engine/noise", "internal/engine/diff", ""},
		{"internal/engine/diff", "internal/graph", "same layer"},
		{"internal/engine/diff", "internal/bus", "above"},
		{"internal/evidence/sqlite", "internal/evidence/sqlstore", ""},
		{"internal/evidence/sqlite", "internal/evidence", ""},
		{"internal/evidence/sqlite", "internal/evidence/postgres", "other way"},
		{"internal/evidence", "internal/evidence/sqlite", "other way"},
		{"internal/evidence/sqlite", "internal/blob", "same layer"},
		{"internal/bus", "internal/evidence", "same layer"},
		{"internal/dataplane/tap", "internal/dataplane/http1", ""},
		{"internal/dataplane/http1", "internal/dataplane/route", "other way"},
		{"internal/dataplane/mirror", "internal/dataplane/effects", ""},
		{"internal/dataplane/effects", "internal/dataplane/mirror", "other way"},
		{"internal/dataplane/proxy", "internal/dataplane/mirror", ""},
		{"internal/dataplane/mirror", "internal/dataplane/proxy", "other way"},
		{"internal/dataplane/mirror", "internal/bus", "same layer"},
		{"internal/control/deploy", "internal/driver", ""},
		{"internal/control/deploy", "internal/driver/process", "internal/app alone"},
		{"internal/control/deploy", "internal/dataplane/route", ""},
		{"internal/control/deploy", "internal/dataplane/proxy", "internal/app alone"},
		{"internal/control/deploy", "internal/control/shadow", "same layer"},
		{"internal/httpapi", "internal/control/deploy", ""},
		{"internal/httpapi", "internal/evidence/sqlite", "internal/app alone"},
		{"internal/mcp", "internal/client", ""},
		{"internal/mcp", "internal/control/deploy", "only"},
		{"internal/app", "internal/evidence/sqlite", ""},
		{"internal/app", "internal/dataplane/proxy", ""},
		{"internal/app", "internal/evidence/evidencetest", "tests only"},
		{"internal/app", "internal/cli", "above"},
		{"internal/demo/shop", "internal/demo", ""},
		{"internal/demo", "internal/app", ""},
		{"internal/demo", "internal/engine", "only"},
		{"internal/cli", "internal/demo", ""},
		{"internal/cli", "internal/engine", "only"},
		{"internal/cli", "internal/evidence/sqlite", "only"},
		{"cmd/microstax", "internal/cli", ""},
		{"internal/app", "test/helper", "no place"},
		{"internal/newthing", "internal/fault", "no place"},
		{"internal/control/newthing", "internal/fault", "no place"},
	}
	for _, tt := range tests {
		why := refusal(tt.from, tt.to)
		if tt.why == "" && why != "" || tt.why != "" && !strings.Contains(why, tt.why) {
			t.Errorf("%s imports %s: got %q, want %q", tt.from, tt.to, why, tt.why)
		}
	}
}
