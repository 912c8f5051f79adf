// SPDX-License-Identifier: Apache-2.0

package blueprint

import (
	"cmp"
	"maps"
	"slices"
)

// Merge lays over on base, field by field; both stay as they are. A zero field of over leaves base's. Env merges by key,
// secrets and volumes by name, resources, probes and shadow by their own fields; every other list is replaced whole.
// Merging is associative, and merging a service with nothing but a name changes nothing.
//
// What runs a service and where it already runs are alternatives: an over with image or command drops base's address. An
// over with an address keeps base's image and command, out of force; MergeBlueprints and ApplyPlan clear them at the end.
func Merge(base, over Service) Service {
	m := clone(base)
	o := clone(over)
	m.Name = cmp.Or(o.Name, m.Name)
	m.Address = cmp.Or(o.Address, m.Address)
	if o.Image != "" || len(o.Command) > 0 {
		m.Address = o.Address
	}
	m.Tap = cmp.Or(o.Tap, m.Tap)
	m.Image = cmp.Or(o.Image, m.Image)
	m.Command = orList(o.Command, m.Command)
	if written := m.Workdir != "" && !m.WorkdirImplied; o.Workdir != "" && !(o.WorkdirImplied && written) {
		m.Workdir, m.WorkdirImplied = o.Workdir, o.WorkdirImplied
	}
	m.Ports = orList(o.Ports, m.Ports)
	m.Env = mergeMap(m.Env, o.Env)
	m.Secrets = mergeNamed(m.Secrets, o.Secrets, func(s Secret) string { return s.Name }, mergeSecret)
	m.Volumes = mergeNamed(m.Volumes, o.Volumes, func(v Volume) string { return v.Name }, mergeVolume)
	m.DependsOn = orList(o.DependsOn, m.DependsOn)
	m.Expose = cmp.Or(o.Expose, m.Expose)
	m.Replicas = cmp.Or(o.Replicas, m.Replicas)
	m.Resources = mergePointer(m.Resources, o.Resources, mergeResources)
	m.Probes = mergePointer(m.Probes, o.Probes, mergeProbes)
	m.Init = cmp.Or(o.Init, m.Init)
	m.Mock = cmp.Or(o.Mock, m.Mock)
	m.Snapshot = cmp.Or(o.Snapshot, m.Snapshot)
	m.Shadow = mergePointer(m.Shadow, o.Shadow, MergeShadow)
	m.Isolation = cmp.Or(o.Isolation, m.Isolation)
	return m
}

// MergeBlueprints lays overlays on root, in order: the first derives from root, the second from the first, and so on. The
// result holds every service of the chain in its effective form, sorted by name. What is about the environment itself, such
// as name and routing, is the last one's where that one says anything.
func MergeBlueprints(root Blueprint, overlays ...Blueprint) Blueprint {
	m := cloneBlueprint(root)
	for _, o := range overlays {
		o = cloneBlueprint(o)
		m.Name = cmp.Or(o.Name, m.Name)
		m.Description = cmp.Or(o.Description, m.Description)
		m.Runtime = cmp.Or(o.Runtime, m.Runtime)
		m.Services = mergeServices(m.Services, o.Services)
		m.Plans = mergePlans(m.Plans, o.Plans)
		m.Routing = mergeRouting(m.Routing, o.Routing)
		m.Shadow = mergePointer(m.Shadow, o.Shadow, MergeShadow)
		m.AutoShutdownEnabled = m.AutoShutdownEnabled || o.AutoShutdownEnabled
		m.AutoShutdownDelayMinutes = cmp.Or(o.AutoShutdownDelayMinutes, m.AutoShutdownDelayMinutes)
	}
	for i := range m.Services {
		m.Services[i] = settle(m.Services[i])
	}
	slices.SortStableFunc(m.Services, func(a, b Service) int { return cmp.Compare(a.Name, b.Name) })
	return m
}

// settle drops what a service's address put out of force.
func settle(s Service) Service {
	if s.Address != "" {
		s.Image, s.Command, s.Workdir, s.WorkdirImplied = "", nil, "", false
	}
	return s
}

func mergeServices(base, over []Service) []Service {
	return mergeNamed(base, over, func(s Service) string { return s.Name }, Merge)
}

func mergePlans(base, over map[string]Plan) map[string]Plan {
	if len(over) == 0 {
		return base
	}
	m := make(map[string]Plan, len(base)+len(over))
	maps.Copy(m, base)
	for name, p := range over {
		m[name] = Plan{Services: mergeServices(m[name].Services, p.Services)}
	}
	return m
}

func mergeRouting(base, over Routing) Routing {
	return Routing{
		Mode:            cmp.Or(over.Mode, base.Mode),
		BaselineID:      cmp.Or(over.BaselineID, base.BaselineID),
		OverlayID:       cmp.Or(over.OverlayID, base.OverlayID),
		HeaderName:      cmp.Or(over.HeaderName, base.HeaderName),
		PropagateHeader: cmp.Or(over.PropagateHeader, base.PropagateHeader),
	}
}

func mergeSecret(base, over Secret) Secret {
	return Secret{Name: base.Name, EnvKey: cmp.Or(over.EnvKey, base.EnvKey), Value: cmp.Or(over.Value, base.Value)}
}

func mergeVolume(base, over Volume) Volume {
	return Volume{
		Name: base.Name, MountPath: cmp.Or(over.MountPath, base.MountPath),
		Type: cmp.Or(over.Type, base.Type), Size: cmp.Or(over.Size, base.Size),
	}
}

func mergeResources(base, over Resources) Resources {
	return Resources{CPU: cmp.Or(over.CPU, base.CPU), Memory: cmp.Or(over.Memory, base.Memory)}
}

func mergeProbes(base, over Probes) Probes {
	return Probes{
		Readiness: mergePointer(base.Readiness, over.Readiness, mergeProbe),
		Liveness:  mergePointer(base.Liveness, over.Liveness, mergeProbe),
	}
}

// mergeProbe replaces the check as one, because http, tcp and exec exclude each other, and each of the times by itself.
func mergeProbe(base, over Probe) Probe {
	m := base
	if over.HTTP != "" || over.TCP || len(over.Exec) > 0 {
		m.HTTP, m.TCP, m.Exec = over.HTTP, over.TCP, over.Exec
	}
	m.Period = cmp.Or(over.Period, base.Period)
	m.Timeout = cmp.Or(over.Timeout, base.Timeout)
	m.StartupTimeout = cmp.Or(over.StartupTimeout, base.StartupTimeout)
	return m
}

// mergeNamed merges lists whose entries have names: entries of one name by merge, the rest in order of first appearance.
func mergeNamed[T any](base, over []T, name func(T) string, merge func(base, over T) T) []T {
	m := slices.Clone(base)
	at := make(map[string]int, len(m))
	for i, v := range m {
		at[name(v)] = i
	}
	for _, v := range over {
		if i, there := at[name(v)]; there {
			m[i] = merge(m[i], v)
			continue
		}
		at[name(v)] = len(m)
		m = append(m, v)
	}
	return m
}

func mergePointer[T any](base, over *T, merge func(base, over T) T) *T {
	if base == nil || over == nil {
		return cmp.Or(over, base)
	}
	m := merge(*base, *over)
	return &m
}

func mergeMap(base, over map[string]string) map[string]string {
	if len(over) == 0 {
		return base
	}
	m := make(map[string]string, len(base)+len(over))
	maps.Copy(m, base)
	maps.Copy(m, over)
	return m
}

func orList[T any](over, base []T) []T {
	if len(over) > 0 {
		return over
	}
	return base
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
