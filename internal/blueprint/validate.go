// SPDX-License-Identifier: Apache-2.0

package blueprint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"microstax/internal/fault"
)

// Limits on what one Blueprint holds, so that no document makes the checks, or the machine, run away.
const (
	MaxServices = 500
	MaxReplicas = 64
)

// Validate checks b as an environment of the given mode, the empty mode meaning what routing.mode says, and gives every
// complaint at once (beyond a thousand it stops); warnings are marked. It has to be b as it was read: the paths of the
// complaints count services in b's order. File, line and column are left to who read the file.
//
// Of an overlay it asks only what an overlay has to say. known are then the names of the services it inherits; where that is
// nil they are not known, and what would depend on them is not checked.
func Validate(b Blueprint, as Mode, known []string) []fault.Place {
	c := &checker{b: b, mode: cmp.Or(as, b.Routing.Mode, Isolated)}
	c.overlay = c.mode == Overlay
	c.checkMode(as)
	c.known(known, c.overlay && known == nil)
	c.check()
	return c.places
}

// ValidateEffective checks a Blueprint that MergeBlueprints or ApplyPlan made: nothing may be missing any more.
func ValidateEffective(b Blueprint) []fault.Place {
	c := &checker{b: b, mode: Isolated}
	c.known(nil, false)
	c.check()
	return c.places
}

// checker holds what the checks of one Blueprint share.
type checker struct {
	b         Blueprint
	mode      Mode
	overlay   bool            // fields may be left to what is inherited
	uncertain bool            // not every name that there is can be known
	inherited map[string]bool // services the overlay derives from
	names     []string        // of every service that can be named, sorted
	places    []fault.Place
}

func (c *checker) known(inherited []string, uncertain bool) {
	c.inherited = make(map[string]bool, len(inherited))
	c.uncertain = uncertain
	c.names = slices.Clone(inherited)
	for _, n := range inherited {
		c.inherited[n] = true
	}
	for _, s := range c.b.Services {
		if s.Name == "" { // it could be any that is missed elsewhere
			c.uncertain = true
			continue
		}
		c.names = append(c.names, s.Name)
	}
	slices.Sort(c.names)
	c.names = slices.Compact(c.names)
}

func (c *checker) add(path, rule, format string, args ...any) {
	c.report(fault.Place{Path: path, Rule: rule, Message: fmt.Sprintf(format, args...)})
}

func (c *checker) warn(path, rule, format string, args ...any) {
	c.report(fault.Place{Path: path, Rule: rule, Message: fmt.Sprintf(format, args...), Warning: true})
}

func (c *checker) report(p fault.Place) {
	if !c.full() {
		c.places = append(c.places, p)
	}
}

// full is true when nobody would read more complaints.
func (c *checker) full() bool {
	const most = 1000
	return len(c.places) >= most
}

func (c *checker) check() {
	b := c.b
	c.dnsName("name", "the Blueprint", b.Name)
	c.checkRuntime()
	c.checkRouting()
	if b.Shadow != nil {
		c.checkShadow("shadow", *b.Shadow)
		for name, file := range map[string]string{"openapi": b.Shadow.OpenAPI, "protobuf": b.Shadow.Protobuf} {
			if file != "" {
				c.add("shadow."+name, RuleBadValue, "%s describes one service: write it under that service's shadow", name)
			}
		}
	}
	if b.AutoShutdownEnabled {
		c.warn("autoShutdownEnabled", RuleNotSupported, "this version does not stop environments by itself: it goes on until microstax env stop")
	}
	if b.AutoShutdownDelayMinutes < 0 {
		c.add("autoShutdownDelayMinutes", RuleBadValue, "autoShutdownDelayMinutes is %d: write a number of minutes, zero or more", b.AutoShutdownDelayMinutes)
	}
	switch {
	case len(b.Services) == 0:
		c.add("services", RuleRequired, "there are no services: list at least one under services:")
		return
	case len(b.Services) > MaxServices:
		c.add("services", RuleTooLarge, "%d services are more than the %d that one Blueprint may have: split it", len(b.Services), MaxServices)
		return
	}
	c.checkServices()
	c.checkPlans()
}

func (c *checker) checkServices() {
	first := map[string]int{}
	for i, s := range c.b.Services {
		path := fmt.Sprintf("services[%d]", i)
		if at, there := first[s.Name]; there && s.Name != "" {
			c.add(path+".name", RuleDuplicateService, "service %q is already listed as services[%d]: give one of them another name, or make them one", s.Name, at)
		} else {
			first[s.Name] = i
		}
		c.checkService(path, s, c.overlay && (c.uncertain || c.inherited[s.Name]))
		if c.overlay && !c.inherited[s.Name] {
			c.checkTypo(path+".name", s.Name)
		}
	}
	c.checkCircles(first)
}

// maxCircles is how many circles of services are told; each costs a search through all of them.
const maxCircles = 10

// checkCircles tells circles of services that wait for each other: a shortest one, then a shortest one of what is left
// without its first step, and so on. first is where each name is listed.
func (c *checker) checkCircles(first map[string]int) {
	waits := make([]Service, len(c.b.Services))
	for i, s := range c.b.Services {
		waits[i] = Service{Name: s.Name, DependsOn: slices.Clone(s.DependsOn)}
	}
	for range maxCircles {
		circle := Cycle(waits)
		if circle == nil {
			return
		}
		at := first[circle[0]]
		path := fmt.Sprintf("services[%d].dependsOn[%d]", at, max(0, slices.Index(c.b.Services[at].DependsOn, circle[1])))
		if len(circle) == 2 {
			c.add(path, RuleDependencyCycle, "service %q waits for itself: take it out of dependsOn", circle[0])
		} else {
			c.add(path, RuleDependencyCycle,
				"services wait for each other: %s; take one out of dependsOn (a ${services.…} reference may stay: it does not decide the start order)", strings.Join(circle, " → "))
		}
		for i := range waits {
			if waits[i].Name == circle[0] {
				waits[i].DependsOn = slices.DeleteFunc(waits[i].DependsOn, func(d string) bool { return d == circle[1] })
			}
		}
	}
}

// checkTypo warns of a new service whose name is nearly that of one the overlay would inherit.
func (c *checker) checkTypo(path, name string) {
	const near = 2
	best := ""
	for _, k := range sortedKeys(c.inherited) {
		// Two errors in three letters make another word.
		if d := Distance(name, k); d <= min(near, max(len(name), len(k))-2) && (best == "" || d < Distance(name, best)) {
			best = k
		}
	}
	if best != "" && name != "" {
		c.warn(path, RuleOverlayTypo, "%q would be a new service: nothing that the overlay derives from has one of that name; did you mean %s?", name, best)
	}
}

func (c *checker) checkPlans() {
	for _, plan := range sortedKeys(c.b.Plans) {
		base := "plans." + plan
		for i, s := range c.b.Plans[plan].Services {
			path := fmt.Sprintf("%s.services[%d]", base, i)
			if s.Name != "" && !c.uncertain && !slices.Contains(c.names, s.Name) {
				c.add(path+".name", RuleUnknownService, "plan %s changes service %q, which is not there%s", plan, s.Name, meant(s.Name, c.names))
			}
			c.checkService(path, s, true)
		}
	}
}

func (c *checker) checkMode(as Mode) {
	written := c.b.Routing.Mode
	commands := map[Mode]string{Isolated: "microstax env create", Baseline: "microstax baseline create", Overlay: "microstax overlay create"}
	if _, known := commands[written]; !known && written != "" {
		list := []string{string(Isolated), string(Baseline), string(Overlay)}
		c.add("routing.mode", RuleBadValue, "routing.mode %q does not exist%s", written, meant(string(written), list))
		return
	}
	if as != "" && written != "" && as != written {
		c.add("routing.mode", RuleModeConflict, "routing.mode is %s, but the file is used for mode %s: use %s, or take routing.mode out", written, as, commands[written])
	}
}

func (c *checker) checkRuntime() {
	switch r := c.b.Runtime; r {
	case "", Process:
	case Docker, Kubernetes:
		c.add("runtime", RuleNotSupported, "runtime %s is not available in this version: use process, with a command: for every service", r)
	default:
		list := []string{string(Process), string(Docker), string(Kubernetes)}
		c.add("runtime", RuleUnknownRuntime, "runtime %q does not exist%s", r, meant(string(r), list))
	}
}

func (c *checker) checkRouting() {
	r := c.b.Routing
	if r.OverlayID != "" {
		c.dnsName("routing.overlayId", "the routing header", r.OverlayID)
	}
	if !c.overlay && c.mode != "" && r.BaselineID != "" && r.Mode != Overlay {
		c.warn("routing.baselineId", RuleNoEffect, "baselineId means something for an overlay only: create this one with microstax overlay create, or take it out")
	}
	if r.HeaderName == "" {
		return
	}
	switch name := strings.ToLower(r.HeaderName); {
	case !isToken(name):
		c.add("routing.headerName", RuleBadName, "headerName %q cannot be a header's name: use letters, digits and dashes, like %s", r.HeaderName, DefaultHeader)
	case slices.Contains(takenHeaders(), name):
		c.add("routing.headerName", RuleBadName, "header %s has a meaning of its own: use another name, like %s", name, DefaultHeader)
	}
	if r.PropagateHeader != nil && !*r.PropagateHeader {
		c.warn("routing.propagateHeader", RuleNotSupported, "this version always passes the routing header on inside the environment: propagateHeader: false changes nothing")
	}
}

// takenHeaders are headers that mean something to HTTP, to tracing, or to nearly every application.
func takenHeaders() []string {
	return []string{
		"accept", "authorization", "baggage", "connection", "content-encoding", "content-length", "content-type", "cookie", "date",
		"expect", "host", "keep-alive", "set-cookie", "te", "traceparent", "tracestate", "trailer", "transfer-encoding", "upgrade", "user-agent",
	}
}
