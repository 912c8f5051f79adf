// SPDX-License-Identifier: Apache-2.0

// Package app builds the program's parts, joins them, and owns their lives: what starts is registered to be stopped at
// once, and stopping goes in reverse order, bounded, whether building failed half-way or a signal came. It alone imports
// adapters and the proxy.
package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"microstax/internal/blueprint"
	"microstax/internal/config"
	"microstax/internal/dataplane/mirror"
	"microstax/internal/dataplane/passive"
	"microstax/internal/dataplane/proxy"
	"microstax/internal/dataplane/redact"
	"microstax/internal/fault"
)

// lifecycle is what has to be stopped, in reverse order.
type lifecycle struct {
	log   *slog.Logger
	stops []stop
}

type stop struct {
	what string
	do   func(context.Context) error
}

// onStop registers how to stop what has just been started.
func (l *lifecycle) onStop(what string, do func(context.Context) error) {
	l.stops = append(l.stops, stop{what, do})
}

// stop stops everything, the last started first. All of it together gets the grace period.
func (l *lifecycle) stop(grace time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	var errs []error
	for i := len(l.stops) - 1; i >= 0; i-- {
		s := l.stops[i]
		l.log.Debug("stop", "part", s.what)
		if err := s.do(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", s.what, err))
		}
	}
	l.stops = nil
	return errors.Join(errs...)
}

// background runs f on a goroutine and registers its end: f's ctx is cancelled, and f is waited for.
func (l *lifecycle) background(what string, f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	l.onStop(what, func(context.Context) error {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	})
}

// newLogger writes structured lines to w.
func newLogger(w io.Writer, level slog.Level) *slog.Logger {
	if w == nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// newPlane builds the data plane from the limits in force.
func newPlane(pub mirror.Publisher, key []byte, log *slog.Logger, limits config.Limits, trace bool) *proxy.Plane {
	return newKeyedPlane(pub, func() []byte { return key }, log, limits, trace)
}

// newKeyedPlane is newPlane with a key that each shadow session asks for when it begins.
func newKeyedPlane(pub mirror.Publisher, key func() []byte, log *slog.Logger, limits config.Limits, trace bool) *proxy.Plane {
	return proxy.New(proxy.Options{
		Publisher: pub, Logger: log, Entropy: rand.Reader, Trace: trace,
		Redactor: func(rules []blueprint.Redact) mirror.Redactor {
			return redact.New(redact.Options{Key: key(), Rules: rules})
		},
		Limits: proxy.Limits{
			CaptureBudget: limits.CaptureBudget, RingSize: limits.Ring, Lag: limits.Lag, MaxConns: limits.Connections,
			DrainTimeout: limits.DrainTimeout, MaxHead: int(limits.MaxHead), HeadTimeout: limits.HeadTimeout,
			IdleTimeout: limits.IdleTimeout, BodyTimeout: limits.BodyTimeout, DialTimeout: limits.DialTimeout,
			AnswerTimeout: limits.AnswerTimeout,
			Tap: passive.Limits{
				Ring: int(limits.TapRing), Flows: limits.TapConnections, Held: int(limits.TapHeld), Head: int(limits.MaxHead),
			},
		},
	})
}

// redactionKey is the secret from which tokens are made. It stays with the data directory, so that a value has the same
// token before and after a restart; whoever removes the file makes old tokens unlinkable.
func redactionKey(dir string) ([]byte, error) {
	return secret("read redaction key", dir, "redaction.key")
}

// secret reads a file of random bytes, which is made when it is not there.
func secret(op, dir, name string) ([]byte, error) {
	path := filepath.Join(dir, name)
	key, err := os.ReadFile(path) //nolint:gosec // a path of ours
	if err == nil && len(key) >= 32 {
		return key, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fault.E(op, fault.Unavailable, err)
	}
	key = make([]byte, 32)
	rand.Read(key) //nolint:errcheck,gosec // never fails
	if err := os.WriteFile(path, key, 0o600); err != nil {
		return nil, fault.E(op, fault.Unavailable, err)
	}
	return key, nil
}

// inherited is what services get of the server's own environment.
func inherited(environ []string) map[string]string {
	m := map[string]string{}
	for _, kv := range environ {
		k, v, _ := strings.Cut(kv, "=")
		switch k {
		case "PATH", "HOME", "LANG", "TZ", "TMPDIR", "USER", "LOGNAME", "SSL_CERT_FILE", "SSL_CERT_DIR":
			m[k] = v
		}
	}
	return m
}
