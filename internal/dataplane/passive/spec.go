// SPDX-License-Identifier: Apache-2.0

package passive

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"microstax/internal/fault"
)

// Spec is what to tap: the connections to one port that pass one network interface.
type Spec struct {
	Interface string
	Host      netip.Addr // the server's address; the zero value means any address of this machine
	Port      uint16
}

// specHint shows how a Spec is written.
const specHint = "write IFACE:PORT, like lo:8080 or eth0:8080, or IFACE:HOST:PORT for a server that is not on this machine, like docker0:172.17.0.2:80"

// Parse reads IFACE:PORT, or IFACE:HOST:PORT with an IPv6 host in brackets. It fails with fault.Invalid; whether there is
// such an interface is found out by Open.
func Parse(s string) (Spec, error) {
	bad := func(format string, args ...any) (Spec, error) {
		return Spec{}, fault.Errorf("read tap", fault.Invalid, "%q "+format, append([]any{s}, args...)...).WithHint(specHint)
	}
	iface, rest, ok := strings.Cut(s, ":")
	if !ok || iface == "" || rest == "" {
		return bad("is not IFACE:PORT")
	}
	if strings.ContainsAny(iface, "/ \t") || len(iface) > 15 {
		return bad("does not begin with the name of a network interface")
	}
	spec := Spec{Interface: iface}
	host, port := "", rest
	if strings.Contains(rest, ":") {
		var err error
		if host, port, err = net.SplitHostPort(rest); err != nil {
			return bad("is not IFACE:HOST:PORT")
		}
	}
	if host != "" {
		addr, err := netip.ParseAddr(host)
		if err != nil {
			return bad("names the host %q, which is not an IP address", host)
		}
		spec.Host = addr.Unmap().WithZone("")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return bad("has %q for a port, which is no number from 1 to 65535", port)
	}
	spec.Port = uint16(n)
	return spec, nil
}

// String is how Parse reads it.
func (s Spec) String() string {
	port := strconv.Itoa(int(s.Port))
	if s.Host.IsValid() {
		return s.Interface + ":" + net.JoinHostPort(s.Host.String(), port)
	}
	return s.Interface + ":" + port
}
