// SPDX-License-Identifier: Apache-2.0

package route

import "strings"

// The schemes that an address of a provider may begin with. An address without one is plain TCP.
const (
	schemeTLS      = "https://"
	schemeInsecure = "https+insecure://"
)

// Endpoint is an address of a provider, taken apart.
type Endpoint struct {
	Addr     string // host:port to connect to
	Name     string // the host: for SNI, and to check the certificate against
	TLS      bool
	Insecure bool // whatever certificate there is will do
}

// ParseEndpoint takes an address of a Target or an Entry apart: host:port, https://host[:port], or
// https+insecure://host[:port].
func ParseEndpoint(s string) Endpoint {
	var e Endpoint
	if rest, ok := strings.CutPrefix(s, schemeTLS); ok {
		e.TLS, s = true, rest
	} else if rest, ok := strings.CutPrefix(s, schemeInsecure); ok {
		e.TLS, e.Insecure, s = true, true, rest
	}
	s = strings.TrimSuffix(s, "/")
	host, port := s, ""
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		host, port = s[:i], s[i+1:]
	}
	if port == "" && e.TLS {
		port = "443"
	}
	e.Name = strings.Trim(host, "[]")
	e.Addr = host
	if port != "" {
		e.Addr += ":" + port
	}
	return e
}

// Authority is what Host says to the provider at an address: host and port, the port left out where https implies it.
func Authority(addr string) string {
	e := ParseEndpoint(addr)
	if e.TLS {
		return strings.TrimSuffix(e.Addr, ":443")
	}
	return e.Addr
}

// Secure is the address reached through TLS.
func Secure(hostPort string, insecure bool) string {
	if insecure {
		return schemeInsecure + hostPort
	}
	return schemeTLS + hostPort
}

// TLS is what a listener shows to clients: a certificate chain and its private key, PEM, or the files that hold them. The
// bytes never travel; the files are read where the listener is opened.
type TLS struct {
	Certificate     []byte `json:"-"`
	Key             []byte `json:"-"`
	CertificateFile string `json:"certificateFile,omitempty"`
	KeyFile         string `json:"keyFile,omitempty"`
}
