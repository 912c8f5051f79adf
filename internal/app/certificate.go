// SPDX-License-Identifier: Apache-2.0

package app

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"time"

	"microstax/internal/config"
	"microstax/internal/dataplane/proxy"
	"microstax/internal/dataplane/route"
	"microstax/internal/fault"
)

// renewBefore is how long a self-made certificate still has to be good when the server starts; otherwise another is made.
const renewBefore = 30 * 24 * time.Hour

// gatewayTLS is what gateways of environments show to users, or nil. Files are named, not read, in what travels; that they
// can be read is looked at here. A self-made certificate stays in the data directory, so that whoever trusts it still does
// after a restart.
func gatewayTLS(s *config.Settings, now time.Time) (*route.TLS, error) {
	const op = "read certificate of gateways"
	shown := &route.TLS{CertificateFile: s.TLS.Certificate, KeyFile: s.TLS.Key}
	if s.TLS.SelfMade {
		dir := filepath.Join(s.DataDir, "tls")
		shown = &route.TLS{CertificateFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
		if err := keepSelfMade(dir, shown, now); err != nil {
			return nil, fault.E("make certificate of gateways", fault.Unavailable, err)
		}
	}
	if shown.CertificateFile == "" {
		return nil, nil //nolint:nilnil // none
	}
	if _, err := tls.LoadX509KeyPair(shown.CertificateFile, shown.KeyFile); err != nil {
		return nil, fault.E(op, fault.Invalid, err).
			WithHint("tlsCertificate and tlsKey are PEM files that belong together; self-made makes a certificate for this machine")
	}
	return shown, nil
}

// keepSelfMade makes a certificate unless there is one that is good for a while.
func keepSelfMade(dir string, files *route.TLS, now time.Time) error {
	if pair, err := tls.LoadX509KeyPair(files.CertificateFile, files.KeyFile); err == nil &&
		pair.Leaf != nil && pair.Leaf.NotAfter.Sub(now) > renewBefore {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var hosts []string
	if name, err := os.Hostname(); err == nil {
		hosts = append(hosts, name)
	}
	made, err := proxy.SelfSigned(hosts, now)
	if err != nil {
		return err
	}
	if err := os.WriteFile(files.KeyFile, made.Key, 0o600); err != nil {
		return err
	}
	return os.WriteFile(files.CertificateFile, made.Certificate, 0o600)
}
