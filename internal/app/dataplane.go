// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"crypto/rand"
	"time"

	"microstax/internal/control/deploy"
	"microstax/internal/control/gateways"
	"microstax/internal/control/ingest"
	"microstax/internal/dataplane/remote"
	"microstax/internal/id"
)

// GatewaySecret is the file in the data directory that has what gateways show to a server without a token.
const GatewaySecret = "gateway.secret"

// dataplane builds the one that the settings ask for: part of the server, or gateways.
func (s *server) dataplane(key []byte) deploy.Plane {
	if !s.settings.External {
		s.plane = newPlane(s.bus, key, s.log, s.settings.Limits, true)
		return &tables{Plane: s.plane}
	}
	s.gateways = gateways.New(gateways.Options{
		Sink: heard{s.ingest}, Key: key, Server: id.New(id.Request, time.Now(), rand.Reader), Version: s.version, Now: time.Now,
		Logger: s.log,
	})
	s.onStop("gateways", func(context.Context) error { return s.gateways.Close() })
	return s.gateways
}

// heard joins gateways to ingest.
type heard struct{ *ingest.Ingest }

func (h heard) Receive(ctx context.Context, name, stream string, skip *uint64, frames []remote.Frame) (accepted, stored uint64, err error) {
	got, err := h.Ingest.Receive(ctx, name, stream, skip, frames)
	return got.Accepted, got.Stored, err
}

func (h heard) Forget(ctx context.Context, name string) error { return h.ForgetSource(ctx, name) }
