// SPDX-License-Identifier: Apache-2.0

// Package openapi knows a service by its OpenAPI description: which endpoint a request belongs to, and in what an answer
// breaks the description. It reads documents of OpenAPI 3.0 and 3.1 in YAML or JSON, and nothing beside them: references
// to other files or hosts are refused. It is pure; a Description may be read concurrently.
package openapi

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"microstax/internal/fault"
)

// maxTemplates bounds the paths of one description, with those below each server's prefix.
const maxTemplates = 10_000

// Description is what one document says.
type Description struct {
	paths []path
}

// path is one path of the document, with the server's prefix before it.
type path struct {
	template string
	segments []string
	variable int // segments that stand for data
	item     *openapi3.PathItem
}

// Parse reads a document. Errors have the kind fault.Invalid and say where.
func Parse(document []byte) (*Description, error) {
	const op = "read OpenAPI description"
	loader := openapi3.NewLoader()
	loader.IsExternalRefsAllowed = false
	doc, err := loader.LoadFromData(document)
	switch {
	case err != nil:
		return nil, fault.E(op, fault.Invalid, err).WithHint("a document must be whole in one file; bundle it where it refers to others")
	case doc.OpenAPI == "":
		return nil, fault.Errorf(op, fault.Invalid, "the field openapi is missing").WithHint("Swagger 2.0 documents have to be converted to OpenAPI 3")
	case doc.Paths == nil || doc.Paths.Len() == 0:
		return nil, fault.Errorf(op, fault.Invalid, "no paths are described")
	}
	d := &Description{}
	for _, prefix := range prefixes(doc.Servers) {
		for template, item := range doc.Paths.Map() {
			if len(d.paths) >= maxTemplates {
				return nil, fault.Errorf(op, fault.Invalid, "more than %d paths are described", maxTemplates)
			}
			d.paths = append(d.paths, newPath(prefix+template, item))
		}
	}
	slices.SortFunc(d.paths, func(a, b path) int { // the most concrete first
		return cmp.Or(cmp.Compare(a.variable, b.variable), cmp.Compare(a.template, b.template))
	})
	d.paths = slices.CompactFunc(d.paths, func(a, b path) bool { return a.template == b.template })
	return d, nil
}

// prefixes are the paths of the servers' URLs, and none: a proxy before the service may have taken it off.
func prefixes(servers openapi3.Servers) []string {
	out := []string{""}
	for _, s := range servers {
		u, err := url.Parse(s.URL)
		if err != nil {
			continue
		}
		if p := strings.TrimSuffix(u.Path, "/"); strings.HasPrefix(p, "/") && !strings.Contains(p, "{") && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

func newPath(template string, item *openapi3.PathItem) path {
	p := path{template: template, segments: strings.Split(template, "/"), item: item}
	for _, s := range p.segments {
		if strings.Contains(s, "{") {
			p.variable++
		}
	}
	return p
}

// matches says whether a path is one of the template's.
func (p *path) matches(segments []string) bool {
	if len(segments) != len(p.segments) {
		return false
	}
	for i, want := range p.segments {
		if !matchesSegment(want, segments[i]) {
			return false
		}
	}
	return true
}

// matchesSegment takes a segment with one variable in it, such as {id} or {name}.json; a variable is never empty.
func matchesSegment(want, have string) bool {
	open, end := strings.IndexByte(want, '{'), strings.LastIndexByte(want, '}')
	if open < 0 || end < open {
		return want == have
	}
	before, after := want[:open], want[end+1:]
	return len(have) > len(before)+len(after) && strings.HasPrefix(have, before) && strings.HasSuffix(have, after)
}

func (d *Description) find(method, target string) (*path, *openapi3.Operation) {
	at, _, _ := strings.Cut(target, "?")
	segments := strings.Split(at, "/")
	var other *path
	for i := range d.paths {
		p := &d.paths[i]
		if !p.matches(segments) {
			continue
		}
		if o := p.item.GetOperation(strings.ToUpper(method)); o != nil {
			return p, o
		}
		if other == nil {
			other = p
		}
	}
	return other, nil
}

// Endpoint is the endpoint that a request belongs to, such as "GET /orders/{orderId}", and false where no path of the
// description matches.
func (d *Description) Endpoint(method, target string) (string, bool) {
	p, _ := d.find(method, target)
	if p == nil {
		return "", false
	}
	return strings.ToUpper(method) + " " + p.template, true
}

// Breach is one way in which an answer breaks the description.
type Breach struct {
	Rule   string // operation | status | mediaType | required | type | enum | …, as the schema names it
	Path   string // in the body, like $.items[*].price; "" for the other rules
	Detail string // for people
}

func (b Breach) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s: %s", b.Rule, b.Path, b.Detail))
}
