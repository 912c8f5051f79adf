// SPDX-License-Identifier: Apache-2.0

package blueprint

import (
	"fmt"
	"slices"
	"strings"
)

// checkParts checks what the runtime provides beside the process itself, and says honestly what this version does not do.
func (c *checker) checkParts(path string, s Service) {
	if s.Resources != nil {
		c.checkResources(path+".resources", *s.Resources)
	}
	for i, v := range s.Volumes {
		c.checkVolume(fmt.Sprintf("%s.volumes[%d]", path, i), v)
	}
	if s.Init != nil {
		c.add(path+".init", RuleNotSupported, "this version runs no init: let the service's command prepare what it needs, and take init out")
	}
	if s.Snapshot != nil {
		c.add(path+".snapshot", RuleNotSupported, "this version restores no snapshots: take snapshot out, and let the service's command load its data")
	}
	if s.Mock != nil {
		c.checkMock(path+".mock", *s.Mock)
	}
	switch s.Isolation {
	case "":
	case "strict":
		c.add(path+".isolation", RuleNotSupported, "this version has no isolation: strict; let service %q listen on PORT, or on ${self.port}", s.Name)
	default:
		c.add(path+".isolation", RuleBadValue, "isolation %q does not exist; leave it out", s.Isolation)
	}
}

func (c *checker) checkResources(path string, r Resources) {
	if r.CPU != "" && !cpuForm.MatchString(r.CPU) {
		c.add(path+".cpu", RuleBadValue, "cpu %q cannot be read: write thousandths of a core, like 250m, or cores, like 0.5", r.CPU)
	}
	if r.Memory != "" {
		if _, err := ParseSize(r.Memory); err != nil {
			c.add(path+".memory", RuleBadSize, "%s", err)
		}
	}
	if c.b.Runtime == "" || c.b.Runtime == Process {
		c.warn(path, RuleNotSupported, "runtime process does not limit what a service uses: resources changes nothing")
	}
}

func (c *checker) checkVolume(path string, v Volume) {
	c.dnsName(path+".name", "a volume", v.Name)
	if v.MountPath != "" && !strings.HasPrefix(v.MountPath, "/") {
		c.add(path+".mountPath", RuleBadPath, "mountPath %q has to begin with a slash", v.MountPath)
	}
	if v.Size != "" {
		if _, err := ParseSize(v.Size); err != nil {
			c.add(path+".size", RuleBadSize, "%s", err)
		}
	}
	if c.b.Runtime == "" || c.b.Runtime == Process {
		c.warn(path, RuleNotSupported, "runtime process mounts no volumes: the service sees the machine's own files, in its workdir")
	}
}

func (c *checker) checkMock(path string, m Mock) {
	modes, sources := []string{"replace", "sidecar", "mirror"}, []string{"openapi", "recorded", "rules"}
	if !slices.Contains(modes, m.Mode) {
		c.add(path+".mode", RuleBadValue, "mock mode %q does not exist%s", m.Mode, meant(m.Mode, modes))
	}
	if !slices.Contains(sources, m.From) {
		c.add(path+".from", RuleBadValue, "a mock cannot answer from %q%s", m.From, meant(m.From, sources))
	}
	if m.Consumer != "" && !c.uncertain && !slices.Contains(c.names, m.Consumer) {
		c.add(path+".consumer", RuleUnknownService, "there is no service %q to put the mock in front of%s", m.Consumer, meant(m.Consumer, c.names))
	}
	c.add(path, RuleNotSupported, "this version has no mocks: run a stub as the service's command, or name one that runs by address")
}
