// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"microstax/internal/fault"
)

// file applies config.yaml. An unknown key is a complaint, with the nearest one that there is.
func (l *loader) file(table []Setting) error {
	path := filepath.Join(l.settings.Home, FileName)
	text, err := l.read(path)
	if err != nil || strings.TrimSpace(text) == "" {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		place := fault.Place{File: path, Rule: ruleSyntax, Message: "this is not YAML: " + err.Error()}
		var load *yaml.LoadError
		if errors.As(err, &load) {
			place.Line, place.Column, place.Message = load.Mark.Line, load.Mark.Column, "this is not YAML: "+load.Message
		}
		l.places = append(l.places, place)
		return nil
	}
	if len(doc.Content) == 0 {
		return nil // only comments
	}
	l.mapping(table, path, "", doc.Content[0])
	return nil
}

// mapping applies the keys of one mapping; prefix is "" or "limits.".
func (l *loader) mapping(table []Setting, path, prefix string, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		l.complain(at(path, "", n, ruleSyntax), "the file must be a mapping of names to values")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		key := prefix + name.Value
		known := slices.IndexFunc(table, func(s Setting) bool { return s.Key == key })
		switch {
		case seen[key]:
			l.complain(at(path, key, name, ruleSyntax), "%s is there twice", key)
		case key == "limits" && value.Kind == yaml.MappingNode:
			l.mapping(table, path, "limits.", value)
		case key == "limits" && value.Tag == "!!null": // a heading whose lines are all commented out
		case key == "home":
			l.complain(at(path, key, name, ruleUnknown), "home cannot be set here, since this file lies in it: set MICROSTAX_HOME")
		case known < 0:
			l.complain(at(path, key, name, ruleUnknown), "%s is not a setting%s", key, meant(table, key))
		case value.Kind != yaml.ScalarNode:
			l.complain(at(path, key, value, ruleValue), "%s must be a single value", key)
		case value.Tag == "!!null":
			l.complain(at(path, key, value, ruleValue), "%s has no value", key)
		case isPath(key, value.Value) && !filepath.IsAbs(value.Value):
			l.set(table[known], filepath.Join(l.settings.Home, value.Value), at(path, key, value, ruleValue)) // it starts at the file
		default:
			l.set(table[known], value.Value, at(path, key, value, ruleValue))
		}
		seen[key] = true
	}
}

// isPath says whether a setting's value is a path.
func isPath(key, value string) bool {
	switch key {
	case "dataDir", "tlsKey":
		return true
	case "tlsCertificate":
		return value != selfMade && value != "off"
	}
	return false
}

func at(file, key string, n *yaml.Node, rule string) fault.Place {
	return fault.Place{File: file, Line: n.Line, Column: n.Column, Path: key, Rule: rule}
}

// meant is a question after the nearest setting, or "".
func meant(table []Setting, key string) string {
	best, nearest := len(key)/3+2, ""
	for _, s := range table {
		if d := distance(strings.ToLower(key), strings.ToLower(s.Key)); d < best && s.Key != "home" {
			best, nearest = d, s.Key
		}
		if _, last, ok := strings.Cut(s.Key, "."); ok && strings.EqualFold(key, last) { // limits.ring written as ring
			return "; did you mean " + s.Key + "?"
		}
	}
	if nearest == "" {
		return ""
	}
	return "; did you mean " + nearest + "?"
}

// distance is the number of letters to insert, remove or change to get from one name to the other.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
