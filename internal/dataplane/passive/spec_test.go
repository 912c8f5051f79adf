// SPDX-License-Identifier: Apache-2.0

package passive_test

import (
	"errors"
	"strings"
	"testing"

	"microstax/internal/dataplane/passive"
	"microstax/internal/fault"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"lo:8080": "", "eth0:1": "", "eth0:10.0.0.4:8080": "", "docker0:172.17.0.2:80": "", "eth0:[fd00::1]:65535": "", "eth0.100:80": "",
		"": "IFACE:PORT", "lo": "IFACE:PORT", "8080": "IFACE:PORT", ":8080": "IFACE:PORT", "lo:": "IFACE:PORT",
		"lo:x": "no number", "lo:0": "no number", "lo:65536": "no number", "lo:-1": "no number",
		"lo:host:80": "not an IP address", "lo:fd00::1:80": "IFACE:HOST:PORT", "a/b:80": "network interface",
		"http://127.0.0.1:80": "not an IP address", "averyveryverylongname:80": "network interface",
	} {
		spec, err := passive.Parse(in)
		switch {
		case want == "" && (err != nil || spec.String() != in):
			t.Errorf("%q: %q, %v", in, spec.String(), err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || fault.KindOf(err) != fault.Invalid):
			t.Errorf("%q: %v, want %q", in, err, want)
		}
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"nosuch0:80": "lo", "any:80": "name the one"} {
		spec, err := passive.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		_, err = passive.Open(passive.Options{Spec: spec})
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Invalid || !strings.Contains(f.Hint, want) {
			t.Errorf("%s: %v, hint %q", in, err, f.Hint)
		}
	}
}
