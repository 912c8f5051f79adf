// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"slices"
	"strings"

	"microstax/internal/blueprint"
	"microstax/internal/environment"
	"microstax/internal/graph"
)

// planned is one instance that an environment may run: pure, from its lineage.
type planned struct {
	id      environment.Instance
	service blueprint.Service         // effective version
	callees []string                  // what it may call, sorted
	wave    int                       // it starts when all of lower waves and the same role were ready
	listens bool                      // something connects to its port
	lineage []environment.Environment // whose version it is, nearest first
}

func (p planned) key() string { return p.id.Key() }

// shadow says whether the instance belongs to a shadow session.
func (p planned) shadow() bool { return p.id.Role != environment.Primary }

// probe is the readiness check in force, with its times filled in; none is set for what listens nowhere.
func (p planned) probe() blueprint.Probe {
	var r blueprint.Probe
	if p.service.Probes != nil && p.service.Probes.Readiness != nil {
		r = *p.service.Probes.Readiness
	}
	if r.HTTP == "" && !r.TCP && len(r.Exec) == 0 {
		r.TCP = p.listens
	}
	return withTimes(r)
}

// liveness is the check that restarts an instance, and whether there is one.
func (p planned) liveness() (blueprint.Probe, bool) {
	if p.service.Probes == nil || p.service.Probes.Liveness == nil {
		return blueprint.Probe{}, false
	}
	return withTimes(*p.service.Probes.Liveness), true
}

func withTimes(p blueprint.Probe) blueprint.Probe {
	if p.Period <= 0 {
		p.Period = blueprint.DefaultPeriod
	}
	if p.Timeout <= 0 {
		p.Timeout = blueprint.DefaultTimeout
	}
	if p.StartupTimeout <= 0 {
		p.StartupTimeout = blueprint.DefaultStartupTimeout
	}
	return p
}

// wanted are the instances that should run for the first environment of a lineage, by key.
func wanted(lineage []environment.Environment) map[string]planned {
	env := lineage[0]
	out := map[string]planned{}
	if !wantsRunning(env) {
		return out
	}
	whole := effective(lineage)
	waves := waves(whole)
	for _, name := range env.Blueprint.ServiceNames() {
		svc, _ := whole.Service(name)
		if svc.External() {
			continue
		}
		for replica := range svc.Copies() {
			add(out, draft{env.ID, lineage, whole, waves}, svc, environment.Primary, replica)
		}
		if env.Shadow.Enabled {
			add(out, draft{env.ID, lineage, whole, waves}, svc, environment.Candidate, 0)
		}
	}
	if env.Shadow.Enabled && len(lineage) > 1 {
		addControls(out, env, lineage[1:])
	}
	return out
}

// addControls adds the parent's versions of what the environment lists, as far as twins of them are wanted and can be run.
func addControls(out map[string]planned, env environment.Environment, base []environment.Environment) {
	whole := effective(base)
	waves := waves(whole)
	for _, name := range env.Blueprint.ServiceNames() {
		svc, ok := whole.Service(name)
		settings := env.Shadow.Services[name]
		if !ok || svc.External() || settings.Control == blueprint.ControlOff || controlURL(settings) != nil {
			continue
		}
		add(out, draft{env.ID, base, whole, waves}, svc, environment.Control, 0)
	}
}

// draft is what the instances of one version of the services have in common.
type draft struct {
	env     string
	lineage []environment.Environment
	whole   blueprint.Blueprint
	waves   map[string]int
}

func add(out map[string]planned, d draft, svc blueprint.Service, role environment.Role, replica int) {
	p := planned{
		id:      environment.Instance{Environment: d.env, Service: svc.Name, Role: role, Replica: replica},
		service: svc, callees: blueprint.Dependencies(svc), wave: d.waves[svc.Name], lineage: d.lineage,
		listens: len(svc.Ports) > 0 || svc.Exposed() || referred(d.whole, svc.Name),
	}
	out[p.key()] = p
}

// waves says for each service how many others have to be ready before it, one after the other. A circle, which no checked
// Blueprint has, gives none an order.
func waves(whole blueprint.Blueprint) map[string]int {
	out := map[string]int{}
	order, err := graph.StartOrder(whole.Services)
	if err != nil {
		return out
	}
	for n, names := range order {
		for _, name := range names {
			out[name] = n
		}
	}
	return out
}

// referred says whether some service is told the address of this one.
func referred(whole blueprint.Blueprint, name string) bool {
	return slices.ContainsFunc(whole.Services, func(s blueprint.Service) bool {
		return slices.Contains(blueprint.References(s), name)
	})
}

// listeners are the ids of the listeners an environment needs: a gateway for every exposed service, and one for everything
// that each instance may call.
func listeners(lineage []environment.Environment, plan map[string]planned) []string {
	var ids []string
	for _, svc := range effective(lineage).Services {
		if svc.Exposed() {
			ids = append(ids, gatewayID(lineage[0].ID, svc.Name))
		}
	}
	for _, p := range plan {
		for _, callee := range p.callees {
			ids = append(ids, outgoingID(p.id, callee))
		}
	}
	slices.SortFunc(ids, strings.Compare)
	return ids
}
