// SPDX-License-Identifier: Apache-2.0

package blueprint

import (
	"fmt"
	"slices"
	"strings"
)

// What a reference can name.
const (
	ReferService = "services" // ${services.NAME.url|host|port|address}
	ReferSelf    = "self"     // ${self.port|host}
	ReferSecret  = "secrets"  // ${secrets.NAME}
)

// Reference is what stands between ${ and }.
type Reference struct {
	Kind  string // ReferService, ReferSelf or ReferSecret
	Name  string // of the service or secret; "" for self
	Field string // url, host, port or address; "" for a secret
}

// String is the reference as it is written, without ${ and }.
func (r Reference) String() string {
	parts := []string{r.Kind}
	for _, p := range []string{r.Name, r.Field} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ".")
}

// ParseReference reads what stands between ${ and }. It does not know which services there are.
func ParseReference(text string) (Reference, error) {
	parts := strings.Split(text, ".")
	switch {
	case parts[0] == ReferService && len(parts) == 3 && parts[1] != "":
		return withField(Reference{Kind: ReferService, Name: parts[1]}, text, parts[2], "url", "host", "port", "address")
	case parts[0] == ReferService:
		return Reference{}, fmt.Errorf("${%s} is incomplete: write ${services.NAME.url}, or .host, .port or .address", text)
	case parts[0] == ReferSelf && len(parts) == 2:
		return withField(Reference{Kind: ReferSelf}, text, parts[1], "port", "host")
	case parts[0] == ReferSelf:
		return Reference{}, fmt.Errorf("${%s} is incomplete: write ${self.port} or ${self.host}", text)
	case parts[0] == ReferSecret && len(parts) == 2 && parts[1] != "":
		return Reference{Kind: ReferSecret, Name: parts[1]}, nil
	case parts[0] == ReferSecret:
		return Reference{}, fmt.Errorf("${%s} is incomplete: write ${secrets.NAME}", text)
	}
	if near, ok := Nearest(parts[0], []string{ReferService, ReferSelf, ReferSecret}); ok && len(parts) > 1 {
		parts[0] = near
		return Reference{}, fmt.Errorf("${%s} names nothing; did you mean ${%s}?", text, strings.Join(parts, "."))
	}
	return Reference{}, fmt.Errorf("${%s} names nothing: write ${services.NAME.url}, ${self.port} or ${secrets.NAME}, or $${%s} to pass it on as it is", text, text)
}

func withField(r Reference, text, field string, known ...string) (Reference, error) {
	if !slices.Contains(known, field) {
		return Reference{}, fmt.Errorf("${%s} has no field %q%s", text, field, meant(field, known))
	}
	r.Field = field
	return r, nil
}

// Interpolate replaces every ${ref} in s by what resolve gives for ref, the text between the braces. $$ stands for one
// dollar sign; a dollar sign before anything else stays as it is. It ends at the first error.
func Interpolate(s string, resolve func(ref string) (string, error)) (string, error) {
	var out strings.Builder
	for {
		literal, ref, rest, err := nextReference(s)
		if err != nil {
			return "", err
		}
		out.WriteString(literal)
		if ref == "" {
			return out.String(), nil
		}
		value, err := resolve(ref)
		if err != nil {
			return "", fmt.Errorf("resolve ${%s}: %w", ref, err)
		}
		out.WriteString(value)
		s = rest
	}
}

// nextReference splits s into what comes before its first ${ref}, unescaped, the ref, and what comes after. An empty ref
// means that there was none.
func nextReference(s string) (literal, ref, rest string, err error) {
	var out strings.Builder
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 || i+1 == len(s) {
			return out.String() + s, "", "", nil
		}
		out.WriteString(s[:i])
		switch s[i+1] {
		case '$':
			out.WriteByte('$')
		case '{':
			end := strings.IndexByte(s[i:], '}')
			if end < 0 {
				return "", "", "", fmt.Errorf("%q opens ${ and never closes it: add }, or write $${ for the two characters", shorten(s[i:]))
			}
			ref = strings.TrimSpace(s[i+2 : i+end])
			if ref == "" {
				return "", "", "", fmt.Errorf("${} names nothing: write ${services.NAME.url}, ${self.port} or ${secrets.NAME}")
			}
			return out.String(), ref, s[i+end+1:], nil
		default:
			out.WriteByte('$')
			s = s[i+1:]
			continue
		}
		s = s[i+2:]
	}
}

// shorten cuts a text for a message, with a mark.
func shorten(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// located is a text that may hold references, and where it stands within its service.
type located struct{ path, text string }

// interpolated lists the texts of a service in which references are resolved, in a fixed order.
func (s Service) interpolated() []located {
	var out []located
	for i, a := range s.Command {
		out = append(out, located{fmt.Sprintf("command[%d]", i), a})
	}
	for _, k := range sortedKeys(s.Env) {
		out = append(out, located{"env." + k, s.Env[k]})
	}
	if s.Probes == nil {
		return out
	}
	for _, p := range []struct {
		name  string
		probe *Probe
	}{{"readiness", s.Probes.Readiness}, {"liveness", s.Probes.Liveness}} {
		if p.probe == nil {
			continue
		}
		for i, a := range p.probe.Exec {
			out = append(out, located{fmt.Sprintf("probes.%s.exec[%d]", p.name, i), a})
		}
	}
	return out
}

// references lists every reference of a text that can be read.
func references(text string) []Reference {
	var out []Reference
	for {
		_, ref, rest, err := nextReference(text)
		if err != nil || ref == "" {
			return out
		}
		if r, err := ParseReference(ref); err == nil {
			out = append(out, r)
		}
		text = rest
	}
}

// References are the services that the service's command, env and probes refer to by ${services.…}, sorted, itself left out.
func References(s Service) []string {
	var names []string
	for _, l := range s.interpolated() {
		for _, r := range references(l.text) {
			if r.Kind == ReferService && r.Name != s.Name {
				names = append(names, r.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Dependencies are the services that the service may call: dependsOn and References together, sorted, itself left out.
func Dependencies(s Service) []string {
	names := References(s)
	for _, d := range s.DependsOn {
		if d != s.Name {
			names = append(names, d)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
