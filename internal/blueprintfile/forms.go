// SPDX-License-Identifier: Apache-2.0

package blueprintfile

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"microstax/internal/blueprint"
)

var wholeForm = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*)$`)

// form is how a value that can be written in more than one way is read, or nil where it cannot.
func (d *decoder) form(t reflect.Type, field string) func(n *yaml.Node, v reflect.Value, path string) {
	switch t {
	case reflect.TypeFor[blueprint.Duration]():
		return d.duration
	case reflect.TypeFor[blueprint.Size]():
		return d.size
	case reflect.TypeFor[blueprint.Port]():
		return d.port
	}
	switch field {
	case "Blueprint.Services", "Plan.Services":
		return d.services
	case "Service.Command", "Probe.Exec", "Init.Command":
		return d.command
	case "Service.Env":
		return d.env
	case "Shadow.Sample", "Gate.Confidence", "Gate.MaxDifferenceRate", "EndpointGate.MaxDifferenceRate":
		if t.Kind() == reflect.Float64 {
			return d.share
		}
	}
	return nil
}

// loose is true of texts that people write as numbers: 2 for cpu, 5432 for a variable.
func loose(field string) bool {
	switch field {
	case "Resources.CPU", "Resources.Memory", "Volume.Size", "Secret.Value", "MockRule.Body":
		return true
	}
	return strings.HasSuffix(field, "{}") || strings.HasSuffix(field, ".Command[]") || strings.HasSuffix(field, ".Exec[]")
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path, field string) {
	switch v.Kind() {
	case reflect.String:
		text, ok := d.text(n, path, loose(field))
		if ok && text == "" && !strings.HasSuffix(field, "{}") && !strings.HasSuffix(field, "[]") {
			d.empty = append(d.empty, path)
		}
		v.SetString(text)
	case reflect.Bool:
		switch {
		case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool":
			v.SetBool(strings.EqualFold(n.Value, "true"))
		default:
			d.wrong(n, path, "true or false")
		}
	case reflect.Int, reflect.Int64:
		i, ok := d.whole(n, path)
		if ok && i == 0 && field != "Service.Replicas" {
			d.zero(path, v.Type(), field)
		}
		v.SetInt(i)
	case reflect.Float64:
		f, ok := d.number(n, path)
		if ok && f == 0 && field != "Ignore.Tolerance" {
			d.zero(path, v.Type(), field)
		}
		v.SetFloat(f)
	default:
		panic("read blueprint: no way to read a " + v.Kind().String()) // a field was added without teaching this package
	}
}

// zero refuses a 0 where it could not be told from a field that is left out.
func (d *decoder) zero(path string, t reflect.Type, field string) {
	rule, why := blueprint.RuleBadValue, "leave it out for the default"
	switch {
	case field == "Port.ContainerPort" || field == "Port.HostPort":
		rule, why = blueprint.RuleBadPort, "a port is 1 to 65535"
	case strings.HasSuffix(field, "Gate.MaxDifferenceRate"):
		rule, why = blueprint.RuleBadRate, "no amount of traffic proves that nothing ever differs; write a small rate, like 0.0001"
	case strings.Contains(field, "Gate.") && t.Kind() == reflect.Float64:
		rule = blueprint.RuleBadRate
	}
	d.add(path, rule, "%s cannot be 0: %s", last(path), why)
}

// text reads a text; with loosely, also numbers, truth values and dates as they are written.
func (d *decoder) text(n *yaml.Node, path string, loosely bool) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		d.wrong(n, path, "a text")
		return "", false
	}
	switch n.ShortTag() {
	case "!!str", "!!timestamp":
		return n.Value, true
	case "!!int", "!!float", "!!bool":
		if loosely {
			return n.Value, true
		}
		d.wrong(n, path, fmt.Sprintf("a text: put it in quotes, %q", n.Value))
	case "!!null":
		d.add(path, blueprint.RuleWrongType, "%s has no value: write \"\" for an empty text, or take it out", last(path))
	default:
		d.wrong(n, path, "a text")
	}
	return "", false
}

func (d *decoder) whole(n *yaml.Node, path string) (int64, bool) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" && wholeForm.MatchString(n.Value) {
		if i, err := strconv.ParseInt(n.Value, 10, 32); err == nil {
			return i, true
		}
		d.wrong(n, path, "a number of a usual size")
		return 0, false
	}
	d.wrong(n, path, "a whole number, in plain digits")
	return 0, false
}

func (d *decoder) number(n *yaml.Node, path string) (float64, bool) {
	if n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!int" || n.ShortTag() == "!!float") {
		if f, err := strconv.ParseFloat(n.Value, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return f, true
		}
	}
	d.wrong(n, path, "a number")
	return 0, false
}

func (d *decoder) duration(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.ScalarNode {
		d.wrong(n, path, "a duration, like 250ms or 10s")
		return
	}
	value, err := blueprint.ParseDuration(n.Value)
	switch {
	case err != nil:
		d.add(path, blueprint.RuleBadDuration, "%s: %s", last(path), err)
	case value == 0:
		d.add(path, blueprint.RuleBadDuration, "%s cannot be 0: leave it out for the default", last(path))
	}
	v.SetInt(int64(value))
}

func (d *decoder) size(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.ScalarNode {
		d.wrong(n, path, "a size, like 64KB or 1MiB")
		return
	}
	value, err := blueprint.ParseSize(n.Value)
	switch {
	case err != nil:
		d.add(path, blueprint.RuleBadSize, "%s: %s", last(path), err)
	case value == 0:
		d.add(path, blueprint.RuleBadSize, "%s cannot be 0: leave it out for the default", last(path))
	}
	v.SetInt(int64(value))
}

func (d *decoder) share(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!bool" {
		d.wrong(n, path, "a share, like 25% or 0.25")
		return
	}
	value, err := blueprint.ParseShare(n.Value)
	switch {
	case err != nil:
		d.add(path, blueprint.RuleBadRate, "%s: %s", last(path), err)
	case value == 0 && !strings.HasSuffix(path, ".sample"):
		d.zero(path, v.Type(), "Gate."+strings.ToUpper(last(path)[:1])+last(path)[1:])
	}
	v.SetFloat(value)
}

// port reads 8080, "8080", "80:8080" and "80:8080/tcp" beside the mapping.
func (d *decoder) port(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.MappingNode {
		d.structure(n, v, path)
		return
	}
	if n.Kind != yaml.ScalarNode {
		d.wrong(n, path, "a port: a number, \"8080:8080\", or a mapping with containerPort")
		return
	}
	text, protocol, _ := strings.Cut(n.Value, "/")
	parts := strings.Split(text, ":")
	if len(parts) > 2 {
		d.add(path, blueprint.RuleBadPort, "port %q cannot be read: an address to listen on is not taken here, so write \"8080\", or \"80:8080\" for host and container", n.Value)
		return
	}
	var numbers []int
	for _, p := range parts {
		i, err := strconv.Atoi(p)
		if err != nil || i < 1 || i > 65535 {
			d.add(path, blueprint.RuleBadPort, "port %q cannot be read: write a number from 1 to 65535, \"80:8080\" for host and container, or a mapping with containerPort", n.Value)
			return
		}
		numbers = append(numbers, i)
	}
	p := blueprint.Port{ContainerPort: numbers[len(numbers)-1], Protocol: protocol}
	if len(numbers) == 2 {
		p.HostPort = numbers[0]
	}
	v.Set(reflect.ValueOf(p))
}
