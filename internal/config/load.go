// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"microstax/internal/fault"
)

// FileName is the name of the file in Home.
const FileName = "config.yaml"

// Options are where settings come from.
type Options struct {
	Getenv   func(string) string               // nil: no environment
	ReadFile func(path string) ([]byte, error) // nil: no file
	Abs      func(path string) (string, error) // of a path as it was written; nil: filepath.Abs
	Flags    map[string]string                 // by Setting.Key; an empty value counts as not given
}

// rules of the places that Load complains of.
const (
	ruleSyntax  = "syntax"
	ruleUnknown = "unknown-field"
	ruleValue   = "bad-value"
)

// loader collects complaints, so that all come at once.
type loader struct {
	o        Options
	settings Settings
	places   []fault.Place
}

// Load gives the settings, or a fault.Invalid whose places are everything that is wrong.
func Load(o Options) (Settings, error) {
	const op = "read settings"
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	if o.Abs == nil {
		o.Abs = filepath.Abs
	}
	l := &loader{o: o}
	if err := l.home(); err != nil {
		return Settings{}, err
	}
	table := Table()
	for _, s := range table {
		if s.Default != "" {
			l.set(s, s.Default, fault.Place{Path: s.Key})
		}
	}
	if err := l.file(table); err != nil {
		return Settings{}, err
	}
	l.strong(table)
	if err := l.derive(); err != nil {
		return Settings{}, err
	}
	if len(l.places) > 0 {
		lines := make([]string, len(l.places))
		for i, p := range l.places {
			lines[i] = strings.TrimSpace(p.String())
		}
		return Settings{}, fault.E(op, fault.Invalid, errors.New(strings.Join(lines, "; "))).WithPlaces(l.places).
			WithHint("docs/configuration.md lists all settings and their values")
	}
	return l.settings, nil
}

// home finds Home, which everything else may hang on.
func (l *loader) home() error {
	const op = "find home directory"
	home := l.o.Flags["home"]
	if home == "" {
		home = l.o.Getenv("MICROSTAX_HOME")
	}
	if home == "" {
		state := l.o.Getenv("XDG_STATE_HOME")
		if !filepath.IsAbs(state) { // the XDG base directory specification wants a relative one ignored
			user := l.o.Getenv("HOME")
			if user == "" {
				return fault.Errorf(op, fault.Invalid, "neither MICROSTAX_HOME nor HOME is set").WithHint("set MICROSTAX_HOME to a folder that you may write to")
			}
			state = filepath.Join(user, ".local", "state")
		}
		home = filepath.Join(state, "microstax")
	}
	abs, err := l.o.Abs(home)
	if err != nil {
		return fault.E(op, fault.Invalid, err)
	}
	l.settings.Home = abs
	return nil
}

// strong applies what is stronger than the file: the environment, then flags.
func (l *loader) strong(table []Setting) {
	for _, s := range table {
		if s.Key == "home" {
			continue
		}
		if v := l.o.Getenv(s.Env); v != "" {
			l.set(s, v, fault.Place{Path: s.Env})
		}
		if v := l.o.Flags[s.Key]; v != "" {
			l.set(s, v, fault.Place{Path: "--" + s.Key})
		}
	}
	keys := make([]string, 0, len(table))
	for _, s := range table {
		keys = append(keys, s.Key)
	}
	for _, k := range slices.Sorted(maps.Keys(l.o.Flags)) {
		if !slices.Contains(keys, k) {
			l.complain(fault.Place{Path: "--" + k, Rule: ruleUnknown}, "there is no setting %s", k)
		}
	}
	l.settings.Color = l.o.Getenv("NO_COLOR") == "" && l.o.Getenv("TERM") != "dumb"
	l.settings.User = l.o.Getenv("USER")
}

func (l *loader) set(s Setting, v string, at fault.Place) {
	if err := s.set(&l.settings, v); err != nil {
		at.Rule = ruleValue
		l.complain(at, "%s: %w", at.Path, err)
	}
}

func (l *loader) complain(at fault.Place, format string, args ...any) {
	at.Message = fmt.Errorf(format, args...).Error()
	l.places = append(l.places, at)
}

// derive fills what follows from other settings.
func (l *loader) derive() error {
	s := &l.settings
	if s.DataDir == "" {
		s.DataDir = filepath.Join(s.Home, "data")
	}
	abs, err := l.o.Abs(s.DataDir)
	if err != nil {
		return fault.E("find data directory", fault.Invalid, err)
	}
	s.DataDir = abs
	if err := l.certificate(&s.TLS); err != nil {
		return err
	}
	if s.Gateway.Dir == "" {
		s.Gateway.Dir = filepath.Join(s.Home, "gateway")
	}
	if s.Gateway.Dir, err = l.o.Abs(s.Gateway.Dir); err != nil {
		return fault.E("find the gateway's directory", fault.Invalid, err)
	}
	if s.Listen == "" {
		s.Listen = local(s.APIURL)
	}
	if s.Limits.MaxBody > s.Limits.CaptureBudget {
		l.complain(fault.Place{Path: "limits.maxBody", Rule: ruleValue}, "limits.maxBody is above limits.captureBudget: no such body could be captured")
	}
	if _, port, err := net.SplitHostPort(s.Listen); err == nil && l.within(port) {
		l.complain(fault.Place{Path: "listen", Rule: ruleValue}, "listen %s lies within ports %d-%d, which environments use", s.Listen, s.Ports.First, s.Ports.Last)
	}
	return nil
}

// certificate makes the paths of files absolute, and wants both or none.
func (l *loader) certificate(t *TLS) error {
	if (t.Certificate == "") != (t.Key == "") {
		l.complain(fault.Place{Path: "tlsCertificate", Rule: ruleValue},
			"tlsCertificate and tlsKey go together: give both files, or tlsCertificate: %s alone", selfMade)
		return nil
	}
	for _, path := range []*string{&t.Certificate, &t.Key} {
		if *path == "" {
			continue
		}
		abs, err := l.o.Abs(*path)
		if err != nil {
			return fault.E("find certificate", fault.Invalid, err)
		}
		*path = abs
	}
	return nil
}

func (l *loader) within(port string) bool {
	n, err := strconv.Atoi(port)
	return err == nil && n >= l.settings.Ports.First && n <= l.settings.Ports.Last
}

// local is the address that a server for the URL listens on, when it is one of this machine; else "".
func local(apiURL string) string {
	u, err := url.Parse(apiURL)
	if err != nil || u.Scheme != "http" || u.Path != "" {
		return ""
	}
	host, port := u.Hostname(), u.Port()
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return ""
	}
	if port == "" {
		port = "80"
	}
	return net.JoinHostPort(host, port)
}

// read gives the file's text, and "" when there is none.
func (l *loader) read(path string) (string, error) {
	if l.o.ReadFile == nil {
		return "", nil
	}
	b, err := l.o.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", fault.E("read settings", fault.Invalid, err).WithHint("make %s readable, or remove it", path)
	}
	return string(b), nil
}
