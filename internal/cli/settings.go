// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"net"
	"net/url"
	"os"
	"os/user"

	"microstax/internal/client"
	"microstax/internal/config"
)

// readSettings reads the environment and config.yaml; flags, by config.Setting.Key, are stronger.
func (a *app) readSettings(flags map[string]string) error {
	s, err := config.Load(config.Options{Getenv: a.Getenv, ReadFile: os.ReadFile, Flags: flags})
	if err != nil {
		return err
	}
	if s.User == "" {
		if u, err := user.Current(); err == nil {
			s.User = u.Username
		}
	}
	a.set = s
	return nil
}

// localAddress is the host:port that a server for the API URL has to listen on to be this machine's, and "" where it can't be.
func (a *app) localAddress() string {
	u, err := url.Parse(a.set.APIURL)
	if err != nil || u.Scheme != "http" || u.Path != "" || !client.Loopback(u.Host) {
		return ""
	}
	host, port := u.Hostname(), u.Port()
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if port == "" {
		port = "80"
	}
	return net.JoinHostPort(host, port)
}
