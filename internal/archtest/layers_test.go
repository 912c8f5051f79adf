// SPDX-License-Identifier: Apache-2.0

package archtest_test

import (
	"slices"
	"strings"
)

// place is where packages stand. Among the places that fit a package the longest pattern counts.
type place struct {
	pattern string // path below the module; /** at its end: with everything below
	layer   int
	group   string   // packages of one layer may import each other only within a group
	rank    int      // within a group: imports go to a lower rank only; -1: anything in the group
	pure    bool     // values only: no clock, no I/O, no goroutines
	only    []string // if set: the only places of ours, beside its own group, that it may import
}

// outside has what the rules do not cover: tests of the binary, and measurements.
var outside = []string{"test", "test/**", "bench", "bench/**", "tools/**", "internal/archtest"}

// free is the rank at which packages of a group may import each other.
const free = -1

// layers is the table of architecture.md.
var layers = []place{
	{pattern: "internal/fault", layer: 0, group: "fault"},
	{pattern: "api/v1", layer: 0, group: "api"},

	{pattern: "internal/id", layer: 1, group: "id"},
	{pattern: "internal/config", layer: 1, group: "config"},
	{pattern: "internal/client", layer: 1, group: "client"},
	{pattern: "internal/webui", layer: 1, group: "webui"},
	{pattern: "internal/numeral", layer: 1, group: "numeral", pure: true},

	{pattern: "internal/blueprint", layer: 2, group: "blueprint", pure: true},
	{pattern: "internal/exchange", layer: 2, group: "exchange", pure: true},

	{pattern: "internal/environment", layer: 3, group: "environment", pure: true},
	{pattern: "internal/observation", layer: 3, group: "observation", pure: true},

	{pattern: "internal/blueprintfile/**", layer: 4, group: "blueprintfile", rank: free, pure: true},
	{pattern: "internal/graph", layer: 4, group: "graph", pure: true},
	{pattern: "internal/report/**", layer: 4, group: "report", rank: free, pure: true},
	{pattern: "internal/engine", layer: 4, group: "engine", rank: 2, pure: true},
	// The children may use each other, and never what composes them.
	{pattern: "internal/engine/**", layer: 4, group: "engine", rank: free, pure: true},

	// Seams, then what adapters share, then adapters and conformance suites: an adapter never imports another.
	{pattern: "internal/driver", layer: 5, group: "driver", rank: 1},
	{pattern: "internal/driver/**", layer: 5, group: "driver", rank: 3},
	{pattern: "internal/evidence", layer: 5, group: "evidence", rank: 1},
	{pattern: "internal/evidence/sqlstore", layer: 5, group: "evidence", rank: 2},
	{pattern: "internal/evidence/**", layer: 5, group: "evidence", rank: 3},
	{pattern: "internal/bus", layer: 5, group: "bus", rank: 1},
	{pattern: "internal/bus/**", layer: 5, group: "bus", rank: 3},
	{pattern: "internal/blob", layer: 5, group: "blob", rank: 1},
	{pattern: "internal/blob/**", layer: 5, group: "blob", rank: 3},

	{pattern: "internal/dataplane/http1", layer: 5, group: "dataplane", rank: 1},
	{pattern: "internal/dataplane/wire/**", layer: 5, group: "dataplane", rank: 1},
	{pattern: "internal/dataplane/route", layer: 5, group: "dataplane", rank: 2, pure: true},
	{pattern: "internal/dataplane/dial", layer: 5, group: "dataplane", rank: 3},
	{pattern: "internal/dataplane/redact", layer: 5, group: "dataplane", rank: 3},
	{pattern: "internal/dataplane/tap", layer: 5, group: "dataplane", rank: 4},
	{pattern: "internal/dataplane/identity", layer: 5, group: "dataplane", rank: 5},
	{pattern: "internal/dataplane/effects", layer: 5, group: "dataplane", rank: 5},
	{pattern: "internal/dataplane/mock", layer: 5, group: "dataplane", rank: 5},
	{pattern: "internal/dataplane/passive", layer: 5, group: "dataplane", rank: 5},
	{pattern: "internal/dataplane/mirror", layer: 5, group: "dataplane", rank: 6},
	{pattern: "internal/dataplane/proxy", layer: 5, group: "dataplane", rank: 7},
	{pattern: "internal/dataplane/remote", layer: 5, group: "dataplane", rank: 6},
	{pattern: "internal/dataplane/proxytest", layer: 5, group: "dataplane", rank: 8},

	{pattern: "internal/control/deploy", layer: 6, group: "control/deploy"},
	{pattern: "internal/control/shadow", layer: 6, group: "control/shadow"},
	{pattern: "internal/control/ingest", layer: 6, group: "control/ingest"},
	{pattern: "internal/control/analyze", layer: 6, group: "control/analyze"},
	{pattern: "internal/control/gateways", layer: 6, group: "control/gateways"},
	{pattern: "internal/control/promote", layer: 6, group: "control/promote"},
	{pattern: "internal/control/snapshot", layer: 6, group: "control/snapshot"},
	{pattern: "internal/control/seed", layer: 6, group: "control/seed"},
	{pattern: "internal/control/replay", layer: 6, group: "control/replay"},
	{pattern: "internal/control/diagnose", layer: 6, group: "control/diagnose"},
	{pattern: "internal/control/share", layer: 6, group: "control/share"},
	{pattern: "internal/control/audit", layer: 6, group: "control/audit"},

	{pattern: "internal/httpapi", layer: 7, group: "httpapi"},
	{pattern: "internal/mcp", layer: 7, group: "mcp", only: []string{"internal/client", "api/v1", "internal/fault"}},

	{pattern: "internal/app/**", layer: 8, group: "app", rank: free},

	// The architecture has demo, cli and cmd in layer 9; here they are told apart, for each may import those before it.
	{pattern: "internal/demo/**", layer: 9, group: "demo", rank: free, only: []string{
		"internal/app", "internal/client", "internal/config", "internal/report", "api/v1", "internal/fault",
	}},
	{pattern: "internal/cli/**", layer: 10, group: "cli", rank: free, only: []string{
		"internal/app", "internal/client", "internal/config", "internal/blueprintfile", "internal/report", "internal/mcp",
		"internal/demo", "api/v1", "internal/fault",
	}},
	{pattern: "cmd/microstax", layer: 11, group: "cmd", only: []string{
		"internal/app", "internal/cli", "internal/client", "internal/config", "internal/blueprintfile", "internal/report",
		"internal/mcp", "internal/demo", "api/v1", "internal/fault",
	}},
}

// suites are harnesses and conformance suites: only tests use them.
var suites = []string{
	"internal/driver/drivertest", "internal/driver/fake", "internal/evidence/evidencetest", "internal/bus/bustest",
	"internal/blob/blobtest", "internal/dataplane/proxytest",
}

// adapter says whether a package is one that app alone may import, beside its own group.
func adapter(p string, in place) bool {
	seam := slices.Contains([]string{"driver", "evidence", "bus", "blob"}, in.group)
	return seam && in.rank > 1 || p == "internal/dataplane/proxy"
}

// adaptersFor is the group that may import them.
const adaptersFor = "app"

// impure are packages of the standard library that pure packages may not import, with what is below them, except for
// what allowed lists.
var (
	impure  = []string{"net", "os", "sync", "context", "log", "database", "syscall", "math/rand", "crypto/rand", "testing", "plugin", "runtime", "unique"}
	allowed = []string{"net/url", "net/netip", "net/textproto"}
)

// clock are the functions of package time that a pure package may not call: time comes in as an argument.
var clock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer"}

// banned may be imported by nobody. Templates switch the linker's removal of unused methods off, for the whole binary.
var banned = []string{"text/template", "html/template"}

// environ are the functions of package os that only internal/config may call.
var environ = []string{"Getenv", "LookupEnv", "Environ", "ExpandEnv"}

const (
	// configPath is the package that may read the environment.
	configPath = "internal/config"
	// maxLines is the hard limit of a file.
	maxLines = 800
)

func matches(pattern, p string) bool {
	if base, ok := strings.CutSuffix(pattern, "/**"); ok {
		return p == base || strings.HasPrefix(p, base+"/")
	}
	return p == pattern
}

// find is the place of a package, and false when it has none.
func find(p string) (place, bool) {
	best, found := place{}, false
	for _, l := range layers {
		if matches(l.pattern, p) && (!found || len(strings.TrimSuffix(l.pattern, "/**")) > len(strings.TrimSuffix(best.pattern, "/**")) || l.pattern == p) {
			best, found = l, true
		}
	}
	return best, found
}

func isOutside(p string) bool {
	return slices.ContainsFunc(outside, func(pattern string) bool { return matches(pattern, p) })
}

func below(names []string, p string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return p == n || strings.HasPrefix(p, n+"/") })
}

// refusal says why a package may not import another, or "".
func refusal(from, to string) string {
	a, ok := find(from)
	if !ok {
		return "it has no place in the table of internal/archtest"
	}
	b, ok := find(to)
	if !ok {
		return to + " has no place in the table of internal/archtest, or stands outside of the product"
	}
	same := a.layer == b.layer && a.group == b.group
	switch {
	case slices.Contains(suites, to):
		return "it is for tests only"
	case same && (a.rank == free && b.rank == free || a.rank != free && a.rank > b.rank):
		return ""
	case same:
		return "within " + a.group + " imports point the other way"
	case a.only != nil && !below(a.only, to):
		return from + " may import only " + strings.Join(a.only, ", ")
	case b.layer > a.layer:
		return "imports point down, and it is above"
	case b.layer == a.layer:
		return "it is of the same layer"
	case adapter(to, b) && a.group != adaptersFor:
		return "adapters and the proxy are imported by internal/app alone"
	case a.group == "dataplane" && slices.Contains([]string{"driver", "evidence", "bus", "blob"}, b.group):
		return "the data plane knows no seam"
	}
	return ""
}
