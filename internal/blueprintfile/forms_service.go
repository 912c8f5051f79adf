// SPDX-License-Identifier: Apache-2.0

package blueprintfile

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"

	"microstax/internal/blueprint"
	"microstax/internal/fault"
)

// services reads a list of services with names, or a map of services by name.
func (d *decoder) services(n *yaml.Node, v reflect.Value, path string) {
	switch n.Kind {
	case yaml.SequenceNode:
		d.list(n, v, path, "")
	case yaml.MappingNode:
		d.named(n, v, path)
	default:
		d.wrong(n, path, "a list of services with name:, or a mapping of services by name")
	}
}

func (d *decoder) named(n *yaml.Node, v reflect.Value, path string) {
	var out []blueprint.Service
	for i, p := range d.pairs(n, path, 0) {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.src.set(at, p.key.Line, p.key.Column)
		var s blueprint.Service
		if value := open(p.value); value.ShortTag() != "!!null" { // a name alone lists a service as it is
			d.value(p.value, reflect.ValueOf(&s).Elem(), at, "")
		}
		if s.Name != "" && s.Name != p.name {
			d.add(at+".name", blueprint.RuleBadValue, "name is %q, and the service is listed as %q: take name out, or list it by that name", s.Name, p.name)
		}
		s.Name = p.name
		d.src.set(at+".name", p.key.Line, p.key.Column)
		out = append(out, s)
	}
	v.Set(reflect.ValueOf(out))
}

// command reads a list, or one text that is split as a shell would, without being one.
func (d *decoder) command(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.SequenceNode {
		d.list(n, v, path, "Service.Command")
		return
	}
	if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!bool" {
		d.wrong(n, path, "a list, like [./bin/api, --verbose], or one text")
		return
	}
	words, err := split(n.Value)
	switch {
	case err != nil:
		d.add(path, blueprint.RuleBadCommand, "%s cannot be split: %s", last(path), err)
		return
	case len(words) == 0:
		d.add(path, blueprint.RuleBadCommand, "%s is empty: name a program", last(path))
		return
	}
	for _, w := range words {
		if w.bare && isOperator(w.text) {
			d.add(path, blueprint.RuleBadCommand, "no shell reads %s, so %s would be handed to the program: write [sh, -c, \"…\"] to have one", last(path), w.text)
			break
		}
	}
	v.Set(reflect.ValueOf(texts(words)))
}

// env reads a mapping, or a list of KEY=VALUE.
func (d *decoder) env(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		d.mapping(n, v, path, "Service.Env")
		return
	}
	if len(n.Content) == 0 {
		d.empty = append(d.empty, path)
	}
	out := map[string]string{}
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.src.set(at, item.Line, item.Column)
		entry := open(item)
		if !d.spend(entry) {
			return
		}
		text, ok := d.text(entry, at, false)
		if !ok {
			continue
		}
		key, value, assigned := strings.Cut(text, "=")
		if !assigned {
			d.add(at, blueprint.RuleBadValue, "%q has no value, and none is taken from the shell: write %s=value", text, text)
			continue
		}
		if _, twice := out[key]; twice {
			d.add(at, blueprint.RuleDuplicateKey, "%s is already given above: keep one of them", key)
			continue
		}
		out[key] = value
		d.src.set(join(path, key), item.Line, item.Column)
	}
	v.Set(reflect.ValueOf(out))
}

// folders makes the paths of files and folders absolute.
func (d *decoder) folders(baseDir string) {
	if baseDir != "" && !filepath.IsAbs(baseDir) {
		d.add("", blueprint.RuleBadPath, "the folder that paths start from, %q, is not absolute", baseDir)
		return
	}
	for i := range d.out.Services {
		d.folder(&d.out.Services[i], fmt.Sprintf("services[%d]", i), baseDir)
	}
	for name, p := range d.out.Plans {
		for i := range p.Services {
			d.folder(&p.Services[i], fmt.Sprintf("plans.%s.services[%d]", name, i), baseDir)
		}
	}
}

func (d *decoder) folder(s *blueprint.Service, path, baseDir string) {
	s.Workdir = d.absolute(s.Workdir, path+".workdir", baseDir)
	if s.Workdir == "" && len(s.Command) > 0 {
		s.Workdir, s.WorkdirImplied = baseDir, baseDir != ""
	}
	if s.Init != nil {
		s.Init.Script = d.absolute(s.Init.Script, path+".init.script", baseDir)
	}
	if s.Shadow != nil {
		s.Shadow.OpenAPI = d.absolute(s.Shadow.OpenAPI, path+".shadow.openapi", baseDir)
		s.Shadow.Protobuf = d.absolute(s.Shadow.Protobuf, path+".shadow.protobuf", baseDir)
	}
	if s.Mock != nil {
		s.Mock.OpenAPI = d.absolute(s.Mock.OpenAPI, path+".mock.openapi", baseDir)
	}
}

func (d *decoder) absolute(name, path, baseDir string) string {
	switch {
	case name == "":
		return ""
	case filepath.IsAbs(name):
		return filepath.Clean(name)
	case name == "~" || strings.HasPrefix(name, "~/"):
		d.add(path, blueprint.RuleBadPath, "%s: ~ is not resolved here; write the whole path, or one relative to the file", last(path))
	case baseDir == "":
		d.add(path, blueprint.RuleBadPath, "%s is relative, and where the file lies is not known: write it as an absolute path", last(path))
	default:
		return filepath.Join(baseDir, name)
	}
	return name
}

// warnEmpty tells the author of an overlay that an empty value takes nothing away.
func (d *decoder) warnEmpty() {
	for _, path := range d.empty {
		if strings.HasPrefix(path, "services[") {
			d.report(fault.Place{
				Path: path, Rule: blueprint.RuleNoEffect, Warning: true,
				Message: "an empty " + last(path) + " leaves what is inherited as it is: an overlay adds and replaces, and takes nothing away",
			})
		}
	}
}
