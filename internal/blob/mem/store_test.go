// SPDX-License-Identifier: Apache-2.0

package mem_test

import (
	"testing"

	"microstax/internal/blob"
	"microstax/internal/blob/blobtest"
	"microstax/internal/blob/mem"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(*testing.T) blob.Store { return mem.New() })
}
