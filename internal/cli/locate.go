// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"strings"

	v1 "microstax/api/v1"
	"microstax/internal/blueprintfile"
	"microstax/internal/fault"
)

// locate gives those wrong places of a refused Blueprint their line that the server knew without one. A path into
// services is left alone: it may be that of the overlay and what it derives from together.
func locate(req v1.CreateEnvironment, err error) error {
	var f *fault.Error
	places := fault.PlacesOf(err)
	if !errors.As(err, &f) || len(places) == 0 {
		return err
	}
	_, src, _ := blueprintfile.Parse([]byte(req.Blueprint), req.FileName, req.BaseDir)
	for i, p := range places {
		if p.File == "" && p.Path != "" && !strings.HasPrefix(p.Path, "services") {
			places[i] = src.Place(p)
		}
	}
	return f.WithPlaces(places)
}

// culprit is where the Blueprint says what made the environment fail, as file:line:column, or "" when it does not: the
// reason begins with the service's name.
func culprit(req v1.CreateEnvironment, reason string) string {
	name, what, _ := strings.Cut(reason, " ")
	if req.Blueprint == "" {
		return ""
	}
	b, src, _ := blueprintfile.Parse([]byte(req.Blueprint), req.FileName, req.BaseDir)
	at := -1
	for i := range b.Services {
		if b.Services[i].Name == name {
			at = i
		}
	}
	if at < 0 {
		return ""
	}
	field := "command"
	switch {
	case strings.Contains(what, "working directory"):
		field = "workdir"
	case strings.HasPrefix(what, "was not ready") && b.Services[at].Probes != nil:
		field = "probes.readiness"
	}
	line, column := src.At(fmt.Sprintf("services[%d].%s", at, field))
	return fmt.Sprintf("%s:%d:%d", req.FileName, line, column)
}
