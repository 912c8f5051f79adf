// SPDX-License-Identifier: Apache-2.0

package blueprintfile

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"microstax/internal/blueprint"
	"microstax/internal/fault"
)

// maxMerges bounds merge keys within merge keys, which may form a circle.
const maxMerges = 32

// decoder walks a document beside the types of package blueprint, whose JSON names are the fields' names. What may be
// written in more than one form is in forms.go.
type decoder struct {
	src    *Source
	out    blueprint.Blueprint
	read   bool // the document is YAML, and a mapping
	places []fault.Place
	more   bool              // there were more complaints than maxPlaces
	meant  map[string]string // path of an unknown field → path of the field that it was most likely meant to be
	empty  []string          // paths of values that are there and empty
	budget int               // what may still be expanded
}

func (d *decoder) report(p fault.Place) {
	if len(d.places) >= maxPlaces {
		d.more = true
		return
	}
	d.places = append(d.places, d.src.Place(p))
}

func (d *decoder) add(path, rule, format string, args ...any) {
	d.report(fault.Place{Path: path, Rule: rule, Message: fmt.Sprintf(format, args...)})
}

func (d *decoder) addAt(line, column int, path, rule, format string, args ...any) {
	before := len(d.places)
	d.add(path, rule, format, args...)
	if len(d.places) > before {
		p := &d.places[before]
		p.Line, p.Column = d.src.clamp(line, column)
	}
}

// document decodes the root.
func (d *decoder) document(root *yaml.Node) {
	d.src.set("", root.Line, root.Column)
	d.read = open(root).Kind == yaml.MappingNode
	d.value(root, reflect.ValueOf(&d.out).Elem(), "", "")
}

// spend counts a node against the budget and is false once it is gone.
func (d *decoder) spend(n *yaml.Node) bool {
	if d.budget < 0 {
		return false
	}
	if d.budget -= 1 + len(n.Value); d.budget < 0 {
		d.addAt(n.Line, n.Column, "", blueprint.RuleTooLarge, "aliases and merge keys make this document larger than %s: write out what is meant", blueprint.Size(maxExpanded))
		return false
	}
	return true
}

// open follows an alias to what it stands for.
func open(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

// value decodes n into v. form names the field, as Type.Field, where it may have a form of its own.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path, form string) {
	n = open(n)
	if !d.spend(n) {
		return
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		d.add(path, blueprint.RuleWrongType, "%s has no value: give it one, or take it out", last(path))
		return
	}
	if own := d.form(v.Type(), form); own != nil {
		own(n, v, path)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		before := len(d.places)
		d.value(n, p.Elem(), path, form)
		if whole := len(d.places) == before; whole || p.Elem().Kind() == reflect.Struct {
			v.Set(p)
		}
	case reflect.Struct:
		d.structure(n, v, path)
	case reflect.Slice:
		d.list(n, v, path, form)
	case reflect.Map:
		d.mapping(n, v, path, form)
	default:
		d.scalar(n, v, path, form)
	}
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.wrong(n, path, "a mapping of "+strings.Join(shown(fieldNames(v.Type())), ", "))
		return
	}
	t := v.Type()
	index := fieldIndex(t)
	for _, p := range d.pairs(n, path, 0) {
		i, known := index[p.name]
		if !known {
			if path != "" || !strings.HasPrefix(p.name, "x-") { // x-… at the top is a place to keep anchors
				d.unknown(t, p, path)
			}
			continue
		}
		at := join(path, p.name)
		d.mark(at, p.key, p.value)
		d.value(p.value, v.Field(i), at, t.Name()+"."+t.Field(i).Name)
	}
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path, form string) {
	if n.Kind != yaml.SequenceNode {
		d.wrong(n, path, "a list")
		return
	}
	if len(n.Content) == 0 {
		d.empty = append(d.empty, path)
	}
	out := reflect.MakeSlice(v.Type(), 0, 0)
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.src.set(at, item.Line, item.Column)
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(item, e, at, form+"[]")
		if d.budget < 0 {
			return
		}
		out = reflect.Append(out, e)
	}
	v.Set(out)
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path, form string) {
	if n.Kind != yaml.MappingNode {
		d.wrong(n, path, "a mapping")
		return
	}
	if len(n.Content) == 0 {
		d.empty = append(d.empty, path)
	}
	out := reflect.MakeMap(v.Type())
	for _, p := range d.pairs(n, path, 0) {
		at := join(path, p.name)
		d.mark(at, p.key, p.value)
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(p.value, e, at, form+"{}")
		out.SetMapIndex(reflect.ValueOf(p.name), e)
	}
	v.Set(out)
}

// pair is one entry of a mapping, merge keys resolved.
type pair struct {
	name       string
	key, value *yaml.Node
}

// pairs lists the entries of a mapping: its own in order, then what merge keys add. A key that is there twice is reported.
func (d *decoder) pairs(n *yaml.Node, path string, depth int) []pair {
	var own, merged []pair
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := open(n.Content[i]), n.Content[i+1]
		if !d.spend(key) {
			return nil
		}
		if key.ShortTag() == "!!merge" {
			merged = append(merged, d.merge(value, path, depth)...)
			continue
		}
		if key.Kind != yaml.ScalarNode {
			d.addAt(n.Content[i].Line, n.Content[i].Column, path, blueprint.RuleWrongType, "a key has to be a name, and this is %s", describe(key))
			continue
		}
		if line, twice := seen[key.Value]; twice {
			rule := blueprint.RuleDuplicateKey
			if last(path) == "services" {
				rule = blueprint.RuleDuplicateService
			}
			d.addAt(n.Content[i].Line, n.Content[i].Column, join(path, key.Value), rule, "%q is already given on line %d: keep one of them", key.Value, line)
			continue
		}
		seen[key.Value] = n.Content[i].Line
		own = append(own, pair{key.Value, n.Content[i], value})
	}
	for _, p := range merged { // what stands here comes before what is merged in, and the first merged before the later
		if _, there := seen[p.name]; !there {
			seen[p.name] = p.key.Line
			own = append(own, p)
		}
	}
	return own
}

// merge gives the entries that a merge key's value adds.
func (d *decoder) merge(value *yaml.Node, path string, depth int) []pair {
	n := open(value)
	if !d.spend(n) {
		return nil
	}
	switch {
	case depth > maxMerges:
		d.addAt(value.Line, value.Column, path, blueprint.RuleTooLarge, "merge keys go round in a circle, or too deep: write out what is meant")
	case n.Kind == yaml.MappingNode:
		return d.pairs(n, path, depth+1)
	case n.Kind == yaml.SequenceNode:
		var out []pair
		for _, item := range n.Content {
			if open(item).Kind != yaml.MappingNode {
				d.addAt(item.Line, item.Column, path, blueprint.RuleWrongType, "<< takes in mappings, and this is %s", describe(open(item)))
				continue
			}
			out = append(out, d.merge(item, path, depth+1)...)
		}
		return out
	default:
		d.addAt(value.Line, value.Column, path, blueprint.RuleWrongType, "<< takes in a mapping, and this is %s", describe(n))
	}
	return nil
}

// mark notes where a field was written: its value, or for a block below it, its key.
func (d *decoder) mark(path string, key, value *yaml.Node) {
	at := value
	if block := value.Kind == yaml.MappingNode || value.Kind == yaml.SequenceNode; block && value.Style&yaml.FlowStyle == 0 {
		at = key
	}
	if value.Kind == yaml.ScalarNode && value.ShortTag() == "!!null" {
		at = key
	}
	d.src.set(path, at.Line, at.Column)
}

func (d *decoder) unknown(t reflect.Type, p pair, path string) {
	if len(d.places) >= maxPlaces {
		d.more = true
		return
	}
	names := fieldNames(t)
	hint := "; there are " + strings.Join(shown(names), ", ")
	near, ok := otherName(t.Name(), p.name)
	if !ok {
		near, ok = blueprint.Nearest(p.name, names)
	}
	if ok {
		hint = "; did you mean " + near + "?"
		d.meant[join(path, p.name)] = join(path, near)
	}
	d.addAt(p.key.Line, p.key.Column, join(path, p.name), blueprint.RuleUnknownField, "%q is not a field of %s%s", p.name, noun(t), hint)
}

func (d *decoder) wrong(n *yaml.Node, path, want string) {
	d.add(path, blueprint.RuleWrongType, "%s has to be %s, and this is %s", last(path), want, describe(n))
}

// describe says what a node is, for a message.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	}
	value := n.Value
	if r := []rune(value); len(r) > 40 {
		value = string(r[:40]) + "…"
	}
	switch tag := n.ShortTag(); tag {
	case "!!null":
		return "empty"
	case "!!bool":
		return value
	case "!!int", "!!float":
		return "the number " + value
	case "!!str", "!!timestamp":
		return fmt.Sprintf("the text %q", value)
	default:
		return fmt.Sprintf("something tagged %s", tag)
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// last is what a path ends in, for a message: a field, or a field and a number.
func last(path string) string {
	return cmp.Or(path[strings.LastIndexByte(path, '.')+1:], "a Blueprint")
}

func shown(names []string) []string {
	const most = 24
	if len(names) > most {
		return append(slices.Clone(names[:most]), "…")
	}
	return names
}
