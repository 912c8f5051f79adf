// SPDX-License-Identifier: Apache-2.0

package blueprint

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// maxLabel is the longest DNS label, RFC 1035, 2.3.4.
const maxLabel = 63

var (
	labelForm    = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)
	tokenForm    = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$") // RFC 9110, 5.6.2
	hostForm     = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$`)
	cpuForm      = regexp.MustCompile(`^([0-9]+m|[0-9]+(\.[0-9]+)?)$`)
	jsonPathForm = regexp.MustCompile(`^\$(\.[^.\[\]'"\s]+|\[(\*|[0-9]+|'[^']+'|"[^"]+")\])*$`)
)

func isLabel(s string) bool { return len(s) <= maxLabel && labelForm.MatchString(s) }

func isToken(s string) bool { return tokenForm.MatchString(s) }

// labelFrom makes a DNS-safe name of what somebody wrote, or "" when nothing is left.
func labelFrom(s string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else if b.Len() > 0 {
			b.WriteByte('-')
		}
		if b.Len() == maxLabel {
			break
		}
	}
	return strings.Trim(b.String(), "-")
}

// addressFault says what is wrong with host:port, or with https://host[:port], or "".
func addressFault(s string) string {
	if rest, secure := strings.CutPrefix(s, "https://"); secure {
		s = strings.TrimSuffix(rest, "/")
		if hostForm.MatchString(s) {
			return ""
		}
		if strings.ContainsAny(s, "/?#") {
			return "requests are passed on with the path that they come with: write https://host:port without one"
		}
	}
	if _, rest, scheme := strings.Cut(s, "://"); scheme {
		return "it is host:port without a scheme: write " + strings.TrimRight(rest, "/")
	}
	if a, err := netip.ParseAddrPort(s); err == nil {
		if a.Port() == 0 {
			return "0 is not a port"
		}
		return ""
	}
	host, port, ok := cutLast(s, ":")
	if !ok {
		return "the port is missing: write host:port, like " + s + ":8080"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "its port has to be a number from 1 to 65535"
	}
	if !hostForm.MatchString(host) {
		return "its host has to be a name or an IP address, an IPv6 one in brackets"
	}
	return ""
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// dnsName checks a name that becomes a host name, a folder and a header's value.
func (c *checker) dnsName(path, whose, name string) {
	switch {
	case name == "":
		c.add(path, RuleRequired, "%s has no name: add name:, in lower-case letters, digits and dashes", whose)
	case !isLabel(name):
		better := ""
		if l := labelFrom(name); l != "" {
			better = ", like " + l
		}
		c.add(path, RuleBadName, "%q cannot be a name: use at most %d lower-case letters, digits and dashes, with no dash at either end%s", shorten(name), maxLabel, better)
	}
}
