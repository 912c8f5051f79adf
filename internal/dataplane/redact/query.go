// SPDX-License-Identifier: Apache-2.0

package redact

import (
	"net/url"
	"strings"
)

// target redacts a request target (RFC 9112, 3.2).
func (p *pass) target(t string) string {
	t = p.userinfo(t)
	at := strings.IndexByte(t, '?')
	if at < 0 {
		return t
	}
	return t[:at+1] + p.pairs(t[at+1:], p.r.query)
}

// url redacts a URL, or a text with URLs in it. A fragment is read like a query: implicit grants put tokens there.
func (p *pass) url(u string) string {
	rest, out := p.userinfo(u), ""
	for {
		at := strings.IndexAny(rest, "?#")
		if at < 0 {
			return out + rest
		}
		out, rest = out+rest[:at+1], rest[at+1:]
		end := strings.IndexAny(rest, ">#") // the end of a URL in a Link header, or the fragment after the query
		if end < 0 {
			end = len(rest)
		}
		out, rest = out+p.pairs(rest[:end], p.r.query), rest[end:]
	}
}

// userinfo redacts USER:PASSWORD@ (RFC 3986, 3.2.1).
func (p *pass) userinfo(u string) string {
	before, rest, ok := strings.Cut(u, "://")
	if !ok {
		return u
	}
	end := strings.IndexAny(rest, "/?#> ")
	if end < 0 {
		end = len(rest)
	}
	if at := strings.LastIndexByte(rest[:end], '@'); at >= 0 {
		return before + "://" + p.secret(rest[:at]) + rest[at:end] + p.userinfo(rest[end:])
	}
	return before + "://" + rest[:end] + p.userinfo(rest[end:])
}

// pairs redacts NAME=VALUE&NAME=VALUE, as the URL standard has it. A semicolon may begin a name, as it used to, but
// never ends a secret value: what follows might belong to it.
func (p *pass) pairs(s string, named map[string]bool) string {
	fields := strings.Split(s, "&")
	for i, field := range fields {
		fields[i] = p.pair(field, named)
	}
	return strings.Join(fields, "&")
}

func (p *pass) pair(field string, named map[string]bool) string {
	start := 0
	for {
		end := strings.IndexByte(field[start:], ';')
		part := field[start:]
		if end >= 0 {
			part = part[:end]
		}
		name, _, ok := strings.Cut(part, "=")
		configured, usual := parameter(name, named)
		if ok && (configured || usual) {
			value := start + len(name) + 1
			return field[:value] + p.token(unescape(field[value:]), configured)
		}
		if end < 0 {
			return field
		}
		start += end + 1
	}
}

// parameter says whether a parameter of that name is secret: because a rule names it, or as usual. Of user[password]
// and user.password the last part counts too.
func parameter(name string, named map[string]bool) (configured, usual bool) {
	whole := fold(unescape(name))
	last := strings.TrimSuffix(whole, "]")
	if i := strings.LastIndexAny(last, ".["); i >= 0 {
		last = last[i+1:]
	}
	return named[whole] || named[last], secretParameter(whole) || secretParameter(last)
}

// fold makes api_key, API-Key and apiKey one name.
func fold(name string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(strings.TrimSuffix(name, "[]")))
}

func unescape(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

func secretParameter(folded string) bool {
	switch folded {
	case "accesstoken", "refreshtoken", "idtoken", "authtoken", "sessiontoken", "securitytoken", "csrftoken", "xsrftoken",
		"token", "jwt", "apikey", "xapikey", "accesskey", "secretkey", "secret", "clientsecret", "apisecret",
		"password", "passwd", "passphrase", "pwd", "newpassword", "oldpassword", "credential", "credentials",
		"sig", "signature", "hmac", "auth", "authorization", "sessionid", "sid", "clientassertion", "samlresponse", "codeverifier",
		"xamzsignature", "xamzsecuritytoken", "xamzcredential", "xgoogsignature", "xgoogcredential":
		return true
	}
	return false
}
