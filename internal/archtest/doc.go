// SPDX-License-Identifier: Apache-2.0

// Package archtest holds the rules of docs/architecture.md that a machine can check, as a test: which package may
// import which, what pure packages may not touch, and what a file must look like. It has no code of its own; to place a
// new package, add a line to the table in layers_test.go.
package archtest
