// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"fmt"
	"slices"
	"strings"

	"microstax/internal/blueprint"
	"microstax/internal/environment"
)

// Because says why an environment provides a service.
type Because string

// The reasons.
const (
	Listed    Because = "listed"    // the environment itself lists it
	Inherited Because = "inherited" // the nearest environment it derives from that lists it
	Mocked    Because = "mocked"    // a mock stands in for it
	External  Because = "external"  // it already runs elsewhere, at an address
	Refused   Because = "refused"   // a service depends on it, and nobody provides it
)

// Provider says who provides a service to the first environment of a chain.
type Provider struct {
	Service     string
	Environment string // id; "" where it is refused
	Name        string // of that environment
	Because     Because
	Changed     []string // fields in which the provider's form differs from what it derives from; empty at the root
	Explanation string   // one sentence for people
}

// Providers says for every service of a chain, nearest first, who provides it: the nearest environment that lists it. A
// service that is only depended on is refused. The result is sorted by service.
func Providers(chain []environment.Environment) []Provider {
	effective := Effective(chain)
	var out []Provider
	for _, s := range effective.Services {
		out = append(out, provide(chain, s))
	}
	for name, callers := range missing(effective) {
		out = append(out, Provider{
			Service: name, Because: Refused,
			Explanation: fmt.Sprintf("%s is called by %s, and no environment of the chain lists it: such calls are refused.", name, strings.Join(callers, ", ")),
		})
	}
	slices.SortFunc(out, func(a, b Provider) int { return strings.Compare(a.Service, b.Service) })
	return out
}

// provide explains one service, which some environment of the chain lists.
func provide(chain []environment.Environment, effective blueprint.Service) Provider {
	at := slices.IndexFunc(chain, func(e environment.Environment) bool {
		_, listed := e.Blueprint.Service(effective.Name)
		return listed
	})
	from := chain[at]
	p := Provider{Service: effective.Name, Environment: from.ID, Name: from.Name, Because: Listed}
	before, derived := Effective(chain[at+1:]).Service(effective.Name)
	if derived {
		p.Changed = blueprint.Changes(before, effective)
	}
	if at > 0 {
		p.Because = Inherited
	}
	switch {
	case effective.Mock != nil && effective.Mock.Mode == "replace":
		p.Because = Mocked
	case effective.External():
		p.Because = External
	}
	p.Explanation = explain(chain, at, p, derived, effective.Address)
	return p
}

func explain(chain []environment.Environment, at int, p Provider, derived bool, address string) string {
	var b strings.Builder
	who := string(chain[at].Mode) + " " + chain[at].Name
	switch {
	case at == 0 && p.Because == Listed:
		fmt.Fprintf(&b, "%s lists %s and runs it itself", who, p.Service)
	case p.Because == Inherited:
		fmt.Fprintf(&b, "%s does not list %s; %s is the nearest it derives from that does", chain[0].Name, p.Service, who)
	case p.Because == External:
		fmt.Fprintf(&b, "%s says that %s already runs elsewhere, at %s", who, p.Service, address)
	case p.Because == Mocked:
		fmt.Fprintf(&b, "%s puts a mock in the place of %s", who, p.Service)
	}
	switch {
	case derived && len(p.Changed) > 0:
		fmt.Fprintf(&b, ", with other %s than what it derives from", strings.Join(p.Changed, ", "))
	case derived:
		b.WriteString(", unchanged from what it derives from")
	case at < len(chain)-1:
		b.WriteString(", as a new service")
	}
	b.WriteByte('.')
	return b.String()
}

// missing gives the services that are depended on and not there, with who depends on them, sorted.
func missing(b blueprint.Blueprint) map[string][]string {
	out := map[string][]string{}
	for _, s := range b.Services {
		for _, d := range Dependencies(s) {
			if _, there := b.Service(d); !there {
				out[d] = append(out[d], s.Name)
			}
		}
	}
	return out
}
