// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"github.com/spf13/cobra"
)

func (a *app) env() *cobra.Command {
	return group("env", "Environments: life cycle, shadowing and evidence",
		a.envValidate(), a.envCreate(), a.envList(), a.envGet(), a.envStatus(), a.envLogs(), a.envDelete(), a.envStop(), a.envResume(),
		a.envLineage(), a.envShadow(), a.envDiffs(), a.envObservations(), a.envAccept(), a.envIgnore())
}

func (a *app) baseline() *cobra.Command {
	return group("baseline", "Baselines: stable environments to derive from", a.baselineCreate(), a.baselineList(), a.baselineGet())
}

func (a *app) overlay() *cobra.Command {
	return group("overlay", "Overlays: sparse environments that derive from a baseline", a.overlayCreate(), a.overlayList())
}
