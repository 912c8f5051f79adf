// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Setting is one line of the table of settings.
type Setting struct {
	Key     string // in config.yaml, limits.ring being ring under limits; and of Options.Flags
	Env     string // environment variable
	Default string // as it would be written; "" where it follows from other settings
	set     func(*Settings, string) error
}

// Table lists every setting. Home is not in the file, which lies in it.
func Table() []Setting {
	return []Setting{
		{"home", "MICROSTAX_HOME", "", func(s *Settings, v string) error { s.Home = v; return nil }},
		{"apiUrl", "MICROSTAX_API_URL", "http://127.0.0.1:3000", setURL},
		{"apiKey", "MICROSTAX_API_KEY", "", func(s *Settings, v string) error { s.APIKey = Secret(v); return nil }},
		{"dataDir", "MICROSTAX_DATA_DIR", "", func(s *Settings, v string) error { s.DataDir = v; return nil }},
		{"listen", "MICROSTAX_LISTEN", "", setListen},
		{"ports", "MICROSTAX_PORTS", "20000-31999", setPorts},
		{"log", "MICROSTAX_LOG", "info", setLevel},
		{"tlsCertificate", "MICROSTAX_TLS_CERTIFICATE", "", setCertificate},
		{"tlsKey", "MICROSTAX_TLS_KEY", "", func(s *Settings, v string) error { s.TLS.Key = v; return nil }},
		{"dataplane", "MICROSTAX_DATAPLANE", "embedded", setDataplane},
		{"gatewayName", "MICROSTAX_GATEWAY_NAME", "", func(s *Settings, v string) error { s.Gateway.Name = v; return nil }},
		{"gatewayDir", "MICROSTAX_GATEWAY_DIR", "", func(s *Settings, v string) error { s.Gateway.Dir = v; return nil }},
		{"gatewayAdmin", "MICROSTAX_GATEWAY_ADMIN", "", setAdmin},
		{"limits.ring", "MICROSTAX_LIMIT_RING", "8192", count(1<<20, func(l *Limits) *int { return &l.Ring })},
		{"limits.captureBudget", "MICROSTAX_LIMIT_CAPTURE_BUDGET", "256MiB", size(1<<40, func(l *Limits) *int64 { return &l.CaptureBudget })},
		{"limits.maxBody", "MICROSTAX_LIMIT_MAX_BODY", "1MiB", size(1<<30, func(l *Limits) *int64 { return &l.MaxBody })},
		{"limits.lag", "MICROSTAX_LIMIT_LAG", "5s", duration(20*time.Second, func(l *Limits) *time.Duration { return &l.Lag })},
		{"limits.bus", "MICROSTAX_LIMIT_BUS", "1024", count(1<<20, func(l *Limits) *int { return &l.Bus })},
		{"limits.connections", "MICROSTAX_LIMIT_CONNECTIONS", "20000", count(1<<20, func(l *Limits) *int { return &l.Connections })},
		{"limits.environments", "MICROSTAX_LIMIT_ENVIRONMENTS", "500", count(1<<20, func(l *Limits) *int { return &l.Environments })},
		{"limits.instances", "MICROSTAX_LIMIT_INSTANCES", "200", count(1<<16, func(l *Limits) *int { return &l.Instances })},
		{"limits.keptPerFinding", "MICROSTAX_LIMIT_KEPT_PER_FINDING", "20", count(1<<16, func(l *Limits) *int { return &l.KeptPerFinding })},
		{"limits.keptPerEndpoint", "MICROSTAX_LIMIT_KEPT_PER_ENDPOINT", "3", count(1<<16, func(l *Limits) *int { return &l.KeptPerEndpoint })},
		{"limits.keptPerSession", "MICROSTAX_LIMIT_KEPT_PER_SESSION", "10000", count(1<<24, func(l *Limits) *int { return &l.KeptPerSession })},
		{"limits.drainTimeout", "MICROSTAX_LIMIT_DRAIN_TIMEOUT", "10s", duration(time.Hour, func(l *Limits) *time.Duration { return &l.DrainTimeout })},
		{"limits.spool", "MICROSTAX_LIMIT_SPOOL", "256MiB", size(1<<40, func(l *Limits) *int64 { return &l.Spool })},
		{"limits.maxHead", "MICROSTAX_LIMIT_MAX_HEAD", "64KiB", size(16<<20, func(l *Limits) *int64 { return &l.MaxHead })},
		{"limits.headTimeout", "MICROSTAX_LIMIT_HEAD_TIMEOUT", "30s", duration(time.Hour, func(l *Limits) *time.Duration { return &l.HeadTimeout })},
		{"limits.idleTimeout", "MICROSTAX_LIMIT_IDLE_TIMEOUT", "2m", duration(24*time.Hour, func(l *Limits) *time.Duration { return &l.IdleTimeout })},
		{"limits.bodyTimeout", "MICROSTAX_LIMIT_BODY_TIMEOUT", "2m", duration(24*time.Hour, func(l *Limits) *time.Duration { return &l.BodyTimeout })},
		{"limits.dialTimeout", "MICROSTAX_LIMIT_DIAL_TIMEOUT", "10s", duration(time.Hour, func(l *Limits) *time.Duration { return &l.DialTimeout })},
		{"limits.answerTimeout", "MICROSTAX_LIMIT_ANSWER_TIMEOUT", "off", orOff(duration(24*time.Hour, answerTimeout), answerTimeout)},
		{"limits.tapRing", "MICROSTAX_LIMIT_TAP_RING", "32MiB", size(1<<32, func(l *Limits) *int64 { return &l.TapRing })},
		{"limits.tapConnections", "MICROSTAX_LIMIT_TAP_CONNECTIONS", "20000", count(1<<20, func(l *Limits) *int { return &l.TapConnections })},
		{"limits.tapHeld", "MICROSTAX_LIMIT_TAP_HELD", "64MiB", size(1<<36, func(l *Limits) *int64 { return &l.TapHeld })},
	}
}

func setURL(s *Settings, v string) error {
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q is not the URL of a server: write it like http://127.0.0.1:3000", v)
	}
	s.APIURL = strings.TrimRight(v, "/")
	return nil
}

// selfMade stands for a certificate that the server makes.
const selfMade = "self-made"

func setCertificate(s *Settings, v string) error {
	s.TLS.Certificate, s.TLS.SelfMade = v, v == selfMade
	if v == selfMade || v == "off" {
		s.TLS.Certificate = ""
	}
	return nil
}

func setListen(s *Settings, v string) error { return address(&s.Listen, v) }

func setAdmin(s *Settings, v string) error { return address(&s.Gateway.Admin, v) }

func address(to *string, v string) error {
	_, port, err := net.SplitHostPort(v)
	if n, nerr := strconv.Atoi(port); err != nil || nerr != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q is not an address to listen on: write host:port, like 127.0.0.1:3000", v)
	}
	*to = v
	return nil
}

func setDataplane(s *Settings, v string) error {
	if v != "embedded" && v != "external" {
		return fmt.Errorf("%q is not a place for the data plane: write embedded, or external for gateways", v)
	}
	s.External = v == "external"
	return nil
}

func setPorts(s *Settings, v string) error {
	first, last, ok := strings.Cut(v, "-")
	a, aerr := strconv.Atoi(strings.TrimSpace(first))
	b, berr := strconv.Atoi(strings.TrimSpace(last))
	if !ok || aerr != nil || berr != nil || a < 1024 || b > 65535 || b-a < 99 {
		return fmt.Errorf("%q is not a range of at least 100 ports from 1024 to 65535: write it like 20000-31999", v)
	}
	s.Ports = PortRange{First: a, Last: b}
	return nil
}

func setLevel(s *Settings, v string) error {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	level, ok := levels[strings.ToLower(v)]
	if !ok {
		return fmt.Errorf("%q is not a log level: write debug, info, warn or error", v)
	}
	s.LogLevel = level
	return nil
}

func count(most int, at func(*Limits) *int) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		n, err := strconv.Atoi(strings.ReplaceAll(v, "_", ""))
		if err != nil || n < 1 || n > most {
			return fmt.Errorf("%q is not a number from 1 to %d", v, most)
		}
		*at(&s.Limits) = n
		return nil
	}
}

func duration(most time.Duration, at func(*Limits) *time.Duration) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 || d > most {
			return fmt.Errorf("%q is not a time above zero and up to %s: write a number with a unit, like 10s", v, most)
		}
		*at(&s.Limits) = d
		return nil
	}
}

func answerTimeout(l *Limits) *time.Duration { return &l.AnswerTimeout }

// orOff lets a time also be off, which is zero.
func orOff(set func(*Settings, string) error, at func(*Limits) *time.Duration) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		if v == "off" || v == "0" || v == "0s" {
			*at(&s.Limits) = 0
			return nil
		}
		return set(s, v)
	}
}

// leastSize is the smallest size that makes sense: one head of a message.
const leastSize = 1 << 10

func size(most int64, at func(*Limits) *int64) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		n, ok := parseSize(v)
		if !ok || n < leastSize || n > most {
			return fmt.Errorf("%q is not a size from 1KiB to %dMiB: write a number with a unit, like 64KiB, 1MiB or 256MB", v, most>>20)
		}
		*at(&s.Limits) = n
		return nil
	}
}

func parseSize(v string) (int64, bool) {
	digits := strings.TrimRight(v, "BKMGTikmgtb ")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 {
		return 0, false
	}
	units := map[string]int64{
		"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
		"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
	}
	unit, ok := units[strings.ToLower(strings.TrimSpace(v[len(digits):]))]
	if !ok || n > (1<<62)/unit {
		return 0, false
	}
	return n * unit, true
}
