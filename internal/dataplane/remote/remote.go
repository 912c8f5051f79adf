// SPDX-License-Identifier: Apache-2.0

// Package remote joins a data plane in a process of its own, a gateway, to the server that knows the routes. What is
// agreed between the two stands in message.go and frame.go; the server's half is internal/control/gateways.
//
//	server ── hello, table, delta, delta, beat … ──► gateway      one long answer of lines, GET …/table
//	server ◄── what every listener really serves ─── gateway      after each table and every few seconds, POST …/serving
//	server ◄── observations and counts, numbered ─── gateway      in batches, at least once, POST …/observations
//
// An Agent holds a gateway's end of it. It applies tables, keeps the last one on disk, and serves it when no server
// answers, also after a restart. What the plane observes goes to an Outbox, from there to a Spool on disk, bounded, and
// from there to the server, which drops what it has already got; what finds no place in the spool is counted, and the
// counts are sent. Users wait for none of it.
package remote
