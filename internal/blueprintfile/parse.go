// SPDX-License-Identifier: Apache-2.0

// Package blueprintfile reads a Blueprint from YAML. Every complaint about the text comes with file, line and column, and
// all of them come at once. It reads bytes that somebody else opened, holds values only, and is safe for concurrent use.
//
// What a Blueprint means, and whether it makes sense, is package blueprint's.
package blueprintfile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"microstax/internal/blueprint"
	"microstax/internal/fault"
)

// Limits on one document.
const (
	MaxBytes = 1 << 20
	// maxExpanded bounds what aliases and merge keys blow a document up to, in bytes of text and nodes. Without them no
	// document of MaxBytes comes near.
	maxExpanded = 2 << 20
	// maxPlaces is how many complaints are listed; nobody reads more, and each costs a search for what was meant.
	maxPlaces = 200
)

// Parse reads one Blueprint. Relative paths in it start from baseDir, which is absolute or empty; fileName is what
// complaints call the file. The complaints are about the text alone and are sorted by position; where there are any that
// are no warnings, the Blueprint holds what could be read. The Source is never nil.
func Parse(data []byte, fileName, baseDir string) (blueprint.Blueprint, *Source, []fault.Place) {
	d := parse(data, fileName, baseDir)
	return d.out, d.src, d.sorted()
}

// Check reads and validates a Blueprint that is to become an environment of the given mode; mode and known are those of
// blueprint.Validate. The places are all complaints, about the text and about the meaning, sorted by position. The
// Blueprint is as written, not in normal form; use it only when OK says so.
func Check(data []byte, fileName, baseDir string, mode blueprint.Mode, known []string) (blueprint.Blueprint, []fault.Place) {
	d := parse(data, fileName, baseDir)
	if !d.read || d.budget < 0 {
		return d.out, d.sorted()
	}
	broken := slices.Clone(d.places)
	for _, p := range blueprint.Validate(d.out, mode, known) {
		if !d.follows(p, broken) {
			d.report(p)
		}
	}
	if cmp.Or(mode, d.out.Routing.Mode) == blueprint.Overlay {
		d.warnEmpty()
	}
	return d.out, d.sorted()
}

// OK is true when none of the places is an error.
func OK(places []fault.Place) bool {
	return !slices.ContainsFunc(places, func(p fault.Place) bool { return !p.Warning })
}

// Refuse makes the error for a Blueprint that is not OK, and nil for one that is.
func Refuse(op, fileName string, places []fault.Place) error {
	if OK(places) {
		return nil
	}
	wrong := 0
	for _, p := range places {
		if !p.Warning {
			wrong++
		}
	}
	name, noun := cmp.Or(fileName, "the Blueprint"), "place"
	if wrong > 1 {
		noun = "places"
	}
	return fault.Errorf(op, fault.Invalid, "%s is wrong in %d %s", name, wrong, noun).WithPlaces(places)
}

// follows is true when a complaint about the meaning only repeats, or only results from, one about the text.
func (d *decoder) follows(p fault.Place, broken []fault.Place) bool {
	missing := absent(p)
	return slices.ContainsFunc(broken, func(b fault.Place) bool {
		at := cmp.Or(d.meant[b.Path], b.Path)
		return !b.Warning && b.Path != "" && (b.Path == p.Path || within(p.Path, b.Path) || slices.Contains(missing, at))
	})
}

// absent lists the fields that a complaint says are missing.
func absent(p fault.Place) []string {
	var fields []string
	base := p.Path
	switch p.Rule {
	case blueprint.RuleRequired:
		fields = []string{"path", "header", "method", "value", "containerPort"}
	case blueprint.RuleNothingToRun:
		base = strings.TrimSuffix(base, ".image")
		fields = []string{"command", "image", "address"}
	case blueprint.RuleBadProbe:
		fields = []string{"http", "tcp", "exec"}
	default:
		return nil
	}
	out := []string{p.Path}
	for _, f := range fields {
		out = append(out, join(base, f))
	}
	return out
}

// within is true when path lies below outer.
func within(path, outer string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && rest != "" && (outer == "" || rest[0] == '.' || rest[0] == '[')
}

// parse does the work of Parse, short of sorting.
func parse(data []byte, fileName, baseDir string) *decoder {
	d := &decoder{src: newSource(fileName, data), budget: maxExpanded, meant: map[string]string{}}
	if len(data) > MaxBytes {
		d.src.set("", 1, 1)
		d.add("", blueprint.RuleTooLarge, "the file has %d bytes; a Blueprint has at most %s: move what it carries into files of its own", len(data), blueprint.Size(MaxBytes))
		return d
	}
	if line, column, wrong := unreadable(data); wrong != "" {
		d.addAt(line, column, "", blueprint.RuleSyntax, "%s", wrong)
		return d
	}
	root, ok := d.load(bytes.TrimPrefix(data, []byte("\ufeff")))
	if !ok {
		return d
	}
	d.document(root)
	d.folders(baseDir)
	return d
}

// load gives the root of the only document.
func (d *decoder) load(data []byte) (*yaml.Node, bool) {
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		d.addAt(1, 1, "", blueprint.RuleSyntax, "%s", err)
		return nil, false
	}
	var doc, second yaml.Node
	switch err := loader.Load(&doc); {
	case errors.Is(err, io.EOF):
		d.addAt(1, 1, "", blueprint.RuleRequired, "the file is empty: a Blueprint has at least name: and services:")
		return nil, false
	case err != nil:
		d.syntax(err)
		return nil, false
	case len(doc.Content) == 0 || doc.Content[0].ShortTag() == "!!null":
		d.addAt(1, 1, "", blueprint.RuleRequired, "the document is empty: a Blueprint has at least name: and services:")
		return nil, false
	}
	switch err := loader.Load(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		d.syntax(err)
		return nil, false
	default:
		d.addAt(second.Line, second.Column, "", blueprint.RuleSyntax, "a second document begins here: a file holds one Blueprint, so take out --- and what follows")
	}
	return doc.Content[0], true
}

// syntax reports what the YAML library could not read.
func (d *decoder) syntax(err error) {
	var e *yaml.LoadError
	if !errors.As(err, &e) {
		d.addAt(1, 1, "", blueprint.RuleSyntax, "this is not YAML: %s", err)
		return
	}
	mark, text := e.Mark, e.Message
	if e.ContextMsg != "" {
		text = e.ContextMsg + ", " + text
	}
	if e.ContextMark.Line > 0 && e.ContextMark != e.Mark {
		text += fmt.Sprintf(" (it began at %d:%d)", e.ContextMark.Line, e.ContextMark.Column)
	}
	switch {
	case d.src.byteAt(mark.Line, mark.Column) == '\t':
		text = "a tab cannot indent in YAML: use spaces"
	case strings.Contains(e.Message, "mapping values are not allowed"):
		text += ": indent it like its neighbours, and put a text that holds a colon and a space in quotes"
	case strings.Contains(e.Message, "cannot start any token"):
		text += ": put a text that begins with this character in quotes"
	}
	rule := blueprint.RuleSyntax
	if strings.Contains(e.Message, "exceeded max depth") {
		rule = blueprint.RuleTooLarge
	}
	d.addAt(max(1, mark.Line), max(1, mark.Column), "", rule, "this is not YAML: %s", text)
}

// sorted gives the complaints by position, each once, and says so when there are more than are listed.
func (d *decoder) sorted() []fault.Place {
	list := slices.Clone(d.places)
	slices.SortStableFunc(list, func(a, b fault.Place) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Message, b.Message))
	})
	list = slices.Compact(list)
	if d.more {
		last := list[len(list)-1]
		last.Path, last.Rule, last.Message, last.Warning = "", blueprint.RuleTooLarge, "there is more that is wrong: mend this first", false
		list = append(list, last)
	}
	return list
}
