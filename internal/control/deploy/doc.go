// SPDX-License-Identifier: Apache-2.0

// Package deploy is the use case that makes environments exist. It owns them in the evidence store, reconciles what is
// wanted with what runs through driver.Driver, and gives the data plane its routing table.
//
// It is not the judge of anything: sessions, evidence and verdicts belong to its neighbours. app builds one Controller;
// httpapi and the other use cases call its methods, all of which may be called concurrently. DESIGN.md beside this file
// explains the actors and what happens after a crash.
package deploy
