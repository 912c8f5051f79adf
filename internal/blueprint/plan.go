// SPDX-License-Identifier: Apache-2.0

package blueprint

import (
	"fmt"

	"microstax/internal/fault"
)

// ApplyPlan lays the services of the named plan over the Blueprint's, in the order of Normalize, and drops the plans. An
// empty name applies none. An unknown one is fault.Invalid, with the plans there are.
func ApplyPlan(b Blueprint, name string) (Blueprint, error) {
	out := cloneBlueprint(b)
	out.Plans = nil
	if name == "" {
		return Normalize(out), nil
	}
	p, ok := b.Plans[name]
	if !ok {
		err := fault.Errorf("apply plan", fault.Invalid, "the Blueprint has no plan %q%s", name, meant(name, sortedKeys(b.Plans)))
		return Blueprint{}, err.WithPlaces([]fault.Place{{Path: "plans", Rule: RuleUnknownPlan, Message: fmt.Sprintf("there is no plan %q%s", name, meant(name, sortedKeys(b.Plans)))}}).
			WithHint("name one of the plans under plans:, or leave the plan out")
	}
	out.Services = mergeServices(out.Services, p.Services)
	for i := range out.Services {
		out.Services[i] = settle(clone(out.Services[i]))
	}
	return Normalize(out), nil
}
