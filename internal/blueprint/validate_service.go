// SPDX-License-Identifier: Apache-2.0

package blueprint

import (
	"fmt"
	"slices"
	"strings"
)

// checkService checks one service; with partial, what it does not say may be inherited.
func (c *checker) checkService(path string, s Service, partial bool) {
	c.dnsName(path+".name", "a service", s.Name)
	c.checkSource(path, s, partial)
	c.checkTap(path, s)
	c.checkPorts(path, s)
	c.checkEnv(path, s)
	c.checkSecrets(path, s, partial)
	c.checkDependencies(path, s)
	c.checkReferences(path, s, partial)
	if s.Replicas != nil && (*s.Replicas < 1 || *s.Replicas > MaxReplicas) {
		c.add(path+".replicas", RuleBadValue, "replicas is %d: it must be 1 to %d (to run none, stop the environment)", *s.Replicas, MaxReplicas)
	}
	if s.Probes != nil {
		c.checkProbe(path+".probes.readiness", s.Probes.Readiness, partial)
		c.checkProbe(path+".probes.liveness", s.Probes.Liveness, partial)
	}
	if s.Shadow != nil {
		c.checkShadow(path+".shadow", *s.Shadow)
	}
	c.checkParts(path, s)
}

// checkSource checks that there is exactly one way to get at the service.
func (c *checker) checkSource(path string, s Service, partial bool) {
	runs := len(s.Command) > 0 || s.Image != ""
	if s.Address != "" {
		if wrong := addressFault(s.Address); wrong != "" {
			c.add(path+".address", RuleBadAddress, "address %q cannot be reached: %s", shorten(s.Address), wrong)
		}
		if runs {
			c.add(path+".address", RuleImageAndAddress, "service %q has an address, so it runs elsewhere, and an image or command, so it runs here: keep one of them", s.Name)
		}
		c.checkIdle(path, s)
		return
	}
	if len(s.Command) > 0 && strings.TrimSpace(s.Command[0]) == "" {
		c.add(path+".command[0]", RuleBadCommand, "the command's first part is empty: it has to be a program")
	}
	if strings.ContainsRune(strings.Join(s.Command, ""), 0) {
		c.add(path+".command", RuleBadCommand, "the command holds a NUL character, which no program can be given")
	}
	onProcess := c.b.Runtime == "" || c.b.Runtime == Process
	switch {
	case partial || s.Mock != nil || len(s.Command) > 0 || !onProcess && s.Image != "":
	case s.Image != "":
		c.add(path+".image", RuleNothingToRun, "service %q has only an image, and runtime process runs no images: add command:, or address: where it already runs", s.Name)
	default:
		c.add(path, RuleNothingToRun, "service %q has nothing to run: add command:, or address: where it already runs", s.Name)
	}
}

// checkIdle warns of fields that mean nothing for a service that runs elsewhere.
func (c *checker) checkIdle(path string, s Service) {
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"env", len(s.Env) > 0}, {"secrets", len(s.Secrets) > 0}, {"replicas", s.Replicas != nil}, {"resources", s.Resources != nil},
	} {
		if f.given {
			c.warn(path+"."+f.name, RuleNoEffect, "%s has no effect on service %q, which runs elsewhere: its address is all that counts", f.name, s.Name)
		}
	}
}

func (c *checker) checkPorts(path string, s Service) {
	names := map[string]bool{}
	for i, p := range s.Ports {
		at := fmt.Sprintf("%s.ports[%d]", path, i)
		if p.ContainerPort < 0 || p.ContainerPort > 65535 {
			c.add(at+".containerPort", RuleBadPort, "%d is not a port: it must be 1 to 65535", p.ContainerPort)
		} else if p.ContainerPort == 0 && c.b.Runtime != "" && c.b.Runtime != Process {
			c.add(at, RuleRequired, "the port has no containerPort: add the number the service listens on")
		}
		if p.HostPort < 0 || p.HostPort > 65535 {
			c.add(at+".hostPort", RuleBadPort, "%d is not a port: it must be 1 to 65535", p.HostPort)
		} else if p.HostPort > 0 {
			c.warn(at+".hostPort", RuleNoEffect, "host port %d is not used: expose: true gives the service an address at the gateway, which microstax env get shows", p.HostPort)
		}
		switch {
		case p.Protocol != "" && !slices.Contains(Protocols(), p.Protocol):
			c.add(at+".protocol", RuleBadProtocol, "protocol %q does not exist%s", p.Protocol, meant(p.Protocol, Protocols()))
		case p.Protocol == "postgres", p.Protocol == "redis":
			c.warn(at+".protocol", RuleNotSupported, "this version carries %s as plain tcp: it reaches the service, but is neither mirrored nor compared", p.Protocol)
		}
		if p.Name == "" {
			continue
		}
		c.dnsName(at+".name", "the port", p.Name)
		if names[p.Name] {
			c.add(at+".name", RuleDuplicateName, "service %q already has a port named %s", s.Name, p.Name)
		}
		names[p.Name] = true
	}
	if len(s.Ports) > 1 && !s.External() {
		c.warn(path+".ports[1]", RuleNotSupported, "this version serves one port of a service, the first: what %q listens on beside it is not reached through the data plane", s.Name)
	}
}

func (c *checker) checkEnv(path string, s Service) {
	for _, k := range sortedKeys(s.Env) {
		at := path + ".env." + k
		if !variableForm.MatchString(k) {
			c.add(at, RuleBadName, "%q cannot be a variable's name: use letters, digits and underscores, not a digit first", shorten(k))
		}
		if strings.ContainsRune(s.Env[k], 0) {
			c.add(at, RuleBadValue, "variable %s holds a NUL character, which no program can be given", k)
		}
	}
	port, set := s.Env["PORT"]
	if onProcess := c.b.Runtime == "" || c.b.Runtime == Process; set && onProcess && !s.External() && strings.TrimSpace(port) != "${self.port}" {
		c.add(path+".env.PORT", RuleFixedPort, "PORT is given by MicroStax, another one to every instance, so that a candidate and its control can run beside it: take PORT out, or write ${self.port}")
	}
}

func (c *checker) checkSecrets(path string, s Service, partial bool) {
	seen := map[string]bool{}
	for i, x := range s.Secrets {
		at := fmt.Sprintf("%s.secrets[%d]", path, i)
		c.dnsName(at+".name", "a secret", x.Name)
		if x.Name != "" && seen[x.Name] {
			c.add(at+".name", RuleDuplicateName, "service %q already has a secret named %s", s.Name, x.Name)
		}
		seen[x.Name] = true
		if x.EnvKey != "" && !variableForm.MatchString(x.EnvKey) {
			c.add(at+".envKey", RuleBadName, "%q cannot be a variable's name: use letters, digits and underscores, not a digit first", shorten(x.EnvKey))
		}
		if _, both := s.Env[x.EnvKey]; both {
			c.add(at+".envKey", RuleDuplicateName, "variable %s is set by env and by secret %s: keep one of them", x.EnvKey, x.Name)
		}
		if x.Value == "" && !partial {
			c.add(at, RuleRequired, "secret %q has no value: write value: %s, or the value itself", x.Name, AutoGenerated)
		}
	}
}

func (c *checker) checkDependencies(path string, s Service) {
	for i, d := range s.DependsOn {
		if c.full() || c.uncertain || d == s.Name || slices.Contains(c.names, d) {
			continue
		}
		c.add(fmt.Sprintf("%s.dependsOn[%d]", path, i), RuleUnknownDependency, "service %q depends on %q, which is not there%s", s.Name, d, meant(d, c.names))
	}
}

func (c *checker) checkReferences(path string, s Service, partial bool) {
	var secrets []string
	for _, x := range s.Secrets {
		secrets = append(secrets, x.Name)
	}
	for _, l := range s.interpolated() {
		_, err := Interpolate(l.text, func(ref string) (string, error) {
			r, err := ParseReference(ref)
			switch {
			case c.full():
			case err != nil:
				c.add(path+"."+l.path, RuleBadReference, "%s", err)
			case r.Kind == ReferService && r.Name == s.Name:
				c.add(path+"."+l.path, RuleBadReference, "${%s} is service %q itself: write ${self.host} and ${self.port}", ref, s.Name)
			case r.Kind == ReferService && !c.uncertain && !slices.Contains(c.names, r.Name):
				c.add(path+"."+l.path, RuleBadReference, "${%s}: there is no service %q%s", ref, r.Name, meant(r.Name, c.names))
			case r.Kind == ReferSecret && !partial && !slices.Contains(secrets, r.Name):
				c.add(path+"."+l.path, RuleBadReference, "${%s}: service %q has no secret %q%s", ref, s.Name, r.Name, meant(r.Name, secrets))
			}
			return "", nil // go on, so that every reference of the text is looked at
		})
		if err != nil {
			c.add(path+"."+l.path, RuleBadReference, "%s", err)
		}
	}
}

func (c *checker) checkProbe(path string, p *Probe, partial bool) {
	if p == nil {
		return
	}
	kinds := 0
	for _, given := range []bool{p.HTTP != "", p.TCP, len(p.Exec) > 0} {
		if given {
			kinds++
		}
	}
	switch {
	case kinds > 1:
		c.add(path, RuleBadProbe, "a probe is one of http, tcp and exec, and this one is %d of them: keep one", kinds)
	case kinds == 0 && !partial:
		c.add(path, RuleBadProbe, "the probe checks nothing: add http: /path, tcp: true, or exec: [program]")
	}
	if p.HTTP != "" && !strings.HasPrefix(p.HTTP, "/") {
		c.add(path+".http", RuleBadProbe, "%q is not a path on the service: it begins with a slash, like /healthz", shorten(p.HTTP))
	}
}
