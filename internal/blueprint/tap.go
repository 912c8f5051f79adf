// SPDX-License-Identifier: Apache-2.0

package blueprint

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Tap is where copies are taken from packets: the connections to one port that pass one network interface.
type Tap struct {
	Interface string
	Host      netip.Addr // the server's address; the zero value means any address of the machine that taps
	Port      uint16
}

// maxInterface is the longest name that Linux gives an interface, in bytes.
const maxInterface = 15

// ParseTap reads IFACE:PORT, or IFACE:HOST:PORT with an IPv6 host in brackets. Its errors read on from the text that they
// are about.
func ParseTap(s string) (Tap, error) {
	iface, rest, ok := strings.Cut(s, ":")
	if !ok || iface == "" || rest == "" {
		return Tap{}, errors.New("is not IFACE:PORT")
	}
	if strings.ContainsAny(iface, "/ \t") || len(iface) > maxInterface {
		return Tap{}, errors.New("does not begin with the name of a network interface")
	}
	t := Tap{Interface: iface}
	host, port, named := cutLast(rest, ":")
	if !named {
		port = rest
	}
	if named {
		bare, bracketed := strings.CutPrefix(host, "[")
		bare = strings.TrimSuffix(bare, "]")
		addr, err := netip.ParseAddr(bare)
		if err != nil {
			return Tap{}, fmt.Errorf("names the host %q, which is not an IP address", host)
		}
		if addr.Is6() != bracketed {
			return Tap{}, errors.New("is not IFACE:HOST:PORT, with an IPv6 address in brackets")
		}
		t.Host = addr.Unmap().WithZone("")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return Tap{}, fmt.Errorf("has %q for a port, which is no number from 1 to 65535", port)
	}
	t.Port = uint16(n)
	return t, nil
}

// String is how ParseTap reads it.
func (t Tap) String() string {
	if t.Host.IsValid() {
		return t.Interface + ":" + netip.AddrPortFrom(t.Host, t.Port).String()
	}
	return t.Interface + ":" + strconv.Itoa(int(t.Port))
}

// checkTap checks where copies of a service's requests are taken.
func (c *checker) checkTap(path string, s Service) {
	if s.Tap == "" {
		return
	}
	if _, err := ParseTap(s.Tap); err != nil {
		c.add(path+".tap", RuleBadTap, "tap %q %s: write IFACE:PORT, like eth0:8080, or IFACE:HOST:PORT for a server on another machine", shorten(s.Tap), err)
	}
	if p := s.MainPort().Protocol; p != "" && p != HTTP {
		c.add(path+".tap", RuleBadTap, "service %q speaks %s, and a tap reads HTTP/1.1 only: leave tap out, and send the traffic through the gateway", s.Name, p)
	}
	if strings.HasPrefix(s.Address, "https://") {
		c.add(path+".tap", RuleBadTap, "service %q is reached through TLS, and a tap can't read what is encrypted: leave tap out, or tap behind what ends TLS", s.Name)
	}
}
