// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"

	"microstax/internal/dataplane/dial"
	"microstax/internal/dataplane/route"
)

// loadTLS prepares what the listener shows to clients.
func (p *plan) loadTLS() error {
	if p.TLS == nil {
		return nil
	}
	pair := func() (tls.Certificate, error) { return tls.X509KeyPair(p.TLS.Certificate, p.TLS.Key) }
	if p.TLS.CertificateFile != "" {
		pair = func() (tls.Certificate, error) { return tls.LoadX509KeyPair(p.TLS.CertificateFile, p.TLS.KeyFile) }
	}
	cert, err := pair()
	if err != nil {
		return fmt.Errorf("read certificate: %w", err)
	}
	p.tls = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if p.Protocol != "tcp" {
		p.tls.NextProtos = []string{"h2", "http/1.1"}
	}
	return nil
}

// handshake takes TLS off, if the listener speaks it.
func (c *conn) handshake() error {
	if c.secure == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.p.ctx, c.p.opts.Limits.HeadTimeout)
	defer cancel()
	err := c.secure.HandshakeContext(ctx)
	if err != nil {
		c.p.stats.malformed.Add(1)
	}
	return err
}

// bare is the connection below TLS.
func bare(nc net.Conn) net.Conn {
	if tc, ok := nc.(*tls.Conn); ok {
		nc = tc.NetConn()
	}
	return dial.Plain(nc)
}

// selfSignedFor is how long a self-made certificate is good for.
const selfSignedFor = 90 * 24 * time.Hour

// SelfSigned makes a certificate for the host names and addresses, and for this machine, signed by itself. Nobody trusts
// it unless told to: it is for a laptop.
func SelfSigned(hosts []string, now time.Time) (*route.TLS, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("make serial number: %w", err)
	}
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "MicroStax, self-made"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(selfSignedFor), BasicConstraintsValid: true, IsCA: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else if h != "" && h != "localhost" {
			c.DNSNames = append(c.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return &route.TLS{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}),
	}, nil
}
