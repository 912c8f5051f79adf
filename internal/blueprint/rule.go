// SPDX-License-Identifier: Apache-2.0

package blueprint

// The rules a Blueprint is checked against. Their ids are public and stable: they are printed behind every complaint and
// travel in the API's problem documents.
const (
	RuleSyntax            = "syntax"             // not YAML
	RuleTooLarge          = "too-large"          // beyond a limit on the document's size, depth or expansion
	RuleUnknownField      = "unknown-field"      // a field that no Blueprint has
	RuleDuplicateKey      = "duplicate-key"      // the same key twice in one mapping
	RuleWrongType         = "wrong-type"         // a list where a text belongs, and the like
	RuleRequired          = "required"           // a field that has to be given
	RuleDuplicateService  = "duplicate-service"  // two services of one name
	RuleDuplicateName     = "duplicate-name"     // two ports, secrets or volumes of one name in a service, two gates for one endpoint
	RuleBadName           = "bad-name"           // not DNS-safe, or not usable as a variable or header name
	RuleBadValue          = "bad-value"          // not one of the values there are
	RuleBadPort           = "bad-port"           // not 1 to 65535
	RuleFixedPort         = "fixed-port"         // PORT is set to one number, so that two instances would collide
	RuleBadProtocol       = "bad-protocol"       // not a protocol there is
	RuleBadAddress        = "bad-address"        // not host:port
	RuleBadTap            = "bad-tap"            // not IFACE:PORT, or for what a tap can't read
	RuleBadPath           = "bad-path"           // a file, URL or JSON path that cannot be one
	RuleBadCommand        = "bad-command"        // cannot be split, or needs a shell
	RuleUnknownDependency = "unknown-dependency" // dependsOn names no service
	RuleDependencyCycle   = "dependency-cycle"   // services that wait for each other
	RuleUnknownService    = "unknown-service"    // a plan or a mock names no service
	RuleUnknownPlan       = "unknown-plan"       // the plan asked for does not exist
	RuleBadReference      = "bad-reference"      // ${…} that names nothing
	RuleImageAndAddress   = "image-and-address"  // it runs here, and it runs elsewhere
	RuleNothingToRun      = "nothing-to-run"     // neither command nor address
	RuleBadProbe          = "bad-probe"          // not exactly one of http, tcp and exec
	RuleBadDuration       = "bad-duration"       // not like 250ms
	RuleBadSize           = "bad-size"           // not like 1MiB
	RuleBadRate           = "bad-rate"           // not a share, or outside of its range
	RuleUnknownRuntime    = "unknown-runtime"    // not a runtime there is
	RuleModeConflict      = "mode-conflict"      // routing.mode says otherwise
	RuleOverlayTypo       = "overlay-typo"       // warning: a new service whose name is nearly that of an inherited one
	RuleNoEffect          = "no-effect"          // warning: written, but nothing follows from it here
	RuleNotSupported      = "not-supported"      // a part of the format that this version cannot carry out
)
