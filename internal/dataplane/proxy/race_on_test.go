// SPDX-License-Identifier: Apache-2.0

//go:build race

package proxy_test

// raceDetector says that the detector is on: it allocates, and empties pools.
const raceDetector = true
